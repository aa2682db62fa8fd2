//! Scopes: which part of the code each thing belongs to, and which of them a cancellation reaches. Must not live here: the
//! futures that enter them (`scope`).
//!
//! ```text
//!   the run <-- scope <-- scope        a cancellation reaches what is to the right of it
//!           X-- shielded <-- scope     but does not go over an X
//! ```
//!
//! A scope is known for as long as anything belongs to it: somebody who holds it, what was begun in it and has not ended, or a
//! scope within it. So what was begun in a shield stays shielded when the shield's own future has long ended.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::model::Failure;

use super::super::run_canceled;
use super::{ChildSerial, Core, Key, Operation};

/// Names a scope of the run; the default is the run itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::sdk::workflow) struct ScopeId(u64);

#[derive(Debug, Default)]
pub(super) struct Scopes {
    last: u64,
    /// All but the run.
    known: BTreeMap<ScopeId, Scope>,
    /// Whose code is being polled.
    current: ScopeId,
}

#[derive(Debug)]
struct Scope {
    /// The scope around it, whose cancellation reaches it; `None`: it is shielded.
    around: Option<ScopeId>,
    canceled: Option<ScopeCancel>,
    /// How many things belong to it.
    members: usize,
}

/// Why a scope was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sdk::workflow) enum ScopeCancel {
    /// The code asked for it.
    Asked,
    TimeIsUp,
}

impl ScopeCancel {
    fn failure(self) -> Failure {
        Failure::canceled(match self {
            ScopeCancel::Asked => "its scope was canceled",
            ScopeCancel::TimeIsUp => "the time of its scope is up",
        })
    }
}

impl Scopes {
    fn join(&mut self, id: ScopeId) {
        if let Some(scope) = self.known.get_mut(&id) {
            scope.members += 1;
        }
    }

    fn leave(&mut self, id: ScopeId) {
        let mut left = Some(id);
        while let Some(id) = left.take() {
            let Some(scope) = self.known.get_mut(&id) else {
                return;
            };
            scope.members -= 1;
            if scope.members == 0 {
                left = scope.around;
                self.known.remove(&id);
            }
        }
    }

    /// The nearest cancellation that has reached a scope, but for that of the run.
    fn cancel_of(&self, id: ScopeId) -> Reached {
        let mut id = id;
        // A scope is younger than the one around it: this ends.
        while let Some(scope) = self.known.get(&id) {
            match (scope.canceled, scope.around) {
                (Some(why), _) => return Reached::By(why),
                (None, None) => return Reached::Never,
                (None, Some(around)) => id = around,
            }
        }
        Reached::ByTheRun
    }
}

/// What would reach, or has reached, a scope.
enum Reached {
    By(ScopeCancel),
    /// The run's cancellation, if there is one.
    ByTheRun,
    Never,
}

/// What the code calls.
impl Core {
    /// A new scope within the one whose code is being polled.
    pub(in crate::sdk::workflow) fn open_scope(&mut self, shielded: bool) -> ScopeId {
        self.expect_writable("open a scope");
        self.scopes.last += 1;
        let id = ScopeId(self.scopes.last);
        let around = match shielded {
            true => None,
            false => Some(self.join_current_scope()),
        };
        let scope = Scope {
            around,
            canceled: None,
            members: 1,
        };
        self.scopes.known.insert(id, scope);
        id
    }

    /// Nobody can cancel or enter the scope any more.
    pub(in crate::sdk::workflow) fn let_go_of_scope(&mut self, id: ScopeId) {
        self.scopes.leave(id);
    }

    /// From here on the scope's code is polled. Returns whose was before.
    pub(in crate::sdk::workflow) fn enter_scope(&mut self, id: ScopeId) -> ScopeId {
        std::mem::replace(&mut self.scopes.current, id)
    }

    /// Cancels the scope. Returns whom to wake.
    pub(in crate::sdk::workflow) fn cancel_scope(&mut self, id: ScopeId, why: ScopeCancel) -> Vec<Waker> {
        self.expect_writable("cancel a scope");
        self.spread_cancellation(|core| {
            if let Some(scope) = core.scopes.known.get_mut(&id) {
                scope.canceled.get_or_insert(why);
            }
        });
        self.take_wakers()
    }

    pub(in crate::sdk::workflow) fn is_scope_canceled(&self, id: ScopeId) -> bool {
        match self.scopes.cancel_of(id) {
            Reached::By(_) => true,
            Reached::ByTheRun => self.cancel_requested,
            Reached::Never => false,
        }
    }

    /// To be called before anything is begun, by whoever is being polled.
    pub(in crate::sdk::workflow) fn expect_not_canceled(&self) -> Result<(), Failure> {
        match self.is_scope_canceled(self.scopes.current) {
            true => Err(self.cancellation_of(self.scopes.current)),
            false => Ok(()),
        }
    }

    /// What a cancellation is to who hears of it there.
    pub(super) fn cancellation_of(&self, id: ScopeId) -> Failure {
        match self.scopes.cancel_of(id) {
            Reached::By(why) => why.failure(),
            Reached::ByTheRun if self.cancel_requested => run_canceled(),
            Reached::ByTheRun | Reached::Never => Failure::canceled("nobody waits for it any more"),
        }
    }

    /// Something belongs to the scope whose code is being polled.
    pub(super) fn join_current_scope(&mut self) -> ScopeId {
        self.scopes.join(self.scopes.current);
        self.scopes.current
    }

    /// Something that belonged to a scope is gone.
    pub(super) fn leave_scope(&mut self, id: ScopeId) {
        self.scopes.leave(id);
    }
}

impl Core {
    /// Cancels something, and what is reached by that and was not before.
    pub(super) fn spread_cancellation(&mut self, cancel: impl FnOnce(&mut Self)) {
        let outstanding = |operation: &Operation| {
            operation.outcome.is_none() && !operation.abandoned && !operation.is_about_a_child()
        };
        let operations = self.operations.iter();
        let mut operations: Vec<(Key, ScopeId)> = operations
            .filter(|(_, operation)| outstanding(operation))
            .map(|(key, operation)| (*key, operation.scope))
            .collect();
        let mut children: Vec<(ChildSerial, ScopeId)> = self.children_in_scopes();
        operations.retain(|(_, scope)| !self.is_scope_canceled(*scope));
        children.retain(|(_, scope)| !self.is_scope_canceled(*scope));
        cancel(self);
        operations.retain(|(_, scope)| self.is_scope_canceled(*scope));
        children.retain(|(_, scope)| self.is_scope_canceled(*scope));
        for (key, scope) in operations {
            let never_asked_for = self.stop(key);
            let is_waited_for = self.operations.get(&key).is_some_and(Operation::is_waited_for);
            if never_asked_for || !is_waited_for {
                let canceled = self.cancellation_of(scope);
                self.resolve(key, Err(canceled));
            }
        }
        for (serial, _) in children {
            self.cancel_child(serial);
        }
        self.wake_waiting(|_| true);
    }
}
