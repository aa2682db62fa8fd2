//! What the namespace of a run grants it: values that are larger, histories that are longer. Must not live here: the limits that
//! bind every run (`lifecycle`, `commands`).

use super::scenario::*;
use crate::machine::{Rejection, Reply, check_start};
use crate::model::*;

fn text(bytes: usize) -> Payload {
    // Two of them are quotation marks.
    Payload::json(&"x".repeat(bytes - 2)).unwrap()
}

fn note(details: Payload) -> Command {
    Command::RecordMarker {
        name: "note".to_owned(),
        details,
    }
}

fn with(limits: RunLimits) -> Scenario {
    let mut run = Scenario::start([]);
    run.state.grant(limits);
    run
}

fn small() -> Scenario {
    with(RunLimits {
        payload_bytes: 1_000,
        ..RunLimits::default()
    })
}

fn told(bytes: usize) -> Input {
    Input::Signal {
        name: SignalName::from_trusted("s"),
        input: text(bytes),
        request_id: None,
        identity: String::new(),
    }
}

#[test]
fn a_value_from_outside_that_is_too_large_is_refused() {
    let mut run = small();
    run.inputs([told(1_001)], []);
    let refused = Rejection::PayloadTooLarge {
        bytes: 1_001,
        max: 1_000,
    };
    assert_eq!(run.last.replies, [Reply::Rejected(refused.clone())]);
    assert!(run.last.turn.is_none(), "nothing of it is recorded");
    assert!(
        refused.to_string().contains("1001 bytes, more than the 1000"),
        "{refused}"
    );
    run.inputs([told(1_000)], []);
    assert_eq!(run.last.replies, [Reply::Accepted]);
}

#[test]
fn a_result_that_is_too_large_is_a_failure() {
    let mut run = small();
    run.turn([signal("s", "")], [Ok(vec![activity("a").0])]);
    let large = run.outcome("a", Ok(text(1_001)));
    run.inputs([large], []);
    let events = &run.last.turn.as_ref().unwrap().events;
    let failed = events.iter().find_map(|event| match &event.attributes {
        EventAttributes::ActivityTaskFailed {
            failure, retry_state, ..
        } => Some((failure.clone(), *retry_state)),
        _ => None,
    });
    let (failure, retry_state) = failed.expect("it has failed");
    assert!(failure.is_type("InvalidPayload"), "{failure}");
    assert_eq!(retry_state, RetryState::NonRetryable);
}

#[test]
fn code_that_hands_on_a_value_that_is_too_large_fails_its_run() {
    let mut child = StartChild::new(
        WorkflowId::from_trusted("c"),
        WorkflowType::from_trusted("parcel"),
        Payload::null(),
    );
    child.memo.insert("note".to_owned(), text(1_001));
    let child = Command::StartChild(Box::new(child));
    for last in [
        note(text(1_001)),
        child,
        Command::CompleteWorkflow { result: text(1_001) },
    ] {
        let mut run = small();
        run.turn([signal("s", "")], [Ok(vec![activity("a").0, last])]);
        run.expect_status(RunStatus::Failed);
        let outcome = run.state.outcome().unwrap();
        assert!(matches!(outcome, Outcome::Failed(failure) if failure.is_type("InvalidPayload")));
    }
    let mut run = small();
    run.turn([signal("s", "")], [Ok(vec![note(text(1_000))])]);
    run.expect_status(RunStatus::Running);
}

#[test]
fn a_run_does_not_give_way_to_one_that_may_not_begin() {
    let mut run = small();
    let mut instead = StartRun {
        run_id: RunId::from_bytes([8; 16]),
        request_id: None,
        input: text(1_001),
        ..start_run()
    };
    instead.ids.conflict = IdConflictPolicy::TerminateExisting;
    run.input(Input::Start(Box::new(instead)), []);
    let refused = Rejection::PayloadTooLarge {
        bytes: 1_001,
        max: 1_000,
    };
    assert_eq!(run.last.replies, [Reply::Rejected(refused)]);
    run.expect_status(RunStatus::Running);
}

#[test]
fn what_keeps_schedules_is_not_bound() {
    let granted = RunLimits {
        payload_bytes: 1_000,
        ..RunLimits::default()
    };
    let start = |workflow_type: &str| {
        let workflow_type = WorkflowType::from_trusted(workflow_type);
        let input = text(1_001);
        StartRun {
            workflow_type,
            input,
            ..start_run()
        }
    };
    assert!(check_start(&granted, &start("order")).is_err());
    assert_eq!(check_start(&granted, &start("amends.schedule")), Ok(()));
    assert_eq!(check_start(&RunLimits::default(), &start("order")), Ok(()));
}

/// However the limit falls among the turns: a run that waits is never left without room for what it waits for.
#[test]
fn a_run_that_waits_ends_at_its_limit() {
    for max in 200..220 {
        let mut run = with(RunLimits {
            history_events: max,
            ..RunLimits::default()
        });
        while run.state.outcome().is_none() {
            run.turn([signal("s", "")], [Ok(vec![note(Payload::null())])]);
            assert_eq!(run.last.replies, [Reply::Accepted], "{max}");
        }
        let outcome = run.state.outcome().unwrap();
        assert!(matches!(outcome, Outcome::Failed(failure) if failure.is_type("HistoryTooLong")));
        assert!((max * 8 / 10..=max).contains(&run.state.next_event().0), "{max}");
    }
}

#[test]
fn a_run_is_told_at_half_of_its_history() {
    let granted = RunLimits {
        history_events: 200,
        history_bytes: 1_000,
        ..RunLimits::default()
    };
    assert!(!granted.suggest_continue_as_new(100, 500));
    assert!(granted.suggest_continue_as_new(101, 0) && granted.suggest_continue_as_new(0, 501));
    let all = RunLimits::default();
    assert!(!all.suggest_continue_as_new(4_096, 4 * 1024 * 1024));
    assert!(all.suggest_continue_as_new(4_097, 0) && all.suggest_continue_as_new(0, 4 * 1024 * 1024 + 1));
}
