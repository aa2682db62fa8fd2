//! Workflows that `tests/temporal/workflows.py` has in Temporal's Python SDK, deciding the same. Must not live here: running
//! them, histories.

use std::time::Duration;

use amends::testing::Replayer;
use amends::{
    ActivityContext, AmendsBuilder, CancellationType, Failure, RetryPolicy, WorkflowContext, activity, workflow,
};
use serde::{Deserialize, Serialize};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) item: String,
    pub(super) cents: u64,
}

#[activity(start_to_close = "10s")]
async fn reserve(_cx: ActivityContext, item: String) -> Result<String, Failure> {
    Ok(format!("{item} is reserved"))
}

#[activity(start_to_close = "10s")]
async fn release(_cx: ActivityContext, _item: String) -> Result<(), Failure> {
    Ok(())
}

/// The bank is busy at first; a card that is too small is declined for good.
#[activity(start_to_close = "10s")]
async fn charge(cx: ActivityContext, order: Order) -> Result<String, Failure> {
    match (cx.info().attempt, order.cents) {
        (1, _) => Err(Failure::new("BankBusy", "try again")),
        (_, 100_001..) => Err(Failure::non_retryable("CardDeclined", "no money")),
        (_, cents) => Ok(format!("{cents} cents")),
    }
}

#[activity(start_to_close = "10s")]
async fn square(_cx: ActivityContext, n: u64) -> Result<u64, Failure> {
    Ok(n * n)
}

#[activity(start_to_close = "10s")]
async fn hang(_cx: ActivityContext) -> Result<(), Failure> {
    std::future::pending().await
}

#[activity]
async fn look_up(_cx: ActivityContext, key: String) -> Result<String, Failure> {
    Ok(format!("{key}!"))
}

#[activity]
async fn miss(_cx: ActivityContext, key: String) -> Result<String, Failure> {
    Err(Failure::new("NotThere", format!("there is no {key}")))
}

/// Activities one after the other, a timer, a retry; what was done is undone by its own code.
#[workflow]
pub(super) async fn place_order(cx: WorkflowContext, order: Order) -> Result<String, Failure> {
    cx.activity(reserve, &order.item).await?;
    cx.sleep(SECOND).await?;
    match cx.activity(charge, &order).await {
        Ok(paid) => Ok(format!("{} for {paid}", order.item)),
        Err(failure) => {
            cx.activity(release, &order.item).await?;
            Err(Failure::non_retryable("NotPaid", "it is not paid").caused_by(failure))
        }
    }
}

/// A signal, or a timer.
#[workflow]
pub(super) async fn await_approval(cx: WorkflowContext, seconds: u64) -> Result<Option<String>, Failure> {
    let by = cx.state(None::<String>);
    by.on_signal("approve", |by, who: String| *by = Some(who))?;
    let told = by.clone();
    let patience = Duration::from_secs(seconds);
    cx.wait_condition_for(patience, move || told.read(Option::is_some))
        .await?;
    Ok(by.get())
}

/// An entity with signals and updates, among them one that waits and one that is refused.
#[workflow]
pub(super) async fn counter(cx: WorkflowContext, goal: u64) -> Result<u64, Failure> {
    let count = cx.state(0_u64);
    count.on_query("count", |count, ()| *count)?;
    count.on_signal("add", |count, n: u64| *count += n)?;
    count.on_validated_update(
        "take",
        |count, n: &u64| match n <= count {
            true => Ok(()),
            false => Err(Failure::new("TooFew", format!("there are only {count}"))),
        },
        |count, n| {
            *count -= n;
            Ok(*count)
        },
    )?;
    let (own, waiting) = (cx.clone(), count.clone());
    cx.on_update("reach", async move |wanted: u64| {
        own.activity(square, &wanted).await?;
        let looked_at = waiting.clone();
        own.wait_condition(move || looked_at.get() >= wanted).await?;
        Ok::<u64, Failure>(waiting.get())
    })?;
    cx.on_update("break", async |(): ()| Err::<(), _>(Failure::new("Broken", "as asked")))?;
    count.wait_until(move |count| *count >= goal).await?;
    cx.wait_condition(|| cx.all_handlers_finished()).await?;
    Ok(count.get())
}

/// Activities at the same time.
#[workflow]
pub(super) async fn add_squares(cx: WorkflowContext, numbers: Vec<u64>) -> Result<u64, Failure> {
    let squares = cx.try_map_concurrent(&numbers, 8, |n| cx.activity(square, n)).await?;
    Ok(squares.into_iter().sum())
}

#[workflow]
pub(super) async fn double(_cx: WorkflowContext, n: u64) -> Result<u64, Failure> {
    match n {
        13 => Err(Failure::non_retryable("Unlucky", "13")),
        _ => Ok(n * 2),
    }
}

/// Child workflows; one may fail.
#[workflow]
pub(super) async fn double_each(cx: WorkflowContext, numbers: Vec<u64>) -> Result<Vec<u64>, Failure> {
    let mut doubled = Vec::new();
    for n in &numbers {
        let id = format!("{}-{n}", cx.workflow_id());
        doubled.push(cx.child(double).id(id).run(n).await.unwrap_or_default());
    }
    Ok(doubled)
}

/// A run for each number.
#[workflow]
pub(super) async fn count_down(cx: WorkflowContext, left: u64) -> Result<String, Failure> {
    cx.sleep(SECOND).await?;
    match left {
        0 => Ok("lift-off".to_owned()),
        _ => cx.continue_as_new(count_down, &(left - 1)).await,
    }
}

/// Until it is called back, and sets right what it has done.
#[workflow]
pub(super) async fn take_holiday(cx: WorkflowContext, place: String) -> Result<(), Failure> {
    cx.activity(reserve, &place).await?;
    if let Err(called_back) = cx.sleep(DAY).await {
        cx.shield(cx.activity(release, &place)).await?;
        return Err(called_back);
    }
    Ok(())
}

/// A cancelled activity.
#[workflow]
pub(super) async fn give_up(cx: WorkflowContext) -> Result<(), Failure> {
    cx.activity(hang, &()).cancellation(CancellationType::TryCancel).await
}

/// Patches, new and old.
#[workflow]
pub(super) async fn check_order(cx: WorkflowContext, item: String) -> Result<String, Failure> {
    cx.deprecate_patch("greeting");
    if cx.patched("checks") {
        cx.activity(square, &7).await?;
    }
    cx.activity(reserve, &item).await
}

/// Search attributes and a memo.
#[workflow]
pub(super) async fn label(cx: WorkflowContext, parcels: u64) -> Result<(), Failure> {
    let parcels = i64::try_from(parcels).unwrap_or(i64::MAX);
    cx.upsert_search_attributes([
        ("Stage", "packed".into()),
        ("Parcels", amends::SearchAttributeValue::from(parcels)),
    ])?;
    cx.upsert_memo("note", "handle with care")?;
    cx.sleep(SECOND).await?;
    cx.upsert_search_attributes([("Stage", "sent")])?;
    cx.remove_search_attributes(["Parcels"])?;
    cx.remove_memo(["note"])
}

/// A signal to another run; a signal and a request to end to one that is not there.
#[workflow]
pub(super) async fn tell(cx: WorkflowContext, other: String) -> Result<String, Failure> {
    cx.external(&other).signal("approve", &"Ada").await?;
    let nobody = cx.external("nobody");
    let unheard = nobody.signal("approve", &"Ada").await.is_err() && nobody.cancel("").await.is_err();
    Ok(if unheard { "told" } else { "heard" }.to_owned())
}

/// An activity that takes too long.
#[workflow]
pub(super) async fn try_in_vain(cx: WorkflowContext) -> Result<String, Failure> {
    let tried = cx
        .activity(hang, &())
        .start_to_close(SECOND)
        .retry(RetryPolicy::never());
    Ok(if tried.await.is_err() { "too late" } else { "in time" }.to_owned())
}

/// Local activities, then an activity.
#[workflow]
pub(super) async fn look_around(cx: WorkflowContext, key: String) -> Result<String, Failure> {
    let first = cx.local_activity(look_up, &key).await?;
    let second = cx.local_activity(look_up, &first).await?;
    cx.activity(reserve, &second).await
}

/// A local activity that is tried again, in vain.
#[workflow]
pub(super) async fn look_elsewhere(cx: WorkflowContext, key: String) -> Result<String, Failure> {
    let twice = RetryPolicy {
        maximum_attempts: 2,
        initial_interval: SECOND / 100,
        ..RetryPolicy::default()
    };
    match cx.local_activity(miss, &key).retry(twice).await {
        Err(failure) if failure.chain().any(|cause| cause.type_name() == Some("NotThere")) => {
            cx.activity(reserve, &format!("another {key}")).await
        }
        found => found,
    }
}

/// The second version of a workflow.
#[workflow(version = "2")]
pub(super) async fn check_stock(cx: WorkflowContext, item: String) -> Result<String, Failure> {
    cx.activity(reserve, &item).await
}

/// Registers all of it.
pub(super) fn register(builder: AmendsBuilder) -> AmendsBuilder {
    let builder = builder
        .activity(reserve)
        .activity(release)
        .activity(charge)
        .activity(square);
    let builder = builder
        .activity(hang)
        .activity(look_up)
        .workflow(place_order)
        .workflow(await_approval);
    let builder = builder
        .workflow(counter)
        .workflow(add_squares)
        .workflow(double)
        .workflow(double_each);
    let builder = builder
        .workflow(count_down)
        .workflow(take_holiday)
        .workflow(give_up)
        .workflow(check_order);
    let builder = builder.workflow(label).workflow(tell).workflow(try_in_vain);
    let builder = builder.activity(miss).workflow(look_around);
    builder.workflow(look_elsewhere).workflow(check_stock)
}

/// With the same workflows, as they are when histories are replayed.
pub(super) fn replayer() -> Replayer {
    let replayer = Replayer::new()
        .workflow(place_order)
        .workflow(await_approval)
        .workflow(counter);
    let replayer = replayer.workflow(add_squares).workflow(double).workflow(double_each);
    let replayer = replayer.workflow(count_down).workflow(take_holiday).workflow(give_up);
    let replayer = replayer
        .workflow(check_order)
        .workflow(label)
        .workflow(tell)
        .workflow(try_in_vain);
    let replayer = replayer.workflow(look_around).workflow(look_elsewhere);
    replayer.workflow(check_stock)
}
