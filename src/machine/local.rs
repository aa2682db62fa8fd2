//! Local activities: run beside the workflow code, recorded when they have ended. Must not live here: running them.
//!
//! ```text
//! asked for -> (pending record) begun -> ended               => LocalActivityEnded
//!                                     -> not wanted any more => (pending record) forgotten
//!                                     -> the engine died     => run again
//! ```

use crate::model::{ActivityType, AttemptOutcome, AttemptToken, EventAttributes, LocalActivityEnded, PendingChange};

use super::state::{Phase, RunState};
use super::turn::{Rejection, Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn begin_local(&mut self, seq: u32, activity_type: ActivityType) {
        self.change(PendingChange::LocalBegun { seq, activity_type });
    }

    pub(super) fn forget_local(&mut self, seq: u32) {
        if self.state.locals.contains_key(&seq) {
            self.change(PendingChange::LocalForgotten { seq });
        }
    }

    pub(super) fn local_ended(&mut self, seq: u32, outcome: AttemptOutcome) -> Result<Reply, Rejection> {
        let wanted = self.state.wants_local(seq);
        let activity_type = self.state.locals.get(&seq).filter(|_| wanted).cloned();
        let activity_type = activity_type.ok_or(Rejection::StaleAttempt)?;
        let ended = LocalActivityEnded {
            seq,
            activity_type,
            outcome: self.state.within_limits(outcome),
        };
        self.emit(EventAttributes::LocalActivityEnded(Box::new(ended)));
        Ok(Reply::Accepted)
    }
}

impl RunState {
    /// Whether this local activity should be running: the code waits for it, and still has a say.
    pub(super) fn wants_local(&self, seq: u32) -> bool {
        self.phase == Phase::Running && self.locals.contains_key(&seq)
    }

    /// Effect: the local activities that should be running. What they are given, their decider knows.
    pub fn local_activities(&self) -> impl Iterator<Item = AttemptToken> {
        let running = self.phase == Phase::Running;
        let wanted = self.locals.keys().filter(move |_| running);
        wanted.map(|seq| AttemptToken::of_local(*seq))
    }
}
