//! Going back to a savepoint. Must not live here: what is undone for it (`machine`).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::future::FusedFuture;

use crate::model::Failure;

use super::call::Progress;
use super::core::{Core, StepSerial};

/// A place in a saga; see [`Saga::savepoint`](super::Saga::savepoint).
#[derive(Clone, Debug)]
pub struct Savepoint {
    last: StepSerial,
}

impl Savepoint {
    pub(super) fn of(core: &Core) -> Self {
        Self { last: core.last_step() }
    }
}

/// Undoes what came after a savepoint; see [`Saga::roll_back_to`](super::Saga::roll_back_to).
#[must_use = "a rollback only begins when it is awaited"]
pub struct RollBack {
    core: Rc<RefCell<Core>>,
    progress: Progress<StepSerial>,
}

impl RollBack {
    pub(super) fn new(core: Rc<RefCell<Core>>, savepoint: &Savepoint) -> Self {
        Self {
            core,
            progress: Progress::Prepared(savepoint.last),
        }
    }
}

impl Future for RollBack {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = this.progress.poll(&this.core, cx, Core::roll_back);
        // The calls that the rollback ended.
        let ended = this.core.borrow_mut().take_wakers();
        ended.into_iter().for_each(Waker::wake);
        polled.map(|outcome| outcome.map(|_nothing| ()))
    }
}

impl FusedFuture for RollBack {
    fn is_terminated(&self) -> bool {
        self.progress.is_done()
    }
}

impl Drop for RollBack {
    fn drop(&mut self) {
        self.progress.abandon(&self.core);
    }
}

impl fmt::Debug for RollBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RollBack").finish_non_exhaustive()
    }
}
