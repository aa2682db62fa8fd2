//! Activities that are run beside the workflow code, without a scheduling event. Lives here: what is asked for and what is
//! recorded. Must not live here: running them.

use super::{
    ActivityId, ActivityOptions, ActivityType, AttemptToken, EventId, Failure, FailureKind, Payload, RetryState,
};

/// A local activity that the code waits for. The journal knows that it is running, the code what it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalActivity {
    /// Which of the run's local activities it is: 1 for the first that the code asked for.
    pub seq: u32,
    /// Which activity.
    pub activity_type: ActivityType,
    /// Its input.
    pub input: Payload,
    /// Timeouts and retry policy.
    pub options: ActivityOptions,
}

/// Attributes of the event that records how a local activity ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalActivityEnded {
    /// Which of the run's local activities.
    pub seq: u32,
    /// Which activity.
    pub activity_type: ActivityType,
    /// With what.
    pub outcome: Result<Payload, Failure>,
}

impl LocalActivityEnded {
    /// The id of a run's local activity of this number.
    #[must_use]
    pub fn activity_id(seq: u32) -> ActivityId {
        ActivityId::from_trusted(format!("local-{seq}"))
    }

    /// A failure as it is recorded: with why it was not tried (again). A cancellation says that itself, and Temporal's SDKs
    /// look for it in this place.
    #[must_use]
    pub fn recorded(seq: u32, activity_type: ActivityType, retry_state: RetryState, cause: Failure) -> Failure {
        match cause.kind {
            FailureKind::Canceled { .. } => cause,
            _ => Failure::of_activity(Self::activity_id(seq), activity_type, retry_state, cause),
        }
    }

    /// A recorded failure as the code hears of it. One that does not say why it was not tried again is final, or a
    /// cancellation: Temporal's SDKs write no more, and a result that was too large has no try behind it that failed.
    #[must_use]
    pub fn heard(seq: u32, activity_type: &ActivityType, recorded: Failure) -> Failure {
        let id = Self::activity_id(seq);
        match &recorded.kind {
            FailureKind::Activity {
                activity_id,
                activity_type: of_type,
                ..
            } if *activity_id == id && of_type == activity_type => recorded,
            _ => {
                let retry_state = match recorded.is_canceled() {
                    true => RetryState::CancelRequested,
                    false => RetryState::NonRetryable,
                };
                Failure::of_activity(id, activity_type.clone(), retry_state, recorded)
            }
        }
    }
}

/// No event has this id: what it names has none.
const NO_EVENT: EventId = EventId(0);

impl AttemptToken {
    /// Names a local activity of a run; all of its tries together count as one attempt.
    #[must_use]
    pub fn of_local(seq: u32) -> Self {
        Self {
            scheduled: NO_EVENT,
            attempt: seq,
        }
    }

    /// The local activity that it names, if it names one.
    #[must_use]
    pub fn local(self) -> Option<u32> {
        (self.scheduled == NO_EVENT).then_some(self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_heard_and_what_says_less_is_final_or_a_cancellation() {
        let lookup = ActivityType::from_trusted("lookup");
        let busy = || Failure::new("Busy", "");
        let of = |seq, state, cause| {
            Failure::of_activity(LocalActivityEnded::activity_id(seq), lookup.clone(), state, cause)
        };
        let recorded = |state, cause| LocalActivityEnded::recorded(2, lookup.clone(), state, cause);
        let other = of(1, RetryState::Timeout, busy());
        for (is, expected) in [
            (
                recorded(RetryState::Timeout, busy()),
                of(2, RetryState::Timeout, busy()),
            ),
            (busy(), of(2, RetryState::NonRetryable, busy())),
            (
                recorded(RetryState::CancelRequested, Failure::canceled("")),
                of(2, RetryState::CancelRequested, Failure::canceled("")),
            ),
            // What another one failed with, as the activity hands it on.
            (other.clone(), of(2, RetryState::NonRetryable, other)),
        ] {
            assert_eq!(LocalActivityEnded::heard(2, &lookup, is.clone()), expected, "{is:?}");
        }
    }
}
