//! Heartbeats: which of them are worth a record. Lives here: the throttle that stands between an attempt and the journal.
//! Must not live here: watching for silence (`runtime` does it for attempts of its own, `report` for those handed over).

use std::time::Duration;

use crate::model::{Payload, Timestamp, limits};

/// Lets through one heartbeat at once, then at most one for each interval, always the newest. What it was told last and
/// has not let through is kept: it is due when the interval is over, or when the attempt ends.
#[derive(Debug)]
pub struct HeartbeatThrottle {
    interval: Duration,
    recorded: Option<Payload>,
    kept: Option<Payload>,
    next: Timestamp,
    ended: bool,
}

/// What becomes of a heartbeat.
#[derive(Debug, PartialEq)]
pub enum Beat {
    /// To be recorded now.
    Record(Payload),
    /// Kept; to be asked for again at this time, unless that was said before.
    Later(Timestamp),
    /// Nothing new is said, or what it says is kept until a time that was said before.
    Nothing,
}

impl HeartbeatThrottle {
    /// For an attempt with this heartbeat timeout, which begins with what was recorded before it.
    ///
    /// The interval is 80 % of the timeout, 30 s without one, and never more than 60 s: Temporal's numbers.
    #[must_use]
    pub fn new(timeout: Option<Duration>, recorded: Option<Payload>) -> Self {
        Self {
            interval: throttle_interval(timeout),
            recorded,
            kept: None,
            next: Timestamp::EPOCH,
            ended: false,
        }
    }

    /// The attempt says how far it has come.
    pub fn beat(&mut self, now: Timestamp, details: Payload) -> Beat {
        if self.ended {
            return Beat::Nothing;
        }
        if now >= self.next {
            return self.let_through(now, details);
        }
        let is_first = self.kept.replace(details).is_none();
        match is_first {
            true => Beat::Later(self.next),
            false => Beat::Nothing,
        }
    }

    /// The time that [`Beat::Later`] said has come.
    pub fn due(&mut self, now: Timestamp) -> Beat {
        match self.kept.take() {
            None => Beat::Nothing,
            Some(details) if now >= self.next => self.let_through(now, details),
            Some(details) => {
                self.kept = Some(details);
                Beat::Later(self.next)
            }
        }
    }

    /// The attempt has ended: what it said last and is not recorded yet.
    pub fn end(&mut self) -> Option<Payload> {
        self.ended = true;
        self.kept.take().filter(|last| self.recorded.as_ref() != Some(last))
    }

    fn let_through(&mut self, now: Timestamp, details: Payload) -> Beat {
        self.kept = None;
        if self.recorded.as_ref() == Some(&details) {
            return Beat::Nothing;
        }
        self.next = now.after(self.interval);
        self.recorded = Some(details.clone());
        Beat::Record(details)
    }
}

fn throttle_interval(timeout: Option<Duration>) -> Duration {
    let interval = timeout.map_or(limits::HEARTBEAT_THROTTLE_DEFAULT, |timeout| timeout / 5 * 4);
    interval.min(limits::HEARTBEAT_THROTTLE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_millis(millis))
    }

    fn json(number: u32) -> Payload {
        Payload::json(&number).unwrap()
    }

    #[test]
    fn the_interval_follows_the_timeout_within_bounds() {
        let seconds = Duration::from_secs;
        for (timeout, expected) in [
            (None, seconds(30)),
            (Some(seconds(10)), seconds(8)),
            (Some(seconds(3_600)), seconds(60)),
            (Some(Duration::from_millis(5)), Duration::from_millis(4)),
            (Some(Duration::ZERO), Duration::ZERO),
            (Some(Duration::MAX), seconds(60)),
        ] {
            assert_eq!(throttle_interval(timeout), expected, "{timeout:?}");
        }
    }

    #[test]
    fn the_first_passes_then_one_for_each_interval_and_always_the_newest() {
        let mut throttle = HeartbeatThrottle::new(Some(Duration::from_secs(10)), None);
        assert_eq!(throttle.beat(at(0), json(1)), Beat::Record(json(1)));
        assert_eq!(throttle.beat(at(10), json(2)), Beat::Later(at(8_000)));
        assert_eq!(throttle.beat(at(20), json(3)), Beat::Nothing);
        assert_eq!(throttle.due(at(7_999)), Beat::Later(at(8_000)), "asked too early");
        assert_eq!(throttle.due(at(8_000)), Beat::Record(json(3)));
        assert_eq!(throttle.due(at(8_001)), Beat::Nothing, "nothing is kept");
        assert_eq!(throttle.beat(at(8_002), json(4)), Beat::Later(at(16_000)));
        assert_eq!(
            throttle.beat(at(16_000), json(5)),
            Beat::Record(json(5)),
            "nobody came to ask"
        );
    }

    #[test]
    fn what_is_recorded_already_is_not_recorded_again() {
        let mut throttle = HeartbeatThrottle::new(Some(Duration::from_secs(10)), Some(json(1)));
        assert_eq!(
            throttle.beat(at(0), json(1)),
            Beat::Nothing,
            "the attempt before had come as far"
        );
        assert_eq!(throttle.beat(at(1), json(2)), Beat::Record(json(2)));
        assert_eq!(throttle.beat(at(2), json(2)), Beat::Later(at(8_001)));
        assert_eq!(throttle.due(at(8_001)), Beat::Nothing);
    }

    #[test]
    fn the_end_gives_what_was_kept_and_takes_no_more() {
        let mut throttle = HeartbeatThrottle::new(Some(Duration::from_secs(10)), None);
        throttle.beat(at(0), json(1));
        assert_eq!(throttle.end(), None);
        let mut throttle = HeartbeatThrottle::new(Some(Duration::from_secs(10)), None);
        throttle.beat(at(0), json(1));
        throttle.beat(at(1), json(2));
        assert_eq!(throttle.end(), Some(json(2)));
        assert_eq!(throttle.beat(at(90_000), json(3)), Beat::Nothing);
    }
}
