//! Child workflows: what is journaled of them, and what is owed to them when their parent ends first.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

pub(super) fn start_child(id: &str, parent_close_policy: ParentClosePolicy) -> Do {
    Do(Command::StartChild(Box::new(StartChild {
        workflow_id: WorkflowId::from_trusted(id),
        workflow_type: WorkflowType::from_trusted("parcel"),
        input: Payload::null(),
        parent_close_policy,
        run_timeout: None,
    })))
}

pub(super) fn child(id: &str) -> Do {
    start_child(id, ParentClosePolicy::Terminate)
}

pub(super) fn run_of(initiated: u64) -> RunId {
    RunId::from_bytes([u8::try_from(initiated).unwrap(); 16])
}

pub(super) fn began(initiated: u64) -> Input {
    Input::ChildStarted {
        initiated: EventId(initiated),
        outcome: Ok(run_of(initiated)),
    }
}

fn ended(initiated: u64, end: ChildEnd) -> Input {
    Input::ChildEnded {
        initiated: EventId(initiated),
        end,
    }
}

pub(super) fn key(run: &Scenario, initiated: u64) -> ChildKey {
    ChildKey {
        parent_run: run.state.run_id().expect("it has begun"),
        initiated: EventId(initiated),
    }
}

fn stale() -> Reply {
    Reply::Rejected(Rejection::StaleAttempt)
}

#[test]
fn a_child_is_started_once_and_ends_once() {
    let mut run = Scenario::start([child("a"), child("b")]);
    run.at(1).input(ended(5, ChildEnd::TimedOut), []);
    run.expect_reply(stale());
    run.input(began(5), []);
    run.input(began(5), []);
    run.expect_reply(stale());
    let taken = Failure::non_retryable("WorkflowAlreadyExists", "b");
    run.input(
        Input::ChildStarted {
            initiated: EventId(6),
            outcome: Err(taken),
        },
        [],
    );
    run.crash([]);
    run.at(2)
        .input(ended(5, ChildEnd::Failed(Failure::new("Lost", ""))), []);
    run.input(ended(5, ChildEnd::Terminated), []);
    run.expect_reply(stale());
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 StartChildWorkflowExecutionInitiated a parcel
            6 StartChildWorkflowExecutionInitiated b parcel
            @1s
            7 ChildWorkflowExecutionStarted of 5
            8-10 WorkflowTaskCompleted
            @1s
            11 StartChildWorkflowExecutionFailed of 6: WorkflowAlreadyExists
            12-14 WorkflowTaskCompleted
            @2s
            15 ChildWorkflowExecutionFailed of 5: Lost
            16-18 WorkflowTaskCompleted
        ",
    );
    assert_eq!(run.state.children().count(), 0);
}

#[test]
fn a_run_that_ends_lets_go_of_its_open_children_before_it_is_settled() {
    use ParentClosePolicy as P;
    let cancel = |workflow_id: &str, run_id| {
        Do(Command::RequestCancelExternal(Box::new(ExternalCancel {
            workflow_id: WorkflowId::from_trusted(workflow_id),
            run_id: Some(run_id),
            reason: String::new(),
        })))
    };
    let mut run = Scenario::start([
        start_child("ended", P::Terminate),
        start_child("left", P::Abandon),
        start_child("unwanted", P::Abandon),
        start_child("unseen", P::Terminate),
        start_child("unseen-left", P::Abandon),
    ]);
    for initiated in 5..=7 {
        run.input(began(initiated), []);
    }
    run.signal("go", "1", [cancel("unwanted", run_of(7)), complete()]);
    assert!(run.state.is_closed() && !run.state.is_settled());
    assert_eq!(run.state.wake_after_restart(run.now), Some(Timestamp::EPOCH));
    run.crash([]);
    let owed: Vec<_> = run
        .state
        .orphans()
        .map(|child| (child.key.initiated.0, child.owes_cancel))
        .collect();
    assert_eq!(
        owed,
        [(5, false), (7, true), (8, false), (9, false)],
        "what was left goes on"
    );
    run.input(began(8), []);
    run.expect_reply(Reply::Rejected(Rejection::Closed));
    for initiated in [5, 7, 8, 9] {
        assert!(!run.state.is_settled());
        let child = key(&run, initiated);
        run.input(Input::ChildReleased { child }, []);
        run.expect_reply(Reply::Accepted);
        run.input(Input::ChildReleased { child }, []);
        run.expect_reply(Reply::Duplicate);
    }
    assert!(run.state.is_settled());
    assert_eq!(run.state.wake_after_restart(run.now), None);
}

#[test]
fn children_without_bound_are_a_bad_command() {
    let mut run = Scenario::start((0..limits::CHILDREN_PENDING_MAX).map(|n| child(&n.to_string())));
    assert_eq!(run.state.children().count(), limits::CHILDREN_PENDING_MAX);
    run.signal("go", "1", [child("one more")]);
    let Some(ParkReason::BadCommand { message }) = &run.last.task_failure else {
        panic!("{:?}", run.last.task_failure);
    };
    assert_eq!(message, "more than 2000 pending child workflows");
}
