//! Runs that continue as new ones, on a whole engine: who waits, asks and tells goes on with the newest, and nothing is lost.
//! Must not live here: what the machine makes of it, what code may do (both have tests of their own).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::SignalOptions;
use amends::store::ListQuery;
use amends::testing::VirtualClock;
use amends::{
    Amends, AmendsBuilder, Error, Failure, Outcome, Payload, RetryPolicy, RunStatus, SearchAttributeType,
    TaskQueueOptions, UpdateError, UpdateHandle, UpdateOptions, WorkflowContext, workflow as flow,
};
use serde_json::json;

use super::retention::look;
use crate::support::{Home, insist, run, until_status, whichever_commit_fails, workflow};

/// Adds up what it is told, two numbers in each run; 0 ends it.
#[flow]
async fn tally(cx: WorkflowContext, sum: u64) -> Result<u64, Failure> {
    let shown = cx.state(sum);
    shown.on_query("sum", |sum, ()| *sum)?;
    shown.on_update("raise", |sum, n: u64| {
        *sum += n;
        Ok::<u64, Failure>(*sum)
    })?;
    let numbers = cx.signal::<u64>("n");
    for _ in 0..2 {
        match numbers.recv().await? {
            0 => return Ok(shown.get()),
            n => shown.change(|sum| *sum += n),
        }
    }
    cx.continue_as_new(tally, &shown.get()).await
}

/// A saga with a child that continues as new.
#[flow]
async fn with_child(cx: WorkflowContext, id: String) -> Result<u64, Failure> {
    cx.saga().child("tally", &100).id(id).await
}

fn registered(builder: AmendsBuilder) -> AmendsBuilder {
    builder.workflow(tally).workflow(with_child)
}

async fn engine(builder: AmendsBuilder) -> Amends {
    registered(builder).start().await.unwrap()
}

async fn statuses(amends: &Amends) -> Vec<RunStatus> {
    let heads = amends.client().list(&ListQuery::default()).await.unwrap();
    heads.into_iter().map(|head| head.status).collect()
}

#[test]
fn who_holds_the_first_run_goes_on_with_the_newest() {
    for home in Home::each() {
        run(async {
            let amends = engine(home.builder().replay_every_turn()).await;
            let first = amends.workflow(tally).id("t").start(&0).await.unwrap();
            let watching = tokio::spawn({
                let again = amends.workflow(tally).id("t");
                async move { again.start(&7).await }
            });
            let refused = watching.await.unwrap().unwrap_err();
            assert!(
                matches!(refused, Error::Rejected(_) | Error::AlreadyStarted { .. }),
                "{refused}"
            );
            for n in 1..=5_u64 {
                first.signal("n", &n).await.unwrap();
            }
            assert_eq!(first.query::<_, u64>("sum", &()).await.unwrap(), 15);
            assert_eq!(amends.client().query::<_, u64>("t", "sum", &()).await.unwrap(), 15);
            assert_eq!(first.update::<_, u64>("raise", &10).await.unwrap(), 25);
            assert_eq!(amends.client().update::<_, u64>("t", "raise", &1).await.unwrap(), 26);
            let newest = amends.client().describe("t").await.unwrap();
            assert_ne!(newest.run_id, first.run_id());
            assert_eq!(first.newest_run_id().await.unwrap(), newest.run_id);
            assert_eq!(first.describe().await.unwrap().run_id, newest.run_id);
            assert!(matches!(
                first.run_outcome().await.unwrap(),
                Outcome::ContinuedAsNew { .. }
            ));
            // To the first run itself nothing can be said any more.
            let options = SignalOptions {
                run_id: Some(first.run_id()),
                ..SignalOptions::default()
            };
            let closed = amends.client().signal_with("t", "n", &1, options).await.unwrap_err();
            assert!(matches!(closed, Error::Rejected(_)), "{closed}");
            amends.client().signal("t", "n", &0).await.unwrap();
            assert_eq!(first.result().await.unwrap(), 26);
            let (ended, continued) = (RunStatus::Completed, RunStatus::ContinuedAsNew);
            assert_eq!(statuses(&amends).await, [ended, continued, continued]);
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn no_signal_is_lost_while_runs_continue_as_new() {
    for home in Home::each() {
        run(async {
            let amends = engine(home.builder()).await;
            let tallied = amends.workflow(tally).id("t").start(&0).await.unwrap();
            let senders = (0..4_u64).map(|sender| {
                let amends = amends.clone();
                tokio::spawn(async move {
                    for n in (1..=50).map(|n| sender * 50 + n) {
                        // Half of them would start it if it were not there: it always is.
                        if sender % 2 == 0 {
                            amends.client().signal("t", "n", &n).await.unwrap();
                            continue;
                        }
                        let with_start = amends.workflow(tally).id("t");
                        let options = SignalOptions::default();
                        with_start.signal_with_start("n", &n, &0, options).await.unwrap();
                    }
                })
            });
            for sender in senders.collect::<Vec<_>>() {
                sender.await.unwrap();
            }
            tallied.signal("n", &0).await.unwrap();
            assert_eq!(tallied.result().await.unwrap(), (1..=200).sum::<u64>());
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

/// More signals wait than a new run can be given: they wait for code that receives them.
#[test]
fn a_run_with_more_signals_than_the_next_one_may_have_is_parked_and_loses_none() {
    const SIGNALS: u64 = 2_002;
    run(async {
        let home = Home::memory();
        let adding = |drains: bool| {
            workflow("adding", move |cx, _| async move {
                let numbers = cx.signal::<u64>("n");
                let mut sum = numbers.recv().await?;
                while drains && let Some(n) = numbers.try_recv()? {
                    sum += n;
                }
                match drains {
                    true => Ok(json!(sum)),
                    false => cx.continue_as_new_by_name("adding", &sum).await,
                }
            })
        };
        let engine = |drains| home.builder().workflow_definition(adding(drains)).start();
        let amends = engine(false).await.unwrap();
        let adding = amends
            .workflow_by_name("adding")
            .id("a")
            .start(&json!(0))
            .await
            .unwrap();
        adding.pause("ada", "over the weekend").await.unwrap();
        for n in 1..=SIGNALS {
            adding.signal("n", &n).await.unwrap();
        }
        adding.unpause("ada", "").await.unwrap();
        until_status(&amends, "a", RunStatus::Parked).await;
        amends.shutdown(Duration::ZERO).await;

        let amends = engine(true).await.unwrap();
        let adding = amends.find("a").await.unwrap();
        assert_eq!(adding.result().await.unwrap(), json!((1..=SIGNALS).sum::<u64>()));
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_chain_goes_on_after_a_restart_and_a_repeated_start_meets_it() {
    let home = Home::sled();
    run(async {
        let amends = engine(home.builder()).await;
        let start = |amends: &Amends| amends.workflow(tally).id("t").request_id("r");
        let first = start(&amends).start(&0).await.unwrap();
        for n in 1..=3_u64 {
            first.signal("n", &n).await.unwrap();
        }
        amends.shutdown(Duration::from_secs(5)).await;

        let amends = engine(home.builder()).await;
        let again = start(&amends).start(&0).await.unwrap();
        assert_eq!(again.query::<_, u64>("sum", &()).await.unwrap(), 6);
        again.signal("n", &0).await.unwrap();
        assert_eq!(again.result().await.unwrap(), 6);
        amends.shutdown(Duration::from_secs(5)).await;

        let amends = engine(home.builder()).await;
        let over = start(&amends).start(&0).await.unwrap();
        assert_eq!(over.result().await.unwrap(), 6);
        amends.shutdown(Duration::ZERO).await;
    });
    home.assert_sound();
}

#[test]
fn a_child_saga_that_continues_as_new_is_waited_for_to_the_end_of_its_chain() {
    let home = Home::memory();
    run(async {
        let amends = engine(home.builder()).await;
        let parent = amends.workflow(with_child).start(&"child".to_owned()).await.unwrap();
        let client = amends.client();
        for n in [1_u64, 2, 3, 0] {
            // The child may not have been started yet.
            while let Err(error) = client.signal("child", "n", &n).await {
                assert!(matches!(error, Error::NotFound(_)), "{error}");
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(parent.result().await.unwrap(), 106);
        amends.shutdown(Duration::ZERO).await;
    });
}

/// The kinds of all events of all runs of the chain, oldest first.
async fn tell(amends: &Amends) -> Vec<Vec<&'static str>> {
    let told = insist(|| amends.workflow(tally).id("t").request_id("r").start(&0)).await;
    let client = amends.client();
    let told_that = |n: u64| {
        let options = SignalOptions {
            request_id: Some(format!("n{n}")),
            ..SignalOptions::default()
        };
        let client = &client;
        async move { client.signal_with("t", "n", &n, options).await }
    };
    for n in 1..=5 {
        insist(|| told_that(n)).await;
    }
    // The last one ends the chain: when its answer is lost, there is nobody any more who could be told again.
    while let Err(error) = told_that(0).await {
        match error {
            Error::Rejected(_) => break,
            Error::Interrupted | Error::Store(_) => tokio::task::yield_now().await,
            other => panic!("{other}"),
        }
    }
    assert_eq!(told.result().await.unwrap(), 15);
    let everything = ListQuery::default();
    let heads = insist(|| client.list(&everything)).await;
    let mut kinds = Vec::new();
    for head in heads.iter().rev() {
        let history = insist(|| client.history_of(head.run_id)).await;
        // A signal may come before or after the first task of a run that an engine has just taken up.
        let all = history.iter().map(|event| event.attributes.kind());
        kinds.push(all.filter(|kind| *kind != "WorkflowTaskCompleted").collect());
    }
    kinds
}

#[test]
fn whichever_commit_fails_the_chain_is_the_same() {
    let peace = whichever_commit_fails(8..=20, registered, tell);
    assert_eq!(peace.len(), 3, "{peace:?}");
}

/// Goes on as it was told to, and ends in its third run.
#[flow]
async fn nomad(cx: WorkflowContext, generation: u32) -> Result<u32, Failure> {
    let next = cx.continue_as_new(nomad, &(generation + 1));
    match generation {
        1 => {
            cx.upsert_search_attributes([("Place", "Rome")])?;
            cx.upsert_memo("tent", &"blue")?;
            next.await
        }
        2 => {
            cx.signal::<()>("on").recv().await?;
            // What cannot be is told, and nothing has happened.
            let nowhere = cx.continue_as_new(nomad, &0).task_queue("").await.unwrap_err();
            assert!(nowhere.is_type("InvalidId"), "{nowhere}");
            let wrong = cx
                .continue_as_new(nomad, &0)
                .search_attribute("Place", 3)
                .await
                .unwrap_err();
            assert!(wrong.is_type("InvalidSearchAttribute"), "{wrong}");
            let never = RetryPolicy::never();
            next.task_queue("far")
                .retry_policy(never)
                .search_attribute("Place", "Oslo")
                .memo("skis", &2)
                .await
        }
        _ => Ok(generation),
    }
}

#[test]
fn what_a_run_is_found_by_goes_along_unless_the_next_one_has_its_own_and_so_does_its_queue() {
    for home in Home::each() {
        let builder = || {
            let builder = home.builder().search_attribute("Place", SearchAttributeType::Keyword);
            builder.workflow(nomad).replay_every_turn()
        };
        run(async {
            let amends = builder().start().await.unwrap();
            let client = amends.client();
            let starter = amends.workflow(nomad).id("n").search_attribute("Name", "ada").unwrap();
            let first = starter.start(&1).await.unwrap();
            first.run_outcome().await.unwrap();
            let second = client.describe("n").await.unwrap();
            let found = [("Name".to_owned(), "ada".into()), ("Place".to_owned(), "Rome".into())].into();
            assert_eq!(second.search_attributes, found);
            assert_eq!(
                second.memo,
                [("tent".to_owned(), Payload::json("blue").unwrap())].into()
            );
            client.signal("n", "on", &()).await.unwrap();
            amends
                .find_run(second.run_id)
                .await
                .unwrap()
                .run_outcome()
                .await
                .unwrap();
            let third = client.describe("n").await.unwrap();
            assert_eq!(third.search_attributes, [("Place".to_owned(), "Oslo".into())].into());
            assert_eq!(third.memo, [("skis".to_owned(), Payload::json(&2).unwrap())].into());
            assert_eq!((third.task_queue.as_str(), third.waits_for_worker), ("far", true));
            for (query, runs) in [("Place = 'Rome'", 2), ("Place = 'Oslo'", 1), ("Name = 'ada'", 2)] {
                assert_eq!(client.list(query).await.unwrap().len(), runs, "{query}");
            }
            amends.shutdown(Duration::ZERO).await;

            let amends = builder()
                .task_queue("far", TaskQueueOptions::new())
                .start()
                .await
                .unwrap();
            let third = amends.find("n").await.unwrap();
            assert_eq!(
                third.outcome().await.unwrap(),
                Outcome::Completed(Payload::json(&3).unwrap())
            );
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn an_update_is_answered_though_the_run_that_the_handle_knows_is_gone() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let day = Duration::from_secs(24 * 3_600);
        let builder = home.builder().clock(Arc::new(clock.clone())).retention(day);
        let amends = engine(builder).await;
        let client = amends.client();
        let go_on = async || {
            client.signal("t", "n", &1).await.unwrap();
            client.signal("t", "n", &2).await.unwrap();
        };
        let raise = async |update_id: &str, n: u64| {
            let update_id = Some(update_id.to_owned());
            let options = UpdateOptions { update_id };
            let _accepted: UpdateHandle<u64> = client.start_update("t", "raise", &n, options).await.unwrap();
        };
        let first = amends.workflow(tally).id("t").start(&0).await.unwrap();
        let raised = async |by: &amends::RunHandle<u64>, update_id: &str| {
            let update: UpdateHandle<u64> = by.update_handle(update_id).unwrap();
            update.result().await
        };
        go_on().await;
        clock.advance(day);
        look(&clock).await;
        assert!(matches!(
            amends.find_run(first.run_id()).await,
            Err(Error::RunNotFound(_))
        ));
        let second = amends.find("t").await.unwrap();
        raise("u", 10).await;
        go_on().await;
        raise("v", 100).await;
        assert_eq!(raised(&first, "u").await.unwrap(), 13, "by the run that followed");
        assert_eq!(raised(&first, "v").await.unwrap(), 116, "by the one after that");

        clock.advance(day);
        look(&clock).await;
        assert!(matches!(
            amends.find_run(second.run_id()).await,
            Err(Error::RunNotFound(_))
        ));
        assert_eq!(raised(&first, "v").await.unwrap(), 116);
        let by_second: UpdateHandle<u64> = second.update_handle("v").unwrap();
        assert_eq!(by_second.result().await.unwrap(), 116);
        let gone = raised(&first, "u").await;
        assert!(
            matches!(gone, Err(UpdateError::Engine(Error::UnknownUpdate(_)))),
            "{gone:?}"
        );
        amends.shutdown(Duration::ZERO).await;
    });
}
