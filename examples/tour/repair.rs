//! What people do about runs: let them stand still, have turns decided again by mended code, and let go of what ended long ago.

use amends::model::limits::RETENTION_REST;
use amends::model::{Reset, ResetPoint};
use amends::store::MemoryStore;
use amends::testing::VirtualClock;
use amends::{ActivityContext, Amends, AmendsBuilder, Error, Failure, RunStatus, WorkflowContext, activity, workflow};

use super::{DAY, SECOND, Told, on, until_run};

#[activity]
async fn charge(_cx: ActivityContext, order: String) -> Result<String, Failure> {
    Ok(format!("{order} is paid"))
}

#[activity]
async fn inform(_cx: ActivityContext, order: String) -> Result<String, Failure> {
    Ok(format!("the owner of {order} knows"))
}

/// Where it goes, says a signal.
#[workflow]
async fn order(cx: WorkflowContext, order: String) -> Result<String, Failure> {
    let paid = cx.activity(charge, &order).await?;
    let address: String = cx.signal("address").recv().await?;
    Ok(format!("{paid}, and goes to {address}"))
}

/// The same with a bug in it, and the same as somebody changed it without thinking of open runs.
mod other {
    use amends::{Failure, WorkflowContext, workflow};

    use super::{charge, inform};

    #[workflow(name = "order")]
    pub(super) async fn broken(cx: WorkflowContext, order: String) -> Result<String, Failure> {
        cx.activity(charge, &order).await?;
        let address: String = cx.signal("address").recv().await?;
        Err(Failure::non_retryable("Bug", format!("cannot read {address:?}")))
    }

    #[workflow(name = "order")]
    pub(super) async fn changed(cx: WorkflowContext, order: String) -> Result<String, Failure> {
        let known = cx.activity(inform, &order).await?;
        let address: String = cx.signal("address").recv().await?;
        Ok(format!("{known}, and it goes to {address}"))
    }
}

/// Has a child, outlives it, and undoes nothing.
#[workflow]
async fn parent(cx: WorkflowContext) -> Result<(), Failure> {
    cx.child(short).id("child").run(&()).await?;
    cx.signal::<()>("end").recv().await
}

#[workflow]
async fn short(_cx: WorkflowContext) -> Result<(), Failure> {
    Ok(())
}

fn engine(memory: &MemoryStore, clock: &VirtualClock) -> AmendsBuilder {
    let memory = memory.clone();
    let builder = on(clock).store(move || Ok(Box::new(memory.clone())));
    builder.activity(charge).activity(inform)
}

/// A paused run records what comes, and takes it up when it goes on.
async fn pause() -> Told {
    let (memory, clock) = (MemoryStore::new(), VirtualClock::new());
    let amends = engine(&memory, &clock).workflow(order).start().await?;
    let run = amends
        .workflow(order)
        .id("order-1")
        .start(&"order-1".to_owned())
        .await?;
    run.pause("ada", "is the address right?").await?;
    run.signal("address", &"Porto").await?;
    let seen = run.describe().await?;
    let why = seen
        .paused
        .map_or(String::new(), |pause| format!("{}: {}", pause.identity, pause.reason));
    let told = format!("{} ({why})", seen.status);
    run.unpause("ada", "it is").await?;
    let told = vec![told, run.result().await?];
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// A run that a bug has ended goes on from its last turn: what was paid is not paid again, and the signal comes again.
async fn reset() -> Told {
    let (memory, clock) = (MemoryStore::new(), VirtualClock::new());
    let amends = engine(&memory, &clock).workflow(other::broken).start().await?;
    let run = amends
        .workflow(other::broken)
        .id("order-2")
        .start(&"order-2".to_owned())
        .await?;
    run.signal("address", &"Rome").await?;
    let wrong = run
        .result()
        .await
        .err()
        .map_or(String::new(), |error| error.to_string());
    amends.shutdown(SECOND).await;

    let amends = engine(&memory, &clock).workflow(order).start().await?;
    let wanted = Reset::to(ResetPoint::LastTurn, "ada", "the bug is mended");
    amends.client().reset("order-2", &wanted).await?;
    let mended: serde_json::Value = amends.find("order-2").await?.result().await?;
    amends.shutdown(SECOND).await;
    Ok(vec![wrong, format!("after the reset: {mended}")])
}

/// A run that is parked, because its code was changed under it, goes on with the new code from before the turn that does not fit.
async fn reset_of_a_parked_run() -> Told {
    let (memory, clock) = (MemoryStore::new(), VirtualClock::new());
    let amends = engine(&memory, &clock).workflow(order).start().await?;
    amends
        .workflow(order)
        .id("order-3")
        .start(&"order-3".to_owned())
        .await?;
    until_run(&amends, "order-3", |seen| seen.pending.is_empty() && seen.events > 7).await;
    amends.shutdown(SECOND).await;

    let amends = engine(&memory, &clock).workflow(other::changed).start().await?;
    amends.client().signal("order-3", "address", &"Faro").await?;
    let parked = until_run(&amends, "order-3", |seen| seen.status == RunStatus::Parked).await;
    let why = parked.parked.map_or(String::new(), |reason| reason.to_string());
    let wanted = Reset::to(ResetPoint::FirstTurn, "ada", "it was not paid for anyway");
    amends.client().reset("order-3", &wanted).await?;
    let result: serde_json::Value = amends.find("order-3").await?.result().await?;
    amends.shutdown(SECOND).await;
    Ok(vec![format!("parked: {why}"), format!("after the reset: {result}")])
}

async fn is_there(amends: &Amends, id: &str) -> bool {
    !matches!(amends.find(id).await, Err(Error::NotFound(_)))
}

/// What ended long ago is deleted; but not a child of which somebody may still ask, however old it is.
async fn retention() -> Told {
    let clock = VirtualClock::new();
    let builder = on(&clock).retention(DAY * 30).workflow(short).workflow(parent);
    let amends = builder.start().await?;
    amends.workflow(short).id("alone").start(&()).await?.result().await?;
    let parent = amends.workflow(parent).id("parent").start(&()).await?;
    until_run(&amends, "child", |seen| seen.status.is_closed()).await;
    let look = async || {
        clock.pass(RETENTION_REST).await;
        clock.until_asleep(RETENTION_REST).await;
    };
    clock.advance(DAY * 30);
    look().await;
    let (alone, child) = (is_there(&amends, "alone").await, is_there(&amends, "child").await);
    let mut told = vec![format!(
        "after a month: alone {alone}, the child of an open run {child}"
    )];
    until_run(&amends, "parent", |seen| seen.children.is_empty()).await;
    parent.signal("end", &()).await?;
    parent.result().await?;
    clock.advance(DAY * 30);
    look().await;
    look().await;
    let (parent, child) = (is_there(&amends, "parent").await, is_there(&amends, "child").await);
    told.push(format!("a month after its end: the parent {parent}, its child {child}"));
    amends.shutdown(SECOND).await;
    Ok(told)
}

pub(crate) async fn visit() -> Told {
    let mut told = pause().await?;
    told.extend(reset().await?);
    told.extend(reset_of_a_parked_run().await?);
    told.extend(retention().await?);
    Ok(told)
}
