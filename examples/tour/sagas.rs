//! What Temporal leaves to its users: steps that are undone, points of no return, answers that were lost, savepoints, locks, and
//! what a person decides.

use amends::definition::ParseOptions;
use amends::{
    ActivityContext, Amends, Decision, Failure, RetryPolicy, RunStatus, SagaDefinition, Undo, Verdict, WorkflowContext,
    activity, workflow,
};

use super::{Notes, SECOND, Told, note, until, until_run};

#[activity(compensate = release)]
async fn reserve(cx: ActivityContext, what: String) -> Result<u32, Failure> {
    note(&cx, format!("{what} is reserved"));
    Ok(7)
}

#[activity]
async fn release(cx: ActivityContext, undo: Undo<String, u32>) -> Result<(), Failure> {
    match undo.input.as_str() {
        "the safe" => Err(Failure::non_retryable("Locked", "it does not open")),
        what => {
            note(&cx, format!("{what} is released"));
            Ok(())
        }
    }
}

/// Declines what is too dear, and is sure that nothing was taken.
#[activity(compensate = pay_back)]
async fn charge(cx: ActivityContext, cents: u64) -> Result<(), Failure> {
    match cents {
        0..=1_000 => {
            note(&cx, format!("{cents} cents are charged"));
            Ok(())
        }
        _ => Err(Failure::not_applied("CardDeclined", "more than the card's limit")),
    }
}

#[activity]
async fn pay_back(cx: ActivityContext, undo: Undo<u64, ()>) -> Result<(), Failure> {
    note(&cx, format!("{} cents are paid back", undo.input));
    Ok(())
}

/// Does its work, and dies before it can say so.
#[activity(retry(max_attempts = 1), compensate = call_back)]
async fn send(cx: ActivityContext, parcel: String) -> Result<String, Failure> {
    note(&cx, format!("{parcel} is sent"));
    panic!("the answer is lost")
}

#[activity]
async fn call_back(cx: ActivityContext, undo: Undo<String, String>) -> Result<(), Failure> {
    note(&cx, format!("{} is called back", undo.input));
    Ok(())
}

/// Finds out whether it was sent.
#[activity]
async fn look_up(_cx: ActivityContext, of: Undo<String, String>) -> Result<Verdict<String>, Failure> {
    Ok(Verdict::applied(format!("{} is on its way", of.input)))
}

/// Reserves, twice, then pays: the step that decides. Behind it nothing is undone.
#[workflow]
async fn order(cx: WorkflowContext, cents: u64) -> Result<(), Failure> {
    let saga = cx.saga();
    saga.run(reserve, &"a table".to_owned()).await?;
    saga.run(reserve, &"a cook".to_owned()).await?;
    saga.pivot(charge, &cents).await
}

/// Sends a parcel. Each call says what is done when nobody knows whether it had its effect; the attribute can say it, too.
#[workflow]
async fn parcel(cx: WorkflowContext, how: String) -> Result<String, Failure> {
    let sent = cx.saga().run(send, &"the parcel".to_owned());
    match how.as_str() {
        "verified" => sent.verify(look_up).await,
        "asked about" => sent.step("send").on_ambiguous_ask().await,
        _ => sent.on_ambiguous_compensate().await,
    }
}

/// Tries one room after the other, and gives back those that were no use.
#[workflow]
async fn rooms(cx: WorkflowContext) -> Result<String, Failure> {
    let saga = cx.saga();
    for (room, cents) in [("the suite", 9_000), ("the attic", 900)] {
        let savepoint = saga.savepoint();
        saga.run(reserve, &room.to_owned()).await?;
        match saga.run(charge, &cents).await {
            Ok(()) => return Ok(room.to_owned()),
            // Whoever cancels the run wants no other room.
            Err(failure) if failure.is_canceled() => return Err(failure),
            Err(_) => saga.roll_back_to(&savepoint).await?,
        }
    }
    Err(Failure::non_retryable("TooDear", "there is no room"))
}

/// Only one at a time.
#[workflow]
async fn change(cx: WorkflowContext) -> Result<(), Failure> {
    cx.saga().lock("order-1").await?;
    cx.signal::<()>("done").recv().await
}

/// Something that cannot be undone: a person has to say what became of it.
#[workflow]
async fn vault(cx: WorkflowContext) -> Result<(), Failure> {
    let saga = cx.saga();
    let step = saga.run(reserve, &"the safe".to_owned()).step("safe");
    step.retry(RetryPolicy::never()).await?;
    Err(Failure::non_retryable("Fire", "everybody leaves"))
}

/// All or amends; and the pivot's clear failure undoes what came before it.
async fn amends_or_all(amends: &Amends, notes: &Notes) -> Told {
    let mut told = Vec::new();
    for cents in [900, 9_000] {
        let before = notes.all().len();
        let status = amends.workflow(order).start(&cents).await?.outcome().await?.status();
        told.push(format!("{status}: {}", notes.all().split_off(before).join(", ")));
    }
    Ok(told)
}

/// An attempt that ended without an answer is not guessed at: it is looked up, asked about, or undone in any case.
async fn lost_answers(amends: &Amends, notes: &Notes) -> Told {
    let mut told = Vec::new();
    for how in ["verified", "asked about", "undone"] {
        let before = notes.all().len();
        let run = amends.workflow(parcel).id(how).start(&how.to_owned()).await?;
        if how == "asked about" {
            until_run(amends, how, |seen| seen.status == RunStatus::Stuck).await;
            let decision = Decision::mark_done("the parcel has arrived")?.step("send");
            run.decide(decision.by("ada").because("I have it")).await?;
        }
        let end = match run.result().await {
            Ok(end) => end,
            Err(_) => run.outcome().await?.status().to_string(),
        };
        told.push(format!("{how}: {}; {end}", notes.all().split_off(before).join(", ")));
    }
    Ok(told)
}

/// A part of a saga is undone, and its code goes on.
async fn savepoints(amends: &Amends, notes: &Notes) -> Told {
    let before = notes.all().len();
    let room = amends.workflow(rooms).start(&()).await?.result().await?;
    Ok(vec![format!("{room}: {}", notes.all().split_off(before).join(", "))])
}

/// What no two runs may work on at once.
async fn locks(amends: &Amends) -> Told {
    let mut line = Vec::new();
    for id in ["first", "second"] {
        amends.workflow(change).id(id).start(&()).await?;
        let waits = async || {
            amends
                .client()
                .lock_line("order-1")
                .is_ok_and(|line| line.iter().any(|place| place.workflow_id.as_str() == id))
        };
        until(waits).await;
    }
    line.extend(
        amends
            .client()
            .lock_line("order-1")?
            .iter()
            .map(|place| place.workflow_id.to_string()),
    );
    for id in ["first", "second"] {
        amends.client().signal(id, "done", &()).await?;
        amends.find(id).await?.result().await?;
    }
    Ok(vec![format!(
        "{} have the lock one after the other",
        line.join(" and ")
    )])
}

/// A saga that can go neither forward nor back waits, visibly, for a person's word.
async fn decided(amends: &Amends) -> Told {
    let run = amends.workflow(vault).id("vault").start(&()).await?;
    let stuck = until_run(amends, "vault", |seen| seen.status == RunStatus::Stuck).await;
    let why = stuck
        .stuck
        .first()
        .map_or(String::new(), |stuck| stuck.failure.root().to_string());
    let decision = Decision::skip().step("safe").by("ada").because("it is fireproof");
    run.decide(decision).await?;
    Ok(vec![
        format!("stuck: {why}"),
        format!("then {}", run.outcome().await?.status()),
    ])
}

/// Two versions of a definition side by side: a name means the newest, and runs keep the one that they began with.
async fn versions() -> Told {
    let file = |version: &str| {
        let text = format!(
            "name = \"gift\"\nversion = \"{version}\"\n[[step]]\nname = \"wrap\"\nactivity = \"reserve\"\n\
             input = \"paper {version}\"\ncompensation = \"none\"\n[output]\nversion = \"{version}\"\n"
        );
        SagaDefinition::parse("gift.toml", &text, &ParseOptions::default()).map(|(saga, _)| saga)
    };
    let builder = Amends::builder().memory().activity(reserve).activity(release);
    let amends = builder.saga(file("1.9")?).saga(file("1.10")?).start().await?;
    let mut told = Vec::new();
    for name in ["gift", "gift@1.9"] {
        let result = amends
            .workflow_by_name(name)
            .start(&serde_json::json!({}))
            .await?
            .result()
            .await?;
        told.push(format!("{name}: {result}"));
    }
    amends.shutdown(SECOND).await;
    Ok(told)
}

pub(crate) async fn visit() -> Told {
    let notes = Notes::default();
    let builder = Amends::builder().memory().state(notes.clone());
    let builder = builder
        .activity(reserve)
        .activity(release)
        .activity(charge)
        .activity(pay_back);
    let builder = builder.activity(send).activity(call_back).activity(look_up);
    let builder = builder
        .workflow(order)
        .workflow(parcel)
        .workflow(rooms)
        .workflow(change);
    let amends = builder.workflow(vault).start().await?;
    let mut told = amends_or_all(&amends, &notes).await?;
    told.extend(lost_answers(&amends, &notes).await?);
    told.extend(savepoints(&amends, &notes).await?);
    told.extend(locks(&amends).await?);
    told.extend(decided(&amends).await?);
    amends.shutdown(SECOND).await;
    told.extend(versions().await?);
    Ok(told)
}
