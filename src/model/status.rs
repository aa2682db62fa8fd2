//! How a run stands and how it ended. Lives here: status, outcome and the reasons for waiting. Must not live here: how
//! they come about.

use std::fmt;

use super::{Failure, Payload, RunId};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunStatus {
    /// Going forward.
    Running,
    /// Compensating what may have had an effect.
    Unwinding,
    /// Waiting for a person's decision.
    Stuck,
    /// Set aside because its code cannot go on (nondeterminism, a panic, an unknown workflow type); tried again when the
    /// engine starts with other code.
    Parked,
    /// Ended with a result.
    Completed,
    /// Ended without a result, and everything that may have had an effect was compensated.
    Amended,
    /// Ended with a failure; it had no saga steps.
    Failed,
    /// Ended as cancelled; it had no saga steps.
    Canceled,
    /// Ended by an operator; nothing was undone.
    Terminated,
    /// Ended because its time was up; it had no saga steps.
    TimedOut,
    /// Ended, and its code had another run follow.
    ContinuedAsNew,
}

impl RunStatus {
    /// Whether the run has ended.
    #[must_use]
    pub fn is_closed(self) -> bool {
        use RunStatus as S;
        !matches!(self, S::Running | S::Unwinding | S::Stuck | S::Parked)
    }

    /// The status as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Unwinding => "unwinding",
            RunStatus::Stuck => "stuck",
            RunStatus::Parked => "parked",
            RunStatus::Completed => "completed",
            RunStatus::Amended => "amended",
            RunStatus::Failed => "failed",
            RunStatus::Canceled => "canceled",
            RunStatus::Terminated => "terminated",
            RunStatus::TimedOut => "timed-out",
            RunStatus::ContinuedAsNew => "continued-as-new",
        }
    }

    /// The status with this name, however its words are put together: `timed-out`, `TimedOut`.
    #[must_use]
    pub fn named(name: &str) -> Option<RunStatus> {
        let letters = |name: &str| -> String {
            let letters = name.chars().filter(|letter| letter.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect()
        };
        let wanted = letters(name);
        RunStatus::ALL
            .into_iter()
            .find(|status| letters(status.as_str()) == wanted)
    }

    /// Every status, open ones first.
    pub const ALL: [RunStatus; 11] = [
        RunStatus::Running,
        RunStatus::Unwinding,
        RunStatus::Stuck,
        RunStatus::Parked,
        RunStatus::Completed,
        RunStatus::Amended,
        RunStatus::Failed,
        RunStatus::Canceled,
        RunStatus::Terminated,
        RunStatus::TimedOut,
        RunStatus::ContinuedAsNew,
    ];
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With a result.
    Completed(Payload),
    /// Everything that may have had an effect was compensated; the failure (a cancellation or a timeout, perhaps) that
    /// led to it.
    Amended(Failure),
    /// With a failure; there were no saga steps.
    Failed(Failure),
    /// As cancelled; there were no saga steps.
    Canceled(Failure),
    /// By an operator, nothing undone.
    Terminated {
        /// The operator's reason.
        reason: String,
    },
    /// Its time was up; there were no saga steps.
    TimedOut,
    /// Another run followed, because its code asked for that.
    ContinuedAsNew {
        /// That run.
        new_run_id: RunId,
    },
}

impl Outcome {
    /// The status that goes with it.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match self {
            Outcome::Completed(_) => RunStatus::Completed,
            Outcome::Amended(_) => RunStatus::Amended,
            Outcome::Failed(_) => RunStatus::Failed,
            Outcome::Canceled(_) => RunStatus::Canceled,
            Outcome::Terminated { .. } => RunStatus::Terminated,
            Outcome::TimedOut => RunStatus::TimedOut,
            Outcome::ContinuedAsNew { .. } => RunStatus::ContinuedAsNew,
        }
    }
}

/// Why a saga waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StuckReason {
    /// A compensation failed for good.
    CompensationFailed,
    /// The input of a compensation could not be made.
    CompensationInput,
    /// A retriable step failed for good, after the pivot.
    RetriableFailed,
    /// Something else failed after the pivot, when going back is not possible any more.
    FailedAfterPivot,
    /// Nobody knows whether a step had its effect, and its policy is to ask.
    Ambiguous,
    /// The unwinding as a whole took too long.
    UnwindTimeout,
}

impl fmt::Display for StuckReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StuckReason::CompensationFailed => "a compensation failed for good",
            StuckReason::CompensationInput => "the input of a compensation could not be made",
            StuckReason::RetriableFailed => "a retriable step failed for good",
            StuckReason::FailedAfterPivot => "a failure after the pivot: the saga cannot go back",
            StuckReason::Ambiguous => "nobody knows whether the step had its effect",
            StuckReason::UnwindTimeout => "undoing takes longer than the saga's limit for it",
        })
    }
}

/// Why a run was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParkReason {
    /// The code decides differently from what its history says.
    Nondeterminism {
        /// Where: the id of the first event that does not fit.
        at: u64,
        /// What the code asked for now.
        expected: String,
        /// What the history recorded.
        recorded: String,
    },
    /// The code panicked, several times in a row.
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The code awaits something that is not amends' own (`tokio::time::sleep`, a channel, a socket): after a crash
    /// nobody would wake it.
    ForeignFuture,
    /// No workflow of this type is registered.
    UnknownWorkflow {
        /// The type that is missing.
        workflow_type: String,
    },
    /// The code gave a command that makes no sense (a duplicate id, too many pending activities).
    BadCommand {
        /// What is wrong with it.
        message: String,
    },
}

impl ParkReason {
    /// The reason's kind as one word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            ParkReason::Nondeterminism { .. } => "nondeterminism",
            ParkReason::Panicked { .. } => "panicked",
            ParkReason::ForeignFuture => "foreign-future",
            ParkReason::UnknownWorkflow { .. } => "unknown-workflow",
            ParkReason::BadCommand { .. } => "bad-command",
        }
    }
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParkReason::Nondeterminism { at, expected, recorded } => write!(
                f,
                "nondeterminism at event {at}: the code now asks for {expected}, but the history has {recorded}"
            ),
            ParkReason::Panicked { message } => write!(f, "the workflow code panicked: {message}"),
            ParkReason::ForeignFuture => f.write_str(
                "the workflow code awaits a future that is not amends' own; use the workflow context's timers, signals \
                 and activities instead",
            ),
            ParkReason::UnknownWorkflow { workflow_type } => {
                write!(f, "no workflow of type {workflow_type:?} is registered")
            }
            ParkReason::BadCommand { message } => write!(f, "the workflow code gave a bad command: {message}"),
        }
    }
}
