//! Calling an activity beside the workflow code. Must not live here: calls that are scheduled (`call`).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FusedFuture;

use crate::model::{ActivityOptions, ActivityType, Failure, FromPayload, Payload, RetryPolicy, ToPayload, limits};
use crate::sdk::function::encode;
use crate::sdk::metadata;

use super::call::{Progress, read_output};
use super::core::Core;
use super::invalid_input;

/// A call of a local activity; see [`WorkflowContext::local_activity`](super::WorkflowContext::local_activity).
#[must_use = "a local activity is only run when its call is awaited"]
pub struct LocalActivityCall<O> {
    core: Rc<RefCell<Core>>,
    progress: Progress<Result<Box<LocalRequest>, Failure>>,
    output: PhantomData<fn() -> O>,
}

/// A local activity as the code asked for it.
#[derive(Debug)]
pub(super) struct LocalRequest {
    pub(super) activity_type: ActivityType,
    pub(super) input: Payload,
    pub(super) options: ActivityOptions,
}

impl<O> LocalActivityCall<O> {
    pub(super) fn of_function<F: 'static, I: ToPayload>(core: Rc<RefCell<Core>>, _function: F, input: &I) -> Self {
        let defaults = ActivityOptions {
            start_to_close: Some(limits::LOCAL_ACTIVITY_START_TO_CLOSE_DEFAULT),
            ..ActivityOptions::default()
        };
        let options = metadata::configured::<F>(defaults);
        let activity_type = metadata::activity_type::<F>()
            .map_err(|error| Failure::non_retryable("UnnamedFunction", error.to_string()));
        let request = activity_type.and_then(|activity_type| {
            let input = encode(input)
                .map_err(|error| invalid_input(&format!("the input of local activity {activity_type}"), &error))?;
            Ok(Box::new(LocalRequest {
                activity_type,
                input,
                options,
            }))
        });
        Self {
            core,
            progress: Progress::Prepared(request),
            output: PhantomData,
        }
    }

    fn set_options(mut self, set: impl FnOnce(&mut ActivityOptions)) -> Self {
        if let Progress::Prepared(Ok(request)) = &mut self.progress {
            set(&mut request.options);
        }
        self
    }

    /// The longest that one try may take; 10 s when nobody says otherwise.
    pub fn start_to_close(self, limit: Duration) -> Self {
        self.set_options(|options| options.start_to_close = Some(limit))
    }

    /// The longest that all tries together may take; 60 s when not said, and never more.
    pub fn schedule_to_close(self, limit: Duration) -> Self {
        self.set_options(|options| options.schedule_to_close = Some(limit))
    }

    /// When failed tries are made again, in place, within the time for all of them.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.set_options(|options| options.retry = policy)
    }
}

impl<O: FromPayload> Future for LocalActivityCall<O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this
            .progress
            .poll(&this.core, cx, |core, request| core.run_local(*request?));
        polled.map(|outcome| read_output(&outcome?))
    }
}

impl<O: FromPayload> FusedFuture for LocalActivityCall<O> {
    fn is_terminated(&self) -> bool {
        self.progress.is_done()
    }
}

impl<O> Drop for LocalActivityCall<O> {
    fn drop(&mut self) {
        self.progress.abandon(&self.core);
    }
}

impl<O> fmt::Debug for LocalActivityCall<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalActivityCall").finish_non_exhaustive()
    }
}
