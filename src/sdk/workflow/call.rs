//! Calling an activity: a future that carries its options until it is first polled. Must not live here: saga steps
//! (`saga`), the meaning of options (`model`).

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::FusedFuture;

use crate::model::{ActivityId, ActivityOptions, ActivityType, Failure, FromPayload, IdError, Payload, ToPayload};
use crate::sdk::function::encode;
use crate::sdk::metadata;

use super::CancellationType;
use super::core::{ActivityRequest, Core, Key};
use super::invalid_input;

/// A call of an activity: set options, then await it. See [`WorkflowContext::activity`](super::WorkflowContext::activity).
///
/// ```
/// use std::time::Duration;
/// use amends::{ActivityContext, Failure, RetryPolicy, WorkflowContext};
///
/// async fn fetch(_cx: ActivityContext, url: String) -> Result<String, Failure> { Ok(url) }
///
/// async fn two_pages(cx: WorkflowContext, _input: ()) -> Result<(String, String), Failure> {
///     let first = cx.activity(fetch, &"a".to_owned()).start_to_close(Duration::from_secs(2));
///     let second = cx.activity(fetch, &"b".to_owned()).retry(RetryPolicy::never());
///     futures_util::future::try_join(first, second).await
/// }
/// # let _ = amends::WorkflowDefinition::of(two_pages);
/// ```
#[must_use = "an activity is only scheduled when its call is awaited"]
pub struct ActivityCall<O> {
    core: Rc<RefCell<Core>>,
    progress: Progress<Result<Box<ActivityRequest>, Failure>>,
    output: PhantomData<fn() -> O>,
}

impl<O> ActivityCall<O> {
    pub(super) fn of_function<F: 'static, I: ToPayload>(core: Rc<RefCell<Core>>, _function: F, input: &I) -> Self {
        let options = metadata::configured::<F>(ActivityOptions::default());
        let activity_type = metadata::activity_type::<F>()
            .map_err(|error| Failure::non_retryable("UnnamedFunction", error.to_string()));
        Self::prepare(core, activity_type, options, input).cancellation(metadata::cancellation::<F>())
    }

    pub(super) fn by_name<I: ToPayload + ?Sized>(core: Rc<RefCell<Core>>, activity_type: &str, input: &I) -> Self {
        let activity_type = ActivityType::new(activity_type).map_err(|error| invalid_id(&error));
        Self::prepare(core, activity_type, ActivityOptions::default(), input)
    }

    fn prepare<I: ToPayload + ?Sized>(
        core: Rc<RefCell<Core>>,
        activity_type: Result<ActivityType, Failure>,
        options: ActivityOptions,
        input: &I,
    ) -> Self {
        match activity_type {
            Ok(activity_type) => {
                let input = encode(input)
                    .map_err(|error| invalid_input(&format!("the input of activity {activity_type}"), &error));
                Self::prepared(core, activity_type, options, input)
            }
            Err(failure) => Self::of_request(core, Err(failure)),
        }
    }

    /// A call whose input is ready.
    pub(super) fn prepared(
        core: Rc<RefCell<Core>>,
        activity_type: ActivityType,
        options: ActivityOptions,
        input: Result<Payload, Failure>,
    ) -> Self {
        let request = input.map(|input| {
            Box::new(ActivityRequest {
                activity_type,
                input,
                options,
                id: None,
                cancellation: CancellationType::default(),
                step: None,
            })
        });
        Self::of_request(core, request)
    }

    fn of_request(core: Rc<RefCell<Core>>, request: Result<Box<ActivityRequest>, Failure>) -> Self {
        Self {
            core,
            progress: Progress::Prepared(request),
            output: PhantomData,
        }
    }

    /// Changes the call if it has not begun. The first refusal of a change is what the call then fails with.
    pub(super) fn change(mut self, change: impl FnOnce(&mut ActivityRequest) -> Result<(), Failure>) -> Self {
        if let Progress::Prepared(prepared) = &mut self.progress
            && let Ok(request) = prepared
            && let Err(refusal) = change(request)
        {
            *prepared = Err(refusal);
        }
        self
    }

    fn change_request(self, change: impl FnOnce(&mut ActivityRequest) -> Result<(), Failure>) -> Self {
        self.change(change)
    }

    pub(super) fn set_options(self, set: impl FnOnce(&mut ActivityOptions)) -> Self {
        self.change(|request| {
            set(&mut request.options);
            Ok(())
        })
    }

    /// Its id in the run; without one, its number. Two activities of a run cannot have one id: the later call fails.
    pub fn id(self, id: impl AsRef<str>) -> Self {
        self.change(|request| {
            request.id = Some(ActivityId::new(id).map_err(|error| invalid_id(&error))?);
            Ok(())
        })
    }
}

/// The options of a call are set the same way on activities and on saga steps.
macro_rules! option_setters {
    () => {
        /// The longest that one attempt may take. When nobody says it, it is schedule-to-close, if there is that, and else 60 s.
        pub fn start_to_close(self, limit: std::time::Duration) -> Self {
            self.set_options(|options| options.start_to_close = Some(limit))
        }

        /// The longest from being scheduled to the end of the last attempt; no retry goes beyond it.
        pub fn schedule_to_close(self, limit: std::time::Duration) -> Self {
            self.set_options(|options| options.schedule_to_close = Some(limit))
        }

        /// The longest that it may wait for an attempt to be started.
        pub fn schedule_to_start(self, limit: std::time::Duration) -> Self {
            self.set_options(|options| options.schedule_to_start = Some(limit))
        }

        /// The longest between two heartbeats of an attempt.
        pub fn heartbeat(self, limit: std::time::Duration) -> Self {
            self.set_options(|options| options.heartbeat = Some(limit))
        }

        /// Whose workers make its attempts; those of the run's own queue when not said otherwise. A name that cannot be
        /// one (it is empty, too long, or has control characters) fails the call.
        pub fn task_queue(self, task_queue: impl AsRef<str>) -> Self {
            self.change_request(|request| {
                let named = crate::model::TaskQueue::new(task_queue);
                request.options.task_queue = Some(named.map_err(|error| super::call::invalid_id(&error))?);
                Ok(())
            })
        }

        /// When failed attempts are tried again.
        pub fn retry(self, policy: crate::model::RetryPolicy) -> Self {
            self.set_options(|options| options.retry = policy)
        }

        /// All timeouts, the retry policy and the task queue at once, whatever the activity's attribute says.
        pub fn options(self, all: crate::model::ActivityOptions) -> Self {
            self.set_options(|options| *options = all)
        }
    };
}
pub(super) use option_setters;

impl<O> ActivityCall<O> {
    /// What becomes of it when the run is cancelled, or this call is dropped. By default it is asked to stop, and not
    /// waited for.
    ///
    /// ```
    /// use amends::{ActivityContext, CancellationType, Failure, WorkflowContext};
    ///
    /// async fn convert(cx: ActivityContext, pages: u32) -> Result<u32, Failure> {
    ///     for page in 0..pages {
    ///         cx.heartbeat(&page)?; // Leads out when it is asked to stop.
    ///     }
    ///     Ok(pages)
    /// }
    ///
    /// async fn job(cx: WorkflowContext, pages: u32) -> Result<u32, Failure> {
    ///     // A cancelled run ends only when the conversion has.
    ///     cx.activity(convert, &pages).cancellation(CancellationType::WaitCancellationCompleted).await
    /// }
    /// # let _ = amends::WorkflowDefinition::of(job);
    /// ```
    pub fn cancellation(self, cancellation: CancellationType) -> Self {
        self.change(|request| {
            request.cancellation = cancellation;
            Ok(())
        })
    }

    option_setters!();
}

impl<O: FromPayload> Future for ActivityCall<O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this
            .progress
            .poll(&this.core, cx, |core, request| core.schedule_activity(*request?));
        polled.map(|outcome| read_output(&outcome?))
    }
}

impl<O: FromPayload> FusedFuture for ActivityCall<O> {
    fn is_terminated(&self) -> bool {
        self.progress.is_done()
    }
}

impl<O> Drop for ActivityCall<O> {
    fn drop(&mut self) {
        self.progress.abandon(&self.core);
    }
}

impl<O> fmt::Debug for ActivityCall<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityCall").finish_non_exhaustive()
    }
}

pub(super) fn read_output<O: FromPayload>(result: &Payload) -> Result<O, Failure> {
    result.to().map_err(|error| {
        let message = format!("the activity's result cannot be read as {}: {error}", type_name::<O>());
        Failure::non_retryable("InvalidOutput", message)
    })
}

pub(super) fn invalid_id(error: &IdError) -> Failure {
    Failure::non_retryable("InvalidId", error.to_string())
}

/// How far one operation of the code has come.
pub(super) enum Progress<P> {
    /// Not polled yet.
    Prepared(P),
    /// The engine was asked.
    Waiting(Key),
    /// The code has the outcome.
    Done,
}

impl<P> Progress<P> {
    pub(super) fn poll(
        &mut self,
        core: &Rc<RefCell<Core>>,
        cx: &mut Context<'_>,
        begin: impl FnOnce(&mut Core, P) -> Result<Key, Failure>,
    ) -> Poll<Result<Payload, Failure>> {
        let key = match std::mem::replace(self, Progress::Done) {
            Progress::Prepared(prepared) => match begin(&mut core.borrow_mut(), prepared) {
                Ok(key) => key,
                Err(failure) => return Poll::Ready(Err(failure)),
            },
            Progress::Waiting(key) => key,
            Progress::Done => return Poll::Pending,
        };
        // The waker is cloned and dropped outside of the borrow: both are code of whoever polls us.
        let waker = cx.waker().clone();
        let (polled, replaced) = core.borrow_mut().poll_operation(key, waker);
        drop(replaced);
        if polled.is_pending() {
            *self = Progress::Waiting(key);
        }
        polled
    }

    pub(super) fn abandon(&mut self, core: &Rc<RefCell<Core>>) {
        if let Progress::Waiting(key) = std::mem::replace(self, Progress::Done) {
            let waker = core.borrow_mut().abandon(key);
            drop(waker);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Progress::Done)
    }
}
