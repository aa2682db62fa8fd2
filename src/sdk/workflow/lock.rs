//! Waiting for a semantic lock. Must not live here: who holds it (the runtime's table knows).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FusedFuture;

use crate::model::{Failure, LockName};

use super::call::{Progress, invalid_id};
use super::core::{Core, LockRequest};

/// Takes a lock: set options, then await it. See [`Saga::lock`](super::Saga::lock).
///
/// To drop it before it has resolved does not withdraw the request: the run may still get the lock. Several calls for one
/// lock, while none is answered, share the first one's answer.
#[must_use = "a lock is only asked for when its call is awaited"]
pub struct LockCall {
    core: Rc<RefCell<Core>>,
    progress: Progress<Result<LockRequest, Failure>>,
}

impl LockCall {
    pub(super) fn new(core: Rc<RefCell<Core>>, name: &str) -> Self {
        let request = LockName::new(name).map(|lock| LockRequest {
            lock,
            timeout: None,
            no_wait: false,
        });
        Self {
            core,
            progress: Progress::Prepared(request.map_err(|error| invalid_id(&error))),
        }
    }

    /// The longest that it may wait for the lock.
    pub fn timeout(self, limit: Duration) -> Self {
        self.change(|request| request.timeout = Some(limit))
    }

    /// Fail at once when somebody else holds the lock, or waits for it.
    pub fn no_wait(self) -> Self {
        self.change(|request| request.no_wait = true)
    }

    fn change(mut self, change: impl FnOnce(&mut LockRequest)) -> Self {
        if let Progress::Prepared(Ok(request)) = &mut self.progress {
            change(request);
        }
        self
    }
}

impl Future for LockCall {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this
            .progress
            .poll(&this.core, cx, |core, request| core.request_lock(request?));
        polled.map(|outcome| outcome.map(|_nothing| ()))
    }
}

impl FusedFuture for LockCall {
    fn is_terminated(&self) -> bool {
        self.progress.is_done()
    }
}

impl Drop for LockCall {
    fn drop(&mut self) {
        self.progress.abandon(&self.core);
    }
}

impl fmt::Debug for LockCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockCall").finish_non_exhaustive()
    }
}
