//! What a breaker keeps back, and letting it go: one to probe when the breaker's time is over, all of it when that was answered.
//! Must not live here: when a breaker opens (`breaker`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::model::{AttemptToken, RunId, WorkflowId};

use super::breaker::Circuit;
use super::{Throttle, TypeThrottle};

/// How long the next parked attempt waits for news of the one that probes.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// A breaker and what it has parked.
pub(super) struct Guarded {
    pub(super) circuit: Circuit,
    /// By the order in which it came.
    parked: BTreeMap<u64, Kept>,
    /// Where the attempts among them are.
    places: BTreeMap<(RunId, AttemptToken), u64>,
    last: u64,
    /// Somebody waits for its time to be over.
    watched: bool,
    /// Who was let go last, to probe.
    probe: Option<(RunId, AttemptToken)>,
    /// Told when that one does not.
    passed_over: Arc<Notify>,
}

/// An attempt of a run that a breaker keeps back, which its run knows.
#[derive(Clone, Debug)]
pub(in super::super) struct Parked {
    pub(in super::super) workflow_id: WorkflowId,
    pub(in super::super) run_id: RunId,
    pub(in super::super) token: AttemptToken,
}

/// Whom a breaker keeps back.
pub(super) enum Kept {
    /// An attempt that its run makes when it is let go.
    Attempt(Parked),
    /// Somebody who waits here.
    Waiter(oneshot::Sender<()>),
}

impl Guarded {
    pub(super) fn new(circuit: Circuit) -> Self {
        Self {
            circuit,
            parked: BTreeMap::new(),
            places: BTreeMap::new(),
            last: 0,
            watched: false,
            probe: None,
            passed_over: Arc::new(Notify::new()),
        }
    }

    /// Its number, which it keeps when it is there already.
    fn add(&mut self, kept: Kept) -> u64 {
        let key = self.last + 1;
        if let Kept::Attempt(parked) = &kept {
            match self.places.entry(parked.key()) {
                Entry::Occupied(place) => return *place.get(),
                Entry::Vacant(place) => place.insert(key),
            };
        }
        self.last = key;
        self.parked.insert(key, kept);
        key
    }

    /// Whether it was there.
    fn remove(&mut self, attempt: (RunId, AttemptToken)) -> bool {
        let place = self.places.remove(&attempt);
        place.is_some_and(|place| self.parked.remove(&place).is_some())
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(super) fn take_all(&mut self) -> Vec<Kept> {
        self.places.clear();
        std::mem::take(&mut self.parked).into_values().collect()
    }

    fn take_first(&mut self) -> Option<Kept> {
        let (_, kept) = self.parked.pop_first()?;
        self.probe = match &kept {
            Kept::Attempt(parked) => Some(parked.key()),
            Kept::Waiter(_) => None,
        };
        if let Some(attempt) = &self.probe {
            self.places.remove(attempt);
        }
        Some(kept)
    }
}

impl Parked {
    fn key(&self) -> (RunId, AttemptToken) {
        (self.run_id, self.token)
    }
}

impl Throttle {
    /// An attempt was kept back, which its run knows by now: it is let go when the breaker's time is over.
    pub(in super::super) fn park(self: &Arc<Self>, activity_type: &str, parked: Parked, handle: &Handle) {
        let Some(of_type) = self.types.get(activity_type) else {
            return;
        };
        if let Err(not_kept) = self.keep(of_type, Kept::Attempt(parked), handle) {
            self.release(vec![not_kept]);
        }
    }

    /// An attempt is parked no more. When it was let go to probe, and is not made after all, the next one is.
    pub(in super::super) fn unpark(&self, activity_type: &str, parked: &Parked, is_made: bool) {
        let of_type = self.types.get(activity_type);
        let Some(mut guarded) = of_type.and_then(|of_type| of_type.guarded()) else {
            return;
        };
        let was_there = guarded.remove(parked.key());
        if !was_there && !is_made && guarded.probe.take_if(|probe| *probe == parked.key()).is_some() {
            guarded.passed_over.notify_one();
        }
    }

    /// Waits until the breaker of this type lets go whoever waits here; at once when it is closed. Who stops waiting is
    /// forgotten.
    pub(in super::super) async fn until_let_go(self: &Arc<Self>, activity_type: &str, handle: &Handle) {
        let Some(of_type) = self.types.get(activity_type) else {
            return;
        };
        let (let_go, told) = oneshot::channel();
        if let Ok(key) = self.keep(of_type, Kept::Waiter(let_go), handle) {
            let mut waiting = Waiting { of_type, key, told };
            let _ = (&mut waiting.told).await;
        }
    }

    /// Its number among those that are kept back; or the same again, when the breaker has closed meanwhile.
    fn keep(self: &Arc<Self>, of_type: &Arc<TypeThrottle>, kept: Kept, handle: &Handle) -> Result<u64, Kept> {
        let Some(mut guarded) = of_type.guarded() else {
            return Err(kept);
        };
        if guarded.circuit.open_until(self.clock.now()).is_none() {
            return Err(kept);
        }
        let key = guarded.add(kept);
        if !std::mem::replace(&mut guarded.watched, true) {
            let (throttle, of_type) = (Arc::downgrade(self), Arc::clone(of_type));
            handle.spawn(watch(throttle, of_type));
        }
        Ok(key)
    }

    pub(super) fn release(&self, kept: Vec<Kept>) {
        for kept in kept {
            match kept {
                Kept::Attempt(parked) => {
                    if let Some(gateway) = self.gateway.get().and_then(Weak::upgrade) {
                        gateway.release(parked);
                    }
                }
                // Whoever has just stopped waiting needs it no more.
                Kept::Waiter(let_go) => {
                    let _ = let_go.send(());
                }
            }
        }
    }
}

/// Somebody who waits for a breaker.
struct Waiting<'a> {
    of_type: &'a TypeThrottle,
    key: u64,
    told: oneshot::Receiver<()>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(mut guarded) = self.of_type.guarded() {
            guarded.parked.remove(&self.key);
        }
    }
}

/// Lets one parked attempt go whenever the breaker's time is over: it probes. Ends when nothing is parked any more.
async fn watch(throttle: Weak<Throttle>, of_type: Arc<TypeThrottle>) {
    loop {
        let (alarm, passed_over) = {
            let Some(throttle) = throttle.upgrade() else {
                return;
            };
            let Some(mut guarded) = of_type.guarded() else {
                return;
            };
            let now = throttle.clock.now();
            match guarded.circuit.open_until(now) {
                Some(until) if until > now && guarded.parked() > 0 => {
                    (throttle.clock.sleep_until(until), Arc::clone(&guarded.passed_over))
                }
                _ => {
                    let next = guarded.take_first();
                    // Until the probe has come by, nobody else is to follow it: it is heard of within that time.
                    let until = guarded.circuit.open_until(now);
                    guarded.watched = next.is_some() && guarded.parked() > 0;
                    let goes_on = guarded.watched;
                    let passed_over = Arc::clone(&guarded.passed_over);
                    drop(guarded);
                    throttle.release(next.into_iter().collect());
                    if !goes_on {
                        return;
                    }
                    let until = until.unwrap_or(now).max(now.after(PROBE_PAUSE));
                    (throttle.clock.sleep_until(until), passed_over)
                }
            }
        };
        tokio::select! {
            () = alarm => {}
            () = passed_over.notified() => {}
        }
    }
}
