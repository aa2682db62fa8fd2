//! What can go wrong when a mapping is evaluated. Must not live here: problems of a definition's text.

use std::fmt;

use crate::model::{PayloadError, StepName};

/// A mapping of a definition could not be evaluated for a run: its data is not what the definition expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct EvaluateError {
    /// The step whose mapping it is; `None` for the saga's output.
    pub step: Option<StepName>,
    /// Which of its mappings: `input`, `compensation`, `output`.
    pub field: &'static str,
    /// The expression at fault, as it was written, without its `${ }`. `None`: no expression is involved.
    pub expression: Option<String>,
    /// What went wrong.
    pub kind: EvaluateErrorKind,
}

/// The ways in which an evaluation fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateErrorKind {
    /// The definition has no such step, or the step has no compensation.
    #[error("there is no such step or compensation in the definition")]
    NoSuchStep,
    /// The run does not have the value (yet).
    #[error("`{0}` does not exist in this run (yet)")]
    NoValue(String),
    /// A payload is not JSON.
    #[error("`{what}` cannot be read: {message}")]
    Payload {
        /// Which value it is.
        what: String,
        /// Why it cannot be read.
        message: String,
    },
    /// The expression does not work with this run's data.
    #[error("{0}")]
    Expression(String),
    /// The result cannot be used where it is needed.
    #[error("{0}")]
    Result(String),
    /// The result is larger than a payload may be.
    #[error("{0}")]
    TooLarge(String),
}

impl fmt::Display for EvaluateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "step `{step}`, {}: ", self.field)?,
            None => write!(f, "{}: ", self.field)?,
        }
        if let Some(expression) = &self.expression {
            write!(f, "`${{{expression}}}`: ")?;
        }
        write!(f, "{}", self.kind)
    }
}

/// An [`EvaluateError`] before it is known where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::definition) struct Fault {
    pub(in crate::definition) expression: Option<String>,
    pub(in crate::definition) kind: EvaluateErrorKind,
}

impl Fault {
    /// The error of this step (or of the saga) and this mapping of it.
    pub(in crate::definition) fn of(self, step: Option<&StepName>, field: &'static str) -> EvaluateError {
        EvaluateError {
            step: step.cloned(),
            field,
            expression: self.expression,
            kind: self.kind,
        }
    }

    /// A result that cannot be used.
    pub(in crate::definition) fn result(message: impl Into<String>) -> Self {
        EvaluateErrorKind::Result(message.into()).into()
    }

    /// The fault of this expression.
    pub(super) fn in_expression(mut self, source: &str) -> Self {
        self.expression = Some(source.to_owned());
        self
    }
}

impl From<EvaluateErrorKind> for Fault {
    fn from(kind: EvaluateErrorKind) -> Self {
        Self { expression: None, kind }
    }
}

impl From<PayloadError> for Fault {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::TooLarge { .. } => EvaluateErrorKind::TooLarge(error.to_string()),
            other => EvaluateErrorKind::Result(other.to_string()),
        }
        .into()
    }
}
