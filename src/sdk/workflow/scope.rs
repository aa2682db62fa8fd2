//! Scopes: parts of workflow code that are cancelled on their own, or that no cancellation reaches. Must not live here: what
//! a cancellation does (`core`).

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::WorkflowContext;
use super::core::{Core, Key, ScopeCancel, ScopeId};
use super::timer::Sleep;

impl WorkflowContext {
    /// A part of the code that can be cancelled on its own. Whatever is begun by what its [`run`](CancellationScope::run)
    /// polls belongs to it: activities, timers, children, waits, and scopes within it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::{ActivityContext, Failure, WorkflowContext};
    ///
    /// async fn search(_cx: ActivityContext, engine: String) -> Result<String, Failure> { Ok(engine) }
    ///
    /// async fn first_answer(cx: WorkflowContext, engines: Vec<String>) -> Result<String, Failure> {
    ///     let scope = cx.scope();
    ///     let searches = scope.run(cx.race_all(engines.iter().map(|engine| cx.activity(search, engine))));
    ///     let stop = async {
    ///         let stopped = cx.signal::<()>("stop").recv().await;
    ///         scope.cancel(); // Only the searches: the run goes on.
    ///         stopped
    ///     };
    ///     match cx.race(searches, cx.race(stop, cx.sleep(Duration::from_secs(60)))).await {
    ///         futures_util::future::Either::Left((_, answer)) => answer,
    ///         _ => Ok("nothing".to_owned()),
    ///     }
    /// }
    /// # let _ = amends::WorkflowDefinition::of(first_answer);
    /// ```
    ///
    /// The cancellation of a scope reaches all scopes within it, and that of the run reaches every scope, but for shielded
    /// ones.
    #[must_use]
    pub fn scope(&self) -> CancellationScope {
        CancellationScope::open(&self.core, false)
    }

    /// A scope that only its own [`cancel`](CancellationScope::cancel) reaches, and no cancellation from around it.
    #[must_use]
    pub fn shielded_scope(&self) -> CancellationScope {
        CancellationScope::open(&self.core, true)
    }

    /// Does something that no cancellation reaches: what has to be done also, or only, when the run was cancelled.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure, WorkflowContext};
    ///
    /// async fn work(_cx: ActivityContext, job: u32) -> Result<(), Failure> { Ok(()) }
    /// async fn clean_up(_cx: ActivityContext, job: u32) -> Result<(), Failure> { Ok(()) }
    ///
    /// async fn job(cx: WorkflowContext, job: u32) -> Result<(), Failure> {
    ///     let worked = cx.activity(work, &job).await;
    ///     // Outside of the shield it would fail at once in a run that was cancelled.
    ///     cx.shield(cx.activity(clean_up, &job)).await?;
    ///     worked
    /// }
    /// # let _ = amends::WorkflowDefinition::of(job);
    /// ```
    pub fn shield<F: Future>(&self, future: F) -> Scoped<F> {
        self.shielded_scope().run(future)
    }
}

/// A part of workflow code that can be cancelled on its own; see [`WorkflowContext::scope`]. Clones are the same scope.
#[derive(Clone)]
pub struct CancellationScope {
    held: Rc<HeldScope>,
}

struct HeldScope {
    core: Rc<RefCell<Core>>,
    id: ScopeId,
}

impl Drop for HeldScope {
    fn drop(&mut self) {
        self.core.borrow_mut().let_go_of_scope(self.id);
    }
}

impl CancellationScope {
    fn open(core: &Rc<RefCell<Core>>, shielded: bool) -> Self {
        let id = core.borrow_mut().open_scope(shielded);
        let core = core.clone();
        Self {
            held: Rc::new(HeldScope { core, id }),
        }
    }

    /// The same future, as a part of this scope: what it begins, while it is polled, belongs to it. What was begun before
    /// stays where it is. A scope may run several futures.
    pub fn run<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped {
            scope: self.clone(),
            future: Box::pin(future),
        }
    }

    /// The same for this long: then the scope is cancelled. Unlike [`timeout`](WorkflowContext::timeout) this gives what the
    /// future makes of that, and so waits for what does not stop at once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::{ActivityContext, CancellationType, Failure, WorkflowContext};
    ///
    /// async fn convert(cx: ActivityContext, pages: u32) -> Result<u32, Failure> { Ok(pages) }
    ///
    /// async fn within_an_hour(cx: WorkflowContext, pages: u32) -> Result<u32, Failure> {
    ///     let scope = cx.scope();
    ///     let converting = cx.activity(convert, &pages).cancellation(CancellationType::WaitCancellationCompleted);
    ///     match scope.run_for(Duration::from_secs(3600), converting).await {
    ///         // Asked to stop, and it has.
    ///         Err(failure) if failure.is_canceled() && !cx.is_cancel_requested() => Ok(0),
    ///         converted => converted,
    ///     }
    /// }
    /// # let _ = amends::WorkflowDefinition::of(within_an_hour);
    /// ```
    pub fn run_for<F: Future>(&self, limit: Duration, future: F) -> impl Future<Output = F::Output> + use<F> {
        let (scope, mut future) = (self.clone(), Box::pin(future));
        let mut deadline = Some(Sleep::new(self.held.core.clone(), limit));
        self.run(poll_fn(move |cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                deadline = None;
                return Poll::Ready(output);
            }
            let passed = deadline.as_mut().map(|deadline| Pin::new(deadline).poll(cx));
            if let Some(Poll::Ready(passed)) = passed {
                deadline = None;
                if passed.is_ok() {
                    // Wakes the future again.
                    scope.cancel_because(ScopeCancel::TimeIsUp);
                }
            }
            Poll::Pending
        }))
    }

    /// Cancels everything in the scope, as if it was a run that was cancelled: outstanding calls fail with a cancellation,
    /// each as its cancellation type says, and so do all later ones. Doing it again changes nothing.
    pub fn cancel(&self) {
        self.cancel_because(ScopeCancel::Asked);
    }

    fn cancel_because(&self, why: ScopeCancel) {
        let wakers = self.held.core.borrow_mut().cancel_scope(self.held.id, why);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether a cancellation has reached it: its own, or that of a scope around it.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.held.core.borrow().is_scope_canceled(self.held.id)
    }

    /// Waits until a cancellation reaches it.
    pub fn canceled(&self) -> ScopeCanceled {
        ScopeCanceled {
            scope: self.clone(),
            waiting: None,
        }
    }
}

impl fmt::Debug for CancellationScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancellationScope").field(&self.held.id).finish()
    }
}

/// A future as a part of a scope; see [`CancellationScope::run`].
#[must_use = "futures do nothing unless awaited"]
pub struct Scoped<F> {
    scope: CancellationScope,
    future: Pin<Box<F>>,
}

/// Leaves a scope again, also when what was polled in it panics.
struct Entered<'a> {
    core: &'a Rc<RefCell<Core>>,
    before: ScopeId,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.core.borrow_mut().enter_scope(self.before);
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let HeldScope { core, id } = &*this.scope.held;
        let before = core.borrow_mut().enter_scope(*id);
        let _entered = Entered { core, before };
        this.future.as_mut().poll(cx)
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Resolves when a cancellation has reached a scope; see [`CancellationScope::canceled`].
#[must_use = "futures do nothing unless awaited"]
pub struct ScopeCanceled {
    scope: CancellationScope,
    waiting: Option<Key>,
}

impl Future for ScopeCanceled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.scope.is_canceled() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let core = &this.scope.held.core;
        let replaced = core.borrow_mut().wait_for_cancel(&mut this.waiting, waker);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for ScopeCanceled {
    fn drop(&mut self) {
        if let Some(key) = self.waiting {
            let removed = self.scope.held.core.borrow_mut().stop_waiting(key);
            drop(removed);
        }
    }
}

impl fmt::Debug for ScopeCanceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopeCanceled").field(&self.scope).finish()
    }
}
