//! The beginning and the end of a run: start, complete, fail, signals, termination, and what comes too late.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

#[test]
fn a_run_starts_and_completes_in_one_turn() {
    Scenario::start([complete()])
        .expect_history(
            "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 WorkflowExecutionCompleted \"done\"
        ",
        )
        .expect_status(RunStatus::Completed)
        .expect_wake("never");
}

#[test]
fn a_task_takes_three_ids_and_its_commands_follow_in_order() {
    let mut run = Scenario::start([activity("a"), timer("t", 5), activity("b")]);
    run.expect_running("a#1 b#1").expect_wake("5s");
    run.at(1).completes("b", []);
    run.at(2).completes("a", [cancel_timer("t"), complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            6 TimerStarted t fires at 5s
            7 ActivityTaskScheduled b
            @1s
            8 ActivityTaskStarted b #1
            9 ActivityTaskCompleted b
            10-12 WorkflowTaskCompleted
            @2s
            13 ActivityTaskStarted a #1
            14 ActivityTaskCompleted a
            15-17 WorkflowTaskCompleted
            18 TimerCanceled t
            19 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn a_run_without_steps_fails_cancels_and_times_out_plainly() {
    Scenario::start([fail("Broken")])
        .expect_history(
            "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 WorkflowExecutionFailed Broken
        ",
        )
        .expect_status(RunStatus::Failed);
    Scenario::start([timer("t", 60)])
        .cancel([cancel()])
        .expect_history(
            "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 TimerStarted t fires at 60s
            @0s
            6 WorkflowExecutionCancelRequested changed my mind
            7-9 WorkflowTaskCompleted
            10 WorkflowExecutionCanceled canceled
        ",
        )
        .expect_status(RunStatus::Canceled);
    let limited = StartRun {
        run_timeout: Some(std::time::Duration::from_secs(10)),
        ..start_run()
    };
    let mut run = Scenario::start_as(limited, [activity("a")]);
    run.expect_wake("10s");
    run.at(9).wake([]).expect_wake("10s").expect_status(RunStatus::Running);
    run.at(10)
        .wake([])
        .expect_status(RunStatus::TimedOut)
        .expect_running("")
        .expect_wake("never");
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @10s
            6 WorkflowExecutionTimedOut
        ",
    );
}

#[test]
fn a_second_start_is_a_duplicate_or_refused() {
    let mut run = Scenario::start([]);
    run.input(Input::Start(Box::new(start_run())), [])
        .expect_reply(Reply::Duplicate);
    let other = StartRun {
        request_id: Some(RequestId::from_trusted("start-2")),
        run_id: RunId::from_bytes([8; 16]),
        ..start_run()
    };
    let run_id = start_run().run_id;
    run.input(Input::Start(Box::new(other)), [])
        .expect_reply(Reply::Rejected(Rejection::AlreadyStarted { run_id }));
    assert_eq!(run.journal.len(), 1);
}

#[test]
fn nothing_is_taken_before_the_start() {
    let mut run = Scenario::start([]);
    run.state = crate::machine::RunState::default();
    run.journal.clear();
    for input in [signal("s", ""), cancel_request()] {
        run.input(input, [])
            .expect_reply(Reply::Rejected(Rejection::NotStarted));
    }
    run.input(Input::Wake, [])
        .input(Input::Recovered { at: Timestamp::FOREVER }, []);
    assert!(run.journal.is_empty());
}

#[test]
fn signals_reach_the_code_once_each() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).signal("go", "r1", []).expect_reply(Reply::Accepted);
    run.at(2).signal("go", "r1", []).expect_reply(Reply::Duplicate);
    assert_eq!(run.tasks, 2);
    run.at(3)
        .crash([])
        .signal("go", "r1", [])
        .expect_reply(Reply::Duplicate);
    run.at(4).signal("go", "r2", [complete()]).expect_reply(Reply::Accepted);
    run.at(5)
        .signal("go", "r3", [])
        .expect_reply(Reply::Rejected(Rejection::Closed));
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            6 WorkflowExecutionSignaled go 1
            7-9 WorkflowTaskCompleted
            @3s
            ~ a #1 failed: worker-lost; next at 3s
            @4s
            10 WorkflowExecutionSignaled go 1
            11-13 WorkflowTaskCompleted
            14 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn signals_that_arrive_together_are_one_turn_and_one_task() {
    let mut run = Scenario::start_as(start_run(), []);
    run.at(1)
        .inputs([signal("a", ""), signal("b", ""), signal("a", "")], [complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            @1s
            5 WorkflowExecutionSignaled a 1
            6 WorkflowExecutionSignaled b 1
            7 WorkflowExecutionSignaled a 1
            8-10 WorkflowTaskCompleted
            11 WorkflowExecutionCompleted \"done\"
        ",
    );
    assert_eq!(run.last.replies, [Reply::Accepted, Reply::Accepted, Reply::Accepted]);
}

#[test]
fn what_a_task_sees_is_its_predecessors_commands_and_what_arrived_since() {
    struct Watching(Vec<Vec<String>>);
    impl crate::machine::Decider for Watching {
        fn decide(&mut self, task: &crate::machine::Task<'_>) -> Result<Vec<Command>, ParkReason> {
            let seen = task.events.iter();
            let seen = seen.map(|event| format!("{} {}", event.id.0, event.attributes.kind()));
            self.0.push(seen.collect());
            Ok(match self.0.len() {
                1 => vec![activity("a").0, timer("t", 9).0],
                _ => Vec::new(),
            })
        }
    }
    let mut watching = Watching(Vec::new());
    let mut state = crate::machine::RunState::default();
    let inputs = vec![Input::Start(Box::new(start_run())), signal("early", "")];
    crate::machine::decide(&mut state, inputs, at(0), &mut watching);
    let token = state.activities().next().unwrap().token();
    let outcome = Ok(Payload::null());
    crate::machine::decide(
        &mut state,
        vec![Input::AttemptEnded { token, outcome }],
        at(1),
        &mut watching,
    );
    crate::machine::decide(&mut state, vec![Input::Wake], at(9), &mut watching);
    assert_eq!(
        watching.0,
        [
            vec!["1 WorkflowExecutionStarted", "2 WorkflowExecutionSignaled"],
            vec![
                "6 ActivityTaskScheduled",
                "7 TimerStarted",
                "8 ActivityTaskStarted",
                "9 ActivityTaskCompleted"
            ],
            vec!["13 TimerFired"],
        ]
    );
}

#[test]
fn termination_ends_at_once_and_undoes_nothing() {
    let mut run = Scenario::start([step("reserve"), timer("t", 60)]);
    run.at(1).completes("reserve", [step("charge")]);
    let charge = run.outcome("charge", Ok(Payload::null()));
    run.at(2)
        .terminate()
        .expect_reply(Reply::Accepted)
        .expect_running("")
        .expect_wake("never");
    run.expect_status(RunStatus::Terminated);
    run.at(3)
        .input(charge, [])
        .expect_reply(Reply::Rejected(Rejection::Closed));
    run.terminate().expect_reply(Reply::Rejected(Rejection::Closed));
    run.cancel([]).expect_reply(Reply::Rejected(Rejection::Closed));
    run.wake([]).crash([]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled reserve
            6 TimerStarted t fires at 60s
            @1s
            7 ActivityTaskStarted reserve #1
            8 ActivityTaskCompleted reserve
            9-11 WorkflowTaskCompleted
            12 ActivityTaskScheduled charge
            @2s
            13 WorkflowExecutionTerminated enough
        ",
    );
}

#[test]
fn inputs_after_the_end_in_the_same_turn_are_refused() {
    let mut run = Scenario::start([activity("a")]);
    let end = Input::Terminate {
        reason: "enough".to_owned(),
        identity: "operator".to_owned(),
    };
    let late = run.outcome("a", Ok(Payload::null()));
    run.inputs([end, late, signal("s", "")], []);
    let closed = || Reply::Rejected(Rejection::Closed);
    assert_eq!(run.last.replies, [Reply::Accepted, closed(), closed()]);
}

#[test]
fn a_full_history_refuses_signals_and_then_fails_the_run() {
    let mut run = Scenario::start([]);
    let limit = limits::HISTORY_EVENTS_MAX * 9 / 10;
    // Straight to the limit: many signals in one turn.
    let signals = (0..limit).map(|_| signal("s", ""));
    run.inputs(signals, []);
    assert_eq!(
        run.last.replies.last(),
        Some(&Reply::Rejected(Rejection::HistoryFull {
            max: limits::HISTORY_EVENTS_MAX
        }))
    );
    run.expect_status(RunStatus::Failed);
    let outcome = run.state.outcome().unwrap();
    assert!(matches!(outcome, Outcome::Failed(failure) if failure.is_type("HistoryTooLong")));
    assert!(run.state.next_event().0 <= limits::HISTORY_EVENTS_MAX);
}

#[test]
fn a_clock_that_is_set_back_neither_reorders_time_nor_holds_up_attempts() {
    let mut run = Scenario::start([]);
    run.at(100).signal("s", "", []);
    run.at(40).signal("s", "", [activity("a"), timer("t", 5)]);
    run.expect_running("a#1").expect_wake("105s");
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            @100s
            5 WorkflowExecutionSignaled s 1
            6-8 WorkflowTaskCompleted
            @100s
            9 WorkflowExecutionSignaled s 1
            10-12 WorkflowTaskCompleted
            13 ActivityTaskScheduled a
            14 TimerStarted t fires at 105s
        ",
    );
}
