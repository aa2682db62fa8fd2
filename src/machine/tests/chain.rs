//! Runs that are followed by others of their workflow id: the end of the one, and the beginning of the next.

use super::scenario::*;
use super::text::history_text;
use crate::machine::{Reply, Successor};
use crate::model::*;

pub(super) fn continue_as_new(change: impl FnOnce(&mut ContinueAsNew)) -> Do {
    let mut next = ContinueAsNew::new(WorkflowType::from_trusted("order"), Payload::json("next").unwrap());
    change(&mut next);
    Do(Command::ContinueAsNew(Box::new(next)))
}

/// The run that follows, from its first turn on.
pub(super) fn follow(run: &Scenario) -> Scenario {
    let Successor { state, turn } = *run.last.successor.clone().expect("another run follows");
    assert_eq!(run.state.next_run(), state.run_id());
    let next = Scenario {
        state,
        journal: vec![turn],
        now: run.now,
        last: crate::machine::Decision {
            turn: None,
            replies: Vec::new(),
            task_failure: None,
            successor: None,
        },
        tasks: 0,
    };
    next.check_fold();
    next
}

pub(super) fn chain(run: &Scenario) -> RunChain {
    let started = run.state.started().expect("it has begun");
    *started.chain.clone().expect("it is in a chain")
}

#[test]
fn a_run_continues_as_a_new_one_in_the_same_turn() {
    let mut run = Scenario::start([timer("t", 60)]);
    run.at(1).signal("s", "r1", [continue_as_new(|_| {})]);
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 TimerStarted t fires at 60s
            @1s
            6 WorkflowExecutionSignaled s 1
            7-9 WorkflowTaskCompleted
            10 WorkflowExecutionContinuedAsNew order \"next\"
        ",
    )
    .expect_status(RunStatus::ContinuedAsNew)
    .expect_wake("never");
    let first = run.state.run_id();
    let mut next = follow(&run);
    assert!(
        next.state.run_id() > first,
        "the newest run of an id is found by its run id"
    );
    assert_eq!(next.state.started().unwrap().input, Payload::json("next").unwrap());
    assert_eq!(next.state.first_run(), first);
    assert_eq!(chain(&next).follows, first.map(|first| (first, Initiator::Workflow)));
    assert!(next.state.task_due(next.now), "its code has not been asked");
    next.wake([complete()]).expect_history(
        "
            @1s
            1 WorkflowExecutionStarted order
            @1s
            2-4 WorkflowTaskCompleted
            5 WorkflowExecutionCompleted \"done\"
        ",
    );
    assert_eq!(next.state.next_run(), None);
    assert_eq!(next.state.first_run(), first);
}

#[test]
fn what_was_not_received_goes_to_the_new_run_and_a_repeated_signal_is_known_there() {
    let mut run = Scenario::start([]);
    let unread = |next: &mut ContinueAsNew| {
        let signal = |name: &str, n: u32| (SignalName::from_trusted(name), Payload::json(&n).unwrap());
        next.unread = vec![signal("a", 1), signal("b", 2), signal("a", 3)];
    };
    run.signal("a", "r1", [continue_as_new(unread)]);
    let mut next = follow(&run);
    next.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2 WorkflowExecutionSignaled a 1
            3 WorkflowExecutionSignaled b 2
            4 WorkflowExecutionSignaled a 3
        ",
    );
    next.signal("a", "r1", []).expect_reply(Reply::Duplicate);
    // Also the run after that knows it.
    next.signal("a", "r2", [continue_as_new(|_| {})]);
    let mut last = follow(&next);
    let known: Vec<String> = chain(&last).signal_requests.iter().map(ToString::to_string).collect();
    assert_eq!(known, ["r1", "r2"]);
    last.signal("a", "r2", []).expect_reply(Reply::Duplicate);
}

#[test]
fn of_the_keys_of_signals_the_latest_are_handed_on() {
    let many = limits::REQUESTS_CARRIED_MAX + 5;
    let mut run = Scenario::start([]);
    run.inputs(
        (0..many).map(|n| signal("s", &format!("r{n}"))),
        [continue_as_new(|_| {})],
    );
    let known = chain(&follow(&run)).signal_requests;
    assert_eq!(known.len(), limits::REQUESTS_CARRIED_MAX);
    assert_eq!(known.first().map(RequestId::as_str), Some("r5"));
}

#[test]
fn what_the_start_said_holds_for_the_new_run() {
    let limited = StartRun {
        run_timeout: Some(std::time::Duration::from_secs(10)),
        search_attributes: [("customer".to_owned(), "ada".into())].into(),
        saga: Some(Box::new(SagaOptions {
            unwind_parallel: Some(3),
            ..SagaOptions::default()
        })),
        ..start_run()
    };
    let mut run = Scenario::start_as(limited, []);
    run.at(4).wake([]);
    run.signal("s", "", [continue_as_new(|_| {})]);
    let mut next = follow(&run);
    let (old, new) = (run.state.started().unwrap(), next.state.started().unwrap());
    assert_eq!(
        new.request_id, old.request_id,
        "a repeated start is still the same request"
    );
    assert_eq!((&new.search_attributes, &new.saga), (&old.search_attributes, &old.saga));
    next.expect_wake("14s");
    next.input(Input::Start(Box::new(start_run())), [])
        .expect_reply(Reply::Duplicate);
    // Or another limit.
    let mut run = Scenario::start([continue_as_new(|next| {
        next.run_timeout = Some(std::time::Duration::from_secs(3))
    })]);
    run.expect_status(RunStatus::ContinuedAsNew);
    follow(&run).expect_wake("3s");
}

#[test]
fn what_a_run_is_found_by_goes_along_as_it_is_at_its_end() {
    let limited = StartRun {
        search_attributes: [
            ("customer".to_owned(), "ada".into()),
            ("stage".to_owned(), "new".into()),
        ]
        .into(),
        memo: [("title".to_owned(), Payload::json("Order 1").unwrap())].into(),
        ..start_run()
    };
    let note = Payload::json("fragile").unwrap();
    let changes = [("stage".to_owned(), Some("paid".into()))].into();
    let memo = [("title".to_owned(), None), ("note".to_owned(), Some(note.clone()))].into();
    let mut run = Scenario::start_as(
        limited,
        [
            Do(Command::UpsertSearchAttributes(changes)),
            Do(Command::ModifyProperties(memo)),
        ],
    );
    run.signal("s", "", [continue_as_new(|_| {})]);
    let next = follow(&run);
    let started = next.state.started().unwrap();
    let expected = [
        ("customer".to_owned(), "ada".into()),
        ("stage".to_owned(), "paid".into()),
    ]
    .into();
    assert_eq!(started.search_attributes, expected);
    assert_eq!(started.memo, [("note".to_owned(), note)].into());
}

#[test]
fn the_code_may_say_what_holds_for_the_new_run() {
    let limited = StartRun {
        task_queue: Some(TaskQueue::from_trusted("near")),
        search_attributes: [("customer".to_owned(), "ada".into())].into(),
        memo: [("title".to_owned(), Payload::json("Order 1").unwrap())].into(),
        ..start_run()
    };
    let far = TaskQueue::from_trusted("far");
    let note: Memo = [("note".to_owned(), Payload::json("fragile").unwrap())].into();
    let mut run = Scenario::start_as(limited, []);
    let retry = RetryPolicy {
        maximum_attempts: 2,
        ..RetryPolicy::default()
    };
    run.signal(
        "s",
        "",
        [continue_as_new(|next| {
            next.task_queue = Some(far.clone());
            next.retry = Some(retry.clone());
            next.search_attributes = Some(SearchAttributes::new());
            next.memo = Some(note.clone());
        })],
    );
    let ended = run.journal.iter().flat_map(|turn| &turn.events).last();
    let Some(EventAttributes::WorkflowExecutionContinuedAsNew(ended)) = ended.map(|event| &event.attributes) else {
        panic!("{ended:?}");
    };
    assert_eq!(ended.task_queue, Some(far.clone()));
    let mut next = follow(&run);
    let started = next.state.started().unwrap();
    assert_eq!(started.task_queue, Some(far.clone()));
    assert_eq!((started.search_attributes.len(), &started.memo), (0, &note));
    assert_eq!(chain(&next).retry, Some(retry.clone()));
    // It holds for all that follow, and the tries are counted from there.
    next.wake([Do(Command::FailWorkflow {
        failure: Failure::new("NotYet", ""),
    })]);
    let tried = follow(&next);
    assert_eq!((chain(&tried).attempt, chain(&tried).retry), (2, Some(retry)));
    assert_eq!(tried.state.started().unwrap().task_queue, Some(far));
}

#[test]
fn what_no_run_can_be_found_by_is_a_bad_command_for_the_new_one_too() {
    let mut run = Scenario::start([]);
    let bad = |next: &mut ContinueAsNew| next.search_attributes = Some([("RunId".to_owned(), "r".into())].into());
    run.signal("s", "", [continue_as_new(bad)]);
    let Some(ParkReason::BadCommand { message }) = &run.last.task_failure else {
        panic!("{:?}", run.last.task_failure);
    };
    assert!(
        message.starts_with("the new run: ") && message.contains("RunId"),
        "{message}"
    );
    assert_eq!(run.last.successor, None);
}

#[test]
fn a_saga_that_is_not_through_turns_back_instead() {
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [continue_as_new(|_| {})]);
    run.expect_status(RunStatus::Unwinding).expect_running("a/undo#1");
    assert_eq!(run.last.successor, None);
    run.completes("a/undo", []).expect_status(RunStatus::Amended);

    let mut run = Scenario::start([step("a")]);
    run.completes("a", [continue_as_new(|next| next.saga_done = true)]);
    run.expect_status(RunStatus::ContinuedAsNew);

    // A step that is under way is not through, whatever is said.
    let mut run = Scenario::start([step("a")]);
    run.signal("s", "", [continue_as_new(|next| next.saga_done = true)]);
    run.expect_status(RunStatus::Unwinding);

    // After the pivot nothing is owed.
    let mut run = Scenario::start([step("a")]);
    run.completes("a", [pivot("p")]);
    run.completes("p", [continue_as_new(|_| {})]);
    assert_eq!(
        run.state.status(),
        RunStatus::ContinuedAsNew,
        "{}",
        history_text(&run.journal)
    );
}

#[test]
fn nothing_may_follow_the_command_that_continues() {
    let mut run = Scenario::start([]);
    run.turn(
        [signal("s", "")],
        [Ok(vec![continue_as_new(|_| {}).0, timer("t", 1).0])],
    );
    assert!(matches!(run.last.task_failure, Some(ParkReason::BadCommand { .. })));
    assert_eq!(run.last.successor, None);
}

#[test]
fn a_start_that_comes_to_a_run_at_its_end_is_the_same_request_or_is_to_be_asked_elsewhere() {
    let mut run = Scenario::start([complete()]);
    run.input(Input::Start(Box::new(start_run())), [])
        .expect_reply(Reply::Duplicate);
    let other = StartRun {
        request_id: None,
        ..start_run()
    };
    run.input(Input::Start(Box::new(other)), [])
        .expect_reply(Reply::Rejected(crate::machine::Rejection::Closed));
}

#[test]
fn an_update_that_an_earlier_run_accepted_is_not_done_again() {
    let request = |id: &str| UpdateRequest {
        update_id: UpdateId::from_trusted(id),
        name: UpdateName::from_trusted("change"),
        input: Payload::null(),
        identity: String::new(),
    };
    let mut run = Scenario::start([]);
    let accept = Do(Command::AcceptUpdate(Box::new(request("u"))));
    run.input(Input::Update(Box::new(request("u"))), [accept, continue_as_new(|_| {})]);
    run.expect_reply(Reply::Accepted)
        .expect_status(RunStatus::ContinuedAsNew);
    let mut next = follow(&run);
    next.input(Input::Update(Box::new(request("u"))), [])
        .expect_reply(Reply::Duplicate);
    next.signal("s", "", [continue_as_new(|_| {})]);
    assert_eq!(chain(&follow(&next)).updates, [UpdateId::from_trusted("u")]);
}

fn with_policies(reuse: IdReusePolicy, conflict: IdConflictPolicy) -> StartRun {
    StartRun {
        run_id: RunId::from_bytes([8; 16]),
        request_id: None,
        ids: IdPolicies { reuse, conflict },
        ..start_run()
    }
}

#[test]
fn a_start_may_take_the_open_run_or_the_place_of_it() {
    let mut run = Scenario::start([step("a")]);
    let existing = with_policies(IdReusePolicy::default(), IdConflictPolicy::UseExisting);
    run.input(Input::Start(Box::new(existing)), [])
        .expect_reply(Reply::Duplicate);
    let instead = with_policies(IdReusePolicy::default(), IdConflictPolicy::TerminateExisting);
    run.at(3).input(Input::Start(Box::new(instead.clone())), []);
    run.expect_reply(Reply::Begun { run_id: instead.run_id });
    run.expect_history(
        "
            @0s
            1 WorkflowExecutionStarted order
            2-4 WorkflowTaskCompleted
            5 ActivityTaskScheduled a
            @3s
            6 WorkflowExecutionTerminated another run was started in its place
        ",
    );
    assert_eq!(run.state.next_run(), None, "it is not of the same chain");
    let next = &run.last.successor.as_ref().expect("another run begins").state;
    assert_eq!((next.run_id(), next.previous_run()), (Some(instead.run_id), None));
    // The same request again is no other run.
    let mut run = Scenario::start([]);
    let mut again = start_run();
    again.ids.conflict = IdConflictPolicy::TerminateExisting;
    run.input(Input::Start(Box::new(again)), [])
        .expect_reply(Reply::Duplicate);
    // The newest run has the greatest run id, whatever the caller's clock says.
    let mut run = Scenario::start([]);
    let older = StartRun {
        run_id: RunId::from_bytes([1; 16]),
        ..instead
    };
    run.input(Input::Start(Box::new(older)), []);
    let next = run.last.successor.as_ref().and_then(|next| next.state.run_id());
    assert!(next > run.state.run_id());
    assert_eq!(run.last.replies, [Reply::Begun { run_id: next.unwrap() }]);
}

#[test]
fn after_which_ends_a_run_may_begin() {
    use RunStatus as S;
    for status in S::ALL {
        assert!(!IdReusePolicy::RejectDuplicate.allows_after(status));
        assert_eq!(IdReusePolicy::AllowDuplicate.allows_after(status), status.is_closed());
        let failed = matches!(
            status,
            S::Amended | S::Failed | S::Canceled | S::Terminated | S::TimedOut | S::ContinuedAsNew
        );
        assert_eq!(IdReusePolicy::AllowDuplicateFailedOnly.allows_after(status), failed);
    }
}

#[test]
fn who_asked_a_run_to_end_is_who_asked_the_one_that_follows() {
    let mut run = Scenario::start([]);
    run.input(cancel_by("run-of-another/7"), [continue_as_new(|_| {})]);
    let next = follow(&run);
    let asked = next.journal.iter().flat_map(|turn| &turn.events);
    let by: Vec<&str> = asked
        .filter_map(|event| match &event.attributes {
            EventAttributes::WorkflowExecutionCancelRequested { identity, .. } => Some(identity.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        by,
        ["run-of-another/7"],
        "a message that is brought again finds itself here"
    );
}

fn cancel_by(identity: &str) -> Input {
    Input::RequestCancel {
        reason: "enough".to_owned(),
        identity: identity.to_owned(),
    }
}
