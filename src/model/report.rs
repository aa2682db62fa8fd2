//! What is said of an activity's attempt by somebody who is not the attempt's own task: its heartbeats, and what somebody
//! else completes it with. Must not live here: what becomes of it (that is `machine`).

use super::{ActivityId, AttemptToken, Failure, Payload};

/// One thing said of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptReport {
    /// Of which attempt.
    pub of: ReportedAttempt,
    /// What.
    pub what: Reported,
}

/// Which attempt a report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportedAttempt {
    /// This one, and no other: a report about an earlier attempt is refused.
    Token(AttemptToken),
    /// Whichever is the current one of the activity with this id.
    Activity(ActivityId),
}

/// What is reported.
#[derive(Clone, Debug, PartialEq)]
pub enum Reported {
    /// It has succeeded.
    Completed(Payload),
    /// It has failed; the retry policy decides whether there is another attempt.
    Failed(Failure),
    /// It is alive, and has come this far.
    Heartbeat(Payload),
}
