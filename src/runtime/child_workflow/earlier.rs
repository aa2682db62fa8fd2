//! Whether a child was started before, when another run has its workflow id by now: ids may be used again. Must not live here:
//! starting it.

use crate::model::{RunId, StartRun, Timestamp};
use crate::store::{Error, ListQuery, RunHead, Store};

use super::super::codecs::Codecs;
use super::super::recovery::load_state;

/// Runs that are looked at before others have their turn: well below a millisecond.
const LOOK_RUNS: usize = 1_000;

/// The newest run that this start has begun, of those that the store has. Runs are in the order of their beginnings, and none of
/// the child is older than its parent's asking for it: mostly that was a moment ago.
pub(super) async fn begun_by(
    store: &dyn Store,
    codecs: &Codecs,
    start: &StartRun,
    asked_at: Timestamp,
) -> Result<Option<RunId>, Error> {
    // Ids of runs have milliseconds.
    let is_older = |run_id: RunId| run_id.created_at().as_micros() / 1_000 < asked_at.as_micros() / 1_000;
    let mut query = ListQuery {
        limit: LOOK_RUNS,
        ..ListQuery::default()
    };
    loop {
        let heads = store.list(&query)?;
        let of_id = |head: &&RunHead| head.workflow_id == start.workflow_id && !is_older(head.run_id);
        for head in heads.iter().filter(of_id) {
            let state = load_state(codecs, store, head.run_id)?;
            let begun_by = state.started().and_then(|started| started.request_id.as_ref());
            if begun_by == start.request_id.as_ref() {
                return Ok(Some(head.run_id));
            }
        }
        match heads.last() {
            Some(last) if heads.len() == LOOK_RUNS && !is_older(last.run_id) => query.before = Some(last.run_id),
            _ => return Ok(None),
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{NoDecider, RunState, decide};
    use crate::model::{IdPolicies, Input, Payload, RequestId, RunStatus, WorkflowId, WorkflowType};
    use crate::runtime::recovery::turn_record;
    use crate::store::{CommitBatch, MemoryStore, TurnRecord};

    fn start(id: &str, request: &str) -> StartRun {
        StartRun {
            workflow_id: WorkflowId::from_trusted(id),
            run_id: RunId::NIL,
            workflow_type: WorkflowType::from_trusted("parcel"),
            definition: None,
            input: Payload::null(),
            request_id: Some(RequestId::from_trusted(request)),
            run_timeout: None,
            identity: String::new(),
            saga: None,
            task_queue: None,
            parent: None,
            search_attributes: std::collections::BTreeMap::new(),
            memo: std::collections::BTreeMap::new(),
            ids: IdPolicies::default(),
            chain: None,
            adopted: None,
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(i64::try_from(millis * 1_000).unwrap())
    }

    /// The first turn of a run that began at this time, as the `number`th of its millisecond, and has ended by now.
    fn begun(of: StartRun, millis: u64, number: u16) -> TurnRecord {
        let [high, low] = number.to_be_bytes();
        let run_id = RunId::from_parts(millis, &[high, low, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut state = RunState::default();
        let input = Input::Start(Box::new(StartRun { run_id, ..of }));
        let turn = decide(&mut state, vec![input], at(millis), &mut NoDecider)
            .turn
            .unwrap();
        let record = turn_record(&Codecs::default(), run_id, &state, &turn).ok().unwrap();
        let status = RunStatus::Completed;
        TurnRecord { status, ..record }
    }

    #[tokio::test]
    async fn a_run_is_found_behind_any_number_of_others_but_not_before_it_was_asked_for() {
        let store = MemoryStore::new();
        let epoch = store.claim().unwrap();
        let own = begun(start("parcel-1", "own"), 5_000, 0);
        let own_run = own.run_id;
        let mut turns = vec![begun(start("parcel-1", "older"), 4_999, 0), own];
        // More than one page: of other ids, and others of its id.
        for number in 0..1_500 {
            let id = if number % 500 == 0 { "parcel-1" } else { "letter" };
            turns.push(begun(start(id, "other"), 5_001, number));
        }
        let definitions = Vec::new();
        store.commit(epoch, &CommitBatch { turns, definitions }).unwrap();
        let found = async |id: &str, request: &str, millis: u64| {
            let start = start(id, request);
            begun_by(&store, &Codecs::default(), &start, at(millis)).await.unwrap()
        };
        assert_eq!(found("parcel-1", "own", 5_000).await, Some(own_run));
        assert_eq!(found("parcel-1", "own", 4_000).await, Some(own_run));
        assert_eq!(found("parcel-1", "own", 5_001).await, None, "it began later than that");
        assert_eq!(found("parcel-2", "own", 5_000).await, None, "another child has its id");
        assert_eq!(found("parcel-1", "older", 5_000).await, None, "nobody had asked for it");
        assert_eq!(found("parcel-1", "unknown", 0).await, None);
    }
}
