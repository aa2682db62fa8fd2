//! What runs are told, asked and asked to do: beyond the handlers that `order_approval` and `cart_entity` have.

use std::future::Future;
use std::task::Poll;

use amends::engine::SignalOptions;
use amends::model::{Reset, ResetPoint};
use amends::{
    Amends, Failure, HandlerUnfinishedPolicy, Payload, ResultError, UpdateError, UpdateHandle, UpdateOptions,
    WorkflowContext, workflow,
};

use super::{Told, until};

/// A till: money comes by signals and goes by updates, and anybody may look. Closed by a signal.
#[workflow]
async fn till(cx: WorkflowContext, cents: u64) -> Result<u64, Failure> {
    let till = cx.state(cents);
    till.on_signal("pay in", |till, cents: u64| *till += cents)?;
    till.on_query("balance", |till, ()| *till)?;
    till.on_validated_update(
        "pay out",
        |till, cents: &u64| match cents <= till {
            true => Ok(()),
            false => Err(Failure::new("NotEnough", format!("there are only {till}"))),
        },
        |till, cents| {
            *till -= cents;
            Ok(*till)
        },
    )?;
    cx.signal::<()>("close").recv().await?;
    Ok(till.get())
}

/// Takes everything, whatever it is called.
#[workflow]
async fn mailbox(cx: WorkflowContext) -> Result<Vec<String>, Failure> {
    let letters = cx.state(Vec::<String>::new());
    let (own, asked) = (letters.clone(), letters.clone());
    cx.on_any_signal(async move |name, _| own.change(|letters| letters.push(format!("signal {name}"))));
    cx.on_any_query(move |name, _| Ok(Payload::json(&format!("{name}? {}", asked.get().join(", ")))?));
    let this = cx.clone();
    cx.on_any_validated_update(
        |name, _| match name.as_str() {
            "burn" => Err(Failure::new("Refused", "letters are not burned")),
            _ => Ok(()),
        },
        async move |name, _| {
            let id = this.current_update().map(|update| update.id.to_string());
            Ok(Payload::json(&format!(
                "{name}: done (update {})",
                id.unwrap_or_default()
            ))?)
        },
    );
    // This name has a receiver of its own.
    cx.signal::<()>("end").recv().await?;
    Ok(letters.get())
}

/// A game whose rounds are counted, and which is continued as new.
#[workflow]
async fn rounds(cx: WorkflowContext, first: u32) -> Result<(), Failure> {
    let round = cx.state(first);
    round.on_query("round", |round, ()| *round)?;
    round.on_signal("play", |round, ()| *round += 1)?;
    let played = round.clone();
    let until = cx.on_update("play until", async move |last: u32| {
        played.wait_until(move |round| *round >= last).await?;
        Ok::<u32, Failure>(played.get())
    })?;
    // Whoever waits for a round that is not played any more hears of it; nobody has to be warned.
    until.unfinished(HandlerUnfinishedPolicy::Abandon);
    cx.signal::<()>("next").recv().await?;
    cx.continue_as_new(rounds, &(round.get() + 1)).await
}

/// Queries that do what no query may.
#[workflow]
async fn touchy(cx: WorkflowContext) -> Result<u32, Failure> {
    let touched = cx.state(0_u32);
    let (own, changed) = (cx.clone(), touched.clone());
    cx.on_query("draws", move |()| own.random())?;
    cx.on_query("changes", move |()| changed.change(|touched| *touched += 1))?;
    cx.on_query("panics", |()| -> u32 { panic!("it slipped") })?;
    touched.on_query("touched", |touched, ()| *touched)?;
    cx.signal::<()>("end").recv().await?;
    Ok(touched.get())
}

/// Pays into one till, closes another one by cancelling it, and hears that the third is not there.
#[workflow]
async fn cashier(cx: WorkflowContext) -> Result<String, Failure> {
    cx.external("till-1").signal("pay in", &70_u64).await?;
    cx.external("till-2").cancel("the day is over").await?;
    match cx.external("till-3").signal("pay in", &70_u64).await {
        Err(nobody) => Ok(nobody.type_name().unwrap_or_default().to_owned()),
        Ok(()) => Ok("somebody was there".to_owned()),
    }
}

/// Pays into a till in the moment in which it ends: it does not wait until that is brought.
#[workflow]
async fn hasty(cx: WorkflowContext) -> Result<(), Failure> {
    let till = cx.external("last-till");
    let mut paid = Box::pin(till.signal("pay in", &40_u64));
    std::future::poll_fn(|cx| Poll::Ready(paid.as_mut().poll(cx).is_ready())).await;
    Ok(())
}

/// A signal that is sent again under its request id counts once.
async fn once(amends: &Amends) -> Told {
    let till = amends.workflow(till).id("once").start(&0).await?;
    for (request, cents) in [("a", 10), ("b", 20), ("a", 10), ("b", 20)] {
        let options = SignalOptions {
            request_id: Some(request.to_owned()),
            ..SignalOptions::default()
        };
        amends.client().signal_with("once", "pay in", &cents, options).await?;
    }
    till.signal("close", &()).await?;
    Ok(vec![format!(
        "four signals of two requests: {} cents",
        till.result().await?
    )])
}

/// Handlers for what has no handler of its own.
async fn everything_else(amends: &Amends) -> Told {
    let mailbox = amends.workflow(mailbox).id("mailbox").start(&()).await?;
    mailbox.signal("postcard", &"from Porto").await?;
    let asked: String = mailbox.query("post", &()).await?;
    let named = UpdateOptions {
        update_id: Some("f-1".to_owned()),
    };
    let done: UpdateHandle<String> = mailbox.start_update("forward", &(), named).await?;
    let done = done.result().await?;
    let burned = mailbox.update::<_, String>("burn", &()).await;
    let burned = burned.err().map_or_else(String::new, |refusal| refusal.to_string());
    mailbox.signal("end", &()).await?;
    Ok(vec![
        asked,
        done,
        burned,
        format!("received: {:?}", mailbox.result().await?),
    ])
}

/// A message for one very run, not for the one that follows it.
async fn one_run(amends: &Amends) -> Told {
    let game = amends.workflow(rounds).id("rounds").start(&1).await?;
    let first = amends.find_run(game.run_id()).await?.only_this_run();
    game.signal("next", &()).await?;
    first.outcome().await?;
    let (one, newest): (u32, u32) = (first.query("round", &()).await?, game.query("round", &()).await?);
    let refused = first.signal("next", &()).await.err();
    game.terminate("played enough").await?;
    Ok(vec![format!(
        "asked the first run: round {one}; asked the newest: round {newest}; told the first: {}",
        refused.map_or_else(String::new, |error| error.to_string())
    )])
}

/// Who waits for an update when its run ends: abandoned, or done again by the run that a reset makes.
async fn over_a_reset(amends: &Amends) -> Told {
    let game = amends.workflow(rounds).id("reset").start(&1).await?;
    let round: UpdateHandle<u32> = game.start_update("play until", &3, UpdateOptions::default()).await?;
    let wanted = Reset::to(ResetPoint::FirstTurn, "ada", "from the beginning");
    let again = game.reset(&wanted).await?;
    for _ in 0..2 {
        again.signal("play", &()).await?;
    }
    let answer = round.result().await?;
    again.terminate("played enough").await?;
    Ok(vec![format!("the run that does it again answers: round {answer}")])
}

/// Handlers that may be abandoned when their run ends; about others the log has a warning.
async fn unfinished(amends: &Amends) -> Told {
    let game = amends.workflow(rounds).id("unfinished").start(&1).await?;
    let round: UpdateHandle<u32> = game.start_update("play until", &9, UpdateOptions::default()).await?;
    game.signal("next", &()).await?;
    let answer = round
        .result()
        .await
        .err()
        .map_or_else(String::new, |error| error.to_string());
    game.terminate("played enough").await?;
    Ok(vec![answer])
}

/// A message that starts its run when there is none, and else finds it.
async fn with_start(amends: &Amends) -> Told {
    let till = || amends.workflow(till).id("with-start");
    till()
        .signal_with_start("pay in", &5, &100, SignalOptions::default())
        .await?;
    let (run, left) = till()
        .update_with_start::<_, u64>("pay out", &30, &999, UpdateOptions::default())
        .await?;
    let left = left.result().await?;
    run.signal("close", &()).await?;
    Ok(vec![format!("started with 100 and 5, found again: {left} are left")])
}

/// Runs that signal and cancel each other.
async fn to_others(amends: &Amends) -> Told {
    let told = amends.workflow(till).id("till-1").start(&0).await?;
    let canceled = amends.workflow(till).id("till-2").start(&0).await?;
    let cashier = amends.workflow(cashier).id("cashier").start(&()).await?;
    let third = cashier.result().await?;
    told.signal("close", &()).await?;
    let second = match canceled.result().await {
        Err(ResultError::Canceled(_)) => "canceled",
        _ => "not canceled",
    };
    Ok(vec![format!(
        "till 1: {} cents; till 2: {second}; till 3: {third}",
        told.result().await?
    )])
}

/// What a run says last is brought although it has ended.
async fn last_words(amends: &Amends) -> Told {
    let till = amends.workflow(till).id("last-till").start(&2).await?;
    let hasty = amends.workflow(hasty).id("hasty").start(&()).await?;
    hasty.result().await?;
    until(async || till.query::<_, u64>("balance", &()).await.is_ok_and(|cents| cents > 2)).await;
    till.signal("close", &()).await?;
    Ok(vec![format!("paid at the last moment: {} cents", till.result().await?)])
}

/// A query that misbehaves fails alone; a refused update leaves no trace.
async fn misbehaving(amends: &Amends) -> Told {
    let touchy = amends.workflow(touchy).id("touchy").start(&()).await?;
    let mut told = Vec::new();
    for query in ["draws", "changes", "panics"] {
        let refused = touchy.query::<_, serde_json::Value>(query, &()).await;
        let refused = refused
            .err()
            .map_or("it was answered".to_owned(), |error| error.code().to_string());
        told.push(format!("the query {query:?}: {refused}"));
    }
    let touched: u32 = touchy.query("touched", &()).await?;
    told.push(format!("the run is as it was: {touched}"));
    touchy.signal("end", &()).await?;
    touchy.result().await?;

    let till = amends.workflow(till).id("refusing").start(&10).await?;
    let before = amends.client().history("refusing").await?.len();
    if let Err(UpdateError::Refused(failure)) = till.update::<_, u64>("pay out", &20).await {
        let after = amends.client().history("refusing").await?.len();
        told.push(format!("refused: {failure}; events of it: {}", after - before));
    }
    till.signal("close", &()).await?;
    Ok(told)
}

pub(crate) async fn visit() -> Told {
    let builder = Amends::builder().memory().workflow(till).workflow(mailbox);
    let builder = builder
        .workflow(touchy)
        .workflow(cashier)
        .workflow(hasty)
        .workflow(rounds);
    let amends = builder.start().await?;
    let mut told = once(&amends).await?;
    told.extend(everything_else(&amends).await?);
    told.extend(one_run(&amends).await?);
    told.extend(over_a_reset(&amends).await?);
    told.extend(unfinished(&amends).await?);
    told.extend(with_start(&amends).await?);
    told.extend(to_others(&amends).await?);
    told.extend(last_words(&amends).await?);
    told.extend(misbehaving(&amends).await?);
    amends.shutdown(super::SECOND).await;
    Ok(told)
}
