//! Locks that a saga holds from before its first step.

use serde_json::json;

use super::Story;
use crate::model::{Failure, Input, LockName};

const LOCKED: &str = r#"
locks = ["sku:${ input.sku }", "customer:${ input.customer }", "sku:${ input.sku }"]
lock_timeout = "1m"
[[step]]
name = "order"
activity = "order"
compensation = { activity = "cancel" }
"#;

fn granted(lock: &str) -> Input {
    let lock = LockName::from_trusted(lock);
    Input::LockGranted { lock }
}

#[test]
fn locks_are_asked_for_one_after_the_other_in_an_order_that_all_runs_have() {
    let mut story = Story::start(LOCKED, &json!({"sku": "lamp", "customer": 7}));
    story.expect_running("").expect_wake("60s");
    story
        .at(9)
        .crash()
        .input(granted("customer:7"))
        .expect_running("")
        .expect_wake("69s");
    story.input(granted("sku:lamp")).expect_running("order#1");
    story
        .crash()
        .at(20)
        .completes("order", &json!("o-1"))
        .expect_result(&json!({"order": "o-1"}));
    story.expect_history(
        r#"
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 SagaLockRequested customer:7
            @9s
            6 SagaLockAcquired of 5
            7-9 WorkflowTaskCompleted
            10 SagaLockRequested sku:lamp
            @9s
            11 SagaLockAcquired of 10
            12-14 WorkflowTaskCompleted
            15 ActivityTaskScheduled order
            @9s
            ~ order #1 failed: worker-lost; next at 9s
            @20s
            16 ActivityTaskStarted order #2 after worker-lost
            17 ActivityTaskCompleted order
            18-20 WorkflowTaskCompleted
            21 WorkflowExecutionCompleted {"order":"o-1"}
        "#,
    );
}

#[test]
fn a_lock_that_is_refused_ends_the_saga_before_it_has_done_anything() {
    let mut story = Story::start(LOCKED, &json!({"sku": "lamp", "customer": 7}));
    story.input(Input::LockRefused {
        lock: LockName::from_trusted("customer:7"),
        failure: Failure::non_retryable("LockHeld", "by another run"),
    });
    story.expect_amended("LockHeld");
    let mut story = Story::start(LOCKED, &json!({"sku": "lamp", "customer": 7}));
    story
        .input(granted("customer:7"))
        .at(60)
        .wake()
        .expect_amended("LockTimeout");
    let mut story = Story::start(LOCKED, &json!({"sku": "lamp"}));
    story.expect_amended("locks: `${ input.customer }`: `input` has no key `customer`");
}

#[test]
fn a_saga_that_waits_for_a_lock_can_be_canceled() {
    let mut story = Story::start(LOCKED, &json!({"sku": "lamp", "customer": 7}));
    story
        .input(granted("customer:7"))
        .cancel()
        .expect_amended("changed my mind");
    story.input(granted("sku:lamp"));
    assert_eq!(story.run.last.turn, None);
}
