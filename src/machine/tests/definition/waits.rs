//! Steps that wait, for people and for times, and steps that are left out.

use serde_json::json;

use super::Story;
use crate::machine::tests::pause::{pause, unpause};
use crate::machine::tests::scenario::broken;
use crate::model::RunStatus;

const APPROVAL: &str = r#"
[[step]]
name = "reserve"
activity = "reserve"
compensation = { activity = "release" }
[[step]]
name = "approval"
signal = { name = "approve", timeout = "1h" }
[[step]]
name = "ship"
activity = "ship"
input = { by = "${ steps.approval.output.by }" }
compensation = "none"
"#;

#[test]
fn a_signal_is_the_output_of_the_step_that_waits_for_it() {
    let mut story = Story::start(APPROVAL, &json!({}));
    story
        .completes("reserve", &json!(1))
        .expect_running("")
        .expect_wake("3600s");
    story.at(60).crash().expect_running("").expect_wake("3600s");
    story.signal("approve", &json!({"by": "ann"})).expect_running("ship#1");
    assert_eq!(story.input_of("ship"), json!({"by": "ann"}));
    story.completes("ship", &json!("sent")).expect_result(&json!({
        "reserve": 1, "approval": {"by": "ann"}, "ship": "sent"
    }));
}

#[test]
fn a_signal_that_came_in_time_is_heard_though_the_run_is_unpaused_later() {
    let mut story = Story::start(APPROVAL, &json!({}));
    story.completes("reserve", &json!(1)).expect_wake("3600s");
    story.at(600).input(pause());
    story.signal("approve", &json!({"by": "ann"})).expect_running("");
    story.at(7_200).input(unpause()).expect_running("ship#1");
    assert_eq!(story.input_of("ship"), json!({"by": "ann"}));
}

#[test]
fn a_signal_that_comes_before_its_step_is_kept_for_it() {
    let mut story = Story::start(APPROVAL, &json!({}));
    story.signal("approve", &json!({"by": "ann"}));
    story.signal("unheard", &json!(0)).expect_running("reserve#1");
    story.completes("reserve", &json!(1)).expect_running("ship#1");
    story.expect_history(
        r#"
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled reserve
            @0s
            6 WorkflowExecutionSignaled approve {"by":"ann"}
            7-9 WorkflowTaskCompleted
            @0s
            10 WorkflowExecutionSignaled unheard 0
            11-13 WorkflowTaskCompleted
            @0s
            14 ActivityTaskStarted reserve #1
            15 ActivityTaskCompleted reserve
            16-18 WorkflowTaskCompleted
            19 SagaWaitStarted approval until 3600s
            20 SagaWaitEnded approval: Signaled(EventId(6))
            21-23 WorkflowTaskCompleted
            24 ActivityTaskScheduled ship
        "#,
    );
}

#[test]
fn a_signal_that_does_not_come_fails_the_saga() {
    let mut story = Story::start(APPROVAL, &json!({}));
    story.completes("reserve", &json!(1));
    story.at(3_600).wake().expect_running("reserve/undo#1");
    story
        .completes("reserve/undo", &json!(null))
        .expect_amended("no signal");
}

#[test]
fn a_signal_that_does_not_come_may_have_a_default() {
    let text = APPROVAL.replace("\"1h\"", "\"1h\", default = { by = \"${ input.boss }\" }");
    let mut story = Story::start(&text, &json!({"boss": "bea"}));
    story.completes("reserve", &json!(1)).at(3_600).crash().wake();
    assert_eq!(story.input_of("ship"), json!({"by": "bea"}));
}

#[test]
fn cancelling_ends_a_wait_and_undoes_what_was_done() {
    let mut story = Story::start(APPROVAL, &json!({}));
    story.completes("reserve", &json!(1)).at(5).cancel();
    story.expect_running("reserve/undo#1");
    story
        .signal("approve", &json!({"by": "too late"}))
        .completes("reserve/undo", &json!(null));
    story.expect_amended("changed my mind");
    story.expect_history(
        r#"
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled reserve
            @0s
            6 ActivityTaskStarted reserve #1
            7 ActivityTaskCompleted reserve
            8-10 WorkflowTaskCompleted
            11 SagaWaitStarted approval until 3600s
            @5s
            12 WorkflowExecutionCancelRequested changed my mind
            13-15 WorkflowTaskCompleted
            16 SagaUnwindStarted canceled
            17 SagaWaitEnded approval: Canceled
            18 ActivityTaskScheduled reserve/undo
            @5s
            19 WorkflowExecutionSignaled approve {"by":"too late"}
            @5s
            20 ActivityTaskStarted reserve/undo #1
            21 ActivityTaskCompleted reserve/undo
            22 WorkflowExecutionCanceled canceled (amended)
        "#,
    );
}

#[test]
fn a_timer_lets_the_next_step_begin_when_its_time_has_come() {
    let text = r#"
        [[step]]
        name = "pause"
        timer = { after = "10m" }
        [[step]]
        name = "date"
        timer = { until = "${ input.date }" }
        [[step]]
        name = "go"
        activity = "go"
        compensation = "none"
    "#;
    let mut story = Story::start(text, &json!({"date": "1970-01-01T00:20:00+00:00"}));
    story.expect_wake("600s").at(599).crash().expect_wake("600s");
    story.at(600).wake().expect_wake("1200s").expect_running("");
    story.at(1_200).crash().wake().expect_running("go#1");
    story
        .completes("go", &json!(1))
        .expect_result(&json!({"pause": null, "date": null, "go": 1}));

    let mut story = Story::start(text, &json!({"date": "soon"}));
    story
        .at(600)
        .wake()
        .expect_amended("step `date`, timer.until: `soon` is not a time");
    // A time that is over is no reason to wait.
    let mut story = Story::start(text, &json!({"date": 60}));
    story.at(600).wake().wake().expect_running("go#1");
}

const CONDITIONAL: &str = r#"
[[step]]
name = "book"
activity = "book"
compensation = { activity = "cancel" }
[[step]]
name = "insure"
when = "${ input.insured }"
activity = "insure"
compensation = { activity = "cancel_insurance" }
[[step]]
name = "pay"
activity = "pay"
input = { insured = "${ steps.insure.output != null }" }
compensation = { activity = "refund" }
"#;

#[test]
fn a_step_whose_condition_does_not_hold_is_left_out() {
    let mut story = Story::start(CONDITIONAL, &json!({"insured": false}));
    story.completes("book", &json!("b-1")).expect_running("pay#1");
    assert_eq!(story.input_of("pay"), json!({"insured": false}));
    story.completes("pay", &json!("p-1"));
    story.expect_result(&json!({"book": "b-1", "insure": null, "pay": "p-1"}));
    let mut story = Story::start(CONDITIONAL, &json!({"insured": true}));
    story.completes("book", &json!("b-1")).expect_running("insure#1");
}

#[test]
fn steps_are_undone_in_order_across_one_that_was_left_out() {
    let mut story = Story::start(CONDITIONAL, &json!({"insured": false}));
    story.completes("book", &json!("b-1")).crash();
    story.fails("pay", broken()).expect_running("pay/undo#1");
    story
        .crash()
        .at(2)
        .completes("pay/undo", &json!(null))
        .expect_running("book/undo#1");
    story.completes("book/undo", &json!(null)).expect_amended("Broken");
    story.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled book
            @0s
            6 ActivityTaskStarted book #1
            7 ActivityTaskCompleted book
            8-10 WorkflowTaskCompleted
            11 SagaStepSkipped insure
            12 ActivityTaskScheduled pay
            13-15 WorkflowTaskCompleted
            @0s
            ~ pay #1 failed: worker-lost; next at 0s
            @0s
            16 ActivityTaskStarted pay #2 after worker-lost
            17 ActivityTaskFailed pay: Broken [NonRetryable]
            18-20 WorkflowTaskCompleted
            21 SagaUnwindStarted pay < Broken
            22 ActivityTaskScheduled pay/undo
            @0s
            ~ pay/undo #1 failed: worker-lost; next at 0s
            @2s
            23 ActivityTaskStarted pay/undo #2 after worker-lost
            24 ActivityTaskCompleted pay/undo
            25 ActivityTaskScheduled book/undo
            @2s
            26 ActivityTaskStarted book/undo #1
            27 ActivityTaskCompleted book/undo
            28 WorkflowExecutionFailed pay < Broken (amended)
        ",
    );
}

#[test]
fn everything_left_out_is_a_saga_that_is_done() {
    let text = r#"
        [[step]]
        name = "c"
        when = "${ steps.b.output == null }"
        after = ["b"]
        activity = "c"
        compensation = "none"
        [[step]]
        name = "b"
        when = "${ false }"
        after = []
        activity = "b"
        compensation = "none"
        [[step]]
        name = "wait"
        after = ["b"]
        when = "${ input.wait }"
        signal = { name = "never" }
    "#;
    let mut story = Story::start(&text.replace("== null", "!= null"), &json!({"wait": false}));
    story.expect_result(&json!({"b": null, "c": null, "wait": null}));
    let mut story = Story::start(text, &json!({"wait": 1}));
    story.run.expect_status(RunStatus::Amended);
    story.expect_amended("step `wait`, when: the result is a number, not true or false");
}
