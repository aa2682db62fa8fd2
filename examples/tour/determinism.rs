//! Code that decides otherwise than its history: found by replay, told with the difference, and never guessed at.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use amends::history::to_temporal_json;
use amends::store::MemoryStore;
use amends::testing::Replayer;
use amends::{ActivityContext, Amends, AmendsBuilder, Failure, RunStatus, WorkflowContext, activity, workflow};

use super::{SECOND, Told, look, until_run};

#[activity]
async fn charge(_cx: ActivityContext, order: String) -> Result<String, Failure> {
    Ok(format!("{order} is charged"))
}

/// Charges, and is done when it is told so.
#[workflow]
async fn order(cx: WorkflowContext, order: String) -> Result<String, Failure> {
    let charged = cx.activity(charge, &order).await?;
    cx.signal::<()>("deliver").recv().await?;
    Ok(charged)
}

/// The same, changed without a patch: it waits a minute first.
mod changed {
    use amends::{Failure, WorkflowContext, workflow};

    use super::charge;

    #[workflow]
    pub(super) async fn order(cx: WorkflowContext, order: String) -> Result<String, Failure> {
        cx.sleep(super::SECOND * 60).await?;
        let charged = cx.activity(charge, &order).await?;
        cx.signal::<()>("deliver").recv().await?;
        Ok(charged)
    }
}

/// The next version of it, beside it: it is checked first.
#[workflow(name = "order", version = "2")]
async fn order_2(cx: WorkflowContext, order: String) -> Result<String, Failure> {
    cx.signal::<()>("deliver").recv().await?;
    Ok(format!("{}, checked", cx.activity(charge, &order).await?))
}

/// Waits for something that is not of amends: after a crash nobody would wake it.
#[workflow]
async fn foreign(_cx: WorkflowContext) -> Result<(), Failure> {
    std::future::pending().await
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// Counts in a static, which no replay brings back: the mistake that the compiler cannot see.
#[workflow]
async fn counting(cx: WorkflowContext) -> Result<String, Failure> {
    let first = cx.activity(charge, &"the first".to_owned()).await?;
    let number = CALLS.fetch_add(1, Ordering::SeqCst);
    cx.activity(charge, &format!("number {number}")).await?;
    Ok(first)
}

/// Who may go on.
static GATE: Mutex<bool> = Mutex::new(false);
static OPENED: Condvar = Condvar::new();

/// Blocks its shard's thread: in life a lock, a file, a loop without an end.
#[workflow(allow_nondeterminism = "it shows what hangs")]
async fn hanging(_cx: WorkflowContext) -> Result<(), Failure> {
    let closed = GATE.lock().unwrap_or_else(PoisonError::into_inner);
    drop(OPENED.wait_while(closed, |open| !*open));
    Ok(())
}

fn engine(memory: &MemoryStore) -> AmendsBuilder {
    let memory = memory.clone();
    Amends::builder()
        .store(move || Ok(Box::new(memory.clone())))
        .activity(charge)
}

/// How a run that stands still is told about.
async fn parked(amends: &Amends, id: &str) -> String {
    let seen = until_run(amends, id, |seen| seen.status == RunStatus::Parked).await;
    seen.parked.map_or(String::new(), |reason| reason.to_string())
}

/// A run that does not fit its code is parked, and goes on when code comes that fits.
async fn incompatible() -> Told {
    let memory = MemoryStore::new();
    let amends = engine(&memory).workflow(order).start().await?;
    amends
        .workflow(order)
        .id("order-1")
        .start(&"order-1".to_owned())
        .await?;
    until_run(&amends, "order-1", |seen| seen.pending.is_empty() && seen.events > 7).await;
    amends.shutdown(SECOND).await;

    let amends = engine(&memory).workflow(changed::order).start().await?;
    amends.client().signal("order-1", "deliver", &()).await?;
    let mut told = vec![parked(&amends, "order-1").await];
    amends.shutdown(SECOND).await;

    let amends = engine(&memory).workflow(order).start().await?;
    let result: serde_json::Value = amends.find("order-1").await?.result().await?;
    told.push(format!("with its own code again: {result}"));
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// Two versions of one workflow: an open run goes on with its own, a new one takes the newest.
async fn side_by_side() -> Told {
    let memory = MemoryStore::new();
    let amends = engine(&memory).workflow(order).start().await?;
    amends.workflow(order).id("begun-before").start(&"a".to_owned()).await?;
    until_run(&amends, "begun-before", |seen| {
        seen.pending.is_empty() && seen.events > 7
    })
    .await;
    amends.shutdown(SECOND).await;

    let amends = engine(&memory).workflow(order).workflow(order_2).start().await?;
    amends
        .workflow(order_2)
        .id("begun-after")
        .start(&"b".to_owned())
        .await?;
    let mut told = Vec::new();
    for id in ["begun-before", "begun-after"] {
        amends.client().signal(id, "deliver", &()).await?;
        let result: serde_json::Value = amends.find(id).await?.result().await?;
        told.push(format!("{id}: {result}"));
    }
    let of_version_2 = amends.client().count("TemporalChangeVersion = 'order@2'").await?;
    told.push(format!("runs of version 2: {}", of_version_2.runs));
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// A future of another runtime is caught in the turn in which it is awaited.
async fn foreign_future() -> Told {
    let amends = engine(&MemoryStore::new()).workflow(foreign).start().await?;
    amends.workflow(foreign).id("foreign").start(&()).await?;
    let told = vec![parked(&amends, "foreign").await];
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// In development: every turn is replayed, and a difference found before anything of it is recorded.
async fn every_turn() -> Told {
    let amends = engine(&MemoryStore::new())
        .workflow(counting)
        .replay_every_turn()
        .start()
        .await?;
    amends.workflow(counting).id("counting").start(&()).await?;
    let difference = parked(&amends, "counting").await;
    let inputs: Vec<&str> = difference.split('"').skip(1).step_by(2).collect();
    amends.shutdown(SECOND).await;
    Ok(vec![format!(
        "the inputs of the second call, replayed and live: {}",
        inputs.join(", ")
    )])
}

/// A turn that does not come back is told of while it hangs, by the log and to whoever asks.
async fn hung_turn() -> Told {
    let builder = engine(&MemoryStore::new()).workflow(hanging);
    let amends = builder.turn_hangs_after(Duration::from_millis(20)).start().await?;
    let starter = amends.workflow(hanging).id("hanging");
    let looking = async {
        let hung = look(async || amends.client().hung_turns().pop()).await;
        *GATE.lock().unwrap_or_else(PoisonError::into_inner) = true;
        OPENED.notify_all();
        hung
    };
    let (run, hung) = tokio::join!(starter.start(&()), looking);
    run?.result().await?;
    amends.shutdown(SECOND).await;
    let workflow_type = hung.workflow_type.map_or(String::new(), |kind| kind.to_string());
    Ok(vec![format!(
        "{} of {workflow_type} held up its shard",
        hung.workflow_id
    )])
}

/// Before a deployment: a saved history against today's code. A test does this with a directory of them.
async fn replay_test() -> Told {
    let amends = engine(&MemoryStore::new()).workflow(order).start().await?;
    let run = amends
        .workflow(order)
        .id("order-2")
        .start(&"order-2".to_owned())
        .await?;
    run.signal("deliver", &()).await?;
    run.result().await?;
    let saved = to_temporal_json(&amends.client().history("order-2").await?).to_string();
    amends.shutdown(SECOND).await;
    let fits = Replayer::new().workflow(order).json(&saved).is_ok();
    let differs = Replayer::new().workflow(changed::order).json(&saved);
    Ok(vec![
        format!(
            "saved as Temporal's tools do: {}",
            saved.contains("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED")
        ),
        format!("it fits its own code: {fits}"),
        differs.err().map_or("it fits".to_owned(), |error| error.to_string()),
    ])
}

pub(crate) async fn visit() -> Told {
    let mut told = incompatible().await?;
    told.extend(side_by_side().await?);
    told.extend(foreign_future().await?);
    told.extend(every_turn().await?);
    told.extend(hung_turn().await?);
    told.extend(replay_test().await?);
    Ok(told)
}
