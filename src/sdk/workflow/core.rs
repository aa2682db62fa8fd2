//! The state behind a `WorkflowContext`: what the code asked for and has not got yet. One side of it is called by the
//! code's futures, the other (`arrivals`) by `replay`. Must not live here: anything about histories.
//!
//! Nothing of the user's may run while the core is borrowed: wakers are handed out to be called, and dropped, outside.

mod arrivals;
mod attributes;
mod chain;
mod children;
mod decided_by;
mod handling;
mod locals;
mod locks;
mod messages;
mod operation;
mod scopes;
mod steps;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::model::{
    ActivityId, ActivityOptions, ActivityType, Command, EventId, Failure, InFlight, OnAmbiguous, Payload,
    ScheduleActivity, SignalName, StepKind, StepName, StepSpec, TimerId, Timestamp,
};
use crate::model::{CompensationSpec, ContinueAsNew, RunId, RunStarted};

use super::CancellationType;
use super::random::Random;
use attributes::Attributes;
use children::Children;
use locals::Locals;
use locks::Locks;
use messages::Messages;
use operation::{Operation, What};
use scopes::Scopes;
use steps::Steps;
use versions::Versions;

pub(super) use attributes::refused_attribute;
pub(crate) use chain::HistoryInfo;
pub(super) use children::{ChildRequest, ChildSerial};
pub(super) use locks::LockRequest;
pub(crate) use messages::UpdateHandler;
pub(super) use messages::Validator;
pub(super) use scopes::{ScopeCancel, ScopeId};
pub(super) use steps::StepSerial;
pub(crate) use versions::Refusal;

/// Names one operation, signal reception or other wait of the code, in the order in which they began.
pub(super) type Key = u64;

/// An activity as the code asked for it.
#[derive(Debug)]
pub(super) struct ActivityRequest {
    pub(super) activity_type: ActivityType,
    pub(super) input: Payload,
    pub(super) options: ActivityOptions,
    pub(super) id: Option<ActivityId>,
    pub(super) cancellation: CancellationType,
    pub(super) step: Option<StepRequest>,
}

/// A saga step as the code asked for it.
#[derive(Debug)]
pub(super) struct StepRequest {
    pub(super) name: Option<StepName>,
    pub(super) kind: StepKind,
    pub(super) compensation: Option<CompensationSpec>,
    pub(super) on_ambiguous: OnAmbiguous,
    pub(super) in_flight: InFlight,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Core {
    started: Arc<RunStarted>,
    /// The run that decides these turns: of a run that was reset, first another one.
    decided_by: RunId,
    history: HistoryInfo,
    /// How the run goes on, when its code wants another one to follow.
    continuation: Option<ContinueAsNew>,
    now: Timestamp,
    random: Random,
    /// What the code asked for in this turn.
    commands: Vec<Command>,
    next_key: Key,
    next_activity: u64,
    next_timer: u64,
    activity_ids: BTreeSet<ActivityId>,
    steps: Steps,
    locks: Locks,
    versions: Versions,
    locals: Locals,
    children: Children,
    scopes: Scopes,
    attributes: Attributes,
    /// The rollback that is under way.
    rollback: Option<Key>,
    operations: BTreeMap<Key, Operation>,
    by_activity_id: BTreeMap<ActivityId, Key>,
    by_scheduled: BTreeMap<EventId, Key>,
    by_timer_id: BTreeMap<TimerId, Key>,
    messages: Messages,
    /// Everybody who waits for a signal, a condition, or for the run's cancellation.
    waiting: BTreeMap<Key, (WaitFor, Waker)>,
    /// To be woken as soon as the core is not borrowed any more.
    to_wake: Vec<Waker>,
    cancel_requested: bool,
    ended: bool,
}

#[derive(Debug, PartialEq)]
enum WaitFor {
    Signal(SignalName),
    Condition,
    Cancel,
}

/// What the code's futures call.
impl Core {
    pub(crate) fn new(started: Arc<RunStarted>) -> Self {
        let attributes = Attributes::from(&*started);
        let random = Random::of_run(started.run_id);
        Self {
            decided_by: started.run_id,
            started,
            history: HistoryInfo::default(),
            continuation: None,
            now: Timestamp::EPOCH,
            random,
            commands: Vec::new(),
            next_key: 0,
            next_activity: 0,
            next_timer: 0,
            activity_ids: BTreeSet::new(),
            steps: Steps::default(),
            locks: Locks::default(),
            versions: Versions::default(),
            locals: Locals::default(),
            children: Children::default(),
            scopes: Scopes::default(),
            attributes,
            rollback: None,
            operations: BTreeMap::new(),
            by_activity_id: BTreeMap::new(),
            by_scheduled: BTreeMap::new(),
            by_timer_id: BTreeMap::new(),
            messages: Messages::default(),
            waiting: BTreeMap::new(),
            to_wake: Vec::new(),
            cancel_requested: false,
            ended: false,
        }
    }

    pub(super) fn started(&self) -> &RunStarted {
        &self.started
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn random(&mut self) -> &mut Random {
        self.expect_writable("draw a random number");
        &mut self.random
    }

    pub(super) fn record_marker(&mut self, name: String, details: Payload) {
        self.expect_writable("record a marker");
        self.commands.push(Command::RecordMarker { name, details });
    }

    pub(super) fn schedule_activity(&mut self, request: ActivityRequest) -> Result<Key, Failure> {
        self.expect_writable("run an activity");
        self.expect_not_canceled()?;
        if let Some(step) = &request.step {
            let name = step
                .name
                .as_ref()
                .map_or(request.activity_type.as_str(), StepName::as_str);
            self.steps.check_order(step.kind, name)?;
        }
        let activity_id = self.unused_activity_id(request.id)?;
        let mut options = request.options;
        let step = request.step.map(|step| {
            if step.kind == StepKind::Retriable {
                // Forward is the only way left: it is tried until it succeeds.
                options.retry.maximum_attempts = 0;
            }
            let wanted = step
                .name
                .unwrap_or_else(|| StepName::from_trusted(request.activity_type.as_str()));
            let (serial, name) = self.steps.add(&wanted, step.kind, activity_id.clone());
            let spec = StepSpec {
                name,
                kind: step.kind,
                after: None,
                compensation: step.compensation,
                on_ambiguous: step.on_ambiguous,
                in_flight: step.in_flight,
            };
            (serial, spec)
        });
        let (serial, step) = step.unzip();
        let key = self.begin(What::Activity {
            id: activity_id.clone(),
            activity_type: request.activity_type.clone(),
            scheduled: None,
            cancellation: request.cancellation,
            step: serial,
        });
        self.by_activity_id.insert(activity_id.clone(), key);
        self.commands.push(Command::ScheduleActivity(Box::new(ScheduleActivity {
            activity_id,
            activity_type: request.activity_type,
            input: request.input,
            options,
            step,
        })));
        Ok(key)
    }

    pub(super) fn start_timer(&mut self, after: Duration) -> Result<Key, Failure> {
        self.expect_writable("start a timer");
        self.expect_not_canceled()?;
        self.next_timer += 1;
        let timer_id = TimerId::from_trusted(self.next_timer.to_string());
        let key = self.begin(What::Timer(timer_id.clone()));
        self.by_timer_id.insert(timer_id.clone(), key);
        self.commands.push(Command::StartTimer { timer_id, after });
        Ok(key)
    }

    /// The operation's outcome, or a promise to wake. Returns the waker that was replaced, to be dropped outside.
    pub(super) fn poll_operation(&mut self, key: Key, waker: Waker) -> (Poll<Result<Payload, Failure>>, Option<Waker>) {
        // The outcome would be taken from the code, or its waker.
        self.expect_writable("wait for what the run waits for");
        let Some(operation) = self.operations.get_mut(&key) else {
            return (Poll::Pending, None);
        };
        match operation.outcome.take() {
            Some(outcome) => {
                self.forget(key);
                (Poll::Ready(outcome), None)
            }
            None => (Poll::Pending, operation.waker.replace(waker)),
        }
    }

    /// The code dropped the operation's future: ask for it to stop, unless it has ended.
    pub(super) fn abandon(&mut self, key: Key) -> Option<Waker> {
        if self.is_kept_from("drop what the run waits for") {
            return None;
        }
        let operation = self.operations.get_mut(&key)?;
        let waker = operation.waker.take();
        if operation.outcome.is_some() || self.ended {
            self.forget(key);
            return waker;
        }
        operation.abandoned = true;
        self.stop(key);
        waker
    }

    pub(super) fn wait_for_signal(&mut self, name: &SignalName, key: &mut Option<Key>, waker: Waker) -> Option<Waker> {
        self.wait(WaitFor::Signal(name.clone()), key, waker)
    }

    pub(super) fn wait_for_cancel(&mut self, key: &mut Option<Key>, waker: Waker) -> Option<Waker> {
        self.wait(WaitFor::Cancel, key, waker)
    }

    pub(super) fn stop_waiting(&mut self, key: Key) -> Option<Waker> {
        if self.is_kept_from("drop what the run waits for") {
            return None;
        }
        self.waiting.remove(&key).map(|(_, waker)| waker)
    }

    pub(super) fn is_cancel_requested(&self) -> bool {
        self.cancel_requested
    }
}

impl Core {
    fn begin(&mut self, what: What) -> Key {
        let key = self.take_key();
        let operation = Operation {
            what,
            scope: self.join_current_scope(),
            outcome: None,
            waker: None,
            abandoned: false,
            asked_to_stop: false,
        };
        self.operations.insert(key, operation);
        key
    }

    fn take_key(&mut self) -> Key {
        self.next_key += 1;
        self.next_key
    }

    /// Asks the engine to stop an operation; one that was asked for in this same turn is not asked for at all. Whether it
    /// was one of those.
    fn stop(&mut self, key: Key) -> bool {
        let Some(operation) = self.operations.get(&key) else {
            return false;
        };
        let command = match &operation.what {
            What::Activity { id, .. } => Command::RequestCancelActivity {
                activity_id: id.clone(),
            },
            What::Timer(id) => Command::CancelTimer { timer_id: id.clone() },
            What::Local(seq) => {
                self.locals.forget(*seq);
                Command::ForgetLocalActivity { seq: *seq }
            }
            What::Lock(_) => {
                self.stop_lock(key);
                return false;
            }
            // What is being undone is undone, and what is said is said, whether or not somebody waits for it.
            What::RollBack | What::External | What::ChildCancel(_) => return false,
            What::ChildStart(serial) => {
                let serial = *serial;
                self.cancel_child(serial);
                return false;
            }
            What::ChildEnd(_) => {
                self.forget(key);
                return false;
            }
        };
        let started_in_this_turn = self.commands.iter().position(|given| match (&operation.what, given) {
            (What::Activity { id, .. }, Command::ScheduleActivity(schedule)) => schedule.activity_id == *id,
            (What::Timer(id), Command::StartTimer { timer_id, .. }) => timer_id == id,
            (What::Local(of), Command::RunLocalActivity { seq, .. }) => seq == of,
            _ => false,
        });
        match started_in_this_turn {
            Some(at) => {
                self.commands.remove(at);
                if let What::Activity { step: Some(step), .. } = operation.what {
                    self.steps.take_back(step);
                }
            }
            None if operation.is_left_alone() || operation.asked_to_stop => {}
            None => self.commands.push(command),
        }
        // A stopped timer or local activity ends at once; a stopped activity only when its attempt has.
        let is_over = started_in_this_turn.is_some() || !matches!(operation.what, What::Activity { .. });
        if operation.abandoned && is_over {
            self.forget(key);
        } else if let Some(operation) = self.operations.get_mut(&key) {
            operation.asked_to_stop = true;
        }
        started_in_this_turn.is_some()
    }

    fn forget(&mut self, key: Key) {
        let forgotten = self.operations.remove(&key);
        if let Some(operation) = &forgotten {
            self.leave_scope(operation.scope);
        }
        match forgotten.map(|operation| operation.what) {
            Some(What::Activity { id, scheduled, .. }) => {
                self.by_activity_id.remove(&id);
                if let Some(scheduled) = scheduled {
                    self.by_scheduled.remove(&scheduled);
                }
            }
            Some(What::Timer(id)) => {
                self.by_timer_id.remove(&id);
            }
            Some(What::Local(seq)) => self.locals.forget(seq),
            Some(What::Lock(lock)) => self.locks.stop_waiting(&lock, key),
            Some(What::ChildStart(child) | What::ChildEnd(child)) => self.stop_waiting_for_child(child, key),
            Some(What::RollBack | What::External | What::ChildCancel(_)) | None => {}
        }
    }

    fn wait(&mut self, wait_for: WaitFor, key: &mut Option<Key>, waker: Waker) -> Option<Waker> {
        self.expect_writable("wait");
        let key = *key.get_or_insert_with(|| self.take_key());
        self.waiting
            .insert(key, (wait_for, waker))
            .map(|(_, replaced)| replaced)
    }

    fn unused_activity_id(&mut self, wanted: Option<ActivityId>) -> Result<ActivityId, Failure> {
        let id = match wanted {
            Some(id) if self.activity_ids.contains(&id) => {
                let message = format!("two activities of this run have the id {id:?}");
                return Err(Failure::non_retryable("DuplicateActivityId", message));
            }
            Some(id) => id,
            None => loop {
                self.next_activity += 1;
                let id = ActivityId::from_trusted(self.next_activity.to_string());
                if !self.activity_ids.contains(&id) {
                    break id;
                }
            },
        };
        self.activity_ids.insert(id.clone());
        Ok(id)
    }
}
