//! A person lets a run stand still, and go on. Must not live here: who may do so, or the setting aside of runs whose code cannot
//! go on (that is parking).
//!
//! ```text
//! running --pause--> paused: what arrives is recorded; attempts in flight may end
//!                    no turn of the code, no new attempt, no timer, no compensation, no decision by itself
//! paused --unpause--> what has become due is due now
//! ```

use std::fmt;

use crate::model::{EventAttributes, EventId, Timestamp};

use super::decider::Decider;
use super::pending::PendingActivity;
use super::state::RunState;
use super::turn::{Rejection, Reply, TurnBuilder};

/// Since when a run stands still, and by whose word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// The turn in which it was wanted.
    pub(super) turn: u64,
    /// Why.
    pub reason: String,
    /// Who wanted it.
    pub identity: String,
}

impl fmt::Display for Pause {
    /// `paused since 2026-01-31T12:00:00.000000Z by ada: the bank is down`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "paused since {} by {}", self.since, self.identity)?;
        match self.reason.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.reason),
        }
    }
}

impl TurnBuilder<'_> {
    pub(super) fn pause(&mut self, reason: String, identity: String) -> Result<Reply, Rejection> {
        if self.state.paused.is_some() {
            return Ok(Reply::Duplicate);
        }
        self.check_room()?;
        self.emit(EventAttributes::WorkflowExecutionPaused { reason, identity });
        Ok(Reply::Accepted)
    }

    pub(super) fn unpause(&mut self, reason: String, identity: String, decider: &dyn Decider) -> Reply {
        if self.state.paused.is_none() {
            return Reply::Duplicate;
        }
        self.emit(EventAttributes::WorkflowExecutionUnpaused { reason, identity });
        if self.state.cancel_requested.is_some() && self.state.begins_at().is_some() {
            self.end_before_it_began();
        }
        // What arrived meanwhile came in time, however late it is by now.
        self.serve_waits();
        self.wake(decider);
        Reply::Accepted
    }

    /// Whether the activity's attempt came about, or was let go, in this very turn: nobody has it yet.
    pub(super) fn is_let_go_now(&self, scheduled: EventId) -> bool {
        let activity = self.state.activities.get(&scheduled);
        activity.is_some_and(|activity| activity.since_turn > self.state.turns)
    }
}

impl RunState {
    /// Since when the run stands still, if somebody wanted it to.
    #[must_use]
    pub fn paused(&self) -> Option<&Pause> {
        self.paused.as_deref()
    }

    /// Whether an attempt that nobody has begun is not begun either as long as the run is paused: it was due later, or came
    /// about or was let go since. That is asked of turns, because the changes of a turn are folded before its events.
    pub(super) fn is_kept_back(&self, activity: &PendingActivity) -> bool {
        let kept_back = |pause: &Pause| activity.since_turn >= pause.turn || activity.due > pause.since;
        self.paused.as_deref().is_some_and(kept_back)
    }

    /// What was kept back is let go.
    pub(super) fn end_pause(&mut self) {
        let kept_back = self.activities.values().filter(|activity| self.is_kept_back(activity));
        let kept_back: Vec<EventId> = kept_back.map(|activity| activity.scheduled).collect();
        self.paused = None;
        for scheduled in kept_back {
            if let Some(activity) = self.activities.get_mut(&scheduled) {
                activity.since_turn = self.turns + 1;
            }
        }
    }
}
