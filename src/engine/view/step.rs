//! One saga step as people and scripts see it. Must not live here: gathering it from the history (`course`), rendering.

use std::time::Duration;

use crate::machine::{RunState, StepRecord, StepState, Stuck, UndoState};
use crate::model::{
    ActivityType, Choice, Failure, Payload, RequestId, SignalName, StepKind, StepName, StepVerdict, Timestamp,
};

use super::course::{Course, Courses};

/// One saga step.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Its name.
    pub name: StepName,
    /// What it means for the saga's course.
    pub kind: StepKind,
    /// Which activity it is; `None` for a step that waits or was left out.
    pub activity_type: Option<ActivityType>,
    /// The steps it was scheduled after: those it depends on, or, when it did not say, those that had ended by then.
    pub after: Vec<StepName>,
    /// What was registered to undo it.
    pub compensation: Option<ActivityType>,
    /// Its input; a person may have changed it.
    pub input: Payload,
    /// How it went.
    pub state: StepState,
    /// Whether it, or its undoing, needs a person: see the run's list of what is stuck.
    pub stuck: bool,
    /// How many attempts it took; for a pending one, the number of the attempt that runs or is due next.
    pub attempts: u32,
    /// How the last attempt that failed did so; it may have succeeded after that.
    pub last_failure: Option<Failure>,
    /// When it was scheduled. `None` for a step that was taken over from another run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it waits for, if it is a step that waits.
    pub wait: Option<WaitView>,
    /// The finding out whether it had its effect, if that was necessary.
    pub verification: Option<CourseView>,
    /// What became known about its effect after it had ended without an answer.
    pub verdict: Option<StepVerdict>,
    /// How its undoing stands.
    pub undo: UndoState,
    /// The undoing itself, once it was begun.
    pub undoing: Option<CourseView>,
    /// How many of its results came too late and were refused.
    pub late_results: u32,
    /// The last decision about it.
    pub decided: Option<DecisionView>,
}

/// How a compensation or a verification goes.
#[derive(Clone, Debug)]
pub struct CourseView {
    /// Which activity.
    pub activity_type: ActivityType,
    /// Its input; a person may have changed it.
    pub input: Payload,
    /// How it stands.
    pub state: CourseState,
    /// How many attempts it took; for a pending one, the number of the attempt that runs or is due next.
    pub attempts: u32,
    /// How the last attempt that failed did so; it may have succeeded after that.
    pub last_failure: Option<Failure>,
    /// When it was scheduled.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// How a compensation or a verification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CourseState {
    /// It has not ended.
    Pending,
    /// It failed for good and waits for a person.
    Stuck,
    /// It ended with a result.
    Completed,
    /// It ended without one.
    Failed,
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitView {
    /// The signal; `None`: only a time.
    pub signal: Option<SignalName>,
    /// When the waiting ends.
    pub until: Option<Timestamp>,
}

/// A decision about a stuck saga.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionView {
    /// When.
    pub at: Timestamp,
    /// The step concerned; `None`: the saga as a whole.
    pub step: Option<StepName>,
    /// What was decided.
    pub choice: Choice,
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The deduplication key of the decision.
    pub request_id: Option<RequestId>,
    /// No person decided: the saga's policy did, after its time.
    pub automatic: bool,
}

impl StepView {
    pub(super) fn of(
        step: &StepRecord,
        state: &RunState,
        courses: &Courses,
        stuck: &[Stuck],
        decisions: &[DecisionView],
    ) -> Self {
        let course = courses.of_step(step.scheduled);
        let mut about_it = decisions
            .iter()
            .filter(|decided| decided.step.as_ref() == Some(&step.name));
        let failure = match &step.state {
            StepState::Failed { failure, .. } => Some(failure.clone()),
            _ => None,
        };
        Self {
            name: step.name.clone(),
            kind: step.kind,
            activity_type: course.and_then(|course| course.activity_type.clone()),
            after: match step.after() {
                Some(after) => after.to_vec(),
                None => ended_before(step, state),
            },
            compensation: step.compensation().map(|spec| spec.activity_type.clone()),
            input: step.input.clone(),
            state: step.state.clone(),
            stuck: stuck.iter().any(|stuck| stuck.step.as_ref() == Some(&step.name)),
            attempts: course.map_or(0, |course| course.attempts),
            last_failure: failure.or_else(|| course.and_then(|course| course.last_failure.clone())),
            started_at: course.map(|course| course.started_at),
            ended_at: course.and_then(|course| course.ended_at),
            wait: courses.wait(step.scheduled).map(|wait| WaitView {
                signal: wait.signal.clone(),
                until: wait.until,
            }),
            verification: courses.of_verifying(step.scheduled).and_then(CourseView::of),
            verdict: courses.verdict(step.scheduled),
            undo: step.undo,
            undoing: courses.of_undoing(step.scheduled).and_then(CourseView::of),
            late_results: step.late_results,
            decided: about_it.next_back().cloned(),
        }
    }

    /// How long it took; `None` as long as it has not ended.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Some(self.ended_at?.since(self.started_at?))
    }
}

impl CourseView {
    fn of(course: &Course) -> Option<Self> {
        Some(Self {
            activity_type: course.activity_type.clone()?,
            input: course.input.clone(),
            state: course.state,
            attempts: course.attempts,
            last_failure: course.last_failure.clone(),
            started_at: course.started_at,
            ended_at: course.ended_at,
        })
    }

    /// How long it took; `None` as long as it has not ended.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Some(self.ended_at?.since(self.started_at))
    }
}

/// The steps that had ended when this one was scheduled.
fn ended_before(step: &StepRecord, state: &RunState) -> Vec<StepName> {
    let ended = |other: &&StepRecord| other.closed.is_some_and(|closed| closed < step.scheduled);
    state.steps().filter(ended).map(|other| other.name.clone()).collect()
}
