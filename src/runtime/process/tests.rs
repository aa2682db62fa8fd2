//! A pool with worker processes that are this very test program. Must not live here: isolated activities of a whole engine (those
//! are in `tests/integration`).

use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::UnixStream;

use super::*;
use crate::model::{Failure, Payload};
use crate::runtime::clock::SystemClock;
use crate::sdk::{Activity, ActivityContext, ActivityDefinition};

struct Process;

#[async_trait]
impl Activity for Process {
    async fn execute(&self, _: ActivityContext, _: Payload) -> Result<Payload, Failure> {
        Ok(Payload::json(&std::process::id())?)
    }
}

/// What worker processes begin with: the arguments of the pool choose this test, which never ends there.
#[test]
fn worker_process() {
    let process = ActivityDefinition::new("test_activity", Process).unwrap();
    WorkerProcess::new().activity_definition(process).run();
}

#[tokio::test]
async fn an_order_that_a_process_cannot_be_given_is_given_to_another_one() {
    let arguments = ["runtime::process::tests::worker_process", "--exact"].map(str::to_owned);
    let pool = ProcessPool::new(Arc::new(SystemClock), arguments.into());
    let attempt = async || {
        let cx = ActivityContext::for_test().build();
        let process = pool.activity().execute(cx, Payload::null()).await.unwrap();
        process.to::<u32>().unwrap()
    };
    let first = attempt().await;
    assert_eq!(attempt().await, first, "it is used again");
    // It lives, and nobody is at the other end.
    let (broken, _) = UnixStream::pair().unwrap();
    let kept = pool.replace_stream(broken);
    let second = attempt().await;
    assert!(second != first && second != std::process::id());
    assert_eq!(attempt().await, second);
    drop(kept);
}
