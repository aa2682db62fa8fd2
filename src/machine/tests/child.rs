//! Child workflows: what is journaled of them, and what is owed to them when their parent ends first.

use super::scenario::*;
use crate::machine::{Rejection, Reply};
use crate::model::*;

pub(super) fn start_child(id: &str, parent_close_policy: ParentClosePolicy) -> Do {
    Do(Command::StartChild(Box::new(StartChild {
        parent_close_policy,
        ..StartChild::new(
            WorkflowId::from_trusted(id),
            WorkflowType::from_trusted("parcel"),
            Payload::null(),
        )
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

/// Asks the child of this id to end that began with this run.
fn cancel(workflow_id: &str, first: RunId) -> Do {
    Do(Command::RequestCancelExternal(Box::new(ExternalCancel {
        workflow_id: WorkflowId::from_trusted(workflow_id),
        run_id: Some(first),
        reason: String::new(),
    })))
}

#[test]
fn an_earlier_child_s_request_to_end_is_not_owed_to_a_later_one_of_its_id() {
    let mut run = Scenario::start([start_child("c", ParentClosePolicy::Abandon)]);
    run.input(began(5), []);
    run.signal("go", "1", [cancel("c", run_of(99)), complete()]);
    assert_eq!(run.state.orphans().count(), 0, "nobody has asked this one to end");
    assert_eq!(
        run.state.left_messages().count(),
        1,
        "it is still on its way to the other"
    );
}

#[test]
fn a_run_that_ends_lets_go_of_its_open_children_before_it_is_settled() {
    use ParentClosePolicy as P;
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

#[test]
fn attributes_and_a_memo_that_no_run_can_have_are_a_bad_command() {
    fn told(change: impl Fn(&mut StartChild)) -> String {
        let Do(Command::StartChild(mut start)) = child("c") else {
            unreachable!("made as one");
        };
        change(&mut start);
        let mut run = Scenario::start([]);
        run.signal("go", "1", [Do(Command::StartChild(start))]);
        assert_eq!(run.state.children().count(), 0);
        match &run.last.task_failure {
            Some(ParkReason::BadCommand { message }) => message.clone(),
            other => panic!("{other:?}"),
        }
    }
    let named = told(|start| {
        start.search_attributes.insert("RunId".to_owned(), "r".into());
    });
    assert!(named.starts_with("child c: ") && named.contains("RunId"), "{named}");
    let large = told(|start| {
        let much = Payload::json(&"x".repeat(limits::MEMO_BYTES_MAX)).unwrap();
        start.memo.insert("note".to_owned(), much);
    });
    assert!(large.starts_with("child c: ") && large.contains("memo"), "{large}");
}

#[test]
fn what_makes_a_child_have_a_next_run_is_a_part_of_its_start_only_when_there_is_any() {
    let Do(Command::StartChild(mut start)) = child("c") else {
        unreachable!("made as one");
    };
    assert_eq!(start.chain(), None);
    start.cron = Some("@hourly".to_owned());
    start.retry = Some(RetryPolicy::never());
    start.execution_timeout = Some(std::time::Duration::from_secs(9));
    let expected = RunChain {
        cron: start.cron.clone(),
        retry: start.retry.clone(),
        execution_timeout: start.execution_timeout,
        ..RunChain::default()
    };
    assert_eq!(start.chain(), Some(expected));
}
