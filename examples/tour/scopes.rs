//! Cancellation scopes: parts of a workflow that are cancelled on their own, and clean-up that no cancellation reaches; and
//! what a workflow may use in the place of clocks and chance.

use amends::{ActivityContext, Amends, Failure, ResultError, WorkflowContext, activity, workflow};

use super::{Notes, SECOND, Told, note, until_run};

#[activity]
async fn tidy_up(cx: ActivityContext, what: String) -> Result<(), Failure> {
    note(&cx, format!("{what} is tidied up"));
    Ok(())
}

/// Two rooms in a house, each with a party that has no end of its own. Cancelling one room ends its party; cancelling the house
/// ends the other.
#[workflow]
async fn house(cx: WorkflowContext) -> Result<Vec<String>, Failure> {
    let house = cx.scope();
    let (kitchen, cellar) = house.run(async { (cx.scope(), cx.scope()) }).await;
    let mut ends = Vec::new();
    kitchen.cancel();
    let party = kitchen.run(cx.signal::<()>("never").recv()).await;
    ends.push(format!("kitchen: {}, cellar: {}", party.is_err(), cellar.is_canceled()));
    house.cancel();
    let party = cellar.run(cx.signal::<()>("never").recv()).await;
    ends.push(format!(
        "cellar: {}, the run: {}",
        party.is_err(),
        cx.is_cancel_requested()
    ));
    Ok(ends)
}

/// Waits, and tidies up when it is cancelled.
#[workflow]
async fn workshop(cx: WorkflowContext) -> Result<(), Failure> {
    if let Err(canceled) = cx.signal::<()>("never").recv().await {
        // Outside of the shield this call would be cancelled, too.
        cx.shield(cx.activity(tidy_up, &"the workshop".to_owned())).await?;
        return Err(canceled);
    }
    Ok(())
}

/// The time, a number and an id: each time that the code is replayed they are the same.
#[workflow]
async fn dice(cx: WorkflowContext) -> Result<(String, u64, String), Failure> {
    let thrown = (cx.now().to_string(), cx.random_below(6) + 1, cx.uuid());
    let asked = thrown.clone();
    cx.on_query("thrown", move |()| asked.clone())?;
    cx.signal::<()>("end").recv().await?;
    Ok(thrown)
}

/// What is cancelled reaches all that is in it, and nothing else.
async fn nested(amends: &Amends) -> Told {
    Ok(amends.workflow(house).start(&()).await?.result().await?)
}

/// Clean-up after a cancellation.
async fn shield(amends: &Amends, notes: &Notes) -> Told {
    let run = amends.workflow(workshop).id("workshop").start(&()).await?;
    until_run(amends, "workshop", |seen| seen.events >= 4).await;
    run.cancel("it is late").await?;
    let canceled = matches!(run.result().await, Err(ResultError::Canceled(_)));
    Ok(vec![format!("canceled: {canceled}; {}", notes.all().join(", "))])
}

/// Asked after its end, the run is replayed from its history, and says the same.
async fn chance(amends: &Amends) -> Told {
    let run = amends.workflow(dice).id("dice").start(&()).await?;
    run.signal("end", &()).await?;
    let thrown = run.result().await?;
    let again: (String, u64, String) = run.query("thrown", &()).await?;
    let fair = (1..=6).contains(&thrown.1);
    Ok(vec![format!(
        "between one and six: {fair}; the same on replay: {}",
        thrown == again
    )])
}

pub(crate) async fn visit() -> Told {
    let notes = Notes::default();
    let builder = Amends::builder().memory().state(notes.clone()).activity(tidy_up);
    let amends = builder
        .workflow(house)
        .workflow(workshop)
        .workflow(dice)
        .start()
        .await?;
    let mut told = nested(&amends).await?;
    told.extend(shield(&amends, &notes).await?);
    told.extend(chance(&amends).await?);
    amends.shutdown(SECOND).await;
    Ok(told)
}
