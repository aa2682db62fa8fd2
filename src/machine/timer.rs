//! What is due when time has passed: durable timers, activity deadlines, the run's timeout. Must not live here: waiting.

use crate::model::{EventAttributes, EventId, Failure, RetryState, TimeoutKind, TimerId, UnwindCause};

use super::activity::CurrentAttempt;
use super::decider::Decider;
use super::turn::{Reply, TurnBuilder};

impl TurnBuilder<'_> {
    pub(super) fn wake(&mut self, decider: &dyn Decider) -> Reply {
        if self.state.is_closed() || self.state.paused.is_some() {
            return Reply::Duplicate;
        }
        if self.state.run_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.unwind(UnwindCause::TimedOut, decider);
        }
        self.fire_timers();
        self.end_waits();
        self.give_up_locks();
        self.close_overdue_activities();
        self.end_overdue_attempts();
        self.wake_desk(decider);
        Reply::Accepted
    }

    fn fire_timers(&mut self) {
        let due = self.state.timers.iter().filter(|(_, timer)| timer.fire_at <= self.now);
        let mut due: Vec<(crate::model::Timestamp, EventId, TimerId)> = due
            .map(|(id, timer)| (timer.fire_at, timer.started, id.clone()))
            .collect();
        due.sort_unstable();
        for (_, started, timer_id) in due {
            self.emit(EventAttributes::TimerFired { timer_id, started });
        }
    }

    /// Schedule-to-close ends an activity whatever its attempt is doing; a late result finds it gone and is refused.
    fn close_overdue_activities(&mut self) {
        let now = self.now;
        let waiting = self
            .state
            .activities
            .values()
            .filter(|activity| !activity.is_suspended());
        let overdue: Vec<EventId> = waiting
            .filter(|activity| activity.deadline().is_some_and(|deadline| deadline <= now))
            .map(|activity| activity.scheduled)
            .collect();
        for scheduled in overdue {
            let mut failure = Failure::timeout(TimeoutKind::ScheduleToClose);
            let activity = self.state.activities.get(&scheduled);
            let kept_back = activity.is_some_and(|activity| activity.is_kept_back());
            let attempt = match kept_back || self.is_let_go_now(scheduled) {
                true => CurrentAttempt::Waiting,
                false => CurrentAttempt::Running,
            };
            if let Some(last) = activity.and_then(|activity| activity.last_failure.clone()) {
                failure = failure.caused_by(last);
            }
            let failure = self.with_last_heartbeat(scheduled, failure);
            self.fail_activity(scheduled, failure, RetryState::Timeout, attempt);
        }
    }
}
