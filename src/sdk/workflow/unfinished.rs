//! What is done about handlers that are still about their work when their run ends, and which update a handler is about. Must
//! not live here: running handlers (that is `replay`), telling of them (that is `runtime`).

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::model::{SignalName, UpdateId, UpdateName};

use super::core::Core;

/// What is done about a handler that is still about its work when its run ends or continues as new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandlerUnfinishedPolicy {
    /// It is abandoned, and a warning in the engine's log names it: most often the run should have waited until
    /// [`all_handlers_finished`](super::WorkflowContext::all_handlers_finished).
    #[default]
    WarnAndAbandon,
    /// It is abandoned: it may be, whatever it is about.
    Abandon,
}

/// Which handler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HandlerOf {
    /// Of signals of this name, or of all others.
    Signal(Option<SignalName>),
    /// Of updates of this name, or of all others.
    Update(Option<UpdateName>),
}

/// A handler that is registered, for more to be said about it.
pub struct RegisteredHandler {
    core: Rc<RefCell<Core>>,
    which: HandlerOf,
}

impl RegisteredHandler {
    pub(super) fn new(core: Rc<RefCell<Core>>, which: HandlerOf) -> Self {
        Self { core, which }
    }

    /// What is done when the run ends and the handler is still about its work; without this,
    /// [`WarnAndAbandon`](HandlerUnfinishedPolicy::WarnAndAbandon).
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::{Failure, HandlerUnfinishedPolicy, WorkflowContext};
    ///
    /// async fn auction(cx: WorkflowContext, _lot: u32) -> Result<(), Failure> {
    ///     let own = cx.clone();
    ///     let reminded = cx.on_update("remind me", async move |(): ()| own.sleep(Duration::from_secs(600)).await)?;
    ///     // Nobody needs a reminder of what is over.
    ///     reminded.unfinished(HandlerUnfinishedPolicy::Abandon);
    ///     cx.signal::<()>("sold").recv().await
    /// }
    /// # let _ = amends::WorkflowDefinition::of(auction);
    /// ```
    pub fn unfinished(self, policy: HandlerUnfinishedPolicy) {
        let mut core = self.core.borrow_mut();
        match policy {
            HandlerUnfinishedPolicy::WarnAndAbandon => core.mind_unfinished(&self.which),
            HandlerUnfinishedPolicy::Abandon => core.may_abandon(self.which),
        }
    }
}

impl fmt::Debug for RegisteredHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegisteredHandler").field(&self.which).finish()
    }
}

/// An update, as its handler and its validator may know it; see
/// [`current_update`](super::WorkflowContext::current_update).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateInfo {
    /// Its id, which its caller has given or which was made up for it.
    pub id: UpdateId,
    /// Its name.
    pub name: UpdateName,
}

impl UpdateInfo {
    pub(crate) fn new(id: UpdateId, name: UpdateName) -> Self {
        Self { id, name }
    }
}
