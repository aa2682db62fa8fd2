//! Handlers that have begun, each polled for itself. Must not live here: when that is (`run`).

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;

use crate::machine::UnfinishedHandler;
use crate::model::{Command, Failure, Payload, SignalName};
use crate::sdk::{Core, UpdateInfo};

/// What ends with a result.
pub(super) type CodeFuture = LocalBoxFuture<'static, Result<Payload, Failure>>;

/// A handler that has begun.
pub(super) enum Handling {
    Signal(SignalName, LocalBoxFuture<'static, ()>),
    Update(Rc<UpdateInfo>, CodeFuture),
}

impl Handling {
    /// `Some` when it has ended: with the answer of an update.
    pub(super) fn poll(&mut self, core: &RefCell<Core>, cx: &mut Context<'_>) -> Poll<Option<Command>> {
        match self {
            Handling::Signal(_, future) => future.as_mut().poll(cx).map(|()| None),
            Handling::Update(update, future) => about(core, update, || future.as_mut().poll(cx)).map(|outcome| {
                let update_id = update.id.clone();
                Some(Command::CompleteUpdate { update_id, outcome })
            }),
        }
    }

    /// `None` when nobody minds that it has not finished.
    pub(super) fn unfinished(&self, core: &Core) -> Option<UnfinishedHandler> {
        match self {
            Handling::Signal(name, _) if core.may_abandon_signal(name) => None,
            Handling::Signal(name, _) => Some(UnfinishedHandler::Signal(name.clone())),
            Handling::Update(update, _) if core.may_abandon_update(&update.name) => None,
            Handling::Update(update, _) => Some(UnfinishedHandler::Update(update.id.clone(), update.name.clone())),
        }
    }
}

/// Lets the code know which update it is about. When it panics, its run is thrown away.
pub(super) fn about<T>(core: &RefCell<Core>, update: &Rc<UpdateInfo>, code: impl FnOnce() -> T) -> T {
    core.borrow_mut().set_current_update(Some(Rc::clone(update)));
    let done = code();
    core.borrow_mut().set_current_update(None);
    done
}
