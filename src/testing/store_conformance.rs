//! The store's contract as a test suite: every store passes it, and whoever writes one runs it. Lives here: what can be
//! seen through the `Store` trait. Must not live here: any store's own format, crashes or damaged disks.
//!
//! ```
//! # use amends::{store::{MemoryStore, Store}, testing::store_conformance::{self, Open}};
//! let mut shared = MemoryStore::new();
//! store_conformance::check(&mut |open| {
//!     if open == Open::Fresh {
//!         shared = MemoryStore::new();
//!     }
//!     Box::new(shared.clone())
//! });
//! ```

mod found_by;
mod namespaces;
mod queries;
mod runs;
mod turns;

use bytes::Bytes;

use crate::model::{DefinitionDigest, RunId, RunStatus, Timestamp, WorkflowId, WorkflowType};
use crate::store::{CommitBatch, Epoch, Error, ListQuery, NewRun, RunHead, RunWake, Store, StoredTurn, TurnRecord};

/// Which store the suite asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// A new, empty one.
    Fresh,
    /// The one that was handed out last, opened again. It has been dropped before.
    Again,
}

/// Hands out stores to the suite.
pub type OpenStore<'a> = &'a mut dyn FnMut(Open) -> Box<dyn Store>;

/// Runs the whole suite.
///
/// # Panics
/// When the store breaks the contract; the message says how.
pub fn check(open: OpenStore<'_>) {
    runs::an_empty_store_has_nothing(open);
    turns::histories_come_back_as_committed(open);
    turns::large_turns_come_back_as_committed(open);
    turns::refused_batches_change_nothing(open);
    runs::the_newest_run_of_an_id_is_found(open);
    runs::the_runs_of_an_id_come_in_pages_newest_first(open);
    runs::open_runs_and_wakes_survive(open);
    runs::wakes_come_in_pages(open);
    runs::pages_are_newest_first_and_complete(open);
    runs::pages_are_oldest_first_and_complete(open);
    turns::definitions_are_kept_once(open);
    turns::passivated_runs_go_on(open);
    found_by::what_runs_are_found_by_stays_with_them(open);
    queries::runs_are_found_by_what_they_have(open);
    queries::an_attribute_that_changes_is_found_by_its_new_value_only(open);
    namespaces::ids_of_two_namespaces_are_two_ids(open);
    runs::deleted_runs_are_gone(open);
    runs::earlier_owners_are_fenced(open);
    runs::an_owner_that_goes_is_remembered_until_another_one_comes(open);
    turns::many_commits_survive_reopening(open);
}

/// The run number `number` of the suite; later numbers are newer.
#[must_use]
pub fn run_id(number: u64) -> RunId {
    RunId::from_parts(1_700_000_000_000 + number, &[0x5a; 10])
}

/// Turn `seq` of run `number`, with a content of `bytes` bytes that no other turn has; turn 1 opens the run.
#[must_use]
pub fn turn(number: u64, seq: u64, bytes: usize, status: RunStatus) -> TurnRecord {
    let opens = (seq == 1).then(|| NewRun {
        workflow_id: WorkflowId::from_trusted(format!("order-{number}")),
        workflow_type: WorkflowType::from_trusted("place_order"),
    });
    TurnRecord {
        run_id: run_id(number),
        seq,
        time: Timestamp::from_micros(i64::try_from(number * 1_000 + seq).unwrap_or(0)),
        bytes: content(number, seq, bytes),
        status,
        next_event: seq * 3,
        wake: None,
        opens,
        found_by: None,
    }
}

fn content(number: u64, seq: u64, bytes: usize) -> Bytes {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seq;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes().first().copied().unwrap_or(0)
    };
    std::iter::repeat_with(next).take(bytes).collect::<Vec<u8>>().into()
}

fn commit(store: &dyn Store, epoch: Epoch, turns: Vec<TurnRecord>) {
    let batch = CommitBatch {
        turns,
        definitions: Vec::new(),
    };
    store.commit(epoch, &batch).expect("the batch is valid");
}

fn refuse(store: &dyn Store, epoch: Epoch, turns: Vec<TurnRecord>, why: &str) {
    let definitions = vec![(DefinitionDigest([1; 32]), Bytes::from_static(b"must not be stored"))];
    let result = store.commit(epoch, &CommitBatch { turns, definitions });
    assert!(matches!(result, Err(Error::Refused(_))), "{why}: {result:?}");
}

fn expect_history(store: &dyn Store, number: u64, sizes: &[usize]) {
    let history = store.history(run_id(number)).expect("readable");
    let expected: Vec<StoredTurn> = (1..)
        .zip(sizes)
        .map(|(seq, bytes)| StoredTurn {
            seq,
            bytes: content(number, seq, *bytes),
        })
        .collect();
    // Not `assert_eq`: megabytes of bytes make no useful message.
    let turns = history.as_ref().map(Vec::len);
    assert!(
        history == Some(expected),
        "history of run {number} differs ({turns:?} turns)"
    );
    let first = store.first_turn(run_id(number)).expect("readable");
    assert!(
        first.as_ref() == history.as_ref().and_then(|turns| turns.first()),
        "the first turn of run {number} differs"
    );
}

fn expect_sound(store: &dyn Store) {
    let report = store.verify(&mut |_| {}).expect("can be checked");
    assert_eq!(report.problems, Vec::new());
}

/// The runs that have not ended, oldest first.
fn open_runs(store: &dyn Store) -> Vec<RunHead> {
    let statuses = RunStatus::ALL.into_iter().filter(|status| !status.is_closed());
    let query = ListQuery {
        statuses: statuses.collect(),
        limit: usize::MAX,
        ..ListQuery::default()
    };
    let mut open = store.list(&query).expect("readable");
    open.reverse();
    open
}

fn head(store: &dyn Store, number: u64) -> RunHead {
    let head = store.head(run_id(number)).expect("readable");
    head.expect("the run was committed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn the_memory_store_conforms() {
        let mut shared = MemoryStore::new();
        check(&mut |open| {
            if open == Open::Fresh {
                shared = MemoryStore::new();
            }
            Box::new(shared.clone())
        });
    }
}
