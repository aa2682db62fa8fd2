//! Limits of activity types while attempts run: places, rates, breakers. Lives here: waiting for them. Must not live here: when
//! a token is there (`bucket`), when a breaker opens (`breaker`), what it keeps back meanwhile (`parked`).
//!
//! All of it is this engine's, in memory: after a restart every bucket is full and every breaker closed. That an attempt is
//! parked is journaled by its run, because nobody has it: a crash does not lose it.

mod breaker;
mod bucket;
mod parked;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::{ActivityLimits, AttemptOutcome, Rate, Timestamp, limits};

use super::attempt::Lane;
use super::clock::Clock;
use super::gateway::Gateway;
use breaker::{Circuit, Passage, Switch, verdict};
use bucket::Bucket;
use parked::Guarded;

pub(super) use parked::Parked;

/// The limits of all activity types of one engine.
pub(super) struct Throttle {
    clock: Arc<dyn Clock>,
    types: BTreeMap<String, Arc<TypeThrottle>>,
    /// Of everything that goes forward, of whatever type.
    engine_rate: Option<Paced>,
    /// The way to the runs of what was parked.
    gateway: OnceLock<Weak<Gateway>>,
}

/// One activity type's limits.
struct TypeThrottle {
    forward: LaneLimits,
    amends: LaneLimits,
    circuit: Option<Mutex<Guarded>>,
}

/// What one lane of a type, or of a task queue, has to itself.
#[derive(Debug)]
pub(super) struct LaneLimits {
    places: Option<Arc<Semaphore>>,
    rate: Option<Paced>,
}

/// A bucket, and the line before it: who comes first is served first, and who gives up leaves the line.
#[derive(Debug)]
struct Paced {
    line: tokio::sync::Mutex<()>,
    bucket: Mutex<Bucket>,
}

/// How one activity type stands in an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityTypeStatus {
    /// Its name.
    pub activity_type: String,
    /// Until when its breaker keeps attempts back; `None` when it is closed, or there is none.
    pub open_until: Option<Timestamp>,
    /// How many attempts the breaker keeps back, those of local activities included, which wait in memory.
    pub parked: usize,
}

/// What an engine limits, in all and by activity type.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineLimits {
    /// How many forward attempts may run at once.
    pub(crate) max_concurrent: Option<usize>,
    /// How many of them may be attempts of blocking activities.
    pub(crate) max_blocking: Option<usize>,
    /// How many attempts of isolated activities may run at once: forward ones, and again as many others.
    pub(crate) worker_processes: Option<usize>,
    /// How fast forward attempts may follow each other.
    pub(crate) rate: Option<Rate>,
    /// By activity type.
    pub(crate) types: BTreeMap<String, ActivityLimits>,
}

impl EngineLimits {
    /// How many forward attempts may run at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.max_concurrent.unwrap_or(limits::ATTEMPTS_MAX).max(1)
    }

    /// How many of them may be attempts of blocking activities.
    pub(crate) fn most_blocking(&self) -> usize {
        let most = self.max_blocking.unwrap_or(limits::BLOCKING_ATTEMPTS_DEFAULT);
        most.clamp(1, self.most_at_once())
    }
}

/// What an attempt holds while it runs.
pub(super) struct Pass {
    of_type: Option<Arc<TypeThrottle>>,
    /// Its task queue, when that has a rate.
    paced_queue: Option<Arc<LaneLimits>>,
    lane: Lane,
    place: Option<OwnedSemaphorePermit>,
}

/// Whether an attempt begins now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admittance {
    /// It does.
    Go,
    /// Its tokens have gone to others: it is to wait for new ones, and to hold up nobody meanwhile.
    Wait,
    /// Its breaker keeps it back.
    Park,
}

impl Pass {
    /// What paces the attempt: the rates of its type, its queue, and the engine.
    fn rates<'a>(&'a self, throttle: &'a Throttle) -> impl Iterator<Item = &'a Paced> {
        let of_type = self.of_type.as_ref();
        let of_type = of_type.and_then(|of_type| of_type.lane(self.lane).rate.as_ref());
        let of_queue = self.paced_queue.as_ref().and_then(|queue| queue.rate.as_ref());
        let of_engine = throttle.engine_rate.as_ref().filter(|_| self.lane == Lane::Forward);
        of_type.into_iter().chain(of_queue).chain(of_engine)
    }

    /// Its place among those of its type, which it keeps for as long as its code runs.
    pub(super) fn take_place(&mut self) -> Option<OwnedSemaphorePermit> {
        self.place.take()
    }
}

impl Throttle {
    pub(super) fn new(clock: Arc<dyn Clock>, limits: &EngineLimits) -> Self {
        let types = limits
            .types
            .iter()
            .map(|(name, limits)| (name.clone(), Arc::new(TypeThrottle::new(limits))));
        Self {
            clock,
            types: types.collect(),
            engine_rate: limits.rate.map(Paced::new),
            gateway: OnceLock::new(),
        }
    }

    /// Tells the way to the runs of what was parked, once.
    pub(super) fn connect(&self, gateway: Weak<Gateway>) {
        let _ = self.gateway.set(gateway);
    }

    /// A pass for an attempt that still has to wait; `None` when its type's breaker keeps attempts back: asked first, so that
    /// what is kept back takes nobody's place.
    pub(super) fn enter(&self, activity_type: &str, lane: Lane, queue: Option<&Arc<LaneLimits>>) -> Option<Pass> {
        let of_type = self.types.get(activity_type);
        if of_type.is_some_and(|of_type| of_type.is_shut(self.clock.now())) {
            return None;
        }
        Some(Pass {
            of_type: of_type.cloned(),
            paced_queue: queue.filter(|queue| queue.rate.is_some()).cloned(),
            lane,
            place: None,
        })
    }

    /// Waits for a place among those of its type: after all tokens are there, so that who waits for those of a slow queue does
    /// not keep the type's places from the others.
    pub(super) async fn until_placed(&self, pass: &mut Pass) {
        let limits = pass.of_type.as_ref().map(|of_type| of_type.lane(pass.lane));
        if let Some(places) = limits.and_then(|limits| limits.places.as_ref()) {
            pass.place = Arc::clone(places).acquire_owned().await.ok();
        }
    }

    /// A pass for an attempt that nothing limits but places in its queue; `None` if something does.
    pub(super) fn pass_unlimited(
        &self,
        activity_type: &str,
        lane: Lane,
        queue: Option<&Arc<LaneLimits>>,
    ) -> Option<Pass> {
        let is_paced = self.engine_rate.is_some() || queue.is_some_and(|queue| queue.rate.is_some());
        if is_paced || self.types.contains_key(activity_type) {
            return None;
        }
        Some(Pass {
            of_type: None,
            paced_queue: None,
            lane,
            place: None,
        })
    }

    /// Waits until there are tokens. They are not taken: who still has to wait for something else would gather them, and
    /// those that gathered would go all at once.
    pub(super) async fn until_paced(&self, pass: &Pass) {
        for rate in pass.rates(self) {
            rate.until_there(&*self.clock).await;
        }
    }

    /// An attempt that has all of its places wants to begin: its tokens are taken, and its breaker has its last word.
    pub(super) fn admit(&self, pass: &Pass) -> Admittance {
        if pass.of_type.is_none() && pass.rates(self).next().is_none() {
            return Admittance::Go;
        }
        let now = self.clock.now();
        let of_type = pass.of_type.as_ref();
        // What is kept back takes no token either.
        if of_type.is_some_and(|of_type| of_type.is_shut(now)) {
            return Admittance::Park;
        }
        if !Paced::take_all(pass.rates(self), now) {
            return Admittance::Wait;
        }
        match of_type.is_none_or(|of_type| of_type.passes(now)) {
            true => Admittance::Go,
            false => Admittance::Park,
        }
    }

    /// An attempt has ended: its type's breaker hears of it.
    pub(super) fn leave(&self, pass: &Pass, outcome: &AttemptOutcome) {
        let Some(mut guarded) = pass.of_type.as_ref().and_then(|of_type| of_type.guarded()) else {
            return;
        };
        match guarded.circuit.ended(self.clock.now(), verdict(outcome)) {
            Switch::Stays | Switch::Opened(_) => {}
            Switch::Closed => {
                let all = guarded.take_all();
                drop(guarded);
                self.release(all);
            }
        }
    }

    /// How the limited activity types stand.
    pub(super) fn status(&self) -> Vec<ActivityTypeStatus> {
        let now = self.clock.now();
        let status = |(name, of_type): (&String, &Arc<TypeThrottle>)| {
            let mut guarded = of_type.guarded();
            ActivityTypeStatus {
                activity_type: name.clone(),
                open_until: guarded.as_mut().and_then(|guarded| guarded.circuit.open_until(now)),
                parked: guarded.map_or(0, |guarded| guarded.parked()),
            }
        };
        self.types.iter().map(status).collect()
    }
}

impl TypeThrottle {
    fn new(limits: &ActivityLimits) -> Self {
        let guarded = |breaker| Mutex::new(Guarded::new(Circuit::new(breaker)));
        Self {
            forward: LaneLimits::new(limits.max_concurrent, limits.rate),
            amends: LaneLimits::new(limits.max_concurrent, limits.rate),
            circuit: limits.breaker.map(guarded),
        }
    }

    fn lane(&self, lane: Lane) -> &LaneLimits {
        match lane {
            Lane::Forward => &self.forward,
            Lane::Amends => &self.amends,
        }
    }

    fn guarded(&self) -> Option<MutexGuard<'_, Guarded>> {
        // Nothing under the lock can panic, so a poisoned breaker is still whole.
        let circuit = self.circuit.as_ref()?;
        Some(circuit.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_shut(&self, now: Timestamp) -> bool {
        let until = self.guarded().and_then(|mut guarded| guarded.circuit.open_until(now));
        until.is_some_and(|until| until > now)
    }

    fn passes(&self, now: Timestamp) -> bool {
        let passage = self.guarded().map(|mut guarded| guarded.circuit.pass(now));
        !matches!(passage, Some(Passage::Park(_)))
    }
}

impl LaneLimits {
    pub(super) fn new(most: Option<NonZeroU32>, rate: Option<Rate>) -> Self {
        let number = |most: NonZeroU32| usize::try_from(most.get()).unwrap_or(usize::MAX);
        let places = |most| Arc::new(Semaphore::new(number(most).min(Semaphore::MAX_PERMITS)));
        Self {
            places: most.map(places),
            rate: rate.map(Paced::new),
        }
    }

    /// The places, if their number is limited.
    pub(super) fn places(&self) -> Option<&Arc<Semaphore>> {
        self.places.as_ref()
    }
}

impl Paced {
    fn new(rate: Rate) -> Self {
        Self {
            line: tokio::sync::Mutex::new(()),
            bucket: Mutex::new(Bucket::new(rate)),
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until_there(&self, clock: &dyn Clock) {
        let _first_in_line = self.line.lock().await;
        loop {
            let next = self.bucket().next(clock.now());
            match next {
                None => return,
                Some(then) => clock.sleep_until(then).await,
            }
        }
    }

    /// Takes a token of each, or none of any. Everybody takes them in the same order: the type's, the queue's, the engine's.
    fn take_all<'a>(rates: impl Iterator<Item = &'a Self>, now: Timestamp) -> bool {
        let mut buckets: Vec<MutexGuard<'_, Bucket>> = rates.map(Self::bucket).collect();
        let are_there = buckets.iter_mut().all(|bucket| bucket.next(now).is_none());
        if are_there {
            buckets.iter_mut().for_each(|bucket| bucket.take(now));
        }
        are_there
    }
}
