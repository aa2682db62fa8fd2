//! How a run stands, for people and scripts. Must not live here: rendering.

use crate::machine::{PendingActivity, RunState, StepRecord, StepState, UndoState};
use crate::model::{
    ActivityId, ActivityType, DefinitionDigest, Failure, Outcome, ParkReason, Payload, RunId, RunStatus, StepKind,
    StepName, Timestamp, WorkflowId, WorkflowType,
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
    /// Its input.
    pub input: Payload,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Why it was set aside, if it was.
    pub parked: Option<ParkReason>,
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
    /// How it went.
    pub state: StepState,
    /// How its undoing goes.
    pub undo: UndoState,
}

/// An activity that has not ended.
#[derive(Clone, Debug)]
pub struct ActivityView {
    /// Its name in the run.
    pub activity_id: ActivityId,
    /// Which activity.
    pub activity_type: ActivityType,
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
    /// The description of a folded history. Of an empty one, all fields are empty.
    pub(super) fn of(state: &RunState) -> Self {
        let started = state.started();
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
            input: started.map(|started| started.input.clone()).unwrap_or_default(),
            outcome: state.outcome().cloned(),
            parked: state.parked().cloned(),
            steps: state.steps().map(StepView::of).collect(),
            pending: state.activities().map(ActivityView::of).collect(),
        }
    }
}

impl StepView {
    fn of(step: &StepRecord) -> Self {
        Self {
            name: step.name.clone(),
            kind: step.kind,
            state: step.state.clone(),
            undo: step.undo,
        }
    }
}

impl ActivityView {
    fn of(activity: &PendingActivity) -> Self {
        Self {
            activity_id: activity.attributes.activity_id.clone(),
            activity_type: activity.attributes.activity_type.clone(),
            is_compensation: activity.is_compensation(),
            attempt: activity.attempt,
            due: activity.due,
            last_failure: activity.last_failure.clone(),
            stuck: activity.stuck,
        }
    }
}
