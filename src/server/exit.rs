//! How a command ends: its exit code, and why it refused. The codes are a contract with scripts. Must not live here:
//! printing.

use std::process::ExitCode;

use crate::engine::{Error, ErrorCode, QueryError, Rejection};
use crate::model::RunStatus;

/// A command's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Completed, or done.
    Done,
    /// The run made amends.
    Amended,
    /// Bad usage or a bad definition: the same command will not work a second time.
    Usage,
    /// The run waits for a person.
    Stuck,
    /// Failed otherwise.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Amended => 1,
            Exit::Usage => 2,
            Exit::Stuck => 3,
            Exit::Failed => 4,
        })
    }
}

impl Exit {
    /// The code for a run that stands like this.
    pub(crate) fn of(status: RunStatus) -> Self {
        match status {
            RunStatus::Completed => Exit::Done,
            RunStatus::Amended => Exit::Amended,
            RunStatus::Stuck | RunStatus::Parked | RunStatus::Paused => Exit::Stuck,
            RunStatus::Running
            | RunStatus::Unwinding
            | RunStatus::Failed
            | RunStatus::Canceled
            | RunStatus::Terminated
            | RunStatus::TimedOut
            | RunStatus::ContinuedAsNew => Exit::Failed,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) exit: Exit,
    /// The engine's code for it, when it comes from there.
    pub(crate) code: Option<ErrorCode>,
    /// What is wrong. A definition's problems, one a line, come before the last line.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Refusal {
    /// A mistake in how the command was called.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            code: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Something else that went wrong.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            ..Self::usage(message)
        }
    }

    /// The same with advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Error> for Refusal {
    /// What the caller can only mend by calling differently is bad usage; the rest may work another time.
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Id(_)
            | Error::Payload(_)
            | Error::Registry(_)
            | Error::Definition(_)
            | Error::File { .. }
            | Error::UnknownWorkflow { .. }
            | Error::AlreadyStarted { .. }
            | Error::Unexplained { .. }
            | Error::SearchAttribute(_)
            | Error::RunQuery(_)
            | Error::PageToken
            | Error::Input(_)
            | Error::Rejected(Rejection::ResetRefused(_))
            | Error::Config(_)
            | Error::Cron(_)
            | Error::DelayedSchedule
            | Error::Schedule(_)
            | Error::ScheduleInput { .. }
            | Error::Query(QueryError::Unknown { .. })
            | Error::Rejected(
                Rejection::StepNotStuck { .. } | Rejection::WhichStep { .. } | Rejection::ChoiceNotOpen { .. },
            )
            | Error::NotFound(_)
            | Error::RunNotFound(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        let message = match &error {
            Error::Definition(files) => {
                let errors: usize = files.iter().map(|file| file.errors()).sum();
                let noun = if errors == 1 { "error" } else { "errors" };
                format!("{error}\nthe definition has {errors} {noun}")
            }
            error => error.to_string(),
        };
        Self {
            exit,
            code: Some(error.code()),
            message,
            hint: None,
        }
    }
}
