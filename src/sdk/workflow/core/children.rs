//! The child workflows that the code has asked for. Must not live here: starting them, or what their parent's end means to
//! them (`machine`).

use std::collections::{BTreeMap, VecDeque};

use crate::model::{
    ChildEnd, ChildWorkflowFailure, Command, EventId, ExternalCancel, Failure, Payload, RunId, StartChild, WorkflowId,
    WorkflowType,
};

use super::super::ChildCancellationType;
use super::{Core, Key, Operation, ScopeId, What};

/// Numbers the children of a run in the order in which the code asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sdk::workflow) struct ChildSerial(u64);

/// A child as the code asks for it.
#[derive(Debug)]
pub(in crate::sdk::workflow) struct ChildRequest {
    /// `None`: one that is made of the run's id.
    pub(in crate::sdk::workflow) workflow_id: Option<WorkflowId>,
    pub(in crate::sdk::workflow) cancellation: ChildCancellationType,
    /// All but its id.
    pub(in crate::sdk::workflow) start: StartChild,
}

#[derive(Debug, Default)]
pub(super) struct Children {
    last: u64,
    known: BTreeMap<ChildSerial, Child>,
    /// Those whose initiating events are not known yet, in order.
    unconfirmed: VecDeque<ChildSerial>,
    by_initiated: BTreeMap<EventId, ChildSerial>,
}

#[derive(Debug)]
struct Child {
    workflow_id: WorkflowId,
    workflow_type: WorkflowType,
    cancellation: ChildCancellationType,
    scope: ScopeId,
    run_id: Option<RunId>,
    /// Who waits for its beginning.
    starting: Option<Key>,
    /// Who wait for its end.
    waiting: Vec<Key>,
    outcome: Option<Result<Payload, Failure>>,
    cancel: Cancel,
    /// Somebody may still ask for its end.
    held: bool,
}

/// How far a child's being asked to end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// As soon as it has begun.
    WhenStarted,
    Asked,
    /// It was told, or cannot be.
    Heard,
}

impl Child {
    fn failure(&self, cause: Failure) -> Failure {
        let child = ChildWorkflowFailure {
            workflow_id: self.workflow_id.clone(),
            run_id: self.run_id,
            workflow_type: self.workflow_type.clone(),
        };
        Failure::of_child_workflow(child, cause)
    }

    /// Whether who waits for it hears of a cancellation instead of its end.
    fn is_given_up(&self) -> bool {
        use ChildCancellationType as T;
        match self.cancellation {
            T::TryCancel | T::Abandon => self.cancel != Cancel::No,
            T::WaitCancellationRequested => self.cancel == Cancel::Heard,
            T::WaitCancellationCompleted => false,
        }
    }
}

/// What the code calls.
impl Core {
    pub(in crate::sdk::workflow) fn start_child(
        &mut self,
        request: ChildRequest,
    ) -> Result<(ChildSerial, Key), Failure> {
        self.expect_writable("start a child workflow");
        self.expect_not_canceled()?;
        let search_attributes = self.typed_search_attributes(request.start.search_attributes)?;
        self.children.last += 1;
        let serial = ChildSerial(self.children.last);
        let own_id = || WorkflowId::from_trusted(format!("{}/{}", self.decided_by, serial.0));
        let workflow_id = request.workflow_id.unwrap_or_else(own_id);
        let key = self.begin(What::ChildStart(serial));
        let child = Child {
            workflow_id: workflow_id.clone(),
            workflow_type: request.start.workflow_type.clone(),
            cancellation: request.cancellation,
            scope: self.join_current_scope(),
            run_id: None,
            starting: Some(key),
            waiting: Vec::new(),
            outcome: None,
            cancel: Cancel::No,
            held: true,
        };
        self.children.known.insert(serial, child);
        self.children.unconfirmed.push_back(serial);
        self.commands.push(Command::StartChild(Box::new(StartChild {
            workflow_id,
            search_attributes,
            ..request.start
        })));
        Ok((serial, key))
    }

    /// Waits for the child's end.
    pub(in crate::sdk::workflow) fn await_child(&mut self, serial: ChildSerial) -> Result<Key, Failure> {
        self.expect_writable("wait for a child workflow");
        let child = self.children.known.get(&serial);
        let outcome = child.and_then(|child| child.outcome.clone());
        if outcome.is_none() && child.is_none_or(Child::is_given_up) {
            return Err(self.cancellation_of(child.map(|child| child.scope).unwrap_or_default()));
        }
        let key = self.begin(What::ChildEnd(serial));
        match (outcome, self.children.known.get_mut(&serial)) {
            (Some(outcome), _) => self.resolve(key, outcome),
            (None, Some(child)) => child.waiting.push(key),
            (None, None) => {}
        }
        Ok(key)
    }

    pub(in crate::sdk::workflow) fn child_ids(&self, serial: ChildSerial) -> Option<(WorkflowId, RunId)> {
        let child = self.children.known.get(&serial)?;
        Some((child.workflow_id.clone(), child.run_id?))
    }

    /// Nobody will ask for the child's end any more.
    pub(in crate::sdk::workflow) fn let_go_of_child(&mut self, serial: ChildSerial) {
        if let Some(child) = self.children.known.get_mut(&serial) {
            child.held = false;
        }
        self.forget_child(serial);
    }

    /// The code does not want the child any more: what that means, its cancellation type says. One that was asked for in
    /// this same turn is not asked for at all.
    pub(in crate::sdk::workflow) fn cancel_child(&mut self, serial: ChildSerial) {
        let Some(child) = self.children.known.get_mut(&serial) else {
            return;
        };
        if child.outcome.is_some() || child.cancel != Cancel::No {
            return;
        }
        let scope = child.scope;
        // Those that are not confirmed were asked for in this turn, in the same order.
        let unconfirmed = self.children.unconfirmed.iter().position(|known| *known == serial);
        if let Some(place) = unconfirmed {
            let is_start = |(_, command): &(usize, &Command)| matches!(command, Command::StartChild(_));
            let start = self.commands.iter().enumerate().filter(is_start).nth(place);
            if let Some(at) = start.map(|(at, _)| at) {
                self.commands.remove(at);
            }
            self.children.unconfirmed.remove(place);
            let canceled = self.cancellation_of(scope);
            return self.end_known_child(serial, Err(canceled));
        }
        if child.cancellation == ChildCancellationType::Abandon {
            child.cancel = Cancel::Heard;
        } else if child.run_id.is_none() {
            child.cancel = Cancel::WhenStarted;
        } else {
            self.ask_child_to_end(serial);
        }
        self.give_up_on_child(serial);
    }

    /// Whoever waited for the child's end was dropped, and with that the wish for the child.
    pub(in crate::sdk::workflow) fn drop_child(&mut self, serial: ChildSerial) {
        if !self.is_kept_from("drop what the run waits for") && !self.ended {
            self.cancel_child(serial);
        }
    }

    /// All children, with the scopes that they belong to.
    pub(super) fn children_in_scopes(&self) -> Vec<(ChildSerial, ScopeId)> {
        let known = self.children.known.iter();
        known.map(|(serial, child)| (*serial, child.scope)).collect()
    }
}

impl Core {
    fn ask_child_to_end(&mut self, serial: ChildSerial) {
        let Some(child) = self.children.known.get_mut(&serial) else {
            return;
        };
        child.cancel = Cancel::Asked;
        self.commands
            .push(Command::RequestCancelExternal(Box::new(ExternalCancel {
                workflow_id: child.workflow_id.clone(),
                // By its first run: whichever of its chain is open.
                run_id: child.run_id,
                reason: "its parent asked it to end".to_owned(),
            })));
        let key = self.begin(What::ChildCancel(serial));
        // Nobody waits for that, but for what follows from it.
        if let Some(operation) = self.operations.get_mut(&key) {
            operation.abandoned = true;
        }
        self.expect_external(key);
    }

    /// Those who wait for it hear of the cancellation, if that is all that they wait for.
    fn give_up_on_child(&mut self, serial: ChildSerial) {
        let Some(child) = self.children.known.get_mut(&serial).filter(|child| child.is_given_up()) else {
            return;
        };
        let starting = child.starting.take();
        let waiting = std::mem::take(&mut child.waiting);
        let scope = child.scope;
        let canceled = self.cancellation_of(scope);
        for key in starting.into_iter().chain(waiting) {
            self.resolve(key, Err(canceled.clone()));
        }
    }

    fn end_known_child(&mut self, serial: ChildSerial, outcome: Result<Payload, Failure>) {
        let Some(child) = self.children.known.get_mut(&serial) else {
            return;
        };
        let outcome = child.outcome.insert(outcome).clone();
        let starting = child.starting.take();
        let waiting = std::mem::take(&mut child.waiting);
        for key in starting.into_iter().chain(waiting) {
            self.resolve(key, outcome.clone());
        }
        self.forget_child(serial);
    }

    fn forget_child(&mut self, serial: ChildSerial) {
        let child = self.children.known.get(&serial);
        if child.is_some_and(|child| child.outcome.is_some() && !child.held)
            && let Some(forgotten) = self.children.known.remove(&serial)
        {
            self.leave_scope(forgotten.scope);
        }
    }

    /// An operation that waited for a child is gone.
    pub(super) fn stop_waiting_for_child(&mut self, serial: ChildSerial, key: Key) {
        if let Some(child) = self.children.known.get_mut(&serial) {
            child.starting = child.starting.filter(|starting| *starting != key);
            child.waiting.retain(|waits| *waits != key);
        }
    }

    /// In words, for people.
    pub(super) fn describe_child(&self, serial: ChildSerial) -> String {
        match self.children.known.get(&serial) {
            Some(child) => format!("child workflow {} (id {})", child.workflow_type, child.workflow_id),
            None => "a child workflow".to_owned(),
        }
    }
}

/// What `replay` calls.
impl Core {
    pub(crate) fn confirm_child(&mut self, initiated: EventId) {
        if let Some(serial) = self.children.unconfirmed.pop_front() {
            self.children.by_initiated.insert(initiated, serial);
        }
    }

    pub(crate) fn child_started(&mut self, initiated: EventId, run_id: RunId) {
        let Some(serial) = self.children.by_initiated.get(&initiated).copied() else {
            return;
        };
        let Some(child) = self.children.known.get_mut(&serial) else {
            return;
        };
        child.run_id = Some(run_id);
        let asked_for = child.cancel == Cancel::WhenStarted;
        if let Some(key) = child.starting.take() {
            self.resolve(key, Ok(Payload::null()));
        }
        if asked_for {
            self.ask_child_to_end(serial);
        }
    }

    pub(crate) fn fail_child_start(&mut self, initiated: EventId, cause: Failure) {
        self.finish_child(initiated, Err(cause));
    }

    pub(crate) fn end_child(&mut self, initiated: EventId, end: ChildEnd) {
        self.finish_child(initiated, end.into_result());
    }

    fn finish_child(&mut self, initiated: EventId, outcome: Result<Payload, Failure>) {
        let Some(serial) = self.children.by_initiated.remove(&initiated) else {
            return;
        };
        if let Some(child) = self.children.known.get(&serial) {
            let outcome = outcome.map_err(|cause| child.failure(cause));
            self.end_known_child(serial, outcome);
        }
    }

    /// A child was told, or cannot be told, that it is to end.
    pub(super) fn child_heard(&mut self, operation: Key) {
        let Some(Operation {
            what: What::ChildCancel(serial),
            ..
        }) = self.operations.get(&operation)
        else {
            return;
        };
        let serial = *serial;
        if let Some(child) = self.children.known.get_mut(&serial) {
            child.cancel = Cancel::Heard;
        }
        self.give_up_on_child(serial);
    }
}
