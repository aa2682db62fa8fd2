//! Durable sleeping. Must not live here: when a timer is due.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FusedFuture;

use crate::model::Failure;

use super::call::Progress;
use super::core::Core;

/// A durable timer; see [`WorkflowContext::sleep`](super::WorkflowContext::sleep). Started when first polled, forgotten
/// when dropped before it has fired.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    core: Rc<RefCell<Core>>,
    progress: Progress<Duration>,
}

impl Sleep {
    pub(super) fn new(core: Rc<RefCell<Core>>, duration: Duration) -> Self {
        Self {
            core,
            progress: Progress::Prepared(duration),
        }
    }
}

impl Future for Sleep {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this.progress.poll(&this.core, cx, Core::start_timer);
        polled.map(|outcome| outcome.map(|_nothing| ()))
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        self.progress.is_done()
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.progress.abandon(&self.core);
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}
