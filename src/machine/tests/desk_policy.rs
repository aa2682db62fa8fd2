//! What a saga's policies do while it is stuck or unwinds: who is told, what is decided unasked, how long and how wide it
//! may unwind. Must not live here: what a person decides (`desk`).

use std::time::Duration;

use super::scenario::*;
use crate::model::*;

fn with_policy(options: SagaOptions) -> Scenario {
    let start = StartRun {
        saga: Some(Box::new(options)),
        ..start_run()
    };
    Scenario::start_as(start, [step("a").undo_attempts(1)])
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[test]
fn somebody_is_told_after_a_time_once() {
    let escalation = Escalation {
        after: minutes(1),
        activity_type: ActivityType::from_trusted("page_somebody"),
        options: ActivityOptions::default(),
    };
    let options = || SagaOptions {
        escalation: Some(escalation.clone()),
        ..SagaOptions::default()
    };
    let mut run = with_policy(options());
    run.completes("a", [fail("Sorry")]);
    run.at(10)
        .fails("a/undo", broken(), [])
        .expect_running("")
        .expect_wake("70s");
    run.at(70)
        .wake([])
        .expect_running("escalation-14#1")
        .expect_wake("never");
    let notice: StuckNotice = run.pending("escalation-14").unwrap().attributes.input.to().unwrap();
    assert_eq!(
        (notice.step.as_deref(), notice.reason.as_str()),
        (Some("a"), "a compensation failed for good")
    );
    assert_eq!(notice.choices, ["retry", "retry-with", "skip", "mark-done", "abandon"]);
    run.at(71)
        .completes("escalation-14", [])
        .expect_status(RunStatus::Stuck);
    run.at(500).wake([]).expect_running("");
    // Stuck anew, told anew.
    run.at(600)
        .decides("a", Choice::Retry, [])
        .fails("a/undo", broken(), [])
        .expect_wake("660s");
    // Decided in time: nobody is told.
    let mut run = with_policy(options());
    run.completes("a", [fail("Sorry")]).fails("a/undo", broken(), []);
    run.at(9).decides("a", Choice::Retry, []).expect_wake("never");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn a_failing_call_for_help_changes_nothing() {
    let mut run = with_policy(SagaOptions {
        escalation: Some(Escalation {
            after: Duration::ZERO,
            activity_type: ActivityType::from_trusted("page_somebody"),
            options: ActivityOptions::default(),
        }),
        ..SagaOptions::default()
    });
    run.completes("a", [fail("Sorry")]).fails("a/undo", broken(), []);
    run.at(1)
        .wake([])
        .fails("escalation-14", broken(), [])
        .expect_status(RunStatus::Stuck);
    run.decides("a", mark_done(), []).expect_status(RunStatus::Amended);
}

#[test]
fn when_nobody_decides_the_policy_does() {
    for (choice, status) in [
        (ChoiceKind::Skip, RunStatus::Failed),
        (ChoiceKind::Abandon, RunStatus::Terminated),
        (ChoiceKind::Retry, RunStatus::Unwinding),
    ] {
        let after = minutes(2);
        let mut run = with_policy(SagaOptions {
            automatic: Some(AutomaticDecision { after, choice }),
            ..SagaOptions::default()
        });
        run.completes("a", [fail("Sorry")]);
        run.at(10).fails("a/undo", broken(), []).expect_wake("130s");
        run.at(129).wake([]).expect_status(RunStatus::Stuck);
        run.at(130).wake([]).expect_status(status);
        let events = run.journal.iter().flat_map(|turn| &turn.events);
        let mut decisions = events.filter_map(|event| match &event.attributes {
            EventAttributes::SagaDecided(decided) => Some(decided.automatic),
            _ => None,
        });
        assert_eq!(decisions.next(), Some(true));
    }
    // What needs data, or is not open, is never decided by itself.
    for choice in [ChoiceKind::MarkDone, ChoiceKind::GoForward] {
        let after = minutes(2);
        let mut run = with_policy(SagaOptions {
            automatic: Some(AutomaticDecision { after, choice }),
            ..SagaOptions::default()
        });
        run.completes("a", [fail("Sorry")])
            .fails("a/undo", broken(), [])
            .expect_wake("never");
    }
}

#[test]
fn unwinding_has_a_budget_of_its_own() {
    let mut run = with_policy(SagaOptions {
        unwind_timeout: Some(minutes(1)),
        ..SagaOptions::default()
    });
    run.at(5)
        .completes("a", [fail("Sorry")])
        .expect_running("a/undo#1")
        .expect_wake("65s");
    run.at(65).wake([]).expect_status(RunStatus::Stuck).expect_running("");
    run.expect_desk("a: UnwindTimeout (retry retry-with skip mark-done abandon)")
        .expect_wake("never");
    // A person gives it more time, which has no limit.
    run.at(70)
        .decides("a", Choice::Retry, [])
        .expect_running("a/undo#2")
        .expect_wake("never");
    run.completes("a/undo", []).expect_status(RunStatus::Amended);
}

#[test]
fn a_retry_beyond_the_budget_is_not_waited_for() {
    let start = StartRun {
        saga: Some(Box::new(SagaOptions {
            unwind_timeout: Some(Duration::from_secs(3)),
            ..SagaOptions::default()
        })),
        ..start_run()
    };
    let mut run = Scenario::start_as(start, [step("a")]);
    run.completes("a", [fail("Sorry")]);
    run.at(1).fails("a/undo", busy(), []).expect_wake("2s");
    run.at(2)
        .wake([])
        .fails("a/undo", busy(), [])
        .expect_status(RunStatus::Stuck);
}

#[test]
fn compensations_run_so_many_at_once() {
    let start = StartRun {
        saga: Some(Box::new(SagaOptions {
            unwind_parallel: Some(2),
            ..SagaOptions::default()
        })),
        ..start_run()
    };
    let steps = ["a", "b", "c"].map(|name| step(name).after([]));
    let mut run = Scenario::start_as(start, steps);
    run.completes("a", []).completes("b", []);
    run.completes("c", [fail("Sorry")]).expect_running("c/undo#1 b/undo#1");
    run.completes("b/undo", []).expect_running("c/undo#1 a/undo#1");
}

#[test]
fn deciding_the_same_for_ever_takes_ever_longer() {
    let mut run = with_policy(SagaOptions {
        automatic: Some(AutomaticDecision {
            after: Duration::ZERO,
            choice: ChoiceKind::Retry,
        }),
        ..SagaOptions::default()
    });
    run.completes("a", [fail("Sorry")]);
    for (stuck_at, decided_at) in [(10, 11), (11, 13), (13, 17), (17, 25)] {
        run.at(stuck_at).fails("a/undo", busy(), []);
        run.expect_wake(&format!("{decided_at}s"));
        run.at(decided_at).wake([]).expect_status(RunStatus::Unwinding);
    }
}
