//! Messages that are on their way to other runs when the run that sends them ends.

use super::chain::{continue_as_new, follow};
use super::child::{began, start_child};
use super::messages::{stop, tell};
use super::scenario::*;
use crate::machine::{Beside, Reply, Successor};
use crate::model::*;

fn left(run: &Scenario) -> Vec<MessageKey> {
    run.state.left_messages().map(|(key, _)| key).collect()
}

fn key(run: &Scenario, initiated: u64) -> MessageKey {
    run.state.message_key(EventId(initiated))
}

fn released(run: &mut Scenario, message: MessageKey, reply: Reply) {
    run.input(Input::MessageReleased { message }, []);
    run.expect_reply(reply);
    run.crash([]);
}

#[test]
fn a_run_that_has_ended_is_not_settled_before_its_messages_are_brought() {
    for end in [true, false] {
        let mut run = Scenario::start([tell("other"), stop("third")]);
        match end {
            true => run.signal("go", "1", [complete()]),
            false => run.input(
                Input::Terminate {
                    reason: String::new(),
                    identity: String::new(),
                },
                [],
            ),
        };
        run.crash([]);
        let owed = [key(&run, 5), key(&run, 6)];
        assert_eq!(left(&run), owed);
        assert_eq!(run.state.externals().count(), 0);
        assert!(run.state.is_closed() && !run.state.is_settled());
        assert_eq!(run.state.wake_after_restart(run.now), Some(Timestamp::EPOCH));
        released(&mut run, owed[0], Reply::Accepted);
        released(&mut run, owed[0], Reply::Duplicate);
        assert!(!run.state.is_settled());
        released(&mut run, owed[1], Reply::Accepted);
        assert!(run.state.is_settled());
        assert_eq!(run.state.wake_after_restart(run.now), None);
    }
}

#[test]
fn the_run_that_follows_brings_them_under_the_same_names() {
    let mut first = Scenario::start([tell("other"), tell("another")]);
    let owed = [key(&first, 5), key(&first, 6)];
    first.signal("go", "1", [continue_as_new(|_| {})]);
    assert!(first.state.is_settled() && left(&first).is_empty());
    let mut second = follow(&first);
    assert_eq!(left(&second), owed);
    assert_eq!(second.state.wake_after_restart(second.now), Some(Timestamp::EPOCH));
    second.input(Input::Wake, [tell("third")]);
    released(&mut second, owed[0], Reply::Accepted);
    let own = second.state.externals().map(|(initiated, _)| key(&second, initiated.0));
    let own: Vec<MessageKey> = own.collect();
    assert_eq!(own.len(), 1);
    second.signal("go", "2", [continue_as_new(|_| {})]);
    let mut third = follow(&second);
    third.input(Input::Wake, []);
    third.signal("go", "3", [complete()]);
    assert_eq!(left(&third), [owed[1], own[0]]);
    released(&mut third, own[0], Reply::Accepted);
    released(&mut third, owed[1], Reply::Accepted);
    assert!(third.state.is_settled());
}

#[test]
fn that_a_child_is_to_end_is_owed_once() {
    let mut run = Scenario::start([start_child("kid", ParentClosePolicy::Abandon)]);
    run.input(began(5), []);
    run.signal("go", "1", [stop("kid"), continue_as_new(|_| {})]);
    let next = follow(&run);
    assert!(left(&next).is_empty());
    assert!(next.state.inherited_children().all(|child| child.owes_cancel));
}

#[test]
fn messages_of_earlier_runs_count_against_the_limit() {
    let mut first = Scenario::start((1..limits::PENDING_MAX).map(|_| tell("other")));
    first.signal("go", "1", [continue_as_new(|_| {})]);
    let mut second = follow(&first);
    second.input(Input::Wake, [tell("other")]);
    assert_eq!(second.state.externals().count(), 1);
    second.signal("go", "2", [tell("other")]);
    let Some(ParkReason::BadCommand { message }) = &second.last.task_failure else {
        panic!("{:?}", second.last.task_failure);
    };
    assert!(message.contains("messages to other runs"), "{message}");
}

#[test]
fn a_run_that_gives_way_leaves_what_it_owes_to_the_one_in_its_place() {
    let mut run = Scenario::start([start_child("kid", ParentClosePolicy::Terminate), tell("other")]);
    run.input(began(5), []);
    let mut instead = start_run();
    instead.run_id = RunId::from_bytes([8; 16]);
    instead.request_id = None;
    instead.ids.conflict = IdConflictPolicy::TerminateExisting;
    let (owed, kid) = (key(&run, 6), super::child::key(&run, 5));
    run.input(Input::Start(Box::new(instead)), []);
    assert!(
        run.state.is_settled(),
        "it cannot be kept open: the other one has its id"
    );
    assert_eq!(run.state.next_run(), None, "it is not of the same chain");
    let Successor { state, turn } = *run.last.successor.clone().expect("another run begins");
    run.crash([]);
    assert!(run.state.is_settled());

    assert_eq!(state.inherited_children().count(), 0, "it does not look after them");
    assert_eq!(
        state
            .orphans()
            .map(|child| (child.key, child.let_go))
            .collect::<Vec<_>>(),
        [(kid, true)]
    );
    assert_eq!(state.wake_after_restart(run.now), Some(Timestamp::EPOCH));
    let mut next = Scenario {
        state,
        journal: vec![turn],
        ..run
    };
    assert_eq!(left(&next), [owed]);
    released(&mut next, owed, Reply::Accepted);
    // What is not done when it is followed itself goes on along its chain.
    next.signal("go", "1", [continue_as_new(|_| {})]);
    let mut last = follow(&next);
    assert_eq!(last.state.orphans().count(), 1);
    last.input(Input::ChildReleased { child: kid }, []);
    last.expect_reply(Reply::Accepted);
    assert_eq!(last.state.orphans().count(), 0);
}

#[test]
fn a_reset_brings_what_is_not_undone_and_once() {
    let mut first = Scenario::start([tell("brought"), tell("owed")]);
    let owed = key(&first, 6);
    let brought = key(&first, 5);
    first.signal("go", "1", [continue_as_new(|_| {})]);
    let mut base = follow(&first);
    base.input(Input::Wake, [tell("kept")]);
    let kept = base
        .state
        .externals()
        .next()
        .map(|(initiated, _)| key(&base, initiated.0));
    base.signal("go", "2", [tell("undone")]);
    released(&mut base, brought, Reply::Accepted);
    let wanted = Reset::to(ResetPoint::LastTurn, "ada", "a bug is mended");
    let beside = Beside {
        gives_way: Some(&base.state),
        ..Beside::default()
    };
    let new_run = RunId::from_bytes([9; 16]);
    let made = wanted.make(&base.journal, beside, new_run, base.now).unwrap();
    base.input(Input::Reset(Box::new(made)), []);
    assert!(base.state.is_settled());
    let next = follow(&base);
    assert_eq!(left(&next), [owed], "and not again what was brought");
    let own = next.state.externals().map(|(initiated, _)| key(&next, initiated.0));
    assert_eq!(own.collect::<Vec<_>>(), Vec::from_iter(kept), "and not what is undone");
}
