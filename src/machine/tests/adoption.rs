//! What an ended run leaves for another one to undo, and in which order that one does it.

use super::scenario::*;
use crate::model::*;

/// The run that takes over what the other has left.
fn taken_over(run: &Scenario) -> Option<Scenario> {
    let adopted = run.state.adoptable()?;
    let start = StartRun {
        run_id: RunId::from_bytes([8; 16]),
        adopted: Some(Box::new(adopted)),
        ..start_run()
    };
    let undoing = Scenario::start_as(start, []);
    assert_eq!(undoing.state.adopted_from(), Some(RunId::from_bytes([7; 16])));
    Some(undoing)
}

#[test]
fn a_completed_saga_is_undone_from_its_end() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [step("b")]).completes("b", [complete()]);
    let mut undoing = taken_over(&run).unwrap();
    undoing.expect_running("b/undo#1");
    undoing.completes("b/undo", []).expect_running("a/undo#1");
    undoing.completes("a/undo", []).expect_status(RunStatus::Amended);
    assert!(undoing.state.adoptable().is_none());
}

/// What is not undone itself still stands between the others.
#[test]
fn the_order_goes_through_steps_that_need_no_undoing() {
    let mut run = Scenario::start([step("a").after([])]);
    run.completes("a", [step("b").after(["a"]).without_undo(), step("other").after([])]);
    run.completes("other", []);
    run.completes("b", [step("c").after(["b"])])
        .completes("c", [complete()]);
    let mut undoing = taken_over(&run).unwrap();
    undoing.expect_running("c/undo#1 other/undo#1");
    undoing.completes("c/undo", []).expect_running("other/undo#1 a/undo#1");
}

#[test]
fn a_pivot_that_can_be_undone_is_undone_and_another_needs_a_person() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [undoable_pivot("p")]).completes("p", [complete()]);
    taken_over(&run).unwrap().expect_running("p/undo#1");
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [pivot("p")]).completes("p", [complete()]);
    let mut undoing = taken_over(&run).unwrap();
    undoing.expect_status(RunStatus::Stuck);
    undoing.decides("", Choice::GoBack, []).expect_running("a/undo#1");
    undoing.completes("a/undo", []).expect_status(RunStatus::Failed);
}

#[test]
fn what_was_going_on_when_a_run_was_terminated_may_have_happened() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [step("b")]).terminate();
    taken_over(&run).unwrap().expect_running("b/undo#1");
    // The undoing of b may have been done, or not.
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [step("b")])
        .completes("b", [fail("Enough")])
        .terminate();
    taken_over(&run).unwrap().expect_running("b/undo#1");
}

#[test]
fn a_saga_that_owes_nothing_leaves_nothing() {
    let mut amended = Scenario::start([step("a")]);
    amended.completes("a", [fail("Enough")]).completes("a/undo", []);
    let mut harmless = Scenario::start([step("a").without_undo()]);
    harmless.completes("a", [complete()]);
    let mut refused = Scenario::start([step("a")]);
    refused.fails("a", declined(), [fail("Declined")]);
    for run in [amended, harmless, refused] {
        assert!(run.state.is_closed() && run.state.adoptable().is_none());
    }
}
