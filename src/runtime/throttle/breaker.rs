//! A circuit breaker: whether a participant is left alone for a while. Pure: time comes in as a value. Must not live here:
//! parking, or waking what was parked.
//!
//! ```text
//! Closed    -- so many failures in a row --> Open until
//! Open      -- its time is over ----------> one attempt probes
//! Probing   -- the probe is answered -----> Closed
//!           -- it fails ------------------> Open until
//!           -- nothing is heard of it ----> after as long again, another probes
//! ```

use crate::model::{AttemptOutcome, Breaker, FailureKind, Timestamp};

/// One activity type's breaker.
#[derive(Debug)]
pub(super) struct Circuit {
    breaker: Breaker,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp },
    Probing { until: Timestamp },
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It may.
    Go,
    /// It may, and decides for all others.
    Probe,
    /// Not before this time.
    Park(Timestamp),
}

/// What an attempt's end did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    /// Nothing.
    Stays,
    /// It opened, until then.
    Opened(Timestamp),
    /// It closed: what was parked may go.
    Closed,
}

impl Circuit {
    pub(super) fn new(breaker: Breaker) -> Self {
        let state = State::Closed { failures: 0 };
        Self { breaker, state }
    }

    /// Until when it keeps attempts back; `None` when it is closed.
    pub(super) fn open_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        match &mut self.state {
            State::Closed { .. } => None,
            State::Open { until } | State::Probing { until } => {
                // Later it never is, unless the clock was set back: that is not to be waited for.
                *until = (*until).min(now.after(self.breaker.open_for));
                Some(*until)
            }
        }
    }

    pub(super) fn pass(&mut self, now: Timestamp) -> Passage {
        self.open_until(now);
        match self.state {
            State::Closed { .. } => Passage::Go,
            State::Open { until } | State::Probing { until } if now < until => Passage::Park(until),
            State::Open { .. } | State::Probing { .. } => {
                let until = now.after(self.breaker.open_for);
                self.state = State::Probing { until };
                Passage::Probe
            }
        }
    }

    /// An attempt that was let through has ended.
    pub(super) fn ended(&mut self, now: Timestamp, verdict: Option<Answered>) -> Switch {
        match (self.state, verdict) {
            (_, None) => Switch::Stays,
            (State::Closed { .. }, Some(Answered::Yes)) => {
                self.state = State::Closed { failures: 0 };
                Switch::Stays
            }
            (State::Closed { failures }, Some(Answered::No)) => {
                let failures = failures.saturating_add(1);
                match failures >= self.breaker.failures.get() {
                    true => self.open(now),
                    false => {
                        self.state = State::Closed { failures };
                        Switch::Stays
                    }
                }
            }
            // Whoever was let through before it opened may bring news, too.
            (State::Open { .. } | State::Probing { .. }, Some(Answered::Yes)) => {
                self.state = State::Closed { failures: 0 };
                Switch::Closed
            }
            (State::Probing { .. }, Some(Answered::No)) => self.open(now),
            (State::Open { .. }, Some(Answered::No)) => Switch::Stays,
        }
    }

    fn open(&mut self, now: Timestamp) -> Switch {
        let until = now.after(self.breaker.open_for);
        self.state = State::Open { until };
        Switch::Opened(until)
    }
}

/// Whether the participant has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// It did, be it with a refusal.
    Yes,
    /// It did not, or could not.
    No,
}

/// What an attempt's end says of its participant; `None`: nothing.
pub(super) fn verdict(outcome: &AttemptOutcome) -> Option<Answered> {
    let failure = match outcome {
        Ok(_) => return Some(Answered::Yes),
        Err(failure) => failure,
    };
    match &failure.kind {
        FailureKind::Application(application) if application.non_retryable => Some(Answered::Yes),
        FailureKind::Application(_) | FailureKind::Timeout { .. } => Some(Answered::No),
        FailureKind::Canceled { .. }
        | FailureKind::Terminated
        | FailureKind::WorkerLost
        | FailureKind::Activity { .. }
        | FailureKind::ChildWorkflow(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Failure, Payload, TimeoutKind};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    fn circuit() -> Circuit {
        Circuit::new(Breaker::after(3).open_for(Duration::from_secs(30)))
    }

    fn fails(circuit: &mut Circuit, seconds: u64) -> Switch {
        circuit.ended(at(seconds), Some(Answered::No))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut circuit = circuit();
        for _ in 0..5 {
            assert_eq!(fails(&mut circuit, 0), Switch::Stays);
            assert_eq!(fails(&mut circuit, 0), Switch::Stays);
            assert_eq!(circuit.ended(at(0), Some(Answered::Yes)), Switch::Stays);
        }
        fails(&mut circuit, 1);
        circuit.ended(at(1), None);
        fails(&mut circuit, 1);
        assert_eq!((circuit.open_until(at(1)), circuit.pass(at(1))), (None, Passage::Go));
        assert_eq!(fails(&mut circuit, 1), Switch::Opened(at(31)));
        assert_eq!(circuit.pass(at(30)), Passage::Park(at(31)));
        assert_eq!(
            fails(&mut circuit, 30),
            Switch::Stays,
            "an attempt of before does not prolong it"
        );
    }

    #[test]
    fn one_probes_and_its_answer_counts_for_all() {
        for (answer, expected) in [(Answered::Yes, Switch::Closed), (Answered::No, Switch::Opened(at(62)))] {
            let mut circuit = circuit();
            for _ in 0..3 {
                fails(&mut circuit, 1);
            }
            assert_eq!(circuit.pass(at(31)), Passage::Probe);
            assert_eq!(circuit.pass(at(31)), Passage::Park(at(61)), "one at a time");
            assert_eq!(circuit.ended(at(32), Some(answer)), expected);
            match answer {
                Answered::Yes => assert_eq!(circuit.pass(at(32)), Passage::Go),
                Answered::No => assert_eq!(circuit.pass(at(61)), Passage::Park(at(62))),
            }
        }
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_is_replaced() {
        let mut circuit = circuit();
        for _ in 0..3 {
            fails(&mut circuit, 1);
        }
        assert_eq!(circuit.pass(at(31)), Passage::Probe);
        assert_eq!(
            circuit.ended(at(40), None),
            Switch::Stays,
            "it was cancelled: that says nothing"
        );
        assert_eq!(circuit.pass(at(60)), Passage::Park(at(61)));
        assert_eq!(circuit.pass(at(61)), Passage::Probe);
    }

    #[test]
    fn a_clock_set_back_keeps_nobody_back_for_longer() {
        let mut circuit = circuit();
        for _ in 0..3 {
            fails(&mut circuit, 3_600);
        }
        assert_eq!(circuit.pass(at(5)), Passage::Park(at(35)), "an hour back");
        assert_eq!(circuit.pass(at(34)), Passage::Park(at(35)));
        assert_eq!(circuit.pass(at(35)), Passage::Probe);
        assert_eq!(circuit.open_until(at(2)), Some(at(32)), "and while one probes");
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_cancellation_says_nothing() {
        for (outcome, expected) in [
            (Ok(Payload::null()), Some(Answered::Yes)),
            (Err(Failure::not_applied("CardDeclined", "")), Some(Answered::Yes)),
            (Err(Failure::new("Busy", "")), Some(Answered::No)),
            (Err(Failure::new("Panic", "")), Some(Answered::No)),
            (Err(Failure::timeout(TimeoutKind::StartToClose)), Some(Answered::No)),
            (Err(Failure::timeout(TimeoutKind::Heartbeat)), Some(Answered::No)),
            (Err(Failure::canceled("")), None),
            (Err(Failure::worker_lost()), None),
        ] {
            assert_eq!(verdict(&outcome), expected, "{outcome:?}");
        }
    }
}
