//! Handlers of signals and updates, conditions, and messages to other runs: live, with the process dying after every turn,
//! and with every turn replayed at once. All write the same history.

use std::time::Duration;

use crate::machine::{QueryError, Rejection, Reply};
use crate::model::{
    EventAttributes, EventId, Failure, Input, Outcome, ParkReason, Payload, Query, QueryName, SignalName, UpdateId,
    UpdateName, UpdateRequest,
};
use crate::replay::replay_history;
use crate::sdk::{WorkflowContext, WorkflowFunction};

use super::chaos::Dice;
use super::double;
use super::mini_machine::registry_with;
use super::world::{World, number};

pub(super) fn signal(name: &str, input: impl serde::Serialize) -> Input {
    Input::Signal {
        name: SignalName::from_trusted(name),
        input: Payload::json(&input).unwrap(),
        request_id: None,
        identity: String::new(),
    }
}

pub(super) fn update(id: &str, name: &str, input: impl serde::Serialize) -> Input {
    Input::Update(Box::new(UpdateRequest {
        update_id: UpdateId::from_trusted(id),
        name: UpdateName::from_trusted(name),
        input: Payload::json(&input).unwrap(),
        identity: String::new(),
    }))
}

pub(super) fn ask(world: &mut World, name: &str) -> Result<serde_json::Value, QueryError> {
    let query = Query {
        name: QueryName::from_trusted(name),
        input: Payload::null(),
    };
    let answer = world.decider.query(&world.state, &query)?;
    Ok(answer.to().unwrap())
}

/// The update was refused for this reason.
pub(super) fn refused(reply: &Reply) -> &Failure {
    match reply {
        Reply::Rejected(Rejection::UpdateRefused(failure)) => failure,
        other => unreachable!("{other:?}"),
    }
}

pub(super) fn answer(world: &World, update_id: &str) -> Result<u32, Failure> {
    let outcome = world.state.update_outcome(update_id).unwrap();
    outcome.map(|payload| payload.to().unwrap())
}

/// Plays the same with and without crashes between all turns, each with and without replaying every turn, and gives the
/// history's events as their kinds.
pub(super) fn plays<M, F>(function: F, play: impl Fn(&mut World)) -> Vec<&'static str>
where
    F: WorkflowFunction<M> + Copy,
{
    let ways = [(false, false), (true, false), (false, true), (true, true)];
    let histories = ways.map(|(crashing, every_turn)| {
        let mut world = World::new(function, crashing);
        if every_turn {
            world = world.checking_every_turn();
        }
        world.begin(None);
        play(&mut world);
        let history = world.history();
        replay_history(&registry_with(function), &history).unwrap();
        history
    });
    let [live, others @ ..] = histories;
    others.iter().for_each(|other| assert_eq!(live, *other));
    live.iter().map(|event| event.attributes.kind()).collect()
}

/// An account with everything: signals, queries, updates that validate and wait, a patch, conditions.
pub(super) async fn account(cx: WorkflowContext, opening: u32) -> Result<u32, Failure> {
    let balance = cx.state(opening);
    balance.on_signal("pay-in", |balance, amount: u32| *balance += amount)?;
    balance.on_query("balance", |balance, ()| *balance)?;
    balance.on_validated_update(
        "pay-out",
        |balance, amount: &u32| match amount <= balance {
            true => Ok(()),
            false => Err(Failure::new("NotEnough", format!("there is only {balance}"))),
        },
        |balance, amount| {
            *balance -= amount;
            Ok(*balance)
        },
    )?;
    let (slowly, own) = (balance.clone(), cx.clone());
    cx.on_update("double", async move |(): ()| {
        let doubled = own.activity(double, &slowly.get()).await?;
        let _ = own.patched("a pause after doubling");
        own.sleep(Duration::from_secs(5)).await?;
        slowly.change(|balance| *balance = doubled);
        Ok::<u32, Failure>(doubled)
    })?;
    balance.wait_until(|balance| *balance >= 100).await?;
    cx.wait_condition(|| cx.all_handlers_finished()).await?;
    Ok(balance.get())
}

#[test]
fn handlers_work_on_the_state_that_the_function_waits_for() {
    plays(account, |world| {
        world.take(signal("pay-in", 4));
        assert_eq!(world.turn(vec![update("u1", "pay-out", 3)]), [Reply::Accepted]);
        assert_eq!(answer(world, "u1"), Ok(2));
        assert_eq!(ask(world, "balance").unwrap(), 2);
        world.take(signal("pay-in", 98));
        assert_eq!(
            world.state.outcome().and_then(|outcome| number(outcome).ok()),
            Some(100)
        );
        assert_eq!(ask(world, "balance").unwrap(), 100, "ended runs answer, too");
    });
}

#[test]
fn an_accepted_update_goes_on_over_activities_timers_and_crashes_and_the_function_waits_for_it() {
    let kinds = plays(account, |world| {
        world.take(update("u", "double", ()));
        world.take(signal("pay-in", 199));
        assert!(world.state.outcome().is_none(), "a handler is at work");
        world.step();
        assert_eq!(world.state.update_outcome("u"), None);
        world.step();
        assert_eq!(answer(world, "u"), Ok(10));
        assert_eq!(
            world.turn(vec![update("u", "double", ())]),
            [match world.state.is_closed() {
                true => Reply::Rejected(Rejection::Closed),
                false => Reply::Duplicate,
            }]
        );
    });
    let of_updates: Vec<_> = kinds.iter().filter(|kind| kind.contains("Update")).collect();
    assert_eq!(
        of_updates,
        [&"WorkflowExecutionUpdateAccepted", &"WorkflowExecutionUpdateCompleted"]
    );
}

#[test]
fn a_refused_update_leaves_no_trace() {
    let refusing = plays(account, |world| {
        world.take(signal("pay-in", 4));
        let replies = world.turn(vec![update("u1", "pay-out", 50)]);
        assert!(refused(&replies[0]).is_type("NotEnough"));
        let replies = world.turn(vec![update("u2", "pay-up", 50)]);
        let unknown = refused(&replies[0]);
        assert!(unknown.message.contains("known: double, pay-out"), "{unknown}");
        let replies = world.turn(vec![update("u3", "pay-out", "all of it")]);
        assert!(refused(&replies[0]).is_type("InvalidInput"));
        world.take(signal("pay-in", 95));
    });
    let never_asked = plays(account, |world| {
        world.take(signal("pay-in", 4));
        world.take(signal("pay-in", 95));
    });
    assert_eq!(refusing, never_asked);
}

#[test]
fn what_arrives_in_one_turn_is_handled_in_order_each_seeing_what_came_before() {
    plays(account, |world| {
        let replies = world.turn(vec![
            update("u1", "pay-out", 3),
            signal("pay-in", 4),
            update("u2", "pay-out", 3),
            update("u3", "pay-out", 2),
        ]);
        // 1 + 4 - 3, which is too little for the second; then - 2.
        assert_eq!((&replies[0], &replies[3]), (&Reply::Accepted, &Reply::Accepted));
        assert!(refused(&replies[2]).is_type("NotEnough"));
        assert_eq!((answer(world, "u1"), answer(world, "u3")), (Ok(2), Ok(0)));
    });
}

#[test]
fn an_update_that_comes_with_the_start_finds_the_handlers_of_the_first_turn() {
    for crashing in [false, true] {
        let mut world = World::new(account, crashing);
        let replies = world.turn(vec![World::start_of(1), update("u", "pay-out", 1)]);
        assert_eq!(replies, [Reply::Accepted, Reply::Accepted]);
        assert_eq!(answer(&world, "u"), Ok(0));
        let tasks = world
            .history()
            .iter()
            .filter(|event| event.attributes.ids() == 3)
            .count();
        assert_eq!(tasks, 1, "one turn");
    }
}

#[test]
fn signals_wait_for_their_handlers_and_the_handler_of_all_others_leaves_received_ones_alone() {
    async fn late(cx: WorkflowContext, _n: u32) -> Result<Vec<String>, Failure> {
        let mine = cx.signal::<u32>("mine");
        cx.sleep(Duration::from_secs(60)).await?;
        let heard = cx.state(Vec::<String>::new());
        heard.on_signal("known", |heard, n: u32| heard.push(format!("known {n}")))?;
        let others = heard.clone();
        cx.on_any_signal(async move |name, input| others.change(|heard| heard.push(format!("{name} {input:?}"))));
        let received = mine.recv().await?;
        heard.change(|heard| heard.push(format!("mine {received}")));
        heard.wait_until(|heard| heard.len() >= 6).await?;
        Ok(heard.get())
    }
    plays(late, |world| {
        for (name, n) in [("b", 1), ("known", 2), ("a", 3), ("mine", 4), ("b", 5)] {
            world.take(signal(name, n));
        }
        world.pass_time();
        world.take(signal("new", 6));
        let Some(Outcome::Completed(heard)) = world.state.outcome() else {
            unreachable!("{:?}", world.state.outcome());
        };
        let heard: Vec<String> = heard.to().unwrap();
        // The function goes on until it has to wait; then handlers get what was there before them.
        assert_eq!(heard, ["mine 4", "known 2", "b 1", "a 3", "b 5", "new 6"]);
    });
}

#[test]
fn an_unreadable_signal_is_passed_over_and_noted() {
    let kinds = plays(account, |world| {
        world.take(signal("pay-in", "a lot"));
        world.take(signal("pay-in", 99));
    });
    assert_eq!(kinds.iter().filter(|kind| **kind == "MarkerRecorded").count(), 1);
    assert_eq!(kinds.last(), Some(&"WorkflowExecutionCompleted"));
}

#[test]
fn a_condition_may_run_out_of_time_or_be_cancelled() {
    async fn patient(cx: WorkflowContext, _n: u32) -> Result<bool, Failure> {
        let met = cx.state(false);
        met.on_signal("go", |met, ()| *met = true)?;
        let looked_at = met.clone();
        cx.wait_condition_for(Duration::from_secs(30), move || looked_at.get())
            .await
    }
    let ends = |play: &dyn Fn(&mut World)| {
        let outcome = std::cell::RefCell::new(None);
        plays(patient, |world| {
            play(world);
            *outcome.borrow_mut() = world.state.outcome().cloned();
        });
        outcome.into_inner().unwrap()
    };
    let result = |outcome: Outcome| match outcome {
        Outcome::Completed(result) => result.to::<bool>().unwrap(),
        other => unreachable!("{other:?}"),
    };
    assert!(result(ends(&|world| world.take(signal("go", ())))));
    assert!(!result(ends(&|world| assert!(world.pass_time()))));
    assert!(matches!(
        ends(&|world| world.cancel()),
        Outcome::Amended(_) | Outcome::Canceled(_)
    ));
}

#[test]
fn messages_to_other_runs_are_answered_in_any_order() {
    async fn teller(cx: WorkflowContext, n: u32) -> Result<String, Failure> {
        let other = cx.external("other");
        let (told, stopped) = (other.signal("news", &n), other.cancel("enough"));
        let (told, stopped) = futures_util::future::join(told, stopped).await;
        let gone = cx.external("").signal("news", &n).await;
        Ok(format!("{:?} {} {}", told, stopped.is_err(), gone.is_err()))
    }
    let kinds = plays(teller, |world| {
        let pending: Vec<EventId> = world.state.externals().map(|(initiated, _)| initiated).collect();
        let [told, stopped] = pending[..] else {
            unreachable!("{pending:?}")
        };
        for (initiated, outcome) in [(stopped, Err(Failure::non_retryable("No", ""))), (told, Ok(()))] {
            world.take(Input::ExternalEnded { initiated, outcome });
        }
        let Some(Outcome::Completed(result)) = world.state.outcome() else {
            unreachable!("{:?}", world.state.outcome());
        };
        assert_eq!(result.to::<String>().unwrap(), "Ok(()) true true");
    });
    assert!(kinds.contains(&"SignalExternalWorkflowExecutionInitiated"));
}

#[test]
fn a_handler_that_the_code_has_lost_is_nondeterminism() {
    async fn without(cx: WorkflowContext, opening: u32) -> Result<u32, Failure> {
        cx.wait_condition(|| false).await?;
        Ok(opening)
    }
    let mut world = World::start(account, false, &[]);
    world.take(update("u", "pay-out", 1));
    let error = replay_history(&registry_with(without), &world.history()).unwrap_err();
    let ParkReason::Nondeterminism { at, expected, recorded } = error else {
        unreachable!("{error:?}");
    };
    let accepted = world.history();
    let accepted = accepted
        .iter()
        .find(|event| matches!(event.attributes, EventAttributes::WorkflowExecutionUpdateAccepted(_)));
    assert_eq!(accepted.map(|event| event.id.0), Some(at));
    assert_eq!(expected, "nothing more");
    assert!(recorded.contains("pay-out (id u)"), "{recorded}");
}

#[test]
fn a_thrown_away_run_leaves_nothing_in_memory() {
    thread_local! {
        static ALIVE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.set(ALIVE.get() - 1);
        }
    }
    async fn holder(cx: WorkflowContext, _n: u32) -> Result<(), Failure> {
        ALIVE.set(ALIVE.get() + 1);
        let held = cx.state(Counted);
        held.on_query("held", |_, ()| true)?;
        held.on_signal("s", |_, ()| ())?;
        held.wait_until(|_| false).await
    }
    let world = World::start(holder, false, &[]);
    assert_eq!(ALIVE.get(), 1);
    drop(world);
    assert_eq!(ALIVE.get(), 0);
}

#[test]
fn whatever_comes_in_whatever_order_a_crash_changes_nothing() {
    let mut ended = 0;
    for seed in 0..150 {
        let kinds = plays(account, |world| {
            let mut dice = Dice(seed);
            for _ in 0..40 {
                if world.state.is_closed() {
                    return;
                }
                let (amount, id) = (dice.below(12), format!("u{}", dice.below(20)));
                let may_step = !world.due().is_empty() || world.state.next_wake(world.now()).is_some();
                match dice.below(6) {
                    0 => world.take(signal("pay-in", amount * 20)),
                    1 => drop(world.turn(vec![update(&id, "pay-out", amount)])),
                    2 => drop(world.turn(vec![update(&id, "double", ())])),
                    3 => {
                        let (first, second) = (update(&id, "pay-out", amount), update("last", "double", ()));
                        drop(world.turn(vec![first, signal("pay-in", amount), second]));
                    }
                    4 => assert!(ask(world, "balance").is_ok()),
                    _ if may_step => world.step(),
                    _ => {}
                }
            }
        });
        ended += usize::from(kinds.last() == Some(&"WorkflowExecutionCompleted"));
    }
    assert!(ended > 10, "the dice hardly ever lead to the end: {ended}");
}
