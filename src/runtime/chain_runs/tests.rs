//! Chains of which some runs are gone, in a store in memory.

use super::*;
use crate::machine::{NoDecider, RunState, decide};
use crate::model::{Initiator, Input, Payload, RunChain, RunStatus, StartRun, Timestamp, WorkflowType};
use crate::runtime::codecs::Codecs;
use crate::runtime::recovery::turn_record;
use crate::store::{CommitBatch, MemoryStore, TurnRecord};

fn numbered(number: u16) -> RunId {
    let [high, low] = number.to_be_bytes();
    RunId::from_parts(5_000, &[high, low, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn id() -> WorkflowId {
    WorkflowId::from_trusted("t")
}

/// A run of a chain that has ended: its first turn is the one that ends it, and another turn comes behind that.
fn run_of(number: u16, first: u16, follows: Option<u16>, next: Option<u16>) -> [TurnRecord; 2] {
    let run_id = numbered(number);
    let chain = RunChain {
        first: Some(numbered(first)),
        follows: follows.map(|follows| (numbered(follows), Initiator::Workflow)),
        ..RunChain::default()
    };
    let start = StartRun {
        run_id,
        chain: Some(Box::new(chain)),
        ..StartRun::new(id(), WorkflowType::from_trusted("tally"), Payload::null())
    };
    let mut state = RunState::default();
    let input = Input::Start(Box::new(start));
    let at = Timestamp::from_micros(i64::from(number));
    let mut turn = decide(&mut state, vec![input], at, &mut NoDecider).turn.unwrap();
    if let Some(next) = next {
        let run_id = numbered(next);
        turn.pending.push(PendingChange::FollowedBy { run_id });
    }
    let record = |turn: &Turn, status: RunStatus| TurnRecord {
        status,
        ..turn_record(&Codecs::default(), run_id, &state, turn).ok().unwrap()
    };
    let later = Turn {
        seq: 2,
        time: at,
        events: Vec::new(),
        pending: vec![PendingChange::Unparked],
    };
    [record(&turn, RunStatus::Running), record(&later, RunStatus::Completed)]
}

/// The chain 1, 2, 3, 4, and then another one of the same id: 5, 6.
fn two_chains() -> MemoryStore {
    let store = MemoryStore::new();
    let epoch = store.claim().unwrap();
    let turns = [
        run_of(1, 1, None, Some(2)),
        run_of(2, 1, Some(1), Some(3)),
        run_of(3, 1, Some(2), Some(4)),
        run_of(4, 1, Some(3), None),
        run_of(5, 5, None, Some(6)),
        run_of(6, 5, Some(5), None),
    ];
    let turns = turns.into_iter().flatten().collect();
    let definitions = Vec::new();
    store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
    store
}

fn take(store: &MemoryStore, gone: &[u16]) {
    let gone: Vec<RunId> = gone.iter().copied().map(numbered).collect();
    store.delete(store.claim().unwrap(), &gone).unwrap();
}

#[track_caller]
fn expect_walk(store: &MemoryStore, from: u16, way: Way, expected: &[u16]) {
    let workflow_id = &id();
    let chain = ChainRuns { store, workflow_id };
    let walked: Vec<RunId> = chain.walk(numbered(from), way).collect::<Result<_, _>>().unwrap();
    let expected: Vec<RunId> = expected.iter().copied().map(numbered).collect();
    assert_eq!(walked, expected);
}

#[track_caller]
fn expect_left(store: &MemoryStore, gone: u16, expected: Option<u16>) {
    let workflow_id = &id();
    let chain = ChainRuns { store, workflow_id };
    assert_eq!(chain.newest_left(numbered(gone)).unwrap(), expected.map(numbered));
}

#[test]
fn a_chain_that_is_whole_is_walked_both_ways() {
    let store = two_chains();
    expect_walk(&store, 1, Way::On, &[1, 2, 3, 4]);
    expect_walk(&store, 4, Way::Back, &[4, 3, 2, 1]);
    expect_walk(&store, 2, Way::On, &[2, 3, 4]);
    expect_walk(&store, 6, Way::Back, &[6, 5]);
    expect_walk(&store, 4, Way::On, &[4]);
}

#[test]
fn a_gap_is_passed_on_the_way_to_later_runs_and_ends_the_way_back() {
    let store = two_chains();
    take(&store, &[2]);
    expect_walk(&store, 1, Way::On, &[1, 3, 4]);
    expect_walk(&store, 2, Way::On, &[3, 4]);
    expect_walk(&store, 4, Way::Back, &[4, 3]);
    take(&store, &[4]);
    expect_walk(&store, 1, Way::On, &[1, 3]);
    expect_walk(&store, 4, Way::On, &[]);
}

#[test]
fn what_is_left_of_a_chain_is_found_behind_others_of_its_id() {
    let store = two_chains();
    take(&store, &[1]);
    expect_left(&store, 1, Some(4));
    expect_walk(&store, 1, Way::On, &[2, 3, 4]);
    // That this one was of the same chain, only the run says that followed it.
    take(&store, &[2]);
    expect_left(&store, 2, Some(4));
    take(&store, &[3]);
    expect_left(&store, 2, None);
    expect_left(&store, 1, Some(4));
    take(&store, &[4]);
    expect_left(&store, 1, None);
    expect_left(&store, 3, None);
}

/// Who looks for the newest run when that is gone must not be led back to where it comes from.
#[test]
fn after_a_run_comes_no_earlier_one() {
    let store = two_chains();
    take(&store, &[3, 4]);
    let workflow_id = &id();
    let chain = ChainRuns {
        store: &store,
        workflow_id,
    };
    let after = |number| chain.after(numbered(number)).unwrap();
    assert_eq!(after(2), Some(numbered(3)), "it says so itself");
    assert_eq!(after(3), None);
    assert_eq!(after(4), None);
}
