//! Runs as pictures: a saga that was written in code, drawn after the fact like a definition. Must not live here: the
//! formats, or which arrows there are (both are `definition`'s).

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::{Drawing, DrawnState, DrawnStep, DrawnUndo, DrawnWhat, SAGA_ACTIVITY};
use crate::machine::{StepState, UndoState};
use crate::model::{ActivityType, RunStatus};

use super::{CourseState, RunDescription, StepView};

impl RunDescription {
    /// The steps that the run has scheduled so far, as a graph that shows how each of them stands.
    #[must_use]
    pub fn drawing(&self) -> Drawing {
        let indices = self.steps.iter().enumerate();
        let indices: BTreeMap<&str, usize> = indices.map(|(index, step)| (step.name.as_str(), index)).collect();
        let all: Vec<BTreeSet<usize>> = self
            .steps
            .iter()
            .map(|step| {
                step.after
                    .iter()
                    .filter_map(|name| indices.get(name.as_str()).copied())
                    .collect()
            })
            .collect();
        let steps = self
            .steps
            .iter()
            .zip(&all)
            .map(|(step, after)| self.drawn(step, nearest(after, &all)));
        Drawing {
            locks: Vec::new(),
            title: format!("{} {} ({})", self.workflow_type, self.workflow_id, self.status),
            steps: steps.collect(),
            completes: self.status == RunStatus::Completed,
            amends: self.status == RunStatus::Amended,
        }
    }

    fn drawn(&self, step: &StepView, after: Vec<usize>) -> DrawnStep {
        let undo_is_stuck = step
            .undoing
            .as_ref()
            .is_some_and(|undoing| undoing.state == CourseState::Stuck);
        DrawnStep {
            name: step.name.to_string(),
            kind: step.kind,
            what: match (&step.activity_type, &step.state) {
                (_, StepState::Skipped) => DrawnWhat::Perhaps,
                (Some(activity), _) if activity.as_str() == SAGA_ACTIVITY => DrawnWhat::Child,
                (Some(_), _) => DrawnWhat::Activity,
                (None, _) => DrawnWhat::Wait,
            },
            notes: step.activity_type.iter().map(ActivityType::to_string).collect(),
            after,
            undo: step.compensation.as_ref().map(|activity| DrawnUndo {
                notes: vec![activity.to_string()],
                state: match step.undo {
                    UndoState::NotOwed | UndoState::Owed => None,
                    UndoState::Running(_) if undo_is_stuck => Some(DrawnState::Stuck),
                    UndoState::Running(_) => Some(DrawnState::Running),
                    UndoState::Done => Some(DrawnState::Undone),
                    UndoState::Skipped => Some(DrawnState::Skipped),
                    UndoState::Stuck => Some(DrawnState::Stuck),
                },
            }),
            state: Some(match (&step.state, step.undo) {
                (StepState::Pending, _) if step.stuck => DrawnState::Stuck,
                (StepState::Pending, _) => DrawnState::Running,
                (StepState::Skipped, _) => DrawnState::Skipped,
                (StepState::Completed { .. }, UndoState::Done) => DrawnState::Undone,
                (StepState::Completed { .. }, _) => DrawnState::Completed,
                (StepState::Failed { .. }, _) => DrawnState::Failed,
            }),
        }
    }
}

/// Those of the steps that no other one of them comes after: code says only that all of them had ended.
fn nearest(after: &BTreeSet<usize>, all: &[BTreeSet<usize>]) -> Vec<usize> {
    let earlier: BTreeSet<usize> = after
        .iter()
        .filter_map(|step| all.get(*step))
        .flatten()
        .copied()
        .collect();
    after.difference(&earlier).copied().collect()
}
