//! Several runs of one workflow id: who may begin one when, runs that are tried again, delayed, and limited as a chain. Must not
//! live here: runs that continue as new (`chain`), what the machine makes of it.

use std::sync::Arc;
use std::time::Duration;

use amends::store::ListQuery;
use amends::testing::VirtualClock;
use amends::{
    Amends, AmendsBuilder, Error, Failure, IdConflictPolicy, IdReusePolicy, Outcome, ResultError, RetryPolicy,
    RunStatus, WorkflowContext, workflow as flow,
};

use crate::support::{Home, run};

/// Waits to be told how to end.
#[flow]
async fn told(cx: WorkflowContext, name: String) -> Result<String, Failure> {
    match cx.signal::<bool>("end").recv().await? {
        true => Ok(name),
        false => Err(Failure::new("Told", name)),
    }
}

/// Succeeds at the third try.
#[flow]
async fn third(cx: WorkflowContext) -> Result<u32, Failure> {
    let info = cx.info();
    match info.attempt {
        3 => Ok(info.attempt),
        attempt => Err(Failure::new("NotYet", format!("try {attempt}"))),
    }
}

async fn engine(builder: AmendsBuilder) -> (Amends, VirtualClock) {
    // Time stands still: run ids tell which run is the newest all the same.
    let clock = VirtualClock::new();
    let builder = builder.clock(Arc::new(clock.clone())).workflow(told).workflow(third);
    (builder.start().await.unwrap(), clock)
}

/// How many runs stand like this.
async fn statuses(amends: &Amends, status: RunStatus) -> usize {
    let heads = amends.client().list(&ListQuery::default()).await.unwrap();
    heads.iter().filter(|head| head.status == status).count()
}

fn started(error: &Error) -> Option<RunStatus> {
    match error {
        Error::AlreadyStarted { status, .. } => Some(*status),
        _ => None,
    }
}

#[test]
fn a_workflow_id_may_be_used_again_when_its_start_says_so() {
    for home in Home::each() {
        run(async {
            let (amends, _clock) = engine(home.builder()).await;
            let start = async |reuse, name: &str| {
                let starter = amends.workflow(told).id("w").id_reuse_policy(reuse);
                starter.start(&name.to_owned()).await
            };
            use IdReusePolicy as P;
            let first = start(P::AllowDuplicate, "first").await.unwrap();
            first.signal("end", &false).await.unwrap();
            assert!(matches!(first.result().await, Err(ResultError::Failed(_))));
            let refused = start(P::RejectDuplicate, "no").await.unwrap_err();
            assert_eq!(started(&refused), Some(RunStatus::Failed));
            let second = start(P::AllowDuplicateFailedOnly, "second").await.unwrap();
            assert!(second.run_id() > first.run_id());
            // Each handle is of its own run.
            assert!(first.signal("end", &true).await.is_err());
            second.signal("end", &true).await.unwrap();
            assert_eq!(second.result().await.unwrap(), "second");
            let refused = start(P::AllowDuplicateFailedOnly, "no").await.unwrap_err();
            assert_eq!(started(&refused), Some(RunStatus::Completed));
            let mut last = second.run_id();
            for number in 0..20 {
                let next = start(P::AllowDuplicate, &number.to_string()).await.unwrap();
                assert!(next.run_id() > last, "the newest run is found by its id");
                last = next.run_id();
                amends.client().signal("w", "end", &true).await.unwrap();
                assert_eq!(next.result().await.unwrap(), number.to_string());
            }
            let client = amends.client();
            assert_eq!(client.describe("w").await.unwrap().run_id, last);
            assert_eq!(
                client.describe_run(first.run_id()).await.unwrap().status,
                RunStatus::Failed
            );
            assert_eq!(client.history_of(second.run_id()).await.unwrap().len(), 5);
            let found = amends.find_run(first.run_id()).await.unwrap();
            assert!(matches!(found.outcome().await.unwrap(), Outcome::Failed(_)));
            assert_eq!(client.list(&ListQuery::default()).await.unwrap().len(), 22);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_start_meets_an_open_run_as_it_asked_for() {
    for home in Home::each() {
        run(async {
            let (amends, _clock) = engine(home.builder()).await;
            let start = async |conflict, name: &str| {
                let starter = amends.workflow(told).id("w").id_conflict_policy(conflict);
                starter.start(&name.to_owned()).await
            };
            use IdConflictPolicy as P;
            let first = start(P::Fail, "first").await.unwrap();
            let refused = start(P::Fail, "no").await.unwrap_err();
            assert_eq!(started(&refused), Some(RunStatus::Running));
            let same = start(P::UseExisting, "no").await.unwrap();
            assert_eq!(same.run_id(), first.run_id());
            let instead = start(P::TerminateExisting, "second").await.unwrap();
            assert!(instead.run_id() > first.run_id());
            for gone in [&first, &same] {
                let outcome = gone.outcome().await.unwrap();
                assert!(matches!(outcome, Outcome::Terminated { .. }), "{outcome:?}");
            }
            amends.client().signal("w", "end", &true).await.unwrap();
            assert_eq!(instead.result().await.unwrap(), "second");
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_run_is_tried_again_and_its_result_is_that_of_the_last_try() {
    for home in Home::each() {
        run(async {
            let (amends, clock) = engine(home.builder()).await;
            let starter = amends.workflow(third).id("w").retry_policy(RetryPolicy::default());
            let tried = starter.start(&()).await.unwrap();
            let first = tried.run_outcome().await.unwrap();
            assert!(matches!(first, Outcome::Failed(_)), "{first:?}");
            let waits = tried.describe().await.unwrap();
            assert_eq!((waits.status, waits.attempt), (RunStatus::Running, 2));
            assert!(waits.begins_at.is_some());
            let refused = tried.update::<_, ()>("any", &()).await.unwrap_err();
            assert!(refused.to_string().contains("the run begins at"), "{refused}");
            clock.pass(Duration::from_secs(1)).await;
            clock.pass(Duration::from_secs(2)).await;
            assert_eq!(tried.result().await.unwrap(), 3);
            let few = RetryPolicy {
                maximum_attempts: 2,
                ..RetryPolicy::default()
            };
            let tried = amends.workflow(third).retry_policy(few).start(&()).await.unwrap();
            clock.pass(Duration::from_secs(1)).await;
            let Err(ResultError::Failed(failure)) = tried.result().await else {
                panic!("it is not tried a third time");
            };
            assert!(failure.to_string().contains("try 2"), "{failure}");
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_delayed_run_outlives_a_restart_and_begins_in_time() {
    let home = Home::sled();
    let clock = VirtualClock::new();
    let open = async || {
        let builder = home.builder().clock(Arc::new(clock.clone())).workflow(third);
        builder.start().await.unwrap()
    };
    run(async {
        let amends = open().await;
        let starter = amends.workflow(third).id("w").start_delay(Duration::from_secs(3_600));
        let starter = starter.retry_policy(RetryPolicy::default());
        let delayed = starter.start(&()).await.unwrap();
        assert_eq!(delayed.describe().await.unwrap().events, 1);
        amends.shutdown(Duration::from_secs(1)).await;

        let amends = open().await;
        let delayed = amends.find("w").await.unwrap();
        assert_eq!(delayed.describe().await.unwrap().events, 1);
        clock.pass(Duration::from_secs(3_600)).await;
        let first = delayed.run_outcome().await.unwrap();
        assert!(matches!(first, Outcome::Failed(_)), "{first:?}");
        clock.pass(Duration::from_secs(1)).await;
        clock.pass(Duration::from_secs(2)).await;
        assert_eq!(delayed.result().await.unwrap(), 3);
        amends.shutdown(Duration::ZERO).await;
    });
    home.assert_sound();
}

/// Answers updates, and waits for the end.
#[flow]
async fn spoken_to(cx: WorkflowContext) -> Result<(), Failure> {
    let words = cx.state(0_u32);
    words.on_update("word", |words, fits: bool| {
        *words += 1;
        fits.then_some(*words).ok_or_else(|| Failure::new("Unfit", ""))
    })?;
    cx.signal::<()>("end").recv().await
}

#[test]
fn an_update_begins_a_delayed_run_at_once_but_for_one_that_comes_with_the_start() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let builder = home.builder().clock(Arc::new(clock.clone())).replay_every_turn();
            let amends = builder.workflow(spoken_to).start().await.unwrap();
            let hour = Duration::from_secs(3_600);
            let delayed = amends.workflow(spoken_to).id("w").start_delay(hour);
            let delayed = delayed.start(&()).await.unwrap();
            assert_eq!(delayed.update::<_, u32>("word", &true).await.unwrap(), 1);
            assert_eq!(delayed.describe().await.unwrap().begins_at, None);
            let with = amends.workflow(spoken_to).id("with").start_delay(hour);
            let refused = with.update_with_start::<_, u32>("word", &true, &(), Default::default());
            let refused = refused.await.unwrap_err().to_string();
            assert!(refused.contains("the run begins at"), "{refused}");
            let waits = amends.find("with").await.unwrap();
            assert!(waits.describe().await.unwrap().begins_at.is_some());
            // The second one finds the run there.
            let with = amends.workflow(spoken_to).id("with");
            let (_, word) = with
                .update_with_start::<_, u32>("word", &true, &(), Default::default())
                .await
                .unwrap();
            assert_eq!(word.result().await.unwrap(), 1);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn the_time_of_a_whole_chain_ends_whichever_run_is_open() {
    run(async {
        let home = Home::memory();
        let (amends, clock) = engine(home.builder()).await;
        let starter = amends.workflow(told).id("w").retry_policy(RetryPolicy::default());
        let starter = starter.execution_timeout(Duration::from_secs(10));
        let limited = starter.start(&"w".to_owned()).await.unwrap();
        limited.signal("end", &false).await.unwrap();
        assert!(matches!(limited.run_outcome().await.unwrap(), Outcome::Failed(_)));
        clock.pass(Duration::from_secs(10)).await;
        assert!(matches!(limited.result().await, Err(ResultError::TimedOut)));
        amends.shutdown(Duration::ZERO).await;
    });
}

/// Counts the runs of its chain.
#[flow]
async fn again(cx: WorkflowContext) -> Result<u32, Failure> {
    Ok(cx.last_result::<u32>()?.unwrap_or(0) + 1)
}

#[test]
fn a_schedule_repeats_a_run_until_somebody_cancels_it() {
    run(async {
        let (home, clock) = (Home::sled(), VirtualClock::new());
        let builder = home.builder().clock(Arc::new(clock.clone())).workflow(again);
        let amends = builder.start().await.unwrap();
        let start = |schedule: &str| amends.workflow(again).id("w").cron_schedule(schedule);
        let refused = start("soon").start(&()).await.unwrap_err();
        assert!(matches!(refused, Error::Cron(_)), "{refused}");
        let delayed = start("@hourly")
            .start_delay(Duration::from_secs(1))
            .start(&())
            .await
            .unwrap_err();
        assert!(matches!(delayed, Error::DelayedSchedule), "{delayed}");
        let repeated = start("*/10 * * * *").start(&()).await.unwrap();
        for completed in 1..=3 {
            clock.pass(Duration::from_secs(600)).await;
            // The next one is there as soon as the one before is done.
            while statuses(&amends, RunStatus::Completed).await < completed {
                tokio::task::yield_now().await;
            }
        }
        let waits = repeated.describe().await.unwrap();
        assert!(waits.begins_at.is_some(), "{waits:?}");
        repeated.cancel("enough").await.unwrap();
        assert!(matches!(repeated.result().await, Err(ResultError::Canceled(_))));
        let heads = amends.client().list(&ListQuery::default()).await.unwrap();
        let mut results = Vec::new();
        for head in &heads {
            if let Outcome::Completed(result) = amends.find_run(head.run_id).await.unwrap().run_outcome().await.unwrap()
            {
                results.push(result.to::<u32>().unwrap());
            }
        }
        assert_eq!(results, [3, 2, 1], "newest first");
        amends.shutdown(Duration::ZERO).await;
    });
}
