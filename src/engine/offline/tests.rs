//! Looking at runs and leaving them messages while no engine runs.

use super::*;
use crate::engine::Amends;
use crate::machine::Rejection;
use crate::model::{EventAttributes, Failure, Outcome, RunStatus};
use crate::sdk::{ActivityContext, WorkflowContext};
use crate::store::MemoryStore;

/// A store with one run that waits for its signal, after its engine has ended.
async fn store_with_waiting_run() -> MemoryStore {
    let store = MemoryStore::new();
    let amends = engine(&store).await;
    amends.workflow(wait_for_word).id("w").start(&()).await.unwrap();
    amends.shutdown(std::time::Duration::from_secs(5)).await;
    store
}

async fn engine(store: &MemoryStore) -> Amends {
    let store = store.clone();
    let builder = Amends::builder().store(move || Ok(Box::new(store.clone()) as Box<dyn Store>));
    let builder = builder.activity(echo).workflow(wait_for_word).shards(1);
    builder.start().await.unwrap()
}

async fn echo(_cx: ActivityContext, word: String) -> Result<String, Failure> {
    Ok(word)
}

async fn wait_for_word(cx: WorkflowContext, (): ()) -> Result<String, Failure> {
    let word: String = cx.signal("word").recv().await?;
    cx.activity(echo, &word).await
}

#[tokio::test]
async fn a_signal_left_for_code_is_heard_by_the_next_engine() {
    let store = store_with_waiting_run().await;
    let offline = Offline::over(store.clone());
    offline.signal("w", "word", "hello", SignalOptions::default()).unwrap();
    let status = offline.find("w").unwrap().status;
    assert_eq!(status, RunStatus::Running, "not parked, although its code is not here");
    assert!(offline.verify(&mut |_| {}).unwrap().problems.is_empty());
    let amends = engine(&store).await;
    let outcome = amends.find("w").await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome, Outcome::Completed(Payload::of("hello").unwrap()));
    amends.shutdown(std::time::Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_terminated_run_is_over_and_takes_nothing_any_more() {
    let offline = Offline::over(store_with_waiting_run().await);
    let run_id = offline.terminate("w", "enough").unwrap();
    let description = offline.describe(&run_id.to_string()).unwrap();
    assert_eq!(description.status, RunStatus::Terminated);
    let last = offline.history("w").unwrap().pop().unwrap();
    assert!(
        matches!(&last.attributes, EventAttributes::WorkflowExecutionTerminated { reason, .. } if reason == "enough")
    );
    let refused = offline.cancel("w", "too late").unwrap_err();
    assert!(matches!(refused, Error::Rejected(Rejection::Closed)), "{refused}");
    assert!(matches!(offline.describe("nobody"), Err(Error::NotFound(_))));
}

async fn leave_it_waiting(cx: WorkflowContext, (): ()) -> Result<String, Failure> {
    cx.child(wait_for_word).id("child").run(&()).await
}

#[tokio::test]
async fn a_run_that_has_not_let_go_of_its_children_is_no_damage() {
    let memory = MemoryStore::new();
    let store = memory.clone();
    let builder = Amends::builder().store(move || Ok(Box::new(store.clone()) as Box<dyn Store>));
    let builder = builder
        .activity(echo)
        .workflow(wait_for_word)
        .workflow(leave_it_waiting);
    let amends = builder.shards(1).start().await.unwrap();
    amends.workflow(leave_it_waiting).id("p").start(&()).await.unwrap();
    while amends.client().describe("child").await.is_err() {
        tokio::task::yield_now().await;
    }
    amends.shutdown(std::time::Duration::from_secs(5)).await;
    let offline = Offline::over(memory);
    offline.terminate("p", "enough").unwrap();
    assert_eq!(offline.describe("p").unwrap().status, RunStatus::Terminated);
    assert_eq!(
        offline.find("p").unwrap().status,
        RunStatus::Running,
        "an engine has to look at it"
    );
    let report = offline.verify(&mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}
