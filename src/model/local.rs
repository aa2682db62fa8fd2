//! Activities that are run beside the workflow code, without a scheduling event. Lives here: what is asked for and what is
//! recorded. Must not live here: running them.

use super::{ActivityOptions, ActivityType, AttemptToken, EventId, Failure, Payload};

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
