//! Limits of activity types: who waits for whom, and who does not. Must not live here: buckets and breakers themselves.

use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::model::{AttemptToken, Breaker, EventId, Failure, Payload, RunId, WorkflowId};
use crate::testing::VirtualClock;

const SECOND: Duration = Duration::from_secs(1);

fn throttle(clock: &VirtualClock, limits: ActivityLimits) -> Arc<Throttle> {
    let types = BTreeMap::from([("t".to_owned(), limits)]);
    let limits = EngineLimits {
        types,
        ..EngineLimits::default()
    };
    Arc::new(Throttle::new(Arc::new(clock.clone()), &limits))
}

/// What an attempt does that waits for nothing but its type.
async fn enter(throttle: &Throttle, activity_type: &str, lane: Lane) -> Option<Pass> {
    enter_queue(throttle, activity_type, lane, None).await
}

/// The same for one whose queue paces it as well.
async fn enter_queue(
    throttle: &Throttle,
    activity_type: &str,
    lane: Lane,
    queue: Option<&Arc<LaneLimits>>,
) -> Option<Pass> {
    let mut pass = throttle.enter(activity_type, lane, queue)?;
    loop {
        throttle.until_paced(&pass).await;
        throttle.until_placed(&mut pass).await;
        match throttle.admit(&pass) {
            Admittance::Go => return Some(pass),
            Admittance::Wait => drop(pass.take_place()),
            Admittance::Park => return None,
        }
    }
}

/// Whether an attempt may be made at once; and if so, its pass.
fn at_once(throttle: &Throttle, activity_type: &str, lane: Lane) -> Option<Option<Pass>> {
    enter(throttle, activity_type, lane).now_or_never()
}

#[test]
fn places_are_counted_by_type_and_lane() {
    let throttle = throttle(&VirtualClock::new(), ActivityLimits::new().max_concurrent(1));
    let first = at_once(&throttle, "t", Lane::Forward);
    assert!(first.is_some());
    assert!(at_once(&throttle, "t", Lane::Forward).is_none(), "it waits");
    assert!(at_once(&throttle, "t", Lane::Amends).is_some(), "the way back does not");
    assert!(
        at_once(&throttle, "other", Lane::Forward).is_some(),
        "nor does another type"
    );
    drop(first);
    assert!(at_once(&throttle, "t", Lane::Forward).is_some());
}

#[test]
fn rates_are_waited_for_on_the_engine_s_clock_in_line() {
    let clock = VirtualClock::new();
    let throttle = throttle(&clock, ActivityLimits::new().rate(2, SECOND * 10));
    assert!(at_once(&throttle, "t", Lane::Forward).is_some());
    assert!(at_once(&throttle, "t", Lane::Forward).is_some());
    let mut third = Box::pin(enter(&throttle, "t", Lane::Forward));
    let mut fourth = Box::pin(enter(&throttle, "t", Lane::Forward));
    assert!(third.as_mut().now_or_never().is_none() && fourth.as_mut().now_or_never().is_none());
    assert!(
        at_once(&throttle, "t", Lane::Amends).is_some(),
        "the way back has a bucket of its own"
    );
    clock.advance(SECOND * 5);
    assert!(fourth.as_mut().now_or_never().is_none(), "not before the third");
    assert!(third.now_or_never().is_some());
    assert!(fourth.as_mut().now_or_never().is_none());
    clock.advance(SECOND * 5);
    assert!(fourth.now_or_never().is_some());
}

#[test]
fn a_breaker_keeps_back_both_lanes_of_its_type_only() {
    let clock = VirtualClock::new();
    let throttle = throttle(
        &clock,
        ActivityLimits::new().breaker(Breaker::after(1).open_for(SECOND)),
    );
    let pass = at_once(&throttle, "t", Lane::Forward).flatten().unwrap();
    throttle.leave(&pass, &Err(Failure::new("Down", "")));
    for lane in [Lane::Forward, Lane::Amends] {
        assert!(
            at_once(&throttle, "t", lane).unwrap().is_none(),
            "{lane:?}: kept back, at once"
        );
        assert!(at_once(&throttle, "other", lane).unwrap().is_some());
    }
    let status = throttle.status();
    assert_eq!(status[0].open_until, Some(clock.now().after(SECOND)));
    clock.advance(SECOND);
    let probe = at_once(&throttle, "t", Lane::Amends).flatten().unwrap();
    assert!(at_once(&throttle, "t", Lane::Forward).unwrap().is_none(), "one probes");
    throttle.leave(&probe, &Ok(Payload::null()));
    assert!(at_once(&throttle, "t", Lane::Forward).unwrap().is_some());
    assert_eq!(throttle.status()[0].open_until, None);
}

#[test]
fn a_type_s_token_is_not_taken_when_the_engine_has_none() {
    let clock = VirtualClock::new();
    let rate = |attempts: u32| ActivityLimits::new().rate(attempts, SECOND * 10).rate;
    let limits = EngineLimits {
        types: BTreeMap::from([("t".to_owned(), ActivityLimits::new().rate(1, SECOND * 10))]),
        rate: rate(1),
        ..EngineLimits::default()
    };
    let throttle = Throttle::new(Arc::new(clock.clone()), &limits);
    let waits = throttle.enter("t", Lane::Forward, None).unwrap();
    assert!(
        at_once(&throttle, "other", Lane::Forward).is_some(),
        "it has the engine's token"
    );
    assert_eq!(throttle.admit(&waits), Admittance::Wait);
    clock.advance(SECOND * 10);
    assert_eq!(throttle.admit(&waits), Admittance::Go, "its type's was left");
    assert_eq!(throttle.admit(&waits), Admittance::Wait);
}

#[test]
fn who_waits_for_a_slow_queue_keeps_no_place_of_its_type() {
    let clock = VirtualClock::new();
    let throttle = throttle(&clock, ActivityLimits::new().max_concurrent(1));
    let rate = ActivityLimits::new().rate(1, SECOND * 10).rate;
    let slow = Arc::new(LaneLimits::new(None, rate));
    let enters = || Box::pin(enter_queue(&throttle, "t", Lane::Forward, Some(&slow)));
    assert!(enters().now_or_never().flatten().is_some());
    let mut waits = enters();
    assert!(waits.as_mut().now_or_never().is_none());
    let other = at_once(&throttle, "t", Lane::Forward).flatten();
    clock.advance(SECOND * 10);
    assert!(waits.as_mut().now_or_never().is_none(), "the place is taken now");
    drop(other.unwrap());
    assert!(waits.now_or_never().flatten().is_some());
}

#[test]
fn a_queue_paces_its_attempts_of_whatever_type_and_no_others() {
    let clock = VirtualClock::new();
    let throttle = throttle(&clock, ActivityLimits::new().rate(1, SECOND * 10));
    let queue = |attempts: u32| {
        let rate = ActivityLimits::new().rate(attempts, SECOND * 10).rate;
        Arc::new(LaneLimits::new(None, rate))
    };
    let (mail, bulk) = (queue(2), queue(1));
    let at_once = |activity_type: &str, queue: &Arc<LaneLimits>| {
        let entered = enter_queue(&throttle, activity_type, Lane::Forward, Some(queue)).now_or_never();
        entered.flatten().is_some()
    };
    assert!(throttle.pass_unlimited("other", Lane::Forward, Some(&mail)).is_none());
    assert!(at_once("t", &mail));
    assert!(!at_once("t", &mail), "its type has no token");
    assert!(at_once("other", &mail), "the queue's was left");
    assert!(!at_once("third", &mail), "two in ten seconds");
    assert!(at_once("third", &bulk), "another queue");
    clock.advance(SECOND * 5);
    assert!(at_once("third", &mail));
    assert!(!at_once("third", &mail), "evenly spaced after the burst");
}

fn parked(run: u8) -> Parked {
    Parked {
        workflow_id: WorkflowId::from_trusted("w"),
        run_id: RunId::from_bytes([run; 16]),
        token: AttemptToken {
            scheduled: EventId(5),
            attempt: 1,
        },
    }
}

#[tokio::test]
async fn a_breaker_lists_an_attempt_once_and_goes_on_when_one_that_was_to_probe_is_not_made() {
    let (clock, handle) = (VirtualClock::new(), tokio::runtime::Handle::current());
    let throttle = throttle(
        &clock,
        ActivityLimits::new().breaker(Breaker::after(1).open_for(SECOND * 30)),
    );
    let pass = at_once(&throttle, "t", Lane::Forward).flatten().unwrap();
    throttle.leave(&pass, &Err(Failure::new("Down", "")));
    let is_listed = async |wanted: usize| {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(throttle.status()[0].parked, wanted);
    };
    for run in [1, 2, 3, 4, 2, 3] {
        throttle.park("t", parked(run), &handle);
    }
    is_listed(4).await;
    throttle.unpark("t", &parked(1), false);
    is_listed(3).await;
    clock.pass(SECOND * 30).await;
    is_listed(2).await;
    throttle.unpark("t", &parked(4), false);
    is_listed(1).await;
    throttle.unpark("t", &parked(2), true);
    is_listed(1).await;
    throttle.park("t", parked(5), &handle);
    clock.pass(SECOND).await;
    is_listed(1).await;
    throttle.unpark("t", &parked(3), false);
    is_listed(0).await;
}
