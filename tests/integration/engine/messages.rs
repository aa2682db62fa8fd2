//! Queries, updates, and runs that talk to each other, on a whole engine. Must not live here: what handlers may do and in
//! which order (`replay` tests that), stores that fail (`messages_survive`).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::{QueryError, SignalOptions};
use amends::machine::Rejection;
use amends::testing::VirtualClock;
use amends::{
    Amends, AmendsBuilder, Error, Failure, IdConflictPolicy, RunStatus, UpdateError, UpdateOptions, WorkflowContext,
    workflow as flow,
};
use serde_json::{Value, json};

use crate::support::{Home, run, saga, until_status, workflow};

/// A counter that may be asked, and told: an entity.
#[flow]
async fn counter(cx: WorkflowContext, goal: u32) -> Result<u32, Failure> {
    let count = cx.state(0_u32);
    count.on_query("count", |count, ()| *count)?;
    count.on_signal("add", |count, n: u32| *count += n)?;
    count.on_validated_update(
        "take",
        |count, n: &u32| match n <= count {
            true => Ok(()),
            false => Err(Failure::new("TooFew", format!("there are only {count}"))),
        },
        |count, n| {
            *count -= n;
            Ok(*count)
        },
    )?;
    let (own, waiting) = (cx.clone(), count.clone());
    cx.on_update("reach", async move |wanted: u32| {
        let looked_at = waiting.clone();
        own.wait_condition(move || looked_at.get() >= wanted).await?;
        Ok::<u32, Failure>(waiting.get())
    })?;
    cx.on_update("break", async |(): ()| Err::<(), _>(Failure::new("Broken", "as asked")))?;
    count.wait_until(move |count| *count >= goal).await?;
    cx.wait_condition(|| cx.all_handlers_finished()).await?;
    Ok(count.get())
}

async fn engine(builder: AmendsBuilder) -> Amends {
    builder.workflow(counter).start().await.unwrap()
}

fn named(update_id: &str) -> UpdateOptions {
    UpdateOptions {
        update_id: Some(update_id.to_owned()),
    }
}

#[test]
fn a_run_answers_while_it_is_live_passivated_and_over() {
    for home in Home::each() {
        run(async {
            let clock = VirtualClock::new();
            let builder = home
                .builder()
                .clock(Arc::new(clock.clone()))
                .passivate_after(Duration::from_secs(1));
            let amends = engine(builder).await;
            let counted = amends.workflow(counter).id("c").start(&10).await.unwrap();
            for n in 1..=3_u32 {
                counted.signal("add", &n).await.unwrap();
            }
            assert_eq!(counted.query::<_, u32>("count", &()).await.unwrap(), 6);
            // Two sweeps: nobody has spoken to it in between.
            for _ in 0..40 {
                clock.advance(Duration::from_millis(250));
                tokio::task::yield_now().await;
            }
            assert_eq!(counted.query::<_, u32>("count", &()).await.unwrap(), 6);
            counted.signal("add", &4).await.unwrap();
            assert_eq!(counted.result().await.unwrap(), 10);
            let before = amends.client().history("c").await.unwrap();
            assert_eq!(counted.query::<_, u32>("count", &()).await.unwrap(), 10);
            assert_eq!(amends.client().query::<_, u32>("c", "count", &()).await.unwrap(), 10);
            assert_eq!(
                amends.client().history("c").await.unwrap(),
                before,
                "asking leaves no trace"
            );
            let unknown = counted.query::<_, u32>("cuont", &()).await.unwrap_err();
            assert_eq!(unknown.code().to_string(), "E0026");
            assert!(unknown.to_string().contains("known: count"), "{unknown}");
            let nobody = amends.client().query::<_, u32>("nobody", "count", &()).await;
            assert!(matches!(nobody, Err(Error::NotFound(_))));
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn an_update_has_a_result_a_failure_or_a_refusal_and_one_id_is_one_update() {
    run(async {
        let home = Home::memory();
        let amends = engine(home.builder()).await;
        let counted = amends.workflow(counter).id("c").start(&10).await.unwrap();
        counted.signal("add", &5).await.unwrap();
        assert_eq!(counted.update::<_, u32>("take", &2).await.unwrap(), 3);
        let before = amends.client().history("c").await.unwrap();
        let refused = counted.update::<_, u32>("take", &20).await;
        assert!(matches!(refused, Err(UpdateError::Refused(failure)) if failure.is_type("TooFew")));
        let unknown = counted.update::<_, u32>("tkae", &1).await.unwrap_err();
        assert!(unknown.to_string().contains("known: break, reach, take"), "{unknown}");
        assert_eq!(amends.client().history("c").await.unwrap(), before);
        let broken = counted.update::<_, ()>("break", &()).await;
        assert!(matches!(broken, Err(UpdateError::Failed(failure)) if failure.is_type("Broken")));

        for _ in 0..2 {
            let taken = counted.start_update::<_, u32>("take", &1, named("once")).await.unwrap();
            assert_eq!(taken.result().await.unwrap(), 2);
        }
        let reaching = counted
            .start_update::<_, u32>("reach", &4, named("reach"))
            .await
            .unwrap();
        assert_eq!(
            counted.query::<_, u32>("count", &()).await.unwrap(),
            2,
            "accepted, not answered"
        );
        counted.signal("add", &2).await.unwrap();
        assert_eq!(reaching.result().await.unwrap(), 4);
        counted.signal("add", &6).await.unwrap();
        assert_eq!(counted.result().await.unwrap(), 10);

        // All of it stays to be had, and nothing new is.
        let once = counted.start_update::<_, u32>("take", &1, named("once")).await.unwrap();
        assert_eq!(once.result().await.unwrap(), 2);
        assert_eq!(
            counted.update_handle::<u32>("reach").unwrap().result().await.unwrap(),
            4
        );
        let none = counted.update_handle::<u32>("none").unwrap().result().await;
        assert!(matches!(none, Err(UpdateError::Engine(Error::UnknownUpdate(_)))));
        let late = counted.update::<_, u32>("take", &1).await;
        assert!(matches!(
            late,
            Err(UpdateError::Engine(Error::Rejected(Rejection::Closed)))
        ));
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn an_accepted_update_is_answered_by_the_next_engine_and_abandoned_by_a_run_that_is_ended() {
    for home in Home::each() {
        run(async {
            let amends = engine(home.builder()).await;
            let counted = amends.workflow(counter).id("c").start(&100).await.unwrap();
            let accepted = counted.start_update::<_, u32>("reach", &7, named("u")).await.unwrap();
            let hopeless = counted.start_update::<_, u32>("reach", &99, named("v")).await.unwrap();
            assert_eq!(accepted.update_id().as_str(), "u");
            let waiting = tokio::spawn(async move { hopeless.result().await });
            amends.shutdown(Duration::ZERO).await;
            let stopped = waiting.await.unwrap();
            assert!(
                matches!(stopped, Err(UpdateError::Engine(Error::ShuttingDown))),
                "{stopped:?}"
            );

            let amends = engine(home.builder()).await;
            let counted = amends.find("c").await.unwrap();
            counted.signal("add", &7).await.unwrap();
            assert_eq!(counted.update_handle::<u32>("u").unwrap().result().await.unwrap(), 7);
            let hopeless = counted.update_handle::<u32>("v").unwrap();
            let waiting = tokio::spawn(async move { hopeless.result().await });
            counted.terminate("enough").await.unwrap();
            let abandoned = waiting.await.unwrap();
            assert!(matches!(abandoned, Err(UpdateError::Failed(failure)) if failure.is_type("UpdateAbandoned")));
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_signal_or_an_update_starts_its_run_when_there_is_none_and_else_finds_it() {
    run(async {
        let home = Home::memory();
        let amends = engine(home.builder()).await;
        let start = || amends.workflow(counter).id("c").request_id("start");
        let named = |name: &str| SignalOptions {
            request_id: Some(name.to_owned()),
            ..SignalOptions::default()
        };
        let update = |id: &str| UpdateOptions {
            update_id: Some(id.to_owned()),
        };
        let first = start().signal_with_start("add", &1, &10, named("first")).await.unwrap();
        let history = amends.client().history("c").await.unwrap();
        let tasks = history.iter().filter(|event| event.attributes.ids() == 3).count();
        assert_eq!(tasks, 1, "one turn");
        let second = start()
            .signal_with_start("add", &2, &10, SignalOptions::default())
            .await
            .unwrap();
        assert_eq!(first.run_id(), second.run_id());
        let (third, taken) = start()
            .update_with_start::<_, u32>("take", &3, &10, update("third"))
            .await
            .unwrap();
        assert_eq!((third.run_id(), taken.result().await.unwrap()), (first.run_id(), 0));
        third.signal("add", &10).await.unwrap();
        assert_eq!(third.result().await.unwrap(), 10);

        let other = amends.workflow(counter).id("d");
        let refused = other
            .update_with_start::<_, u32>("take", &1, &5, UpdateOptions::default())
            .await;
        assert!(matches!(refused, Err(UpdateError::Refused(_))));
        let started = amends.client().describe("d").await.unwrap();
        assert_eq!(
            started.status,
            RunStatus::Running,
            "a refused update leaves its run started"
        );
        for policy in [IdConflictPolicy::Fail, IdConflictPolicy::TerminateExisting] {
            // It would not be for the run that is open.
            let other = amends.workflow(counter).id("d").id_conflict_policy(policy);
            let refused = other.signal_with_start("add", &1, &5, SignalOptions::default()).await;
            assert!(matches!(refused, Err(Error::ConflictPolicy(_))), "{refused:?}");
        }
        let existing = amends.workflow(counter).id("d");
        let existing = existing.id_conflict_policy(IdConflictPolicy::UseExisting);
        let found = existing
            .signal_with_start("add", &1, &5, SignalOptions::default())
            .await;
        assert_eq!(found.unwrap().run_id(), started.run_id);
        let ended = amends.workflow(counter).id("c");
        let again = ended.signal_with_start("add", &1, &10, SignalOptions::default()).await;
        assert!(matches!(again, Err(Error::AlreadyStarted { .. })));
        // The same start says nothing of what it brings: that was heard before, or is not heard any more.
        let again = start().signal_with_start("add", &1, &10, named("first")).await;
        assert_eq!(again.unwrap().run_id(), first.run_id());
        let again = start().update_with_start::<_, u32>("take", &3, &10, update("third"));
        assert_eq!(again.await.unwrap().1.result().await.unwrap(), 0);
        for unheard in [named("fourth"), SignalOptions::default()] {
            let unheard = start().signal_with_start("add", &1, &10, unheard).await;
            assert!(matches!(unheard, Err(Error::AlreadyStarted { .. })), "{unheard:?}");
        }
        let unheard = start().update_with_start::<_, u32>("take", &3, &10, update("fifth"));
        assert!(matches!(
            unheard.await.map(drop),
            Err(UpdateError::Engine(Error::AlreadyStarted { .. }))
        ));
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn runs_signal_and_cancel_each_other_and_hear_when_there_is_nobody() {
    let talker = || {
        workflow("talker", |cx, _| async move {
            let told = cx.external("c").signal("add", &10).await;
            let nobody = cx.external("nobody").signal("add", &1).await.unwrap_err();
            let over = cx.external("c").cancel("too late").await.unwrap_err();
            let stopped = cx.external("d").cancel("not needed").await;
            Ok(json!([
                told.is_ok(),
                nobody.type_name(),
                over.type_name(),
                stopped.is_ok()
            ]))
        })
    };
    for home in Home::each() {
        run(async {
            let amends = engine(home.builder().workflow_definition(talker())).await;
            let told = amends.workflow(counter).id("c").start(&10).await.unwrap();
            let stopped = amends.workflow(counter).id("d").start(&10).await.unwrap();
            let talker = amends
                .workflow_by_name("talker")
                .id("t")
                .start(&Value::Null)
                .await
                .unwrap();
            // The first run ends by what it is told.
            assert_eq!(told.result().await.unwrap(), 10);
            let heard = talker.result().await.unwrap();
            let not_found = "ExternalWorkflowNotFound";
            assert_eq!(heard, json!([true, not_found, not_found, true]));
            assert!(stopped.result().await.is_err());
            let kinds: Vec<_> = amends.client().history("t").await.unwrap();
            let kinds = kinds.iter().map(|event| event.attributes.kind());
            let about_others: Vec<_> = kinds.filter(|kind| kind.contains("External")).collect();
            assert_eq!(
                about_others,
                [
                    "SignalExternalWorkflowExecutionInitiated",
                    "ExternalWorkflowExecutionSignaled",
                    "SignalExternalWorkflowExecutionInitiated",
                    "SignalExternalWorkflowExecutionFailed",
                    "RequestCancelExternalWorkflowExecutionInitiated",
                    "RequestCancelExternalWorkflowExecutionFailed",
                    "RequestCancelExternalWorkflowExecutionInitiated",
                    "ExternalWorkflowExecutionCancelRequested",
                ]
            );
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_query_that_misbehaves_fails_alone_and_the_run_goes_on_as_if_it_had_not_been_asked() {
    let touchy = || {
        workflow("touchy", |cx, _| async move {
            let count = std::rc::Rc::new(std::cell::Cell::new(0_u32));
            let own = cx.clone();
            let counted = count.clone();
            cx.on_query("grabs", move |(): ()| {
                // Nobody sees this coming; the run is rebuilt after what follows.
                counted.set(100);
                own.random()
            })?;
            let counted = count.clone();
            cx.on_query("trips", move |(): ()| -> u32 {
                counted.set(100);
                panic!("it trips")
            })?;
            let counted = count.clone();
            cx.on_query("count", move |(): ()| counted.get())?;
            cx.signal::<()>("go").recv().await?;
            Ok(json!(count.get()))
        })
    };
    run(async {
        let home = Home::memory();
        let amends = engine(home.builder().workflow_definition(touchy())).await;
        let asked = amends
            .workflow_by_name("touchy")
            .id("t")
            .start(&Value::Null)
            .await
            .unwrap();
        let grabs = asked.query::<_, u32>("grabs", &()).await;
        assert!(
            matches!(grabs, Err(Error::Query(QueryError::NotReadOnly(_)))),
            "{grabs:?}"
        );
        assert_eq!(asked.query::<_, u32>("count", &()).await.unwrap(), 0);
        let trips = asked.query::<_, u32>("trips", &()).await;
        assert!(matches!(trips, Err(Error::Query(QueryError::Panicked(_)))), "{trips:?}");
        assert_eq!(asked.query::<_, u32>("count", &()).await.unwrap(), 0);
        asked.signal("go", &()).await.unwrap();
        assert_eq!(asked.result().await.unwrap(), json!(0));
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_parked_run_cannot_be_asked_and_says_why_and_a_run_that_goes_back_can() {
    run(async {
        let home = Home::memory();
        let one = |timers: u32| {
            workflow("changing", move |cx, _| async move {
                cx.on_query("timers", move |(): ()| timers)?;
                for _ in 0..timers {
                    cx.sleep(Duration::from_secs(3600)).await?;
                }
                Ok(Value::Null)
            })
        };
        let amends = home.builder().workflow_definition(one(1)).start().await.unwrap();
        let asked = amends
            .workflow_by_name("changing")
            .id("p")
            .start(&Value::Null)
            .await
            .unwrap();
        assert_eq!(asked.query::<_, u32>("timers", &()).await.unwrap(), 1);
        amends.shutdown(Duration::ZERO).await;

        let amends = home.builder().workflow_definition(one(0)).start().await.unwrap();
        let asked = amends.find("p").await.unwrap();
        let other_code = asked.query::<_, u32>("timers", &()).await.unwrap_err();
        assert!(
            matches!(&other_code, Error::Query(QueryError::Undecidable(_))),
            "{other_code:?}"
        );
        assert!(other_code.to_string().contains("StartTimer") || other_code.to_string().contains("TimerStarted"));
        asked.signal("s", &()).await.unwrap();
        until_status(&amends, "p", RunStatus::Parked).await;
        let update = asked.update::<_, ()>("u", &()).await.unwrap_err();
        assert!(
            matches!(
                &update,
                UpdateError::Engine(Error::Rejected(Rejection::CannotDecide(_)))
            ),
            "{update:?}"
        );
        amends.shutdown(Duration::ZERO).await;

        let amends = home.builder().workflow_definition(one(1)).start().await.unwrap();
        let asked = amends.find("p").await.unwrap();
        asked.cancel("enough").await.unwrap();
        assert!(asked.result().await.is_err());
        assert_eq!(asked.query::<_, u32>("timers", &()).await.unwrap(), 1);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_run_of_a_definition_tells_how_it_stands_and_takes_no_updates() {
    let waits = r#"
        name = "waits"
        version = "1"

        [[step]]
        name = "approval"
        signal = { name = "approve" }
    "#;
    run(async {
        let home = Home::memory();
        let amends = home.builder().saga(saga(waits)).start().await.unwrap();
        let asked = amends
            .workflow_by_name("waits")
            .id("w")
            .start(&json!({}))
            .await
            .unwrap();
        assert_eq!(
            asked.query::<_, Value>("steps", &()).await.unwrap(),
            json!({"approval": "pending"})
        );
        let update = asked.update::<_, Value>("approve", &true).await;
        assert!(matches!(update, Err(UpdateError::Refused(failure)) if failure.message.contains("send a signal")));
        asked.signal("approve", &json!({"by": "ada"})).await.unwrap();
        asked.result().await.unwrap();
        assert_eq!(
            asked.query::<_, Value>("status", &()).await.unwrap(),
            json!("completed")
        );
        let outputs = asked.query::<_, Value>("outputs", &()).await.unwrap();
        assert_eq!(outputs, json!({"approval": {"by": "ada"}}));
        let unknown = asked.query::<_, Value>("step", &()).await.unwrap_err();
        assert!(unknown.to_string().contains("known: outputs status steps"), "{unknown}");
        amends.shutdown(Duration::ZERO).await;
    });
}
