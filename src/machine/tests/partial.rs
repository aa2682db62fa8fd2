//! Going back a part of the way, waits, skipped steps, locks, and undoing another run's steps.

use super::scenario::*;
use crate::machine::{LockState, Reply, StepState};
use crate::model::*;

#[test]
fn a_saga_goes_back_to_a_savepoint_and_on_from_there() {
    let mut run = Scenario::start([step("a")]);
    run.at(1).completes("a", [step("b")]);
    run.at(2).completes("b", [step("c")]);
    run.at(3)
        .fails("c", declined(), [roll_back(1)])
        .expect_running("b/undo#1");
    run.expect_status(RunStatus::Running);
    run.at(4).completes("b/undo", [step("d")]).expect_running("d#1");
    run.at(5)
        .completes("d", [complete()])
        .expect_status(RunStatus::Completed);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @1s
            6 ActivityTaskStarted a #1
            7 ActivityTaskCompleted a
            8-10 WorkflowTaskCompleted
            11 ActivityTaskScheduled b
            @2s
            12 ActivityTaskStarted b #1
            13 ActivityTaskCompleted b
            14-16 WorkflowTaskCompleted
            17 ActivityTaskScheduled c
            @3s
            18 ActivityTaskStarted c #1
            19 ActivityTaskFailed c: Declined [NonRetryable]
            20-22 WorkflowTaskCompleted
            23 SagaRollbackStarted keeping 1
            24 ActivityTaskScheduled b/undo
            @4s
            25 ActivityTaskStarted b/undo #1
            26 ActivityTaskCompleted b/undo
            27 SagaRollbackCompleted of 23
            28-30 WorkflowTaskCompleted
            31 ActivityTaskScheduled d
            @5s
            32 ActivityTaskStarted d #1
            33 ActivityTaskCompleted d
            34-36 WorkflowTaskCompleted
            37 WorkflowExecutionCompleted \"done\"
        ",
    );
}

#[test]
fn what_a_rollback_undid_is_not_undone_again() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [step("b")]);
    run.completes("b", [roll_back(1)]);
    run.completes("b/undo", [fail("Sorry")]).expect_running("a/undo#1");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn a_rollback_of_nothing_is_done_at_once() {
    let mut run = Scenario::start([step("a")]);
    let completes = run.outcome("a", Ok(Payload::null()));
    run.turn([completes], [Ok(vec![roll_back(1).0]), Ok(vec![complete().0])]);
    run.expect_status(RunStatus::Completed);
}

#[test]
fn a_rollback_waits_for_steps_in_flight() {
    let mut run = Scenario::start([step("a"), step("b")]);
    run.completes("a", [roll_back(0)]).expect_running("b#1 a/undo#1");
    assert!(run.state.cancels_attempt(run.pending("b").unwrap().token()));
    run.completes("a/undo", []).expect_running("b#1");
    run.completes("b", []).expect_running("b/undo#1");
    run.completes("b/undo", [complete()])
        .expect_status(RunStatus::Completed);
}

#[test]
fn a_rollback_can_get_stuck_and_be_decided() {
    let mut run = Scenario::start([step("a").undo_attempts(1)]);
    run.completes("a", [roll_back(0)]).fails("a/undo", busy(), []);
    run.expect_desk("a: CompensationFailed (retry retry-with skip mark-done abandon)");
    run.decides("a", mark_done(), [complete()])
        .expect_status(RunStatus::Completed);
}

#[test]
fn a_saga_that_turns_back_during_a_rollback_goes_back_all_the_way() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [step("b")]);
    run.completes("b", [roll_back(1)]).expect_running("b/undo#1");
    run.cancel([cancel()]).expect_running("b/undo#1");
    run.completes("b/undo", []).expect_running("a/undo#1");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn a_rollback_survives_a_crash() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [roll_back(0)]).expect_running("a/undo#1");
    run.crash([]).at(2).wake([]).expect_running("a/undo#2");
    run.completes("a/undo", [complete()])
        .expect_status(RunStatus::Completed);
}

#[test]
fn rollbacks_that_make_no_sense_park_the_run() {
    for (first, second) in [
        (vec![undoable_pivot("p")], vec![roll_back(0)]),
        (vec![step("p")], vec![roll_back(0), roll_back(0)]),
    ] {
        let mut run = Scenario::start(first);
        let completes = run.outcome("p", Ok(Payload::null()));
        let second: Vec<Command> = second.into_iter().map(|Do(command)| command).collect();
        run.turn([completes], [Ok(second)]);
        assert!(
            matches!(run.last.task_failure, Some(ParkReason::BadCommand { .. })),
            "{:?}",
            run.last.task_failure
        );
    }
}

/// Waits are for definitions, whose decider asks the state.
fn by_definition(answer: impl IntoIterator<Item = Do>) -> Scenario {
    let start = StartRun {
        definition: Some(DefinitionDigest([1; 32])),
        ..start_run()
    };
    Scenario::start_as(start, answer)
}

fn output(run: &Scenario, step: &str) -> Option<Payload> {
    match &run.state.step(step)?.state {
        StepState::Completed { output } => Some(output.clone()),
        _ => None,
    }
}

#[test]
fn a_step_waits_for_its_signal() {
    let mut run = by_definition([wait("approve", Some(60), None)]);
    run.expect_running("")
        .expect_wake("60s")
        .expect_steps("approve pending/not-owed");
    run.at(5)
        .signal("approve", "", [complete()])
        .expect_status(RunStatus::Completed);
    assert_eq!(output(&run, "approve"), Some(Payload::json(&1).unwrap()));
}

#[test]
fn a_signal_may_come_before_its_step_and_counts_once() {
    let mut run = by_definition([step("a")]);
    run.at(1).signal("approve", "r1", []).signal("approve", "r1", []);
    let completes = run.outcome("a", Ok(Payload::null()));
    run.at(2)
        .turn([completes], [Ok(vec![wait("approve", None, None).0]), Ok(Vec::new())]);
    run.expect_steps("a completed/owed, approve completed/not-owed");
    // Another step of the same signal waits for another one.
    run.signal("other", "", []);
    assert_eq!(run.tasks, 5);
}

#[test]
fn signals_go_to_the_step_that_has_waited_longest() {
    let mut two = by_definition([wait("x", None, None), wait("y", None, None)]);
    two.signal("y", "", [])
        .expect_steps("x pending/not-owed, y completed/not-owed");
}

#[test]
fn a_signal_that_does_not_come_in_time_is_a_default_or_a_failure() {
    let no = Payload::json(&false).unwrap();
    let mut run = by_definition([wait("approve", Some(60), Some(no.clone()))]);
    run.at(60).wake([]).expect_steps("approve completed/not-owed");
    assert_eq!(output(&run, "approve"), Some(no));
    let mut run = by_definition([wait("approve", Some(60), None)]);
    run.at(60)
        .wake([fail("Late")])
        .expect_steps("approve failed/not-owed")
        .expect_status(RunStatus::Amended);
}

#[test]
fn nobody_waits_when_the_saga_turns_back() {
    let mut run = by_definition([step("a")]);
    run.completes("a", [wait("approve", None, None)]);
    run.cancel([cancel()]).expect_running("a/undo#1");
    run.expect_steps("a completed/running, approve failed/not-owed");
    run.crash([])
        .at(2)
        .wake([])
        .completes("a/undo", [])
        .expect_status(RunStatus::Amended);
}

#[test]
fn a_skipped_step_stands_between_its_neighbours() {
    let skip = Do(Command::SkipStep {
        name: StepName::from_trusted("b"),
        after: vec![StepName::from_trusted("a")],
    });
    let mut run = by_definition([step("a").after([])]);
    let completes = run.outcome("a", Ok(Payload::null()));
    run.turn([completes], [Ok(vec![skip.0]), Ok(vec![step("c").after(["b"]).0])]);
    run.completes("c", [fail("Sorry")]).expect_running("c/undo#1");
    run.completes("c/undo", []).expect_running("a/undo#1");
}

fn lock_state(run: &Scenario, name: &str) -> Option<LockState> {
    run.state.lock(name).map(|lock| lock.state.clone())
}

fn granted(name: &str) -> Input {
    let lock = LockName::from_trusted(name);
    Input::LockGranted { lock }
}

#[test]
fn a_lock_is_waited_for_and_held_to_the_end() {
    let mut run = Scenario::start([lock("order:1")]);
    assert_eq!(lock_state(&run, "order:1"), Some(LockState::Waiting));
    run.at(1)
        .input(granted("order:1"), [step("a")])
        .expect_reply(Reply::Accepted);
    assert_eq!(lock_state(&run, "order:1"), Some(LockState::Held));
    run.input(granted("order:1"), []).expect_reply(Reply::Duplicate);
    // Looked at after a restart, so that the lock is known to be held.
    assert_eq!(run.state.wake_after_restart(run.now), Some(Timestamp::EPOCH));
    run.completes("a", [fail("Sorry")]);
    assert_eq!(
        lock_state(&run, "order:1"),
        Some(LockState::Held),
        "while the saga goes back"
    );
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
    assert_eq!(lock_state(&run, "order:1"), None);
}

#[test]
fn a_lock_that_is_held_already_is_given_at_once() {
    let mut run = Scenario::start([lock("x")]);
    run.turn([granted("x")], [Ok(vec![lock("x").0]), Ok(vec![complete().0])]);
    run.expect_status(RunStatus::Completed);
}

#[test]
fn a_lock_that_is_refused_or_takes_too_long_is_a_failure_the_code_hears_of() {
    let refused = Input::LockRefused {
        lock: LockName::from_trusted("x"),
        failure: Failure::non_retryable("Deadlock", ""),
    };
    let mut run = Scenario::start([lock("x")]);
    run.input(refused.clone(), [fail("Deadlock")])
        .expect_status(RunStatus::Failed);
    let mut run = Scenario::start([Do(Command::RequestLock {
        lock: LockName::from_trusted("x"),
        timeout: Some(std::time::Duration::from_secs(5)),
        no_wait: false,
    })]);
    run.expect_wake("5s").at(5).wake([lock("x")]);
    // Asked for again: the first answer does not count any more, the second does.
    run.input(granted("x"), [complete()])
        .expect_status(RunStatus::Completed);
}

#[test]
fn who_turns_back_waits_for_no_lock() {
    let mut run = Scenario::start([step("a"), lock("x")]);
    run.completes("a", [fail("Sorry")]).expect_running("a/undo#1");
    assert_eq!(lock_state(&run, "x"), None);
    run.input(granted("x"), []).expect_reply(Reply::Duplicate);
}

#[test]
fn a_run_undoes_the_steps_of_another_one() {
    let undo = |name: &str| CompensationSpec {
        activity_type: ActivityType::from_trusted(format!("undo_{name}")),
        input: CompensationInput::Undo,
        options: ActivityOptions::for_compensation(),
    };
    let adopted = |name: &str, scheduled: u64| AdoptedStep {
        name: StepName::from_trusted(name),
        kind: StepKind::Compensatable,
        after: None,
        input: Payload::null(),
        outcome: Ok(Payload::json(name).unwrap()),
        compensation: Some(undo(name)),
        scheduled: EventId(scheduled),
        closed: EventId(scheduled + 2),
    };
    let start = StartRun {
        adopted: Some(Box::new(SagaAdopted {
            run_id: RunId::from_bytes([9; 16]),
            steps: vec![adopted("flight", 5), adopted("hotel", 11)],
        })),
        ..start_run()
    };
    let mut run = Scenario::start_as(start, []);
    run.expect_running("hotel/undo#1");
    run.at(1).completes("hotel/undo", []).expect_running("flight/undo#1");
    run.at(2).completes("flight/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn signals_that_nobody_reads_are_bounded() {
    let mut run = by_definition([step("a")]);
    let signals = (0..limits::PENDING_MAX).map(|_| signal("never", ""));
    run.turn(signals, []);
    run.input(signal("never", ""), [])
        .expect_reply(Reply::Rejected(crate::machine::Rejection::TooManySignals));
    // A saga that goes back reads none, and keeps none.
    let mut run = by_definition([step("a")]);
    run.completes("a", [fail("Sorry")]).signal("never", "", []);
    assert!(run.state.unread_signals.is_empty());
}
