//! What a person decides about a saga that is stuck. Lives here: the choices, and a decision as data. Must not live here:
//! which choices are open when, or what they bring about (that is `machine::desk`).

use std::fmt;

use super::{EventId, Payload, RequestId, StepName};

/// One way on from a stuck saga.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Try again what failed, with a fresh retry policy.
    Retry,
    /// Try again what failed, with another input.
    RetryWith {
        /// The input from now on.
        input: Payload,
    },
    /// Leave it as it is and go on: a compensation is not made, a step counts as not having happened.
    Skip,
    /// A person has done it by hand: go on as if it had succeeded.
    MarkDone {
        /// What it would have returned.
        output: Payload,
    },
    /// Go on forward as if it had succeeded, without a result.
    GoForward,
    /// Turn back: undo what may have had an effect.
    GoBack,
    /// End the run as it is; nothing more is done or undone.
    Abandon,
}

/// A choice without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChoiceKind {
    /// See [`Choice::Retry`].
    Retry,
    /// See [`Choice::RetryWith`].
    RetryWith,
    /// See [`Choice::Skip`].
    Skip,
    /// See [`Choice::MarkDone`].
    MarkDone,
    /// See [`Choice::GoForward`].
    GoForward,
    /// See [`Choice::GoBack`].
    GoBack,
    /// See [`Choice::Abandon`].
    Abandon,
}

/// A person's (or a policy's) decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decide {
    /// The stuck step it is about; `None` when only one thing is stuck.
    pub step: Option<StepName>,
    /// What is to be done.
    pub choice: Choice,
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Makes the decision repeatable: a second one with the same request id changes nothing.
    pub request_id: Option<RequestId>,
}

/// A decision as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaDecided {
    /// The scheduling event of the forward step concerned; `None`: the saga as a whole.
    pub step: Option<EventId>,
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

impl Choice {
    /// The choice without its data.
    #[must_use]
    pub fn kind(&self) -> ChoiceKind {
        match self {
            Choice::Retry => ChoiceKind::Retry,
            Choice::RetryWith { .. } => ChoiceKind::RetryWith,
            Choice::Skip => ChoiceKind::Skip,
            Choice::MarkDone { .. } => ChoiceKind::MarkDone,
            Choice::GoForward => ChoiceKind::GoForward,
            Choice::GoBack => ChoiceKind::GoBack,
            Choice::Abandon => ChoiceKind::Abandon,
        }
    }
}

impl ChoiceKind {
    /// Every choice.
    pub const ALL: [ChoiceKind; 7] = [
        ChoiceKind::Retry,
        ChoiceKind::RetryWith,
        ChoiceKind::Skip,
        ChoiceKind::MarkDone,
        ChoiceKind::GoForward,
        ChoiceKind::GoBack,
        ChoiceKind::Abandon,
    ];

    /// The choice as one word, as commands and definition files write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ChoiceKind::Retry => "retry",
            ChoiceKind::RetryWith => "retry-with",
            ChoiceKind::Skip => "skip",
            ChoiceKind::MarkDone => "mark-done",
            ChoiceKind::GoForward => "go-forward",
            ChoiceKind::GoBack => "go-back",
            ChoiceKind::Abandon => "abandon",
        }
    }

    /// The choice that this word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for ChoiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_has_a_word_of_its_own() {
        for kind in ChoiceKind::ALL {
            assert_eq!(ChoiceKind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(ChoiceKind::from_word("undo"), None);
    }
}
