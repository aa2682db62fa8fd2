//! The heartbeats of one attempt, on their way to the journal and to whoever watches for silence. Must not live here:
//! which of them are recorded (that is `machine`).

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::{Beat, HeartbeatThrottle};
use crate::model::{Payload, Timestamp};
use crate::runtime::Clock;
use crate::sdk::HeartbeatSink;

use super::Ear;

/// When somebody else than an attempt's own code last said that the attempt is alive.
#[derive(Default)]
pub(in super::super) struct Pulse(AtomicI64);

impl Pulse {
    pub(super) fn touch(&self, now: Timestamp) {
        self.0.fetch_max(now.as_micros(), Ordering::Relaxed);
    }
}

/// What an attempt's heartbeats go through.
pub(super) struct Heart {
    clock: Arc<dyn Clock>,
    handle: tokio::runtime::Handle,
    last_beat: AtomicI64,
    outside: Option<Arc<Pulse>>,
    throttle: Mutex<HeartbeatThrottle>,
    ear: Arc<dyn Ear>,
}

impl Heart {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        handle: tokio::runtime::Handle,
        throttle: HeartbeatThrottle,
        ear: Arc<dyn Ear>,
        outside: Option<Arc<Pulse>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            last_beat: AtomicI64::new(clock.now().as_micros()),
            outside,
            clock,
            handle,
            throttle: Mutex::new(throttle),
            ear,
        })
    }

    /// When anything was last heard of the attempt; its start, when nothing was.
    pub(super) fn last_beat(&self) -> Timestamp {
        let outside = self.outside.as_ref().map(|pulse| pulse.0.load(Ordering::Relaxed));
        let own = self.last_beat.load(Ordering::Relaxed);
        Timestamp::from_micros(outside.map_or(own, |outside| outside.max(own)))
    }

    /// Where the attempt's heartbeats go.
    pub(super) fn sink(self: &Arc<Self>) -> HeartbeatSink {
        let heart = Arc::clone(self);
        Arc::new(move |details| heart.beat(details))
    }

    fn beat(self: &Arc<Self>, details: Payload) {
        let now = self.clock.now();
        self.last_beat.store(now.as_micros(), Ordering::Relaxed);
        let beat = self.throttle().beat(now, details);
        self.follow(beat);
    }

    fn follow(self: &Arc<Self>, beat: Beat) {
        match beat {
            Beat::Record(details) => self.ear.beat(details),
            Beat::Later(due) => {
                // Only attempts that beat faster than is recorded ever need a timer. It does not keep the attempt's parts.
                let (heart, alarm) = (Arc::downgrade(self), self.clock.sleep_until(due));
                self.handle.spawn(async move {
                    alarm.await;
                    if let Some(heart) = heart.upgrade() {
                        let beat = heart.throttle().due(heart.clock.now());
                        heart.follow(beat);
                    }
                });
            }
            Beat::Nothing => {}
        }
    }

    /// The attempt has ended without a result: what it said last is recorded before that.
    pub(super) fn record_last(&self) {
        let last = self.throttle().end();
        if let Some(details) = last {
            self.ear.beat(details);
        }
    }

    // Nothing under the lock can panic, so a poisoned throttle is still whole.
    fn throttle(&self) -> MutexGuard<'_, HeartbeatThrottle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
