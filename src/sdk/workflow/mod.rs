//! What workflow code sees of the engine: time, randomness, activities, timers, signals, sagas. Lives here: the
//! `Workflow` trait and the `WorkflowContext`. Must not live here: matching commands with a history (`replay`).

mod attributes;
mod call;
mod cancellation;
mod chain;
mod child;
mod child_workflow;
mod concurrent;
mod condition;
mod core;
mod external;
mod handlers;
mod local;
mod lock;
mod random;
mod rollback;
mod saga;
mod scope;
mod signal;
mod state;
mod timer;
mod unfinished;
mod version;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::model::{
    Failure, FromPayload, Payload, RunId, Timestamp, ToPayload, VersionMarker, WorkflowId, WorkflowType,
};

use super::function::{ActivityFunction, encode};

pub use call::ActivityCall;
pub use cancellation::{CancellationType, ChildCancellationType};
pub use chain::{ContinueAsNewCall, WorkflowInfo};
pub use child::ChildCall;
pub use child_workflow::{ChildHandle, ChildResult, ChildRun, ChildStart, ChildWorkflow};
pub use condition::WaitCondition;
pub use external::{ExternalCall, ExternalWorkflow};
pub use local::LocalActivityCall;
pub use lock::LockCall;
pub use rollback::{RollBack, Savepoint};
pub use saga::{Saga, StepCall};
pub use scope::{CancellationScope, ScopeCanceled, Scoped};
pub use signal::{SignalReceive, SignalReceiver};
pub use state::WorkflowState;
pub use timer::Sleep;
pub use unfinished::{HandlerUnfinishedPolicy, RegisteredHandler, UpdateInfo};

pub(crate) use self::core::{Core, HistoryInfo, Refusal, UpdateHandler};

/// A durable function. Most workflows are plain functions (see [`WorkflowFunction`](super::WorkflowFunction)); implement
/// the trait for a workflow that carries state in `self`.
///
/// The future is replayed from the history whenever the run is brought back to memory, so it must decide the same every
/// time: no clocks, randomness, I/O or shared mutable state but those of its [`WorkflowContext`].
///
/// ```
/// use amends::{Failure, Payload, Workflow, WorkflowContext, WorkflowDefinition};
/// use futures_util::future::{FutureExt, LocalBoxFuture};
///
/// struct Nightly { at: std::time::Duration }
///
/// impl Workflow for Nightly {
///     fn start(&self, cx: WorkflowContext, _input: Payload) -> LocalBoxFuture<'static, Result<Payload, Failure>> {
///         let at = self.at;
///         async move {
///             cx.sleep(at).await?;
///             Ok(Payload::null())
///         }
///         .boxed_local()
///     }
/// }
///
/// WorkflowDefinition::new("nightly", Nightly { at: std::time::Duration::from_secs(3600) })?;
/// # Ok::<(), amends::RegistryError>(())
/// ```
pub trait Workflow: Send + Sync + 'static {
    /// Makes the run's future. Called once for each time that the run is brought to memory; the future need not be
    /// `Send`.
    fn start(&self, cx: WorkflowContext, input: Payload) -> LocalBoxFuture<'static, Result<Payload, Failure>>;
}

/// What workflow code sees of the engine. Cheap to clone; clones are the same run.
///
/// Its futures are lazy, like all futures: an activity is scheduled and a timer is started when its future is first
/// polled, and in the order of those polls. They work in `join!`, `select` and `FuturesUnordered`. **Dropping** one before
/// it has resolved asks the activity to stop, or forgets the timer. To await anything else (a socket, another runtime's
/// timer) parks the run: nobody would wake it after a crash. Such things belong into activities.
///
/// When somebody cancels the run, outstanding calls, sleeps and signal receptions fail with a cancellation, and so do all
/// later ones: `?` leads out of the function, and the engine then undoes the saga's steps by itself. Once the pivot of a
/// saga has succeeded a cancellation does not reach the code any more. See [`scope`](Self::scope) for cancelling a part of
/// the code only, and [`shield`](Self::shield) for what no cancellation is to reach.
///
/// ```
/// use std::time::Duration;
/// use amends::{ActivityContext, Failure, WorkflowContext};
/// use futures_util::{future::select, future::Either, pin_mut};
///
/// async fn ask(_cx: ActivityContext, question: String) -> Result<(), Failure> { Ok(()) }
///
/// async fn approval(cx: WorkflowContext, question: String) -> Result<bool, Failure> {
///     cx.activity(ask, &question).start_to_close(Duration::from_secs(5)).await?;
///     let approved = cx.signal::<bool>("approve");
///     let (answer, deadline) = (approved.recv(), cx.sleep(Duration::from_secs(86_400)));
///     pin_mut!(answer, deadline);
///     match select(answer, deadline).await {
///         Either::Left((answer, _)) => answer,
///         Either::Right((slept, _)) => slept.map(|()| false),
///     }
/// }
/// # let _ = amends::WorkflowDefinition::of(approval);
/// ```
#[derive(Clone)]
pub struct WorkflowContext {
    core: Rc<RefCell<Core>>,
}

impl WorkflowContext {
    pub(crate) fn new(core: Rc<RefCell<Core>>) -> Self {
        Self { core }
    }

    /// This execution. Of a run that was reset: the one that decided this turn first, so that what is made of it is the same
    /// on replay.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.core.borrow().run_id()
    }

    /// The caller's id.
    #[must_use]
    pub fn workflow_id(&self) -> WorkflowId {
        self.core.borrow().started().workflow_id.clone()
    }

    /// Which workflow this is.
    #[must_use]
    pub fn workflow_type(&self) -> WorkflowType {
        self.core.borrow().started().workflow_type.clone()
    }

    /// The time of the present turn: recorded, so the same on replay. Stands still between awaits.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.core.borrow().now()
    }

    /// A number that looks random and is the same on replay: a sequence seeded from the run's id. Not for secrets.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.core.borrow_mut().random().next_u64()
    }

    /// Such a number below `bound`, all equally likely; 0 when `bound` is 0.
    #[must_use]
    pub fn random_below(&self, bound: u64) -> u64 {
        self.core.borrow_mut().random().below(bound)
    }

    /// A version 4 UUID as text, the same on replay. Not for secrets.
    #[must_use]
    pub fn uuid(&self) -> String {
        self.core.borrow_mut().random().uuid()
    }

    /// Waits for this long, across restarts, rounded to microseconds.
    ///
    /// # Errors
    /// Resolves to a cancellation when the run is cancelled.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.core.clone(), duration)
    }

    /// Runs an activity, by its function. Set options on what this returns, then await it.
    ///
    /// # Errors
    /// Resolves to the activity's failure when it failed for good, to a cancellation when the run is cancelled, or to a
    /// failure of type `InvalidInput` or `InvalidOutput` when a value has no JSON form, is too large, or does not fit.
    pub fn activity<M, F>(&self, function: F, input: &F::Input) -> ActivityCall<F::Output>
    where
        F: ActivityFunction<M>,
        F::Input: ToPayload,
        F::Output: FromPayload,
    {
        ActivityCall::of_function(self.core.clone(), function, input)
    }

    /// Runs an activity by its name.
    ///
    /// # Errors
    /// As [`activity`](Self::activity); also when the name cannot be one.
    pub fn activity_by_name<O: FromPayload>(
        &self,
        activity_type: impl AsRef<str>,
        input: &(impl ToPayload + ?Sized),
    ) -> ActivityCall<O> {
        ActivityCall::by_name(self.core.clone(), activity_type.as_ref(), input)
    }

    /// Runs an activity beside this code: nothing is recorded before it has ended, which saves two thirds of its events.
    /// For what is short and may be done again, such as a lookup: all its tries together get at most 60 s, and after a
    /// crash it is run again from its first try. It cannot be undone by a saga or completed by somebody else, and when it
    /// is not wanted any more it is dropped.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure, WorkflowContext};
    ///
    /// async fn exchange_rate(_cx: ActivityContext, currency: String) -> Result<f64, Failure> { Ok(currency.len() as f64) }
    ///
    /// async fn price(cx: WorkflowContext, euros: f64) -> Result<f64, Failure> {
    ///     Ok(euros * cx.local_activity(exchange_rate, &"USD".to_owned()).await?)
    /// }
    /// # let _ = amends::WorkflowDefinition::of(price);
    /// ```
    ///
    /// # Errors
    /// As [`activity`](Self::activity).
    pub fn local_activity<M, F>(&self, function: F, input: &F::Input) -> LocalActivityCall<F::Output>
    where
        F: ActivityFunction<M>,
        F::Input: ToPayload,
        F::Output: FromPayload,
    {
        LocalActivityCall::of_function(self.core.clone(), function, input)
    }

    /// Receives the signals of this name, in the order of their arrival, also those that came before. Several receivers
    /// of a name share its signals: each is received once.
    #[must_use]
    pub fn signal<T: FromPayload>(&self, name: impl AsRef<str>) -> SignalReceiver<T> {
        SignalReceiver::new(self.core.clone(), name.as_ref())
    }

    /// Writes a note into the run's history, for people and tools; it does nothing else.
    ///
    /// # Errors
    /// A failure of type `InvalidInput` when the details have no JSON form or are larger than 2 MiB, or when the name is
    /// one of those that stand for versions (`core_patch`, `Version`).
    pub fn record_marker(&self, name: impl Into<String>, details: &(impl ToPayload + ?Sized)) -> Result<(), Failure> {
        let (name, details) = (name.into(), encode(details));
        let details = details.map_err(|error| invalid_input("the marker's details", &error))?;
        if VersionMarker::is_reserved(&name) {
            let message = format!("a marker named {name:?} records a version: give the note another name");
            return Err(Failure::non_retryable("InvalidInput", message));
        }
        self.core.borrow_mut().record_marker(name, details);
        Ok(())
    }

    /// Whether somebody asked the run to end.
    #[must_use]
    pub fn is_cancel_requested(&self) -> bool {
        self.core.borrow().is_cancel_requested()
    }

    /// Waits until somebody asks the run to end.
    pub fn canceled(&self) -> RunCanceled {
        RunCanceled {
            core: self.core.clone(),
            waiting: None,
        }
    }

    /// The run's saga: steps that are undone when the run fails or is cancelled. There is one per run; every handle is
    /// the same.
    #[must_use]
    pub fn saga(&self) -> Saga {
        Saga::new(self.core.clone())
    }
}

impl fmt::Debug for WorkflowContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("WorkflowContext");
        if let Ok(core) = self.core.try_borrow() {
            debug.field("run", &core.started().run_id).field("now", &core.now());
        }
        debug.finish_non_exhaustive()
    }
}

/// Resolves when somebody asks the run to end; see [`WorkflowContext::canceled`].
#[must_use = "futures do nothing unless awaited"]
pub struct RunCanceled {
    core: Rc<RefCell<Core>>,
    waiting: Option<u64>,
}

impl Future for RunCanceled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.core.borrow().is_cancel_requested() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let replaced = this.core.borrow_mut().wait_for_cancel(&mut this.waiting, waker);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for RunCanceled {
    fn drop(&mut self) {
        if let Some(key) = self.waiting {
            let removed = self.core.borrow_mut().stop_waiting(key);
            drop(removed);
        }
    }
}

impl fmt::Debug for RunCanceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunCanceled").finish_non_exhaustive()
    }
}

fn invalid_input(what: &str, error: &crate::model::PayloadError) -> Failure {
    Failure::non_retryable("InvalidInput", format!("{what} cannot be sent: {error}"))
}

fn run_canceled() -> Failure {
    Failure::canceled("the workflow was asked to end")
}
