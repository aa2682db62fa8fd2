//! Handlers that know what they are about, that refuse whatever has no name, and that have not finished when their run ends.
//! Must not live here: what handlers do otherwise (`messages`).

use std::time::Duration;

use crate::machine::{Reply, UnfinishedHandler};
use crate::model::{Failure, Outcome, Payload, SignalName, UpdateId, UpdateName};
use crate::sdk::{HandlerUnfinishedPolicy, WorkflowContext};

use super::messages::{answer, ask, plays, refused, signal, update};
use super::world::{World, number};

const MINUTE: Duration = Duration::from_secs(60);

/// Ends as it is told, whatever its handlers are about.
async fn leaver(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
    let own = cx.clone();
    cx.on_signal("slow", async move |(): ()| drop(own.sleep(MINUTE).await))?;
    let own = cx.clone();
    cx.on_update("slower", async move |(): ()| own.sleep(2 * MINUTE).await)?;
    let own = cx.clone();
    let any = cx.on_any_update(async move |_, answer| own.sleep(MINUTE).await.map(|()| answer));
    any.unfinished(HandlerUnfinishedPolicy::Abandon);
    let own = cx.clone();
    let any = cx.on_any_signal(async move |_, _| drop(own.sleep(MINUTE).await));
    any.unfinished(HandlerUnfinishedPolicy::Abandon);
    let own = cx.clone();
    let twice = || {
        let own = own.clone();
        cx.on_signal("twice", async move |(): ()| drop(own.sleep(MINUTE).await))
    };
    twice()?.unfinished(HandlerUnfinishedPolicy::Abandon);
    // What was said of the one before is not said of this one.
    twice()?;
    match cx.signal::<u32>("end").recv().await? {
        0 => Ok(7),
        1 => Err(Failure::new("Told", "")),
        2 => cx.continue_as_new_by_name(cx.workflow_type().as_str(), &0).await,
        _ => {
            cx.wait_condition(|| cx.all_handlers_finished()).await?;
            Ok(8)
        }
    }
}

fn left(signals: &[&str]) -> Vec<UnfinishedHandler> {
    let signals = signals
        .iter()
        .map(|name| UnfinishedHandler::Signal(SignalName::from_trusted(*name)));
    signals.collect()
}

/// A run with one handler of each kind at work.
fn at_work(crashing: bool, every_turn: bool) -> World {
    let mut world = World::new(leaver, crashing);
    if every_turn {
        world = world.checking_every_turn();
    }
    world.begin(None);
    world.turn(vec![signal("slow", ()), signal("quiet", ()), signal("twice", ())]);
    assert_eq!(
        world.turn(vec![update("u", "slower", ()), update("v", "quieter", ())]),
        [Reply::Accepted, Reply::Accepted]
    );
    world
}

#[test]
fn what_has_not_finished_when_the_code_ends_is_named_once_and_never_on_replay() {
    let slower = || UnfinishedHandler::Update(UpdateId::from_trusted("u"), UpdateName::from_trusted("slower"));
    assert_eq!(slower().to_string(), r#"update "slower" (id u)"#);
    for end in 0..=2_u32 {
        for every_turn in [false, true] {
            let mut world = at_work(false, every_turn);
            assert_eq!(world.decider.take_unfinished(), [], "the run goes on");
            world.take(signal("end", end));
            assert!(world.state.outcome().is_some());
            let unfinished = world.decider.take_unfinished();
            assert_eq!(unfinished, [left(&["slow", "twice"]), vec![slower()]].concat());
            assert_eq!(world.decider.take_unfinished(), []);
            let abandoned = world.state.update_outcome("u").unwrap().unwrap_err();
            assert!(abandoned.is_type("UpdateAbandoned"), "{abandoned}");
            world.crash();
            assert_eq!(world.decider.take_unfinished(), [], "it was said when it happened");
        }
        let mut world = at_work(true, false);
        world.take(signal("end", end));
        assert_eq!(world.decider.take_unfinished(), []);
    }
}

#[test]
fn who_waits_for_all_handlers_leaves_none_and_what_never_began_is_left_too() {
    let kinds = plays(leaver, |world| {
        world.take(signal("slow", ()));
        world.take(update("u", "slower", ()));
        world.take(signal("end", 3));
        assert!(world.state.outcome().is_none());
        world.until_closed();
        assert_eq!(world.state.outcome().map(number), Some(Ok(8)));
        assert!(world.state.update_outcome("u").unwrap().is_ok());
        assert_eq!(world.decider.take_unfinished(), []);
    });
    assert!(kinds.contains(&"WorkflowExecutionUpdateCompleted"));

    /// Registers a handler for what is there, and ends before that can begin.
    async fn hasty(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        cx.signal::<()>("end").recv().await?;
        cx.on_signal("late", async |(): ()| {})?;
        Ok(0)
    }
    let mut world = World::new(hasty, false);
    world.begin(None);
    world.turn(vec![signal("late", ()), signal("end", ())]);
    assert!(matches!(world.state.outcome(), Some(Outcome::Completed(_))));
    assert_eq!(world.decider.take_unfinished(), left(&["late"]));
}

#[test]
fn a_handler_knows_which_update_it_is_about_however_they_overlap() {
    /// Notes at every step who is at work.
    async fn ledger(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        let seen = cx.state(Vec::<String>::new());
        let note = {
            let (own, seen) = (cx.clone(), seen.clone());
            move |place: &str| {
                let update = own.current_update();
                let update = update.map_or("none".to_owned(), |update| format!("{} {}", update.id, update.name));
                seen.change(|seen| seen.push(format!("{place}: {update}")));
            }
        };
        let (own, looking) = (cx.clone(), cx.clone());
        let noting = note.clone();
        cx.on_validated_update(
            "pay",
            move |_: &u64| {
                let update = looking.current_update().map(|update| update.id.to_string());
                match update.as_deref() {
                    Some("bad") | None => Err(Failure::new("Validated", update.unwrap_or_default())),
                    Some(_) => Ok(()),
                }
            },
            async move |seconds: u64| {
                noting("begins");
                own.sleep(Duration::from_secs(seconds)).await?;
                noting("ends");
                Ok::<(), Failure>(())
            },
        )?;
        let (own, noting) = (cx.clone(), note.clone());
        cx.on_any_update(async move |name, answer| {
            let same = own.current_update().is_some_and(|update| update.name == name);
            noting(if same { "any" } else { "another" });
            Ok(answer)
        });
        let noting = note.clone();
        cx.on_signal("note", async move |(): ()| noting("signal"))?;
        seen.on_query("seen", |seen, ()| seen.clone())?;
        note("function");
        for _ in 0..2 {
            cx.signal::<()>("on").recv().await?;
            note("function");
        }
        cx.wait_condition(|| cx.all_handlers_finished()).await?;
        note("function");
        Ok(0)
    }
    plays(ledger, |world| {
        let replies = world.turn(vec![
            update("a", "pay", 20_u64),
            update("b", "pay", 10_u64),
            signal("on", ()),
        ]);
        assert_eq!(replies, [Reply::Accepted, Reply::Accepted, Reply::Accepted]);
        let bad = world.turn(vec![update("bad", "pay", 1_u64)]);
        assert_eq!(refused(&bad[0]), &Failure::new("Validated", "bad"));
        world.turn(vec![update("c", "sing", ()), signal("note", ())]);
        world.take(signal("on", ()));
        world.until_closed();
        let seen = [
            "function: none",
            "begins: a pay",
            "begins: b pay",
            "function: none",
            "signal: none",
            "any: c sing",
            "function: none",
            "ends: b pay",
            "ends: a pay",
            "function: none",
        ];
        assert_eq!(ask(world, "seen").unwrap(), serde_json::json!(seen));
    });
}

#[test]
fn the_updates_of_all_other_names_can_be_refused_before_they_leave_a_trace() {
    async fn script(cx: WorkflowContext, _n: u32) -> Result<u32, Failure> {
        let sum = cx.state(0_u32);
        let (raised, limit) = (sum.clone(), sum.clone());
        cx.on_any_validated_update(
            move |name, n| match (name.as_str(), n.to::<u32>()) {
                ("raise", Ok(n)) if n + limit.get() <= 10 => Ok(()),
                ("touch", _) => {
                    limit.change(|sum| *sum += 1);
                    Ok(())
                }
                _ => Err(Failure::new("NotInTheScript", name.as_str())),
            },
            async move |_, n| {
                raised.change(|sum| *sum += n.to::<u32>().unwrap_or_default());
                Ok(Payload::json(&raised.get())?)
            },
        );
        sum.on_update("own", |_, n: u32| Ok::<u32, Failure>(n))?;
        sum.wait_until(|sum| *sum >= 10).await?;
        Ok(sum.get())
    }
    let kinds = plays(script, |world| {
        assert_eq!(world.turn(vec![update("a", "raise", 6)]), [Reply::Accepted]);
        let before = world.history();
        for (name, n, why) in [
            ("raise", 5, "NotInTheScript"),
            ("dance", 0, "NotInTheScript"),
            ("touch", 0, "NotReadOnly"),
        ] {
            let replies = world.turn(vec![update("b", name, n)]);
            assert!(refused(&replies[0]).is_type(why), "{replies:?}");
        }
        assert_eq!(world.history(), before, "refused updates leave no trace");
        // A name with a handler of its own is not its concern.
        assert_eq!(world.turn(vec![update("c", "own", 100)]), [Reply::Accepted]);
        assert_eq!((answer(world, "a"), answer(world, "c")), (Ok(6), Ok(100)));
        world.take(update("d", "raise", 4));
        assert_eq!(world.state.outcome().map(number), Some(Ok(10)));
    });
    let accepted = kinds.iter().filter(|kind| **kind == "WorkflowExecutionUpdateAccepted");
    assert_eq!(accepted.count(), 3);
}
