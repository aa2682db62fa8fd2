//! What went wrong in the user's domain. Lives here: `Failure`, its kinds, and questions one may ask it. Must not live
//! here: errors of ours (a full disk is never a `Failure` and never starts a compensation).

use std::fmt;
use std::time::Duration;

use super::{ActivityId, ActivityType, ChildWorkflowFailure, Payload, PayloadError, limits};

mod bounds;

/// A failure in the user's domain: journaled, may be retried, may start compensation.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What happened, for people.
    pub message: String,
    /// What kind of failure it is, for decisions.
    pub kind: FailureKind,
    /// What caused it.
    pub cause: Option<Box<Failure>>,
}

/// The kinds of failure; Temporal's failure info.
#[derive(Clone, Debug, PartialEq)]
pub enum FailureKind {
    /// User code said so.
    Application(Application),
    /// A time limit passed.
    Timeout {
        /// Which.
        kind: TimeoutKind,
        /// The last heartbeat's details of the attempt whose time it was.
        last_heartbeat: Option<Payload>,
    },
    /// Cancelled, as somebody requested.
    Canceled {
        /// What it says about how far it had come.
        details: Option<Payload>,
    },
    /// Terminated by an operator.
    Terminated,
    /// The process that ran the attempt died, or was stopped before the attempt ended.
    WorkerLost,
    /// An activity failed for good; the cause says why.
    Activity {
        /// The activity's id in its run.
        activity_id: ActivityId,
        /// The activity's type.
        activity_type: ActivityType,
        /// Why it was not retried (any more).
        retry_state: RetryState,
    },
    /// A child workflow could not be started, or ended without a result; the cause says why.
    ChildWorkflow(Box<ChildWorkflowFailure>),
}

/// Details of a failure that user code reported.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Application {
    /// The failure's type, for retry policies and handlers: `CardDeclined`.
    pub type_name: String,
    /// Never retry, whatever the policy says.
    pub non_retryable: bool,
    /// The participant is sure that nothing happened: this step itself needs no compensation.
    pub not_applied: bool,
    /// Retry after this long, whatever the policy's interval says.
    pub next_retry_delay: Option<Duration>,
    /// Data for whoever handles it: with that of all causes as much as a payload may have, more is left out.
    pub details: Option<Payload>,
}

/// The four activity timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutKind {
    /// From scheduled to the end of the last attempt.
    ScheduleToClose,
    /// From scheduled to the start of an attempt.
    ScheduleToStart,
    /// One attempt.
    StartToClose,
    /// Between two heartbeats of one attempt.
    Heartbeat,
}

/// Why an activity or a workflow was not retried (any more); Temporal's retry state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryState {
    /// The failure is not retryable, by its own word or by the policy's list.
    NonRetryable,
    /// Another attempt would end after the schedule-to-close (or run) timeout.
    Timeout,
    /// The policy's attempts are used up.
    MaximumAttemptsReached,
    /// Nobody set a retry policy.
    RetryPolicyNotSet,
    /// A cancel was requested, or the run is unwinding.
    CancelRequested,
}

/// The type name that is not a failure's.
const COMPLETED_LATER: &str = "amends.CompletedLater";

impl Failure {
    /// What a message ends with that was longer than [`limits::FAILURE_MESSAGE_BYTES_MAX`] bytes.
    pub const CUT: &'static str = " ... (cut)";

    /// A retryable application failure of the given type.
    #[must_use]
    pub fn new(type_name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            message: bounded(message.into()),
            kind: FailureKind::Application(Application {
                type_name: type_name.into(),
                ..Application::default()
            }),
            cause: None,
        }
    }

    /// An application failure that is never retried.
    #[must_use]
    pub fn non_retryable(type_name: impl Into<String>, message: impl Into<String>) -> Self {
        let mut failure = Self::new(type_name, message);
        if let FailureKind::Application(application) = &mut failure.kind {
            application.non_retryable = true;
        }
        failure
    }

    /// A failure that is never retried and of which the participant is sure that it had no effect, so that the step
    /// itself needs no compensation: a declined card, an item out of stock.
    #[must_use]
    pub fn not_applied(type_name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::non_retryable(type_name, message).without_effect()
    }

    /// The same failure, of which the participant is sure that the attempt had no effect.
    #[must_use]
    pub fn without_effect(mut self) -> Self {
        if let FailureKind::Application(application) = &mut self.kind {
            application.not_applied = true;
        }
        self
    }

    /// A timeout.
    #[must_use]
    pub fn timeout(kind: TimeoutKind) -> Self {
        Self {
            message: format!("{kind} timeout"),
            kind: FailureKind::Timeout {
                kind,
                last_heartbeat: None,
            },
            cause: None,
        }
    }

    /// A cancellation.
    #[must_use]
    pub fn canceled(message: impl Into<String>) -> Self {
        Self {
            message: bounded(message.into()),
            kind: FailureKind::Canceled { details: None },
            cause: None,
        }
    }

    /// Not a failure at all: what an activity returns whose attempt somebody else will complete.
    #[must_use]
    pub fn completed_later() -> Self {
        Self::non_retryable(COMPLETED_LATER, "somebody else will complete this attempt")
    }

    /// Whether this is what an activity returns whose attempt somebody else will complete.
    #[must_use]
    pub fn is_completed_later(&self) -> bool {
        self.type_name() == Some(COMPLETED_LATER)
    }

    /// The process that ran the attempt is gone.
    #[must_use]
    pub fn worker_lost() -> Self {
        Self {
            message: "the process that ran this attempt ended before the attempt did".to_owned(),
            kind: FailureKind::WorkerLost,
            cause: None,
        }
    }

    /// What a decider is told when an activity failed for good: which one, why it was not tried (again), and as the cause
    /// how its last attempt failed.
    #[must_use]
    pub fn of_activity(
        activity_id: ActivityId,
        activity_type: ActivityType,
        retry_state: RetryState,
        cause: Failure,
    ) -> Self {
        Self {
            message: format!("activity {activity_type} failed"),
            kind: FailureKind::Activity {
                activity_id,
                activity_type,
                retry_state,
            },
            cause: Some(Box::new(cause)),
        }
    }

    /// What a decider is told when a child workflow has no result: which one, and as the cause how it ended, or why it was
    /// not started.
    #[must_use]
    pub fn of_child_workflow(child: ChildWorkflowFailure, cause: Failure) -> Self {
        Self {
            message: format!(
                "child workflow {} ({:?}) failed",
                child.workflow_type, child.workflow_id
            ),
            kind: FailureKind::ChildWorkflow(Box::new(child)),
            cause: Some(Box::new(cause)),
        }
    }

    /// Which child workflow failed, when this failure or one of its causes is that of one.
    #[must_use]
    pub fn child_workflow(&self) -> Option<&ChildWorkflowFailure> {
        self.chain().find_map(|failure| match &failure.kind {
            FailureKind::ChildWorkflow(child) => Some(&**child),
            _ => None,
        })
    }

    /// The same failure, to be retried after `delay` instead of after the policy's interval.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        if let FailureKind::Application(application) = &mut self.kind {
            application.next_retry_delay = Some(delay);
        }
        self
    }

    /// The same failure with data for whoever handles it: an application's, or a cancellation's, whose details say how far what was
    /// stopped had come.
    #[must_use]
    pub fn with_details(mut self, details: Payload) -> Self {
        match &mut self.kind {
            FailureKind::Application(application) => application.details = Some(details),
            FailureKind::Canceled { details: place } => *place = Some(details),
            _ => {}
        }
        self
    }

    /// What a cancellation says about how far what was stopped had come, when this failure or one of its causes is one that says it.
    #[must_use]
    pub fn canceled_details(&self) -> Option<&Payload> {
        self.chain().find_map(|failure| match &failure.kind {
            FailureKind::Canceled { details } => details.as_ref(),
            _ => None,
        })
    }

    /// The same failure with a cause.
    #[must_use]
    pub fn caused_by(mut self, cause: Failure) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The innermost cause (the failure itself when it has none).
    #[must_use]
    pub fn root(&self) -> &Failure {
        let mut failure = self;
        while let Some(cause) = &failure.cause {
            failure = cause;
        }
        failure
    }

    /// Whether this failure or one of its causes is an application failure of this type.
    #[must_use]
    pub fn is_type(&self, type_name: &str) -> bool {
        self.chain().any(|failure| failure.type_name() == Some(type_name))
    }

    /// Whether this failure or one of its causes is a cancellation.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.chain()
            .any(|failure| matches!(failure.kind, FailureKind::Canceled { .. }))
    }

    /// The application failure's type, when it is one.
    #[must_use]
    pub fn type_name(&self) -> Option<&str> {
        match &self.kind {
            FailureKind::Application(application) => Some(&application.type_name),
            _ => None,
        }
    }

    /// Which time limit passed, when the failure itself is a timeout.
    #[must_use]
    pub fn timeout_kind(&self) -> Option<TimeoutKind> {
        match &self.kind {
            FailureKind::Timeout { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    /// How far the attempt had come, by its last heartbeat, when this failure or one of its causes is a timeout of it.
    #[must_use]
    pub fn last_heartbeat(&self) -> Option<&Payload> {
        self.chain().find_map(|failure| match &failure.kind {
            FailureKind::Timeout { last_heartbeat, .. } => last_heartbeat.as_ref(),
            _ => None,
        })
    }

    /// Whether the participant is sure that nothing happened.
    #[must_use]
    pub fn is_not_applied(&self) -> bool {
        matches!(&self.root().kind, FailureKind::Application(application) if application.not_applied)
    }

    /// This failure and its causes, outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &Failure> {
        std::iter::successors(Some(self), |failure| failure.cause.as_deref())
    }
}

/// Cuts a message at the limit, on a character boundary.
fn bounded(mut message: String) -> String {
    bounds::shorten(&mut message, limits::FAILURE_MESSAGE_BYTES_MAX);
    message
}

impl fmt::Display for Failure {
    /// One line, outermost first: `activity charge_card failed: CardDeclined: insufficient funds`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, failure) in self.chain().enumerate() {
            if depth > 0 {
                f.write_str(": ")?;
            }
            match failure.type_name() {
                Some(type_name) if !type_name.is_empty() => write!(f, "{type_name}: {}", failure.message)?,
                _ => f.write_str(&failure.message)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<PayloadError> for Failure {
    /// Not retryable: the same value will not fit the next time either.
    fn from(error: PayloadError) -> Self {
        Self::non_retryable("InvalidPayload", error.to_string())
    }
}

impl fmt::Display for TimeoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimeoutKind::ScheduleToClose => "schedule-to-close",
            TimeoutKind::ScheduleToStart => "schedule-to-start",
            TimeoutKind::StartToClose => "start-to-close",
            TimeoutKind::Heartbeat => "heartbeat",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_look_through_the_chain() {
        let declined = Failure::not_applied("CardDeclined", "insufficient funds");
        let failure = Failure::of_activity(
            ActivityId::from_trusted("charge"),
            ActivityType::from_trusted("charge_card"),
            RetryState::NonRetryable,
            declined,
        );
        assert!(failure.is_type("CardDeclined") && failure.is_not_applied() && !failure.is_canceled());
        assert_eq!(
            failure.to_string(),
            "activity charge_card failed: CardDeclined: insufficient funds"
        );
    }

    #[test]
    fn failures_are_small_enough_to_be_returned_by_value() {
        // From 128 bytes on clippy warns about every function of the users' that returns one.
        assert!(size_of::<Failure>() < 128, "{} bytes", size_of::<Failure>());
    }

    #[test]
    fn long_messages_are_cut_on_a_character() {
        let failure = Failure::new("T", "é".repeat(limits::FAILURE_MESSAGE_BYTES_MAX));
        assert!(failure.message.len() < limits::FAILURE_MESSAGE_BYTES_MAX + 20);
    }
}
