//! Heartbeats, and attempts that somebody else completes.

use std::time::Duration;

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

fn json(value: &str) -> Payload {
    Payload::json(value).unwrap()
}

fn minutes(activity: Do, start_to_close: u64, heartbeat: Option<u64>) -> Do {
    let Do(Command::ScheduleActivity(mut schedule)) = activity else {
        unreachable!("it is an activity");
    };
    schedule.options.start_to_close = Some(Duration::from_secs(start_to_close * 60));
    schedule.options.heartbeat = heartbeat.map(|minutes| Duration::from_secs(minutes * 60));
    Do(Command::ScheduleActivity(schedule))
}

/// The scheduling event of the first activity of these scenarios.
const A: EventId = EventId(5);

fn token(attempt: u32) -> AttemptToken {
    AttemptToken { scheduled: A, attempt }
}

fn of(attempt: u32, what: Reported) -> Input {
    let of = ReportedAttempt::Token(token(attempt));
    Input::Report(Box::new(AttemptReport { of, what }))
}

fn by_id(id: &str, what: Reported) -> Input {
    let of = ReportedAttempt::Activity(ActivityId::from_trusted(id));
    Input::Report(Box::new(AttemptReport { of, what }))
}

fn beats(attempt: u32, details: &str) -> Input {
    of(attempt, Reported::Heartbeat(json(details)))
}

fn hand_over(attempt: u32, seconds: u64) -> Input {
    Input::HandedOver {
        token: token(attempt),
        started: at(seconds),
    }
}

fn heartbeat_of(run: &Scenario) -> Option<String> {
    let activity = run.state.activities().next().unwrap();
    activity.heartbeat.as_ref().map(|details| details.to().unwrap())
}

#[test]
fn details_are_kept_for_the_next_attempt_also_after_a_crash() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).input(beats(1, "half"), []).expect_reply(Reply::Accepted);
    assert_eq!(run.tasks, 1, "a heartbeat is no business of the code's");
    run.at(2).crash([]).expect_running("a#2");
    assert_eq!(heartbeat_of(&run).as_deref(), Some("half"));
    run.at(3).input(beats(1, "too late"), []);
    run.expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    run.at(4).input(beats(2, "more"), []).fails("a", busy(), []);
    assert_eq!(heartbeat_of(&run).as_deref(), Some("more"));
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            ~ a is at \"half\"
            @2s
            ~ a #1 failed: worker-lost; next at 2s
            @4s
            ~ a is at \"more\"
            @4s
            ~ a #2 failed: Busy; next at 6s
        ",
    );
}

#[test]
fn a_timeout_says_how_far_the_attempt_had_come() {
    for kind in [TimeoutKind::Heartbeat, TimeoutKind::StartToClose] {
        let mut run = Scenario::start([activity("a").attempts(1)]);
        run.at(1).input(beats(1, "half"), []);
        run.at(9).fails("a", Failure::timeout(kind), [fail("Sorry")]);
        let last = run.journal.last().unwrap();
        let failure = last.events.iter().find_map(|event| match &event.attributes {
            EventAttributes::ActivityTaskTimedOut { failure, .. } => Some(failure.clone()),
            _ => None,
        });
        assert_eq!(failure.unwrap().last_heartbeat(), Some(&json("half")), "{kind}");
    }
    let mut run = Scenario::start([activity("a").within(10)]);
    run.at(1).input(beats(1, "half"), []);
    run.at(10).wake([]);
    let history = run.journal.last().unwrap();
    assert!(
        format!("{:?}", history.events).contains("half"),
        "schedule-to-close says so, too: {history:?}"
    );
}

#[test]
fn a_heartbeat_hears_that_the_activity_was_asked_to_stop() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).signal("stop", "", [cancel_activity("a")]);
    run.at(2).input(beats(1, "half"), []).expect_reply(Reply::StopAsked);
    run.at(3).fails("a", Failure::canceled(""), [complete()]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            6 WorkflowExecutionSignaled stop 1
            7-9 WorkflowTaskCompleted
            10 ActivityTaskCancelRequested a
            @2s
            ~ a is at \"half\"
            @3s
            11 ActivityTaskStarted a #1
            12 ActivityTaskCanceled a
            13-15 WorkflowTaskCompleted
            16 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn what_was_handed_over_waits_for_its_answer_also_after_a_crash() {
    for answer in [
        of(1, Reported::Completed(json("yes"))),
        by_id("a", Reported::Completed(json("yes"))),
    ] {
        let mut run = Scenario::start([minutes(activity("a").attempts(1), 60, None)]);
        run.at(1)
            .input(hand_over(1, 0), [])
            .expect_running("")
            .expect_wake("3600s");
        run.at(2).crash([]).expect_running("").expect_wake("3600s");
        run.at(3)
            .input(answer.clone(), [complete()])
            .expect_reply(Reply::Accepted);
        run.expect_status(RunStatus::Completed);
        run.expect_history(
            "
                @0s
                1 WorkflowExecutionStarted order
                2-4 WorkflowTaskCompleted
                5 ActivityTaskScheduled a
                @1s
                ~ a #1 handed over
                @3s
                6 ActivityTaskStarted a #1
                7 ActivityTaskCompleted a
                8-10 WorkflowTaskCompleted
                11 WorkflowExecutionCompleted \"done\"
            ",
        );
    }
}

#[test]
fn the_answer_may_come_before_the_code_has_returned() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).input(of(1, Reported::Completed(json("yes"))), []);
    run.at(2).input(hand_over(1, 0), []);
    run.expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    assert_eq!(run.state.activities().count(), 0);
}

#[test]
fn what_was_handed_over_times_out_like_any_attempt() {
    // Start-to-close runs from the attempt's start, silence from the last sign of life.
    let mut run = Scenario::start([minutes(activity("a").attempts(2), 10, Some(4))]);
    run.at(60).input(hand_over(1, 0), []).expect_wake("300s");
    run.at(200).input(beats(1, "half"), []).expect_wake("440s");
    run.at(439).wake([]).expect_running("");
    run.at(440).wake([]).expect_wake("441s");
    run.at(441)
        .expect_running("a#2")
        .input(hand_over(2, 441), [])
        .expect_wake("681s");
    run.at(680).input(beats(2, "more"), []).expect_wake("920s");
    run.at(919).input(beats(2, "most"), []).expect_wake("1041s");
    run.at(1_041).wake([fail("Sorry")]).expect_status(RunStatus::Failed);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @60s
            ~ a #1 handed over
            @200s
            ~ a is at \"half\"
            @440s
            ~ a #1 failed: heartbeat at \"half\"; next at 441s
            @441s
            ~ a #2 handed over
            @680s
            ~ a is at \"more\"
            @919s
            ~ a is at \"most\"
            @1041s
            6 ActivityTaskStarted a #2 after heartbeat at \"half\"
            7 ActivityTaskTimedOut a: start-to-close at \"most\" [MaximumAttemptsReached]
            8-10 WorkflowTaskCompleted
            11 WorkflowExecutionFailed Sorry
        ",
    );
}

#[test]
fn a_failure_from_outside_follows_the_retry_policy_and_old_tokens_are_refused() {
    let mut run = Scenario::start([activity("a")]);
    run.at(1).input(hand_over(1, 0), []);
    run.at(2).input(of(1, Reported::Failed(busy())), []).expect_wake("3s");
    // In its backoff nobody has an attempt, so nobody can have completed one.
    for nobody in [
        of(2, Reported::Completed(json("?"))),
        by_id("a", Reported::Completed(json("?"))),
    ] {
        run.input(nobody, [])
            .expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    }
    run.at(3).expect_running("a#2");
    run.input(of(1, Reported::Completed(json("late"))), []);
    run.expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    run.input(by_id("b", Reported::Heartbeat(json("?"))), []);
    run.expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    run.input(of(2, Reported::Completed(json("yes"))), [complete()]);
    run.expect_status(RunStatus::Completed);
    run.input(of(2, Reported::Completed(json("yes"))), []);
    run.expect_reply(Reply::Rejected(Rejection::Closed));
}

#[test]
fn a_saga_that_turns_back_waits_for_the_answer_unless_the_step_is_fenced() {
    let mut run = Scenario::start([minutes(step("a"), 60, None)]);
    run.at(1).input(hand_over(1, 0), []);
    run.at(2)
        .cancel([cancel()])
        .expect_steps("a pending/owed")
        .expect_wake("3600s");
    run.at(3).input(beats(1, "asked"), []).expect_reply(Reply::StopAsked);
    run.at(4).input(of(1, Reported::Failed(Failure::canceled(""))), []);
    run.expect_running("a/undo#1");

    let mut run = Scenario::start([minutes(step("a").fenced(), 60, None)]);
    run.at(1).input(hand_over(1, 0), []);
    run.at(2).cancel([cancel()]).expect_running("a/undo#1");
    run.at(3).input(of(1, Reported::Completed(json("yes"))), []);
    run.expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    assert!(
        format!("{:?}", run.journal.last().unwrap().pending).contains("LateResult"),
        "what came too late is remembered: {:?}",
        run.journal.last()
    );
}

#[test]
fn a_parked_attempt_is_nobody_s_loses_nothing_and_stops_at_once() {
    let hold = || Input::Hold {
        attempts: vec![token(1)],
        why: HoldReason::Breaker,
    };
    let mut run = Scenario::start([activity("a").attempts(1)]);
    run.at(1).input(hold(), []).expect_running("").expect_wake("never");
    run.at(2)
        .input(Input::Release { token: token(1) }, [])
        .expect_running("a#1");
    run.at(3)
        .input(hold(), [])
        .input(by_id("a", Reported::Completed(json("?"))), []);
    run.expect_reply(Reply::Rejected(Rejection::StaleAttempt));
    // A new engine has new breakers, and the attempt was not lost: nobody had it.
    run.at(4).crash([]).expect_running("a#1");
    run.at(5).input(hold(), []).signal("stop", "", [cancel_activity("a")]);
    assert_eq!(run.state.activities().count(), 0, "nobody has to stop");
    run.input(Input::Release { token: token(1) }, []).expect_running("");

    let mut run = Scenario::start([step("a").within(10)]);
    run.at(1).input(hold(), []).expect_wake("10s");
    run.at(10).wake([complete()]).expect_steps("a failed/not-owed");
}
