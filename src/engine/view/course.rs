//! What became of single activities and waits, gathered from a run's history: the state forgets what has ended. Must not
//! live here: the views that are made of it.

use std::collections::BTreeMap;

use crate::machine::RunState;
use crate::model::{
    ActivityRole, ActivityType, Event, EventAttributes, EventId, Failure, Payload, SagaDecided, SagaWaitStarted,
    StepVerdict, Timestamp, Turn,
};

use super::step::{CourseState, DecisionView};
use super::{LockView, TurnedBack, name_of};

/// How one activity, or one wait, went.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) activity_type: Option<ActivityType>,
    pub(super) input: Payload,
    pub(super) state: CourseState,
    /// Attempts made; for a pending one, the number of the attempt that runs or is due next.
    pub(super) attempts: u32,
    pub(super) last_failure: Option<Failure>,
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
}

/// Everything that a history says of activities, waits, locks and decisions.
#[derive(Default)]
pub(super) struct Courses {
    by_start: BTreeMap<EventId, Course>,
    /// The newest compensation and verification of a step.
    compensations: BTreeMap<EventId, EventId>,
    verifications: BTreeMap<EventId, EventId>,
    verdicts: BTreeMap<EventId, StepVerdict>,
    waits: BTreeMap<EventId, SagaWaitStarted>,
    locks_requested: BTreeMap<EventId, Timestamp>,
    decided: Vec<(Timestamp, SagaDecided)>,
    pub(super) turned_back: Option<TurnedBack>,
}

impl Course {
    fn begun(activity_type: Option<ActivityType>, at: Timestamp) -> Self {
        Self {
            activity_type,
            input: Payload::null(),
            state: CourseState::Pending,
            attempts: 0,
            last_failure: None,
            started_at: at,
            ended_at: None,
        }
    }
}

impl Courses {
    pub(super) fn of(state: &RunState, turns: &[Turn]) -> Self {
        let mut courses = Self::default();
        for event in turns.iter().flat_map(|turn| &turn.events) {
            courses.take(event);
        }
        for activity in state.activities() {
            if let Some(course) = courses.by_start.get_mut(&activity.scheduled) {
                course.attempts = activity.attempt;
                course.input = activity.attributes.input.clone();
                course.last_failure.clone_from(&activity.last_failure);
                if activity.stuck {
                    course.state = CourseState::Stuck;
                }
            }
        }
        courses
    }

    fn take(&mut self, event: &Event) {
        use EventAttributes as E;
        match &event.attributes {
            E::ActivityTaskScheduled(scheduled) => {
                let mut course = Course::begun(Some(scheduled.activity_type.clone()), event.time);
                course.input = scheduled.input.clone();
                self.by_start.insert(event.id, course);
                match scheduled.role {
                    ActivityRole::Compensation(step) => drop(self.compensations.insert(step, event.id)),
                    ActivityRole::Verification(step) => drop(self.verifications.insert(step, event.id)),
                    ActivityRole::Plain | ActivityRole::Step(_) | ActivityRole::Escalation(_) => {}
                }
            }
            E::ActivityTaskStarted {
                scheduled,
                attempt,
                last_failure,
            } => {
                if let Some(course) = self.by_start.get_mut(scheduled) {
                    course.attempts = *attempt;
                    course.last_failure.clone_from(last_failure);
                }
            }
            E::ActivityTaskCompleted { scheduled, .. } => self.end(*scheduled, event.time, None),
            E::ActivityTaskFailed { scheduled, failure, .. } | E::ActivityTaskTimedOut { scheduled, failure, .. } => {
                self.end(*scheduled, event.time, Some(failure.clone()));
            }
            E::ActivityTaskCanceled { scheduled, .. } => {
                let failure = Failure::canceled("it stopped as it was asked to");
                self.end(*scheduled, event.time, Some(failure));
            }
            _ => self.take_of_saga(event),
        }
    }

    fn take_of_saga(&mut self, event: &Event) {
        use EventAttributes as E;
        match &event.attributes {
            E::SagaWaitStarted(wait) => {
                self.by_start.insert(event.id, Course::begun(None, event.time));
                self.waits.insert(event.id, (**wait).clone());
            }
            E::SagaWaitEnded { started, .. } => self.end(*started, event.time, None),
            E::SagaStepSkipped(_) => {
                self.by_start.insert(event.id, Course::begun(None, event.time));
                self.end(event.id, event.time, None);
            }
            E::SagaStepResolved { scheduled, verdict } => drop(self.verdicts.insert(*scheduled, *verdict)),
            E::SagaLockRequested { .. } => drop(self.locks_requested.insert(event.id, event.time)),
            E::SagaDecided(decided) => self.decided.push((event.time, (**decided).clone())),
            E::SagaUnwindStarted(unwind) => {
                self.turned_back = Some(TurnedBack {
                    at: event.time,
                    cause: unwind.cause.clone(),
                });
            }
            _ => {}
        }
    }

    fn end(&mut self, started: EventId, at: Timestamp, failure: Option<Failure>) {
        if let Some(course) = self.by_start.get_mut(&started) {
            course.ended_at = Some(at);
            course.state = match failure {
                Some(_) => CourseState::Failed,
                None => CourseState::Completed,
            };
            if failure.is_some() {
                course.last_failure = failure;
            }
        }
    }

    pub(super) fn of_step(&self, step: EventId) -> Option<&Course> {
        self.by_start.get(&step)
    }

    pub(super) fn of_undoing(&self, step: EventId) -> Option<&Course> {
        self.compensations.get(&step).and_then(|undo| self.by_start.get(undo))
    }

    pub(super) fn of_verifying(&self, step: EventId) -> Option<&Course> {
        self.verifications.get(&step).and_then(|probe| self.by_start.get(probe))
    }

    pub(super) fn verdict(&self, step: EventId) -> Option<StepVerdict> {
        self.verdicts.get(&step).copied()
    }

    pub(super) fn wait(&self, step: EventId) -> Option<&SagaWaitStarted> {
        self.waits.get(&step)
    }

    pub(super) fn decisions(&self, state: &RunState) -> Vec<DecisionView> {
        let view = |(at, decided): &(Timestamp, SagaDecided)| DecisionView {
            at: *at,
            step: decided.step.and_then(|step| name_of(state, step)),
            choice: decided.choice.clone(),
            by: decided.by.clone(),
            reason: decided.reason.clone(),
            request_id: decided.request_id.clone(),
            automatic: decided.automatic,
        };
        self.decided.iter().map(view).collect()
    }

    pub(super) fn locks(&self, state: &RunState) -> Vec<LockView> {
        let view = |lock: &crate::machine::RunLock| LockView {
            lock: lock.lock.clone(),
            state: lock.state.clone(),
            requested_at: self.locks_requested.get(&lock.requested).copied().unwrap_or_default(),
            until: lock.until,
        };
        state.locks().map(view).collect()
    }
}
