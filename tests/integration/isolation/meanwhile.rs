//! What a run has under way while its code panics: it goes on, whatever becomes of the code. Must not live here: the code's own
//! story (`panics`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amends::model::{Event, EventAttributes};
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, Failure, RetryPolicy, RunStatus};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{SECOND, one_shard};
use crate::support::{Home, Recorder, activity, run, until_status_as_time_passes, workflow};

/// The card is charged once at most, for as long as the test wants; meanwhile the code panics so many times at a signal.
struct Story {
    home: Home,
    clock: VirtualClock,
    noted: Recorder,
    release: Arc<Notify>,
    panics: Arc<AtomicU32>,
    replay_every_turn: bool,
}

/// Notes that an attempt was given up before it had ended.
struct Aborted(Option<Recorder>);

impl Drop for Aborted {
    fn drop(&mut self) {
        if let Some(noted) = &self.0 {
            noted.note("aborted");
        }
    }
}

impl Story {
    fn new(panics: u32) -> Self {
        Self {
            home: Home::memory(),
            clock: VirtualClock::new(),
            noted: Recorder::new(),
            release: Arc::default(),
            panics: Arc::new(AtomicU32::new(panics)),
            replay_every_turn: false,
        }
    }

    fn builder(&self) -> AmendsBuilder {
        let (noted, release) = (self.noted.clone(), self.release.clone());
        let charge = activity("charge", move |_, amount| {
            let (noted, release) = (noted.clone(), release.clone());
            async move {
                noted.note("began");
                let mut aborted = Aborted(Some(noted));
                release.notified().await;
                aborted.0 = None;
                Ok(amount)
            }
        });
        let (noted, panics) = (self.noted.clone(), self.panics.clone());
        let order = workflow("order", move |cx, _| {
            let (noted, panics) = (noted.clone(), panics.clone());
            async move {
                cx.on_query("asked", |(): ()| "yes")?;
                // However far the clock runs ahead.
                let charge = cx
                    .activity_by_name::<Value>("charge", &42)
                    .start_to_close(SECOND * 10_000_000);
                let charge = charge.retry(RetryPolicy::never());
                let confirmed = async {
                    let value = cx.signal::<Value>("confirm").recv().await?;
                    let left = panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                    if left.is_ok() {
                        noted.note("panics");
                        panic!("cannot stand {value}");
                    }
                    Ok::<_, Failure>(value)
                };
                let (charged, confirmed) = futures_util::future::join(charge, confirmed).await;
                Ok(json!([charged?, confirmed?]))
            }
        });
        let builder = one_shard(&self.home, &self.clock)
            .activity_definition(charge)
            .workflow_definition(order);
        match self.replay_every_turn {
            true => builder.replay_every_turn(),
            false => builder,
        }
    }

    /// The run is told of the signal while its attempt runs, and has panicked once.
    async fn begin(&self) -> Amends {
        let amends = self.builder().start().await.unwrap();
        let run = amends.workflow_by_name("order").id("o").start(&json!(0)).await.unwrap();
        self.noted.until("began", 1).await;
        run.signal("confirm", &1).await.unwrap();
        self.noted.until("panics", 1).await;
        amends
    }

    /// The only attempt has ended well.
    async fn assert_charged_once(&self, amends: &Amends) {
        assert_eq!(self.noted.count("began"), 1);
        assert_eq!(self.noted.count("aborted"), 0);
        let history = amends.client().history("o").await.unwrap();
        let started = |event: &&Event| {
            matches!(
                event.attributes,
                EventAttributes::ActivityTaskStarted { attempt: 1, .. }
            )
        };
        assert_eq!(history.iter().filter(started).count(), 1, "{history:?}");
    }
}

async fn until_charged(amends: &Amends) {
    let ended = |event: &Event| matches!(event.attributes, EventAttributes::ActivityTaskCompleted { .. });
    while !amends.client().history("o").await.unwrap().iter().any(ended) {
        tokio::task::yield_now().await;
    }
}

#[test]
fn code_that_gets_over_its_panics_finds_its_attempts_running() {
    for replay_every_turn in [false, true] {
        let mut story = Story::new(2);
        story.replay_every_turn = replay_every_turn;
        run(gets_over(story));
    }
}

async fn gets_over(story: Story) {
    let amends = story.begin().await;
    let order = amends.find("o").await.unwrap();
    let asking = order.query::<_, String>("asked", &());
    tokio::pin!(asking);
    let answer = loop {
        if let Some(answer) = asking.as_mut().now_or_never() {
            break answer;
        }
        story.clock.advance(Duration::from_millis(10));
        tokio::task::yield_now().await;
    };
    assert_eq!(answer.unwrap(), "yes");
    assert_eq!(
        story.noted.count("panics"),
        2,
        "who asks waits for code that can answer"
    );
    story.release.notify_one();
    assert_eq!(order.result().await.unwrap(), json!([42, 1]));
    story.assert_charged_once(&amends).await;
    amends.shutdown(SECOND).await;
}

#[test]
fn attempts_of_a_run_that_is_parked_for_its_panics_run_to_their_end() {
    run(async {
        let story = Story::new(u32::MAX);
        let amends = story.begin().await;
        until_status_as_time_passes(&amends, &story.clock, "o", RunStatus::Parked).await;
        assert_eq!(
            story.noted.count("panics"),
            amends::model::limits::TURN_FAILURES_MAX as usize
        );
        story.release.notify_one();
        until_charged(&amends).await;
        story.assert_charged_once(&amends).await;
        amends.shutdown(SECOND).await;
        // Better code, in the next engine.
        story.panics.store(0, Ordering::SeqCst);
        let amends = story.builder().start().await.unwrap();
        let order = amends.find("o").await.unwrap();
        assert_eq!(order.result().await.unwrap(), json!([42, 1]));
        story.assert_charged_once(&amends).await;
        amends.shutdown(SECOND).await;
    });
}

/// No time passes, so the code is not tried again before the engine is gone.
#[test]
fn an_engine_that_stops_before_the_code_is_tried_again_keeps_what_has_ended() {
    run(async {
        let story = Story::new(1);
        let amends = story.begin().await;
        story.release.notify_one();
        amends.shutdown(SECOND).await;
        let amends = story.builder().start().await.unwrap();
        let order = amends.find("o").await.unwrap();
        assert_eq!(order.result().await.unwrap(), json!([42, 1]));
        story.assert_charged_once(&amends).await;
        amends.shutdown(SECOND).await;
    });
}
