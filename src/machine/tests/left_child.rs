//! Children that a run leaves open when another run of its chain follows it.

use super::chain::{continue_as_new, follow};
use super::child::{began, child, key, run_of, start_child};
use super::scenario::*;
use crate::machine::Reply;
use crate::model::*;

fn left(run: &Scenario) -> Vec<(&str, bool, bool)> {
    let children = run.state.inherited_children();
    children
        .map(|child| (child.start.workflow_id.as_str(), child.run_id.is_some(), child.is_due()))
        .collect()
}

fn released(run: &mut Scenario, child: ChildKey) {
    run.input(Input::ChildReleased { child }, []);
    run.expect_reply(Reply::Accepted);
    run.crash([]);
}

#[test]
fn a_chain_s_open_children_are_let_go_of_when_it_ends_and_not_before() {
    use ParentClosePolicy as P;
    let cancel = |workflow_id: &str| {
        Do(Command::RequestCancelExternal(Box::new(ExternalCancel {
            workflow_id: WorkflowId::from_trusted(workflow_id),
            run_id: None,
            reason: String::new(),
        })))
    };
    let mut first = Scenario::start([
        start_child("ended", P::Terminate),
        start_child("asked", P::RequestCancel),
        start_child("left", P::Abandon),
        start_child("unwanted", P::Terminate),
        start_child("unseen", P::Terminate),
        start_child("unseen-left", P::Abandon),
    ]);
    for initiated in 5..=8 {
        first.input(began(initiated), []);
    }
    first.signal("go", "1", [cancel("unwanted"), continue_as_new(|_| {})]);
    assert!(first.state.is_settled(), "its children are the next run's");
    let keys = [5, 6, 8, 9, 10].map(|initiated| key(&first, initiated));

    let mut second = follow(&first);
    let expected = [
        ("ended", true, false),
        ("asked", true, false),
        ("unwanted", true, true),
        ("unseen", false, false),
        ("unseen-left", false, true),
    ];
    assert_eq!(left(&second), expected, "and `left` goes its own way");
    assert_eq!(second.state.wake_after_restart(second.now), Some(Timestamp::EPOCH));
    second.input(Input::Wake, [child("own")]);
    released(&mut second, keys[4]);
    // Asked to end it has been, but it may not want to.
    released(&mut second, keys[2]);
    assert_eq!(left(&second).len(), 4);
    assert!(!second.state.left_child(keys[2]).unwrap().is_due());
    second.input(Input::ChildReleased { child: keys[4] }, []);
    second.expect_reply(Reply::Duplicate);
    second.signal("go", "2", [continue_as_new(|_| {})]);
    let own = second.state.run_id();

    let mut third = follow(&second);
    assert_eq!(left(&third).len(), 5);
    // One has ended by itself.
    released(&mut third, keys[1]);
    third.input(Input::Wake, []);
    third.signal("go", "3", [complete()]);
    assert!(third.state.is_closed() && !third.state.is_settled());
    third.crash([]);
    let owed: Vec<_> = third
        .state
        .orphans()
        .map(|child| child.start.workflow_id.as_str())
        .collect();
    assert_eq!(owed.len(), 4, "{owed:?}");
    for id in ["ended", "unwanted", "unseen"] {
        assert!(owed.contains(&id), "{owed:?}");
    }
    let orphans: Vec<ChildKey> = third.state.orphans().map(|child| child.key).collect();
    assert!(
        orphans.iter().any(|child| Some(child.parent_run) == own),
        "the second run's, too"
    );
    for child in orphans {
        assert!(!third.state.is_settled());
        third.input(Input::ChildReleased { child }, []);
        third.expect_reply(Reply::Accepted);
    }
    assert!(third.state.is_settled());
}

#[test]
fn what_goes_along_needs_no_input_unless_it_is_to_be_started() {
    let with_input = |id: &str, parent_close_policy| {
        let Do(Command::StartChild(mut start)) = start_child(id, parent_close_policy) else {
            unreachable!("made as one");
        };
        start.input = Payload::json(&"much").unwrap();
        start.memo.insert("note".to_owned(), Payload::json(&"more").unwrap());
        start.retry = Some(RetryPolicy::default());
        Do(Command::StartChild(start))
    };
    let mut first = Scenario::start([
        with_input("begun", ParentClosePolicy::Terminate),
        with_input("unseen", ParentClosePolicy::Terminate),
        with_input("to-begin", ParentClosePolicy::Abandon),
    ]);
    first.input(began(5), []);
    first.signal("go", "1", [continue_as_new(|_| {})]);
    let second = follow(&first);
    let inputs = second.state.inherited_children().map(|child| child.start.input.clone());
    let expected = [Payload::null(), Payload::null(), Payload::json(&"much").unwrap()];
    assert_eq!(inputs.collect::<Vec<_>>(), expected);
    let whole = |child: &LeftChild| (child.start.memo.len(), child.start.chain().is_some());
    let rest: Vec<_> = second.state.inherited_children().map(whole).collect();
    assert_eq!(rest, [(0, false), (0, false), (1, true)], "nor any other option");
    let policies: Vec<_> = second
        .state
        .inherited_children()
        .map(|child| child.start.parent_close_policy)
        .collect();
    use ParentClosePolicy as P;
    assert_eq!(policies, [P::Terminate, P::Terminate, P::Abandon]);
    let begun = second.state.left_child(key(&first, 5)).unwrap();
    assert_eq!(begun.run_id, Some(run_of(5)));
}

/// They count, too: a chain cannot gather more and more of them.
#[test]
fn children_of_earlier_runs_count_against_the_limit() {
    let mut first = Scenario::start((1..limits::CHILDREN_PENDING_MAX).map(|n| child(&n.to_string())));
    first.signal("go", "1", [continue_as_new(|_| {})]);
    let mut second = follow(&first);
    second.input(Input::Wake, [child("the last one")]);
    assert_eq!(second.state.children().count(), 1);
    second.signal("go", "2", [child("one more")]);
    let Some(ParkReason::BadCommand { message }) = &second.last.task_failure else {
        panic!("{:?}", second.last.task_failure);
    };
    assert!(message.contains("child"), "{message}");
}
