//! Whom an attempt waits behind. Must not live here: what follows from its end.

use async_trait::async_trait;
use futures_util::future::pending;

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
