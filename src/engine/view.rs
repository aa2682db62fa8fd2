//! How a run stands, for people and scripts. Must not live here: rendering; what became of single activities (`course`).

mod child;
mod course;
mod step;

use crate::machine::{LockState, Pause, PendingActivity, Phase, RunState, Stuck};
use crate::model::{
    ActivityId, ActivityRole, ActivityType, DefinitionDigest, EventId, Failure, HoldReason, Initiator, LockName, Memo,
    Outcome, ParentRun, ParkReason, Payload, RunId, RunStatus, SagaOptions, SearchAttributes, StepName, TaskQueue,
    Timestamp, Turn, UnwindCause, WorkflowId, WorkflowType,
};

pub use child::ChildView;
use course::Courses;
pub use step::{CourseState, CourseView, DecisionView, StepView, WaitView};

/// A run, as its journal has it.
#[derive(Clone, Debug)]
pub struct RunDescription {
    /// The caller's id.
    pub workflow_id: WorkflowId,
    /// The execution.
    pub run_id: RunId,
    /// Which workflow.
    pub workflow_type: WorkflowType,
    /// The definition it follows, when it is not written in code.
    pub definition: Option<DefinitionDigest>,
    /// Whose workers decide for it, and make the attempts of its activities that name no other queue.
    pub task_queue: TaskQueue,
    /// It has something to decide, and waits for a worker that serves its task queue.
    pub waits_for_worker: bool,
    /// The run whose child, or whose step, it is.
    pub parent: Option<ParentRun>,
    /// The first run of its chain: itself, when it follows no other.
    pub first_run_id: RunId,
    /// The run of its chain that it follows, and why.
    pub follows: Option<(RunId, Initiator)>,
    /// The run of its chain that follows it.
    pub next_run_id: Option<RunId>,
    /// The run of which a reset has made it.
    pub reset_from: Option<RunId>,
    /// Which try it is, by its retry policy: 1 for the first.
    pub attempt: u32,
    /// When its code is asked for the first time, while that is still to come.
    pub begins_at: Option<Timestamp>,
    /// What it can be found by.
    pub search_attributes: SearchAttributes,
    /// What is shown with it.
    pub memo: Memo,
    /// How it stands.
    pub status: RunStatus,
    /// When it was started.
    pub started_at: Timestamp,
    /// When anything last happened to it; for a run that has ended, its end.
    pub last_turn_at: Timestamp,
    /// How many event ids its history has used.
    pub events: u64,
    /// Its input.
    pub input: Payload,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Why it was set aside, if it was.
    pub parked: Option<ParkReason>,
    /// Since when it stands still, and by whose word, if it does.
    pub paused: Option<Pause>,
    /// The failure after which it can go neither forward nor back, if there was one.
    pub halted: Option<Failure>,
    /// Why somebody asked it to end, if somebody did.
    pub cancel_requested: Option<String>,
    /// How its saga is undone, when its start said so.
    pub saga_options: Option<SagaOptions>,
    /// When and why its saga turned back, if it did.
    pub turned_back: Option<TurnedBack>,
    /// What needs a person, and what that person may decide.
    pub stuck: Vec<Stuck>,
    /// What was decided about it when it was stuck, oldest first.
    pub decisions: Vec<DecisionView>,
    /// The locks that it has asked for, by name.
    pub locks: Vec<LockView>,
    /// Its saga's steps, in the order of their scheduling.
    pub steps: Vec<StepView>,
    /// Activities that have not ended.
    pub pending: Vec<ActivityView>,
    /// Child workflows that have not ended, in the order in which they were asked for.
    pub children: Vec<ChildView>,
}

/// The saga of a run: what became of every step, what is stuck, and who decided what.
#[derive(Clone, Debug)]
pub struct SagaView {
    /// How the run stands.
    pub status: RunStatus,
    /// When and why it turned back, if it did.
    pub turned_back: Option<TurnedBack>,
    /// What needs a person, and what that person may decide.
    pub stuck: Vec<Stuck>,
    /// What was decided about it when it was stuck, oldest first.
    pub decisions: Vec<DecisionView>,
    /// The locks that it has asked for, by name.
    pub locks: Vec<LockView>,
    /// Its steps, in the order of their scheduling.
    pub steps: Vec<StepView>,
}

/// The turning point of a saga.
#[derive(Clone, Debug)]
pub struct TurnedBack {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: UnwindCause,
}

/// A lock that a run has asked for.
#[derive(Clone, Debug)]
pub struct LockView {
    /// Its name.
    pub lock: LockName,
    /// How the run stands to it.
    pub state: LockState,
    /// When it was asked for, the last time.
    pub requested_at: Timestamp,
    /// When the run stops waiting for it. `None`: never, or it does not wait.
    pub until: Option<Timestamp>,
}

/// An activity that has not ended.
#[derive(Clone, Debug)]
pub struct ActivityView {
    /// Its name in the run.
    pub activity_id: ActivityId,
    /// Which activity.
    pub activity_type: ActivityType,
    /// The saga step that it is, undoes, verifies, or calls for help about.
    pub step: Option<StepName>,
    /// Whose workers make its attempts.
    pub task_queue: TaskQueue,
    /// What it is for the run's saga.
    pub purpose: ActivityPurpose,
    /// The number of the attempt that runs or is due next.
    pub attempt: u32,
    /// When that attempt is (or was) due.
    pub due: Timestamp,
    /// How the attempt before it failed.
    pub last_failure: Option<Failure>,
    /// It failed for good and waits for a person.
    pub stuck: bool,
    /// It ended without an answer, and it is being found out whether it had its effect.
    pub being_verified: bool,
    /// Its attempt is due, but is not handed out, and why not.
    pub held: Option<HoldReason>,
    /// The code of its attempt has returned, and somebody else will complete it.
    pub handed_over: bool,
    /// It was asked to stop.
    pub cancel_requested: bool,
    /// How far it has come, by the last heartbeat that was recorded.
    pub heartbeat: Option<Payload>,
}

/// What an activity is for its run's saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityPurpose {
    /// Nothing.
    Plain,
    /// A forward step.
    Step,
    /// It undoes a step.
    Compensation,
    /// It finds out whether a step had its effect.
    Verification,
    /// It tells somebody that a person is needed.
    Escalation,
}

impl RunDescription {
    /// The description of a history and what it folds to. Of an empty one, all fields are empty.
    pub(super) fn of(state: &RunState, turns: &[Turn]) -> Self {
        let started = state.started();
        let chain = started.and_then(|started| started.chain.as_deref());
        let courses = Courses::of(state, turns);
        // Nothing needs a person any more once the run has ended.
        let stuck: Vec<Stuck> = match state.is_closed() {
            true => Vec::new(),
            false => state.stuck().collect(),
        };
        let decisions = courses.decisions(state);
        let steps = state.steps();
        let steps = steps
            .map(|step| StepView::of(step, state, &courses, &stuck, &decisions))
            .collect();
        Self {
            workflow_id: started.map_or_else(|| WorkflowId::from_trusted(""), |started| started.workflow_id.clone()),
            run_id: started.map_or(RunId::NIL, |started| started.run_id),
            workflow_type: started.map_or_else(
                || WorkflowType::from_trusted(""),
                |started| started.workflow_type.clone(),
            ),
            definition: started.and_then(|started| started.definition),
            task_queue: started
                .and_then(|started| started.task_queue.clone())
                .unwrap_or_default(),
            waits_for_worker: turns.last().is_some_and(|last| state.task_due(last.time)) && state.parked().is_none(),
            parent: started.and_then(|started| started.parent.clone()),
            search_attributes: state.search_attributes().clone(),
            memo: state.memo().clone(),
            reset_from: state.bases().last(),
            first_run_id: state.first_run().unwrap_or(RunId::NIL),
            follows: chain.and_then(|chain| chain.follows),
            next_run_id: state.next_run(),
            attempt: chain.map_or(1, |chain| chain.attempt),
            begins_at: state.begins_at(),
            status: state.status(),
            started_at: state.started_at(),
            last_turn_at: turns.last().map(|turn| turn.time).unwrap_or_default(),
            events: state.next_event().0.saturating_sub(1),
            input: started.map(|started| started.input.clone()).unwrap_or_default(),
            outcome: state.outcome().cloned(),
            parked: state.parked().cloned(),
            paused: state.paused().cloned(),
            halted: match state.phase() {
                Phase::Halted(failure) => Some(failure.clone()),
                _ => None,
            },
            cancel_requested: state.cancel_requested().map(str::to_owned),
            saga_options: started.and_then(|started| started.saga.as_deref().cloned()),
            stuck,
            decisions,
            locks: courses.locks(state),
            steps,
            pending: state
                .activities()
                .map(|activity| ActivityView::of(activity, state))
                .collect(),
            children: ChildView::all(state),
            turned_back: courses.turned_back,
        }
    }

    /// What a person has to look at before a paused, stuck or parked run can go on, one line each.
    #[must_use]
    pub fn waits_for(&self) -> Vec<String> {
        let paused = self.paused.iter().map(ToString::to_string);
        let parked = self.parked.iter().map(ToString::to_string);
        let stuck = self.stuck.iter().map(|stuck| {
            let step = stuck.step.as_ref().map(|step| format!("step {step}: "));
            format!("{}{}: {}", step.unwrap_or_default(), stuck.reason, stuck.failure)
        });
        paused.chain(parked).chain(stuck).collect()
    }

    /// A step by its name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&StepView> {
        self.steps.iter().find(|step| step.name.as_str() == name)
    }

    /// The saga's part of it.
    #[must_use]
    pub fn into_saga(self) -> SagaView {
        SagaView {
            status: self.status,
            turned_back: self.turned_back,
            stuck: self.stuck,
            decisions: self.decisions,
            locks: self.locks,
            steps: self.steps,
        }
    }
}

impl SagaView {
    /// A step by its name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&StepView> {
        self.steps.iter().find(|step| step.name.as_str() == name)
    }
}

fn name_of(state: &RunState, scheduled: EventId) -> Option<StepName> {
    state.step_by_event(scheduled).map(|step| step.name.clone())
}

impl ActivityView {
    fn of(activity: &PendingActivity, state: &RunState) -> Self {
        let (purpose, step) = match &activity.attributes.role {
            ActivityRole::Plain => (ActivityPurpose::Plain, None),
            ActivityRole::Step(step) => (ActivityPurpose::Step, Some(step.name.clone())),
            ActivityRole::Compensation(step) => (ActivityPurpose::Compensation, name_of(state, *step)),
            ActivityRole::Verification(step) => (ActivityPurpose::Verification, name_of(state, *step)),
            ActivityRole::Escalation(step) => {
                let step = step.and_then(|step| name_of(state, step));
                (ActivityPurpose::Escalation, step)
            }
        };
        Self {
            activity_id: activity.attributes.activity_id.clone(),
            activity_type: activity.attributes.activity_type.clone(),
            task_queue: state.task_queue_of(activity).cloned().unwrap_or_default(),
            step,
            purpose,
            attempt: activity.attempt,
            due: activity.due,
            last_failure: activity.last_failure.clone(),
            stuck: activity.stuck,
            being_verified: activity.ambiguous.is_some() && !activity.stuck,
            held: activity.held,
            handed_over: activity.is_handed_over(),
            cancel_requested: activity.cancel_requested,
            heartbeat: activity.heartbeat.clone(),
        }
    }
}
