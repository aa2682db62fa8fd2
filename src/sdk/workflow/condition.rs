//! Waiting until the run's own state is as wanted. Must not live here: what changes it (`handlers`, `state`).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::model::Failure;

use super::core::{Core, Key};

/// Resolves when its condition holds; see [`WorkflowContext::wait_condition`](super::WorkflowContext::wait_condition).
#[must_use = "futures do nothing unless awaited"]
pub struct WaitCondition<F> {
    core: Rc<RefCell<Core>>,
    condition: F,
    waiting: Option<Key>,
}

impl<F> WaitCondition<F> {
    pub(super) fn new(core: Rc<RefCell<Core>>, condition: F) -> Self {
        Self {
            core,
            condition,
            waiting: None,
        }
    }
}

impl<F: FnMut() -> bool + Unpin> Future for WaitCondition<F> {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Err(canceled) = this.core.borrow().expect_not_canceled() {
            return Poll::Ready(Err(canceled));
        }
        if (this.condition)() {
            this.core.borrow_mut().meet_condition();
            return Poll::Ready(Ok(()));
        }
        let waker = cx.waker().clone();
        let replaced = this.core.borrow_mut().wait_for_condition(&mut this.waiting, waker);
        drop(replaced);
        Poll::Pending
    }
}

impl<F> Drop for WaitCondition<F> {
    fn drop(&mut self) {
        if let Some(key) = self.waiting {
            let removed = self.core.borrow_mut().stop_waiting(key);
            drop(removed);
        }
    }
}

impl<F> fmt::Debug for WaitCondition<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitCondition").finish_non_exhaustive()
    }
}
