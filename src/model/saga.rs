//! What makes an activity a step of a saga. Lives here: step kinds and the compensation registered with a step. Must not
//! live here: deciding what to undo (that is `machine::saga`).

use serde::{Deserialize, Serialize};

use super::{ActivityOptions, ActivityType, Failure, StepName};

/// What a step means for the saga's course (Garcia-Molina and Salem's sagas, with Richardson's step kinds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// Can be undone until the saga ends (or its pivot succeeds).
    #[default]
    Compensatable,
    /// The go/no-go step: once it has succeeded, the saga only goes forward.
    Pivot,
    /// After the pivot: retried until it succeeds.
    Retriable,
}

/// The saga's part of a scheduled activity. Journaled with the scheduling, so that the compensation is owed before the
/// step may have had any effect.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSpec {
    /// The step's name, unique in its run.
    pub name: StepName,
    /// What the step means for the saga's course.
    pub kind: StepKind,
    /// The steps it depends on. `None`: every step that had ended when this one was scheduled.
    pub after: Option<Vec<StepName>>,
    /// How to undo it. `None`: nothing to undo.
    pub compensation: Option<CompensationSpec>,
}

/// The activity that semantically undoes a step.
#[derive(Clone, Debug, PartialEq)]
pub struct CompensationSpec {
    /// Which activity.
    pub activity_type: ActivityType,
    /// Where its input comes from.
    pub input: CompensationInput,
    /// Its own timeouts and retry policy.
    pub options: ActivityOptions,
}

/// Where the input of a compensation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompensationInput {
    /// The step's own [`Undo`].
    Undo,
    /// The mapping that the saga's definition has for it, evaluated when the saga unwinds.
    Mapped,
}

/// The input of a compensation written in Rust: everything known about the step that it undoes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo<I, O> {
    /// The step's input.
    pub input: I,
    /// What the step returned: `None` when it never answered, although it may have had its effect.
    pub output: Option<O>,
    /// How the step failed, as text: `None` when it succeeded.
    pub failure: Option<String>,
}

impl<I, O> Undo<I, O> {
    /// The undo's failure text from a typed failure.
    #[must_use]
    pub fn new(input: I, output: Option<O>, failure: Option<&Failure>) -> Self {
        Self {
            input,
            output,
            failure: failure.map(Failure::to_string),
        }
    }
}
