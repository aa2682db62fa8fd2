//! Making a run live: from its first request, or from its journal. Must not live here: actors.

use std::borrow::Cow;
use std::sync::Arc;

use crate::definition::SagaDefinition;
use crate::machine::{
    Decider, DefinitionDecider, LockState, NoDecider, Phase, QueryError, RunState, StepRecord, Task, TaskError,
};
use crate::model::{
    Command, DefinitionDigest, Event, EventAttributes, Failure, LockName, ParkReason, Payload, Query, RunId, RunStatus,
    StartRun, StuckNotice, TaskQueue, Turn, WorkflowType,
};
use crate::replay::{CheckedDecider, CodeDecider, ForeignWakes};
use crate::sdk::CodecError;
use crate::store::record::{RecordError, decode_turn, encode_turn, history_bytes};
use crate::store::{Error, FoundBy, NewRun, TurnRecord};

use super::attempt::panic_message;
use super::chain_runs::{decode, turns};
use super::codecs::Codecs;
use super::queues::Worker;
use super::shared::Shared;

/// Stands in for code that cannot decide: the run is (or will be) parked for this reason.
pub(super) struct ParkedDecider {
    reason: ParkReason,
    /// What is owed is brought about all the same: who makes the inputs for that.
    mappings: Box<dyn Decider>,
}

impl ParkedDecider {
    /// Nothing of the code is asked any more.
    pub(super) fn of_code(reason: ParkReason) -> Self {
        Self::before(Box::new(NoDecider), reason)
    }

    /// The decider decides nothing any more.
    pub(super) fn before(decider: Box<dyn Decider>, reason: ParkReason) -> Self {
        let mappings = decider;
        Self { reason, mappings }
    }
}

impl Decider for ParkedDecider {
    fn decide(&mut self, _: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        Err(self.reason.clone())
    }

    fn compensation_input(&self, run: &RunState, step: &StepRecord) -> Result<Payload, TaskError> {
        self.mappings.compensation_input(run, step)
    }

    fn verification_input(&self, run: &RunState, step: &StepRecord, failure: &Failure) -> Result<Payload, TaskError> {
        self.mappings.verification_input(run, step, failure)
    }

    fn escalation_input(&self, run: &RunState, notice: &StuckNotice) -> Result<Payload, TaskError> {
        self.mappings.escalation_input(run, notice)
    }
}

/// Stands before the decider while the engine drains: what arrives is recorded, what would follow forward is left to the
/// next engine, which then begins it afresh instead of having to take it for lost. Going back needs no decision: it goes
/// on.
pub(super) struct Draining<'a>(pub(super) &'a dyn Decider);

impl Decider for Draining<'_> {
    fn decide(&mut self, _: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        let message = "the engine is shutting down".to_owned();
        Err(ParkReason::BadCommand { message })
    }

    fn compensation_input(&self, run: &RunState, step: &StepRecord) -> Result<Payload, TaskError> {
        self.0.compensation_input(run, step)
    }

    fn verification_input(&self, run: &RunState, step: &StepRecord, failure: &Failure) -> Result<Payload, TaskError> {
        self.0.verification_input(run, step, failure)
    }

    fn escalation_input(&self, run: &RunState, notice: &StuckNotice) -> Result<Payload, TaskError> {
        self.0.escalation_input(run, notice)
    }
}

/// Stands in for whoever decides for a run whose task queue nobody serves here: what arrives is recorded, and waits. What
/// the machine does of itself (time limits, going back) needs only the definition's mappings.
struct AwayDecider {
    queue: TaskQueue,
    /// `None`: it is written in code.
    definition: Option<DefinitionDecider>,
}

impl Decider for AwayDecider {
    fn decide(&mut self, _: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        let message = format!("no worker serves the task queue {:?}", self.queue);
        Err(ParkReason::BadCommand { message })
    }

    fn query(&mut self, run: &RunState, query: &Query) -> Result<Payload, QueryError> {
        match &mut self.definition {
            Some(definition) => definition.query(run, query),
            None => Err(QueryError::NoWorker(self.queue.clone())),
        }
    }

    fn compensation_input(&self, run: &RunState, step: &StepRecord) -> Result<Payload, TaskError> {
        self.mappings().compensation_input(run, step)
    }

    fn verification_input(&self, run: &RunState, step: &StepRecord, failure: &Failure) -> Result<Payload, TaskError> {
        self.mappings().verification_input(run, step, failure)
    }

    fn escalation_input(&self, run: &RunState, notice: &StuckNotice) -> Result<Payload, TaskError> {
        self.mappings().escalation_input(run, notice)
    }
}

impl AwayDecider {
    fn mappings(&self) -> &dyn Decider {
        match &self.definition {
            Some(definition) => definition,
            None => &NoDecider,
        }
    }
}

/// A run that begins.
pub(super) fn begin(shared: &Shared, start: &StartRun) -> Result<Rebuilt, Error> {
    let worker = shared
        .namespaces
        .worker(&start.workflow_id, start.task_queue.as_ref())
        .cloned();
    let (decider, foreign_wakes) = match worker {
        Some(_) => decider(shared, &start.workflow_type, start.definition, &[])?,
        None => without_worker(shared, start.definition, start.task_queue.as_ref())?,
    };
    Ok(Rebuilt {
        worker,
        state: Box::default(),
        decider,
        foreign_wakes,
        history_bytes: 0,
    })
}

/// A run whose beginning is a copy of another one's: nobody decides for it before it is rebuilt.
pub(super) fn begin_by_copy() -> Rebuilt {
    Rebuilt {
        worker: None,
        state: Box::default(),
        decider: Box::new(NoDecider),
        foreign_wakes: None,
        history_bytes: 0,
    }
}

/// A run in memory, and who decides for it.
pub(super) struct Rebuilt {
    pub(super) state: Box<RunState>,
    pub(super) decider: Box<dyn Decider>,
    /// Of its task queue, if that is served here.
    pub(super) worker: Option<Arc<Worker>>,
    /// Of its code, if it has some.
    pub(super) foreign_wakes: Option<ForeignWakes>,
    /// The size of its events, as they are written.
    pub(super) history_bytes: u64,
}

/// A run as its journal has it.
fn rebuild(shared: &Shared, run_id: RunId) -> Result<Rebuilt, Error> {
    let store = shared.store.get()?;
    let (mut turns, history_bytes) = load_measured(&*store, run_id)?;
    drop(store);
    shared.codecs.decode(run_id, &mut turns)?;
    let state = Box::new(fold(run_id, &turns)?);
    let Some(started) = state.started() else {
        return Err(corrupt(run_id, "its history does not begin with a start".to_owned()));
    };
    let by_code = started.definition.is_none();
    let worker = shared
        .namespaces
        .worker(&started.workflow_id, started.task_queue.as_ref())
        .cloned();
    // Code that has had its last word is not needed any more, and could not be asked either.
    if by_code && *state.phase() != Phase::Running {
        return Ok(Rebuilt {
            state,
            decider: Box::new(NoDecider),
            worker,
            foreign_wakes: None,
            history_bytes,
        });
    }
    if worker.is_none() {
        let (decider, foreign_wakes) = without_worker(shared, started.definition, started.task_queue.as_ref())?;
        return Ok(Rebuilt {
            state,
            decider,
            worker,
            foreign_wakes,
            history_bytes,
        });
    }
    let history: Vec<Event> = match by_code {
        true => turns.into_iter().flat_map(|turn| turn.events).collect(),
        false => Vec::new(),
    };
    let (decider, foreign_wakes) = decider(shared, &started.workflow_type, started.definition, &history)?;
    Ok(Rebuilt {
        state,
        decider,
        worker,
        foreign_wakes,
        history_bytes,
    })
}

/// The same, where a panic in it (a replay runs user code) is this run's problem only.
pub(super) fn rebuild_isolated(shared: &Shared, run_id: RunId) -> Result<Rebuilt, Error> {
    let rebuilt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rebuild(shared, run_id)));
    rebuilt.unwrap_or_else(|panic| {
        Err(Error::Corrupt {
            run: Some(run_id),
            what: format!("rebuilding panicked: {}", panic_message(&*panic)),
        })
    })
}

/// All turns of a run, read, with what codecs have encoded left as it is.
pub(crate) fn load_turns(store: &dyn crate::store::Store, run_id: RunId) -> Result<Vec<Turn>, Error> {
    turns(store, run_id)?.ok_or_else(|| no_history(run_id))
}

/// The same, with the size of their events.
fn load_measured(store: &dyn crate::store::Store, run_id: RunId) -> Result<(Vec<Turn>, u64), Error> {
    let stored = store.history(run_id)?;
    let stored = stored.ok_or_else(|| no_history(run_id))?;
    let mut bytes = 0_u64;
    let decoded = stored.iter().map(|stored| {
        let turn = decode(run_id, stored)?;
        bytes = bytes.saturating_add(history_bytes(&turn, stored.bytes.len()));
        Ok::<_, Error>(turn)
    });
    let turns = decoded.collect::<Result<Vec<Turn>, Error>>()?;
    Ok((turns, bytes))
}

fn no_history(run_id: RunId) -> Error {
    corrupt(run_id, "it has no history".to_owned())
}

/// The state that these turns of a run fold to.
pub(crate) fn fold(run_id: RunId, turns: &[Turn]) -> Result<RunState, Error> {
    RunState::fold(turns).map_err(|error| corrupt(run_id, error.to_string()))
}

/// A run's state, as its journal has it.
pub(super) fn load_state(codecs: &Codecs, store: &dyn crate::store::Store, run_id: RunId) -> Result<RunState, Error> {
    let mut turns = load_turns(store, run_id)?;
    codecs.decode(run_id, &mut turns)?;
    fold(run_id, &turns)
}

/// The locks that a run, which cannot be made live, may hold, as far as its history can still be read.
pub(super) fn locks_in_ruins(shared: &Shared, run_id: RunId) -> Vec<LockName> {
    let stored = shared.store.get().and_then(|store| store.history(run_id));
    let Ok(Some(stored)) = stored else {
        return Vec::new();
    };
    let mut damaged = false;
    let decoded = stored.iter().map_while(|turn| {
        let turn = decode_turn(&turn.bytes).ok();
        damaged |= turn.is_none();
        turn
    });
    let turns: Vec<Turn> = decoded.collect();
    if let Ok(state) = RunState::fold(&turns)
        && !damaged
    {
        let wanted = state
            .locks()
            .filter(|lock| !matches!(lock.state, LockState::Refused(_)));
        return wanted.map(|lock| lock.lock.clone()).collect();
    }
    let events = turns.iter().flat_map(|turn| &turn.events);
    let requested = events.filter_map(|event| match &event.attributes {
        EventAttributes::SagaLockRequested { lock, .. } => Some(lock.clone()),
        _ => None,
    });
    requested.collect()
}

/// Why a turn cannot be journaled.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnwrittenTurn {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("its data cannot be encoded: {0}")]
    Codec(#[from] CodecError),
}

impl UnwrittenTurn {
    /// The same as an error of the store, for whoever asked for what the turn would have recorded.
    pub(super) fn of_run(self, run: RunId) -> Error {
        match self {
            UnwrittenTurn::Record(error) => Error::Refused(error.to_string()),
            UnwrittenTurn::Codec(error) => Error::Codec {
                run,
                what: error.to_string(),
            },
        }
    }
}

/// What the store gets for a turn; `state` is the run's after it.
pub(super) fn turn_record(
    codecs: &Codecs,
    run_id: RunId,
    state: &RunState,
    turn: &Turn,
) -> Result<TurnRecord, UnwrittenTurn> {
    Ok(measured_record(codecs, run_id, state, turn)?.0)
}

/// The same, with the size of its events: the number that whoever reads it again comes to.
pub(super) fn measured_record(
    codecs: &Codecs,
    run_id: RunId,
    state: &RunState,
    turn: &Turn,
) -> Result<(TurnRecord, u64), UnwrittenTurn> {
    let workflow_id = state.started().map(|started| &started.workflow_id);
    let encoded = match workflow_id {
        Some(workflow_id) => codecs.encode(workflow_id, turn)?,
        None => Cow::Borrowed(turn),
    };
    let opens = state.started().filter(|_| turn.seq == 1).map(|started| NewRun {
        workflow_id: started.workflow_id.clone(),
        workflow_type: started.workflow_type.clone(),
    });
    let bytes = encode_turn(&encoded)?;
    let history_bytes = history_bytes(&encoded, bytes.len());
    let record = TurnRecord {
        run_id,
        seq: turn.seq,
        time: turn.time,
        bytes,
        // Open until its children were let go of: an engine that dies before that comes back to it.
        status: match state.is_closed() && !state.is_settled() {
            true => RunStatus::Running,
            false => state.status(),
        },
        next_event: state.next_event().0,
        wake: state.wake_after_restart(turn.time),
        opens,
        found_by: FoundBy::after(turn, state.started(), state.search_attributes()),
    };
    Ok((record, history_bytes))
}

/// A saga definition out of the store.
pub(super) fn definition_from(
    store: &dyn crate::store::Store,
    digest: DefinitionDigest,
) -> Result<SagaDefinition, Error> {
    let corrupt = |what: String| Error::Corrupt { run: None, what };
    let bytes = store.definition(digest)?;
    let bytes = bytes.ok_or_else(|| corrupt(format!("the saga definition {digest} is missing")))?;
    SagaDefinition::from_canonical_json(bytes)
        .map_err(|error| corrupt(format!("the saga definition {digest} cannot be read: {error}")))
}

/// Who decides for a run, and the wakes to watch if that is code.
type DeciderAndWakes = (Box<dyn Decider>, Option<ForeignWakes>);

/// For a run whose task queue nobody serves here: its code is not asked, nor even looked for.
fn without_worker(
    shared: &Shared,
    definition: Option<DefinitionDigest>,
    queue: Option<&TaskQueue>,
) -> Result<DeciderAndWakes, Error> {
    let definition = definition
        .map(|digest| shared.definitions.get(digest, &shared.store))
        .transpose()?;
    let away = AwayDecider {
        queue: queue.cloned().unwrap_or_default(),
        definition: definition.map(DefinitionDecider::new),
    };
    Ok((Box::new(away), None))
}

fn decider(
    shared: &Shared,
    workflow_type: &WorkflowType,
    definition: Option<DefinitionDigest>,
    history: &[Event],
) -> Result<DeciderAndWakes, Error> {
    if let Some(digest) = definition {
        let definition = shared.definitions.get(digest, &shared.store)?;
        return Ok((Box::new(DefinitionDecider::new(definition)), None));
    }
    let parked = |reason| -> (Box<dyn Decider>, _) { (Box::new(ParkedDecider::of_code(reason)), None) };
    let workflow = match shared.registry.code_of_run(workflow_type, history) {
        Ok(workflow) => workflow,
        Err(reason) => return Ok(parked(reason)),
    };
    let code: Result<(Box<dyn Decider>, _), ParkReason> = match shared.replay_every_turn {
        true => CheckedDecider::replay(workflow, history).map(|code| {
            let wakes = code.foreign_wakes();
            (Box::new(code) as Box<dyn Decider>, Some(wakes))
        }),
        false => CodeDecider::replay(workflow, history).map(|code| {
            let wakes = code.foreign_wakes();
            (Box::new(code) as Box<dyn Decider>, Some(wakes))
        }),
    };
    Ok(code.unwrap_or_else(parked))
}

fn corrupt(run_id: RunId, what: String) -> Error {
    Error::Corrupt {
        run: Some(run_id),
        what,
    }
}
