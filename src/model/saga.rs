//! What makes an activity a step of a saga. Lives here: step kinds, the compensation registered with a step, and how a
//! saga as a whole is to be undone. Must not live here: deciding what to undo (that is `machine::saga`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ActivityOptions, ActivityType, ChoiceKind, StepName};

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

impl StepKind {
    /// The kind as one word, as definition files and commands write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            StepKind::Compensatable => "compensatable",
            StepKind::Pivot => "pivot",
            StepKind::Retriable => "retriable",
        }
    }
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
    /// What to do when nobody knows whether it had its effect.
    pub on_ambiguous: OnAmbiguous,
    /// What happens to an attempt that is running when the saga turns back.
    pub in_flight: InFlight,
}

impl StepSpec {
    /// Whether it is a pivot that nothing undoes.
    #[must_use]
    pub fn is_bare_pivot(&self) -> bool {
        self.kind == StepKind::Pivot && self.compensation.is_none()
    }
}

/// What to do when a step has ended without an answer: a timeout, a crash, attempts used up. A participant's final refusal
/// is an answer.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum OnAmbiguous {
    /// Take it for a failure and compensate the step, which may have had its effect.
    #[default]
    Compensate,
    /// Ask the participant, by this activity, which gets the step's [`Undo`](super::Undo) and returns a [`Verdict`].
    Verify(Box<CompensationSpec>),
    /// Ask a person.
    Ask,
}

/// What a verification found out: `{"applied": true, "output": ..}` or `{"applied": false}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict<O> {
    /// Whether the step had its effect.
    pub applied: bool,
    /// What the step would have returned; null when it is not known.
    #[serde(default)]
    pub output: Option<O>,
}

impl<O> Verdict<O> {
    /// The step had its effect, and would have returned this.
    #[must_use]
    pub fn applied(output: O) -> Self {
        Self {
            applied: true,
            output: Some(output),
        }
    }

    /// Nothing happened.
    #[must_use]
    pub fn not_applied() -> Self {
        Self {
            applied: false,
            output: None,
        }
    }
}

/// What happens to an attempt that is running when the saga turns back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InFlight {
    /// It is asked to stop and waited for, as long as its timeouts allow; then the step is compensated.
    #[default]
    Wait,
    /// It is not waited for: its late result is refused, and the step is compensated at once. For participants that check
    /// the attempt's number.
    Fence,
}

/// How a saga is undone, and what happens when a person is needed. Journaled with the start of the run.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SagaOptions {
    /// How long the unwinding as a whole may take until a person is called. `None`: no limit.
    pub unwind_timeout: Option<Duration>,
    /// How many compensations run at once at most. `None`: [`limits::UNWIND_PARALLEL_MAX`](super::limits).
    pub unwind_parallel: Option<u32>,
    /// Whom to tell when a person is needed.
    pub escalation: Option<Escalation>,
    /// What to do when no person decides.
    pub automatic: Option<AutomaticDecision>,
}

/// An activity that tells somebody that a saga is stuck, for example by an alert. It gets a [`StuckNotice`].
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    /// How long after the saga got stuck.
    pub after: Duration,
    /// Which activity.
    pub activity_type: ActivityType,
    /// Its timeouts and retry policy.
    pub options: ActivityOptions,
}

/// What an [`Escalation`] is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckNotice {
    /// The stuck run.
    pub workflow_id: String,
    /// Its execution.
    pub run_id: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// Its type.
    pub workflow_type: String,
    /// The step concerned, if it is about one.
    pub step: Option<String>,
    /// What it waits for.
    pub reason: String,
    /// The failure that led here.
    pub failure: String,
    /// The choices that are open, as `amends decide` takes them.
    pub choices: Vec<String>,
}

/// What is decided when no person has decided in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutomaticDecision {
    /// How long after the saga got stuck.
    pub after: Duration,
    /// What is decided, if it is open then. Choices that need data cannot be made automatically.
    pub choice: ChoiceKind,
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
    /// The step's own [`Undo`](super::Undo).
    Undo,
    /// The mapping that the saga's definition has for it, evaluated when the saga unwinds.
    Mapped,
}
