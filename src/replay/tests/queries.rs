//! Queries: what they may do, which means nothing, and who can be asked.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::machine::{Decider, NoDecider, QueryError};
use crate::model::{Failure, ParkReason, Payload, Query, QueryName};
use crate::replay::CodeDecider;
use crate::sdk::{HandlerUnfinishedPolicy, WorkflowContext};

use super::double;
use super::messages::{account, answer, ask, plays, refused, signal, update};
use super::mini_machine::registry_with;
use super::world::World;

#[test]
fn a_query_only_looks() {
    async fn nosy(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        let count = cx.state(0_u32);
        count.on_signal("go", |count, ()| *count += 1)?;
        let own = cx.clone();
        cx.on_query("rolls", move |(): ()| own.random())?;
        let own = cx.clone();
        cx.on_query("notes", move |(): ()| own.record_marker("asked", &()).is_ok())?;
        let own = cx.clone();
        cx.on_query("runs", move |(): ()| {
            let call = own.activity(double, &1);
            call.now_or_never().is_some()
        })?;
        let counts = count.clone();
        cx.on_query("counts", move |(): ()| {
            counts.change(|count| {
                *count += 1;
                *count
            })
        })?;
        cx.on_query("trips", |(): ()| -> u32 { unreachable!("as it does") })?;
        count.on_query("count", |count, ()| *count)?;
        let counts = count.clone();
        cx.on_validated_update(
            "grow",
            move |(): &()| -> Result<(), Failure> {
                counts.change(|count| *count = 7);
                Ok(())
            },
            async |(): ()| Ok(()),
        )?;
        count.wait_until(|count| *count == 1).await?;
        Ok(u32::from(cx.random().is_multiple_of(2)))
    }
    let asking = plays(nosy, |world| {
        let before = world.history();
        for (name, tried) in [
            ("rolls", "draw a random number"),
            ("notes", "record a marker"),
            ("runs", "run an activity"),
            ("counts", "change the run's state"),
        ] {
            let error = ask(world, name).unwrap_err();
            assert_eq!(error, QueryError::NotReadOnly(tried.to_owned()));
            assert!(error.leaves_doubt());
        }
        let panicked = ask(world, "trips").unwrap_err();
        assert!(
            panicked.to_string().contains("as it does") && panicked.leaves_doubt(),
            "{panicked}"
        );
        let replies = world.turn(vec![update("u", "grow", ())]);
        assert!(refused(&replies[0]).is_type("NotReadOnly"));
        assert_eq!(ask(world, "count").unwrap(), 0);
        assert_eq!(world.history(), before);
        world.take(signal("go", ()));
    });
    assert_eq!(asking, plays(nosy, |world| world.take(signal("go", ()))));
}

#[test]
fn a_query_changes_no_handler_and_waits_for_nothing() {
    async fn nosy(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        for (name, policy) in [
            ("minds", HandlerUnfinishedPolicy::WarnAndAbandon),
            ("abandons", HandlerUnfinishedPolicy::Abandon),
        ] {
            let handler = Cell::new(Some(cx.on_signal(name, async |(): ()| {})?));
            cx.on_query(name, move |(): ()| {
                let handler = handler.take();
                handler.map(|handler| handler.unfinished(policy))
            })?;
        }
        let own = cx.clone();
        cx.on_query("waits", move |(): ()| {
            own.wait_condition(|| false).now_or_never().is_some()
        })?;
        let own = cx.clone();
        cx.on_query("meets", move |(): ()| {
            own.wait_condition(|| true).now_or_never().is_some()
        })?;
        let own = cx.clone();
        cx.on_query("canceled", move |(): ()| own.canceled().now_or_never().is_some())?;
        // Begun by the code, and waited for, when the queries get hold of them.
        let doubling = Rc::new(RefCell::new(cx.activity(double, &4).boxed_local()));
        let polled = doubling.clone();
        cx.on_query("polls", move |(): ()| {
            polled.borrow_mut().as_mut().now_or_never().is_some()
        })?;
        let mut condition = Box::pin(cx.wait_condition(|| false));
        let _ = (&mut condition).now_or_never();
        let condition = Cell::new(Some(condition));
        cx.on_query("drops", move |(): ()| drop(condition.take()))?;
        poll_fn(|task| doubling.borrow_mut().as_mut().poll(task)).await
    }
    for (name, tried) in [
        ("minds", "change a handler"),
        ("abandons", "change a handler"),
        ("waits", "wait"),
        ("meets", "wait for a condition"),
        ("canceled", "wait"),
        ("polls", "wait for what the run waits for"),
        ("drops", "drop what the run waits for"),
    ] {
        let mut world = World::start(nosy, false, &[]);
        let refused = ask(&mut world, name).map_err(|error| error.to_string());
        assert_eq!(
            refused,
            Err(QueryError::NotReadOnly(tried.to_owned()).to_string()),
            "{name}"
        );
    }
}

#[test]
fn an_unknown_query_names_those_there_are_and_every_run_describes_itself() {
    let mut world = World::start(account, false, &[]);
    world.take(update("u", "double", ()));
    let unknown = ask(&mut world, "blance").unwrap_err().to_string();
    assert!(unknown.contains("known: balance __describe"), "{unknown}");
    let described = ask(&mut world, "__describe").unwrap();
    assert_eq!(described["updates"], serde_json::json!(["double", "pay-out"]));
    assert_eq!(
        described["waiting_for"],
        serde_json::json!(["activity double (id 1)", "a condition"])
    );
    assert_eq!(described["handlers_running"], 1);
}

#[test]
fn a_dynamic_query_and_update_get_what_nobody_else_takes() {
    async fn open(cx: WorkflowContext, _n: u32) -> Result<(), Failure> {
        cx.on_any_query(|name, _| Ok(Payload::json(name.as_str())?));
        cx.on_any_update(async |name, input| match name.as_str() {
            "echo" => Ok(input),
            other => Err(Failure::new("Unknown", other)),
        });
        cx.wait_condition(|| false).await
    }
    plays(open, |world| {
        assert_eq!(ask(world, "whatever").unwrap(), "whatever");
        world.turn(vec![update("u", "echo", 5), update("v", "other", 5)]);
        assert_eq!(answer(world, "u"), Ok(5));
        assert!(answer(world, "v").unwrap_err().is_type("Unknown"));
    });
}

#[test]
fn a_run_whose_code_does_not_fit_its_history_cannot_be_asked() {
    async fn other(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.sleep(Duration::from_secs(u64::from(n))).await?;
        Ok(n)
    }
    let mut world = World::start(account, false, &[]);
    world.take(update("u", "pay-out", 1));
    let registry = registry_with(other);
    let workflow = registry.workflow("w").unwrap().workflow().clone();
    let Err(ParkReason::Nondeterminism { recorded, .. }) = CodeDecider::replay(workflow, &world.history()) else {
        unreachable!("the other code has no such update");
    };
    assert!(recorded.contains("nothing more"), "{recorded}");
    let query = Query {
        name: QueryName::from_trusted("balance"),
        input: Payload::null(),
    };
    assert_eq!(NoDecider.query(&world.state, &query), Err(QueryError::NotHere));
}

#[test]
fn code_that_has_changed_is_found_out_by_the_first_query() {
    async fn changed(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        cx.on_query("balance", |(): ()| 5_u32)?;
        cx.sleep(Duration::from_secs(60)).await?;
        Ok(1)
    }
    let mut world = World::start(account, false, &[]);
    let registry = registry_with(changed);
    let workflow = registry.workflow("w").unwrap().workflow().clone();
    // Nothing but the end of the last turn tells them apart.
    world.decider = Box::new(CodeDecider::replay(workflow, &world.history()).unwrap());
    let undecidable = ask(&mut world, "balance").unwrap_err();
    assert!(matches!(undecidable, QueryError::Undecidable(_)));
    assert!(undecidable.to_string().contains("StartTimer"), "{undecidable}");
}
