//! How a run stands, for people and scripts. Must not live here: rendering.

use std::collections::BTreeMap;

use crate::machine::{PendingActivity, Phase, RunState, StepRecord, StepState, UndoState};
use crate::model::{
    ActivityId, ActivityType, DefinitionDigest, EventAttributes, EventId, Failure, Outcome, ParkReason, Payload, RunId,
    RunStatus, StepKind, StepName, Timestamp, Turn, WorkflowId, WorkflowType,
};

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
    /// The failure after which it can go neither forward nor back, if there was one.
    pub halted: Option<Failure>,
    /// Why somebody asked it to end, if somebody did.
    pub cancel_requested: Option<String>,
    /// Its saga's steps, in the order of their scheduling.
    pub steps: Vec<StepView>,
    /// Activities that have not ended.
    pub pending: Vec<ActivityView>,
}

/// One saga step.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Its name.
    pub name: StepName,
    /// What it means for the saga's course.
    pub kind: StepKind,
    /// What does it; `None`: it is no activity, or it was adopted from another run.
    pub activity: Option<ActivityType>,
    /// The steps it was scheduled after: those it depends on, or, when it did not say, those that had ended by then.
    pub after: Vec<StepName>,
    /// What was registered to undo it.
    pub compensation: Option<ActivityType>,
    /// How it went.
    pub state: StepState,
    /// How many attempts it took; for a pending one, the number of the attempt that runs or is due next.
    pub attempts: u32,
    /// How its undoing goes.
    pub undo: UndoState,
    /// How many attempts its compensation took, as for `attempts`; 0 when it was not started.
    pub undo_attempts: u32,
}

/// An activity that has not ended.
#[derive(Clone, Debug)]
pub struct ActivityView {
    /// Its name in the run.
    pub activity_id: ActivityId,
    /// Which activity.
    pub activity_type: ActivityType,
    /// The saga step that it is, or undoes.
    pub step: Option<StepName>,
    /// Whether it undoes a step.
    pub is_compensation: bool,
    /// The number of the attempt that runs or is due next.
    pub attempt: u32,
    /// When that attempt is (or was) due.
    pub due: Timestamp,
    /// How the attempt before it failed.
    pub last_failure: Option<Failure>,
    /// It failed for good and waits for a person.
    pub stuck: bool,
}

impl RunDescription {
    /// The description of a history and what it folds to. Of an empty one, all fields are empty.
    pub(super) fn of(state: &RunState, turns: &[Turn]) -> Self {
        let started = state.started();
        let attempts = Attempts::of(state, turns);
        Self {
            workflow_id: started.map_or_else(|| WorkflowId::from_trusted(""), |started| started.workflow_id.clone()),
            run_id: started.map_or(RunId::from_bytes([0; 16]), |started| started.run_id),
            workflow_type: started.map_or_else(
                || WorkflowType::from_trusted(""),
                |started| started.workflow_type.clone(),
            ),
            definition: started.and_then(|started| started.definition),
            status: state.status(),
            started_at: state.started_at(),
            last_turn_at: turns.last().map(|turn| turn.time).unwrap_or_default(),
            events: state.next_event().0.saturating_sub(1),
            input: started.map(|started| started.input.clone()).unwrap_or_default(),
            outcome: state.outcome().cloned(),
            parked: state.parked().cloned(),
            halted: match state.phase() {
                Phase::Halted(failure) => Some(failure.clone()),
                _ => None,
            },
            cancel_requested: state.cancel_requested().map(str::to_owned),
            steps: state.steps().map(|step| StepView::of(step, state, &attempts)).collect(),
            pending: state
                .activities()
                .map(|activity| ActivityView::of(activity, state))
                .collect(),
        }
    }

    /// What a person has to look at before a stuck or parked run can go on, one line each.
    #[must_use]
    pub fn waits_for(&self) -> Vec<String> {
        let parked = self.parked.iter().map(ToString::to_string);
        let halted = self
            .halted
            .iter()
            .map(|failure| format!("a failure after the pivot, the saga cannot go back: {failure}"));
        let pending = self.pending.iter().filter(|activity| activity.stuck).map(|activity| {
            let what = match (&activity.step, activity.is_compensation) {
                (Some(step), true) => format!("the compensation of step {step}"),
                (Some(step), false) => format!("step {step}"),
                (None, _) => format!("activity {}", activity.activity_id),
            };
            let failure = activity.last_failure.as_ref().map(|failure| format!(": {failure}"));
            let attempts = activity.attempt;
            format!(
                "{what} failed for good (attempt {attempts}){}",
                failure.unwrap_or_default()
            )
        });
        let inputs = self.steps.iter().filter(|step| step.undo == UndoState::Stuck);
        let inputs = inputs.map(|step| format!("the input of the compensation of step {} cannot be made", step.name));
        parked.chain(halted).chain(pending).chain(inputs).collect()
    }
}

/// What activities there were and how many attempts they took, by their scheduling events; and which activity undoes which
/// step.
struct Attempts {
    made: BTreeMap<EventId, u32>,
    activities: BTreeMap<EventId, ActivityType>,
    compensations: BTreeMap<EventId, EventId>,
}

impl Attempts {
    fn of(state: &RunState, turns: &[Turn]) -> Self {
        let mut made = BTreeMap::new();
        let mut activities = BTreeMap::new();
        let mut compensations = BTreeMap::new();
        for event in turns.iter().flat_map(|turn| &turn.events) {
            match &event.attributes {
                EventAttributes::ActivityTaskStarted { scheduled, attempt, .. } => {
                    made.insert(*scheduled, *attempt);
                }
                EventAttributes::ActivityTaskScheduled(scheduled) => {
                    activities.insert(event.id, scheduled.activity_type.clone());
                    if let Some(step) = scheduled.undoes() {
                        compensations.insert(step, event.id);
                    }
                }
                _ => {}
            }
        }
        made.extend(
            state
                .activities()
                .map(|activity| (activity.scheduled, activity.attempt)),
        );
        Self {
            made,
            activities,
            compensations,
        }
    }

    fn made(&self, scheduled: EventId) -> u32 {
        self.made.get(&scheduled).copied().unwrap_or_default()
    }

    fn made_to_undo(&self, step: EventId) -> u32 {
        self.compensations
            .get(&step)
            .map_or(0, |compensation| self.made(*compensation))
    }
}

impl StepView {
    fn of(step: &StepRecord, state: &RunState, attempts: &Attempts) -> Self {
        Self {
            name: step.name.clone(),
            kind: step.kind,
            activity: attempts.activities.get(&step.scheduled).cloned(),
            after: match step.after() {
                Some(after) => after.to_vec(),
                None => ended_before(step, state),
            },
            compensation: step.compensation().map(|spec| spec.activity_type.clone()),
            state: step.state.clone(),
            attempts: attempts.made(step.scheduled),
            undo: step.undo,
            undo_attempts: attempts.made_to_undo(step.scheduled),
        }
    }
}

/// The steps that had ended when this one was scheduled.
fn ended_before(step: &StepRecord, state: &RunState) -> Vec<StepName> {
    let ended = |other: &&StepRecord| other.closed.is_some_and(|closed| closed < step.scheduled);
    state.steps().filter(ended).map(|other| other.name.clone()).collect()
}

impl ActivityView {
    fn of(activity: &PendingActivity, state: &RunState) -> Self {
        let scheduled = activity.attributes.undoes().unwrap_or(activity.scheduled);
        let step = state.steps().find(|step| step.scheduled == scheduled);
        Self {
            activity_id: activity.attributes.activity_id.clone(),
            activity_type: activity.attributes.activity_type.clone(),
            step: step.map(|step| step.name.clone()),
            is_compensation: activity.is_compensation(),
            attempt: activity.attempt,
            due: activity.due,
            last_failure: activity.last_failure.clone(),
            stuck: activity.stuck,
        }
    }
}
