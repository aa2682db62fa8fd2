//! Attempts that breakers keep back: a breaker is told of each once its run knows, durably, and again when that is over. Must not
//! live here: when a breaker lets them go (`throttle`), what a run makes of it (`machine`).

use std::collections::BTreeMap;

use crate::machine::{PendingActivity, RunState};
use crate::model::{ActivityType, AttemptToken, HoldReason};

use super::super::throttle::Parked;
use super::RunActor;

/// Those of one run, and whether it has told their breakers. Made from the state, as a run may leave memory while its attempts
/// are parked.
pub(super) struct AtBreakers(BTreeMap<AttemptToken, AtBreaker>);

struct AtBreaker {
    activity_type: ActivityType,
    told: bool,
}

impl AtBreakers {
    pub(super) fn of(state: &RunState) -> Self {
        let parked = state.activities().filter(|activity| is_parked(activity));
        Self(parked.map(entry).collect())
    }
}

fn is_parked(activity: &PendingActivity) -> bool {
    activity.held == Some(HoldReason::Breaker)
}

fn entry(activity: &PendingActivity) -> (AttemptToken, AtBreaker) {
    let activity_type = activity.attributes.activity_type.clone();
    let told = false;
    (activity.token(), AtBreaker { activity_type, told })
}

impl RunActor {
    /// The turn that is decided now says that these attempts are parked.
    pub(super) fn expect_parked(&mut self, attempts: &[AttemptToken]) {
        let activities = attempts.iter().filter_map(|token| self.state.activity(token.scheduled));
        self.at_breakers.0.extend(activities.map(entry));
    }

    /// Breakers hear of what is parked now, and of what is no more: they would let it go one after the other, long after its
    /// activity has ended.
    pub(super) fn bring_parked(&mut self) {
        if self.at_breakers.0.is_empty() {
            return;
        }
        let mut at_breakers = std::mem::take(&mut self.at_breakers.0);
        at_breakers.retain(|token, at| {
            let activity = self.state.activity(token.scheduled);
            let still = activity.is_some_and(|activity| activity.token() == *token && is_parked(activity));
            let pool = &self.at.shared.attempts;
            match still {
                true if at.told => {}
                true => {
                    at.told = true;
                    pool.park(at.activity_type.as_str(), self.parked(*token));
                }
                false => {
                    let is_made = self.attempts.contains_key(token);
                    pool.unpark(at.activity_type.as_str(), &self.parked(*token), is_made);
                }
            }
            still
        });
        self.at_breakers.0 = at_breakers;
    }

    /// The run has ended: nothing of it is parked.
    pub(super) fn leave_breakers(&mut self) {
        for (token, at) in std::mem::take(&mut self.at_breakers.0) {
            let pool = &self.at.shared.attempts;
            pool.unpark(at.activity_type.as_str(), &self.parked(token), false);
        }
    }

    fn parked(&self, token: AttemptToken) -> Parked {
        Parked {
            workflow_id: self.at.workflow_id.clone(),
            run_id: self.at.run_id,
            token,
        }
    }
}
