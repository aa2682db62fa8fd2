//! Handlers that are about their work: which update it is, and which of them may be abandoned. Must not live here: the
//! handlers themselves (`messages`).

use std::rc::Rc;

use crate::model::{SignalName, UpdateName};

use super::super::unfinished::{HandlerOf, UpdateInfo};
use super::Core;

/// What the code calls.
impl Core {
    pub(in crate::sdk::workflow) fn current_update(&self) -> Option<&UpdateInfo> {
        self.messages.current_update.as_deref()
    }

    pub(in crate::sdk::workflow) fn mind_unfinished(&mut self, handler: &HandlerOf) {
        self.expect_writable("change a handler");
        self.messages.may_be_abandoned.remove(handler);
    }

    pub(in crate::sdk::workflow) fn may_abandon(&mut self, handler: HandlerOf) {
        self.expect_writable("change a handler");
        self.messages.may_be_abandoned.insert(handler);
    }
}

/// What `replay` calls.
impl Core {
    /// From here on the code is about this update, or about none.
    pub(crate) fn set_current_update(&mut self, update: Option<Rc<UpdateInfo>>) {
        self.messages.current_update = update;
    }

    /// Whether nobody minds when what handles this signal does not finish.
    pub(crate) fn may_abandon_signal(&self, name: &SignalName) -> bool {
        let named = self.messages.handlers.handles_signal(name);
        let handler = HandlerOf::Signal(named.then(|| name.clone()));
        self.messages.may_be_abandoned.contains(&handler)
    }

    /// Whether nobody minds when what does this update does not finish.
    pub(crate) fn may_abandon_update(&self, name: &UpdateName) -> bool {
        let named = self.messages.handlers.handles_update(name);
        let handler = HandlerOf::Update(named.then(|| name.clone()));
        self.messages.may_be_abandoned.contains(&handler)
    }

    /// Signals whose handlers have not even begun.
    pub(crate) fn signals_not_begun(&self) -> impl Iterator<Item = &SignalName> {
        self.messages.handlers.starting.iter().map(|start| &start.name)
    }
}
