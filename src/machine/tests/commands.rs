//! Commands that make no sense: the task fails as a whole, what arrived is kept, nothing is half done.

use super::scenario::*;
use crate::model::*;

#[test]
fn bad_commands_fail_the_task_and_say_why() {
    let named = |commands: &[fn() -> Do]| commands.iter().map(|command| command().0).collect::<Vec<_>>();
    let many_timers = (0..=limits::PENDING_MAX)
        .map(|n| timer(&format!("t{n}"), 1).0)
        .collect();
    let many_activities = (0..=limits::PENDING_MAX)
        .map(|n| activity(&format!("a{n}")).0)
        .collect();
    for (commands, expected) in [
        (
            named(&[complete, || timer("t", 1)]),
            "a command follows the one that ends the run",
        ),
        (
            named(&[|| activity("x"), || activity("x")]),
            "an activity with the id \"x\" is pending already",
        ),
        (
            named(&[|| activity("old")]),
            "an activity with the id \"old\" is pending already",
        ),
        (
            named(&[|| timer("x", 1), || timer("x", 1)]),
            "a timer with the id \"x\" is pending already",
        ),
        (
            named(&[|| timer("old", 1)]),
            "a timer with the id \"old\" is pending already",
        ),
        (
            named(&[
                || timer("x", 1),
                || cancel_timer("old"),
                || timer("old", 1),
                || timer("old", 1),
            ]),
            "\"old\"",
        ),
        (
            named(&[|| step("old step")]),
            "the saga has a step \"old step\" already",
        ),
        (
            named(&[|| pivot("p"), || step("s")]),
            "the compensatable step \"s\" comes after the pivot",
        ),
        (many_timers, "more than 2000 pending timers"),
        (many_activities, "more than 2000 pending activities"),
    ] {
        let mut run = Scenario::start([activity("old"), timer("old", 60), step("old step")]);
        run.completes("old step", []);
        let turns = run.journal.len();
        run.at(1).turn([signal("s", "")], [Ok(commands)]);
        let Some(ParkReason::BadCommand { message }) = &run.last.task_failure else {
            panic!("{expected}: {:?}", run.last.task_failure);
        };
        assert!(message.contains(expected), "{message}");
        // The signal is kept, and is there when the task is tried again.
        assert_eq!(run.journal.len(), turns + 1);
        assert!(run.state.task_due(run.now));
        run.at(2)
            .turn([], [Ok(vec![complete().0])])
            .expect_status(RunStatus::Completed);
    }
}

#[test]
fn a_task_that_asks_for_too_much_history_fails_the_run_whatever_ends_it() {
    let note = || Command::RecordMarker {
        name: "note".to_owned(),
        details: Payload::null(),
    };
    for last in [complete().0, note()] {
        let mut run = Scenario::start([]);
        let mut commands = vec![note(); limits::HISTORY_EVENTS_MAX as usize];
        commands.push(last);
        run.turn([signal("s", "")], [Ok(commands)]);
        run.expect_status(RunStatus::Failed);
        assert!(run.state.next_event().0 < 20);
    }
}

#[test]
fn code_that_never_comes_to_rest_is_stopped() {
    let mut run = Scenario::start([]);
    let busy = || Ok(vec![activity("a").0, cancel_activity("a").0]);
    run.turn(
        [signal("s", "")],
        (0..1_000).map(|_| busy()).take(limits::TASKS_PER_TURN_MAX as usize),
    );
    assert!(matches!(run.last.task_failure, Some(ParkReason::BadCommand { .. })));
    run.expect_status(RunStatus::Running);
}
