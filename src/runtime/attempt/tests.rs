//! Whom an attempt waits behind. Must not live here: what follows from its end.

use async_trait::async_trait;
use futures_util::future::pending;
use tokio::sync::Semaphore;

use super::*;
use crate::testing::VirtualClock;

/// Tells when it begins, then waits for ever or not at all.
struct Telling {
    begun: tokio::sync::mpsc::UnboundedSender<u32>,
    ends: bool,
}

#[async_trait]
impl Activity for Telling {
    async fn execute(&self, cx: ActivityContext, _: Payload) -> Result<Payload, Failure> {
        self.begun.send(cx.info().attempt).unwrap();
        match self.ends {
            true => Ok(Payload::null()),
            false => pending().await,
        }
    }
}

/// Tells which attempt has ended.
struct Hearing {
    attempt: u32,
    ended: tokio::sync::mpsc::UnboundedSender<u32>,
}

impl Ear for Hearing {
    fn begun(&self) {}

    fn ended(&self, end: AttemptEnd) {
        assert!(matches!(end, AttemptEnd::Ended(Ok(_))));
        self.ended.send(self.attempt).unwrap();
    }

    fn beat(&self, _: Payload) {
        panic!("nothing beats here");
    }

    fn late(&self, _: AttemptOutcome) {
        panic!("nothing blocks here");
    }
}

#[tokio::test]
async fn each_lane_has_places_of_its_own() {
    let handle = tokio::runtime::Handle::current();
    let mut pool = AttemptPool::new(
        handle,
        Arc::new(VirtualClock::new()),
        SharedState::new(),
        &EngineLimits::default(),
    );
    (pool.forward, pool.amends) = (Slots::new(1, 1, 1), Slots::new(1, 1, 1));
    let pool = Arc::new(pool);
    let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let launch = |attempt: u32, lane: Lane, ends: bool| {
        let (begun, ended) = (begun.clone(), ended.clone());
        let mut info = ActivityContext::for_test().build().info().clone();
        info.attempt = attempt;
        let order = AttemptOrder {
            lane,
            activity: Arc::new(Telling { begun, ends }),
            info,
            secrets: None,
            input: Payload::null(),
            queue: None,
            due: Timestamp::EPOCH,
            schedule_to_start: None,
            start_to_close: Duration::from_secs(10),
            close_by: None,
            heartbeat: None,
            ear: Arc::new(Hearing { attempt, ended }),
        };
        pool.launch(order)
    };
    let first = launch(1, Lane::Forward, false);
    assert_eq!(beginnings.recv().await, Some(1));
    let _second = launch(2, Lane::Forward, true);
    let _third = launch(3, Lane::Amends, true);
    assert_eq!(ends.recv().await, Some(3), "the second has no place yet");
    assert_eq!(beginnings.recv().await, Some(3));
    drop(first);
    assert_eq!(ends.recv().await, Some(2));
}

/// Fails, once it is let.
struct Failing {
    begun: tokio::sync::mpsc::UnboundedSender<u32>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl Activity for Failing {
    async fn execute(&self, cx: ActivityContext, _: Payload) -> Result<Payload, Failure> {
        self.begun.send(cx.info().attempt).unwrap();
        self.gate.acquire().await.unwrap().forget();
        Err(Failure::new("Down", ""))
    }
}

/// Tells which attempt ended how.
struct Noting {
    attempt: u32,
    ended: tokio::sync::mpsc::UnboundedSender<(u32, &'static str)>,
}

impl Ear for Noting {
    fn begun(&self) {}

    fn ended(&self, end: AttemptEnd) {
        let how = match end {
            AttemptEnd::Ended(Ok(_)) => "done",
            AttemptEnd::Ended(Err(_)) => "failed",
            AttemptEnd::HandedOver { .. } => "handed over",
            AttemptEnd::Parked => "parked",
        };
        self.ended.send((self.attempt, how)).unwrap();
    }

    fn beat(&self, _: Payload) {
        panic!("nothing beats here");
    }

    fn late(&self, _: AttemptOutcome) {
        panic!("nothing blocks here");
    }
}

/// A pool with one place, which limits attempts of one type.
fn limited(clock: &VirtualClock, limits: crate::model::ActivityLimits) -> Arc<AttemptPool> {
    let limits = EngineLimits {
        types: std::collections::BTreeMap::from([("t".to_owned(), limits)]),
        max_concurrent: Some(1),
        ..EngineLimits::default()
    };
    let handle = tokio::runtime::Handle::current();
    Arc::new(AttemptPool::new(
        handle,
        Arc::new(clock.clone()),
        SharedState::new(),
        &limits,
    ))
}

fn order_of_type(activity: Arc<dyn Activity>, attempt: u32, ear: Arc<dyn Ear>) -> AttemptOrder {
    let mut info = ActivityContext::for_test().build().info().clone();
    info.attempt = attempt;
    info.activity_type = crate::model::ActivityType::from_trusted("t");
    AttemptOrder {
        lane: Lane::Forward,
        activity,
        info,
        secrets: None,
        input: Payload::null(),
        queue: None,
        due: Timestamp::EPOCH,
        schedule_to_start: None,
        start_to_close: Duration::from_secs(3_600),
        close_by: None,
        heartbeat: None,
        ear,
    }
}

/// Everything that is ready on this thread has its turn.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_waits_for_a_place_when_the_breaker_opens_is_kept_back() {
    let breaker = crate::model::Breaker::after(1).open_for(Duration::from_secs(30));
    let pool = limited(
        &VirtualClock::new(),
        crate::model::ActivityLimits::new().breaker(breaker),
    );
    let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let launch = |attempt: u32| {
        let (begun, gate, ended) = (begun.clone(), Arc::clone(&gate), ended.clone());
        let activity = Arc::new(Failing { begun, gate });
        pool.launch(order_of_type(activity, attempt, Arc::new(Noting { attempt, ended })))
    };
    let _first = launch(1);
    assert_eq!(beginnings.recv().await, Some(1));
    let _others = [launch(2), launch(3)];
    settle().await;
    gate.add_permits(3);
    assert_eq!(ends.recv().await, Some((1, "failed")));
    assert_eq!(ends.recv().await, Some((2, "parked")));
    assert_eq!(ends.recv().await, Some((3, "parked")));
    assert!(beginnings.try_recv().is_err(), "the participant is asked no more");
}

#[tokio::test]
async fn who_waits_for_a_queue_gathers_no_tokens() {
    let clock = VirtualClock::new();
    let second = Duration::from_secs(1);
    let pool = limited(&clock, crate::model::ActivityLimits::new().rate(1, second));
    let queue = Arc::new(LaneLimits::new(std::num::NonZeroU32::new(3), None));
    let places = Arc::clone(queue.places().unwrap());
    let taken = Arc::clone(&places).try_acquire_many_owned(3).unwrap();
    let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let launch = |attempt: u32| {
        let (begun, ended) = (begun.clone(), ended.clone());
        let activity = Arc::new(Telling { begun, ends: true });
        let order = order_of_type(activity, attempt, Arc::new(Noting { attempt, ended }));
        pool.launch(AttemptOrder {
            queue: Some(Arc::clone(&queue)),
            ..order
        })
    };
    let _all: Vec<AttemptHandle> = (1..=3).map(launch).collect();
    for _ in 0..5 {
        settle().await;
        clock.advance(second);
    }
    settle().await;
    drop(taken);
    assert_eq!(ends.recv().await, Some((1, "done")));
    settle().await;
    assert_eq!(
        (beginnings.try_recv(), ends.try_recv().is_err()),
        (Ok(1), true),
        "one a second"
    );
    clock.pass(second).await;
    assert_eq!(ends.recv().await, Some((2, "done")));
    assert_eq!(
        places.available_permits(),
        3,
        "the third waits for its token without a place"
    );
    clock.pass(second).await;
    assert_eq!(ends.recv().await, Some((3, "done")));
}
