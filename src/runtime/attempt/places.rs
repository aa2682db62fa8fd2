//! The places that an attempt has while it runs, and waiting for them: in the engine, of its type, of its queue, and behind whatever
//! paces those. Must not live here: the limits themselves (`throttle`, `queues`), what is done in a place.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::{Failure, TimeoutKind};
use crate::sdk::Execution;

use super::super::throttle::{Admittance, Pass};
use super::{AttemptEnd, AttemptOrder, AttemptPool, Lane};

/// How many attempts of one lane may run at once.
pub(super) struct Slots {
    running: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
    isolated: Arc<Semaphore>,
}

/// What came of an attempt's waiting for its places.
pub(super) enum Entered {
    Places((Pass, Places)),
    /// It is not made, and ends so.
    Not(AttemptEnd),
}

/// An attempt's places, for as long as its code runs: among all of the engine, those of its type, and those of its queue.
pub(super) struct Places {
    _in_engine: OwnedSemaphorePermit,
    _in_type: Option<OwnedSemaphorePermit>,
    _in_queue: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn new(running: usize, blocking: usize, isolated: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running)),
            blocking: Arc::new(Semaphore::new(blocking)),
            isolated: Arc::new(Semaphore::new(isolated)),
        }
    }
}

impl AttemptPool {
    /// Places for an attempt that need not wait, and that no rate paces.
    pub(super) fn enter_at_once(&self, order: &AttemptOrder) -> Option<(Pass, Places)> {
        let activity_type = order.info.activity_type.as_str();
        let pass = self
            .throttle
            .pass_unlimited(activity_type, order.lane, order.queue.as_ref())?;
        let in_queue = match order.queue.as_ref().and_then(|queue| queue.places()) {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().ok()?),
            None => None,
        };
        let slots = self.slots(order.lane, order.activity.execution());
        let places = Places {
            _in_engine: Arc::clone(slots).try_acquire_owned().ok()?,
            _in_type: None,
            _in_queue: in_queue,
        };
        Some((pass, places))
    }

    /// The same for one that may have to.
    pub(super) async fn enter(&self, order: &AttemptOrder) -> Entered {
        let slots = self.slots(order.lane, order.activity.execution());
        let waiting = async {
            let activity_type = order.info.activity_type.as_str();
            let mut pass = self.throttle.enter(activity_type, order.lane, order.queue.as_ref())?;
            loop {
                self.throttle.until_paced(&pass).await;
                self.throttle.until_placed(&mut pass).await;
                let in_queue = match order.queue.as_ref().and_then(|queue| queue.places()) {
                    Some(places) => Arc::clone(places).acquire_owned().await.ok(),
                    None => None,
                };
                let permit = Arc::clone(slots).acquire_owned().await;
                // Not before: what waits for its places may wait for long, and much may have changed.
                match self.throttle.admit(&pass) {
                    Admittance::Go => {}
                    Admittance::Wait => {
                        drop(pass.take_place());
                        continue;
                    }
                    Admittance::Park => return None,
                }
                let places = permit.map(|permit| Places {
                    _in_engine: permit,
                    _in_type: pass.take_place(),
                    _in_queue: in_queue,
                });
                return Some((pass, places));
            }
        };
        let start_by = order.schedule_to_start.map(|limit| order.due.after(limit));
        let (wait_until, which) = match (start_by, order.close_by) {
            (Some(start), Some(close)) if close <= start => (order.close_by, TimeoutKind::ScheduleToClose),
            (None, Some(_)) => (order.close_by, TimeoutKind::ScheduleToClose),
            _ => (start_by, TimeoutKind::ScheduleToStart),
        };
        match self.within(wait_until, waiting).await {
            Some(Some((pass, Ok(places)))) => Entered::Places((pass, places)),
            Some(None) => Entered::Not(AttemptEnd::Parked),
            // Nobody closes the pools while attempts are started.
            Some(Some((_, Err(_)))) => Entered::Not(AttemptEnd::Ended(Err(Failure::worker_lost()))),
            None => Entered::Not(AttemptEnd::Ended(Err(Failure::timeout(which)))),
        }
    }

    fn slots(&self, lane: Lane, execution: Execution) -> &Arc<Semaphore> {
        let lane = match lane {
            Lane::Forward => &self.forward,
            Lane::Amends => &self.amends,
        };
        match execution {
            Execution::Async => &lane.running,
            Execution::Blocking => &lane.blocking,
            Execution::Isolated => &lane.isolated,
        }
    }
}
