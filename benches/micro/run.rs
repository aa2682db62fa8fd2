//! A run that is driven by hand: what arrives for it is known before. Must not live here: measuring.

use std::sync::Arc;

use amends::machine::{Decider, DefinitionDecider, RunState, decide};
use amends::model::{AttemptToken, Event, Input, RunId, StartRun, Timestamp, Turn, WorkflowId, WorkflowType};
use amends::replay::CodeDecider;
use amends::store::record::encode_turn;
use amends::store::{NewRun, TurnRecord};
use amends::{ActivityContext, Failure, Payload, SagaDefinition, Step, WorkflowContext, WorkflowDefinition};
use bytes::Bytes;

/// What an activity returns.
const RESULT: u64 = 4_711;

/// A run and its journal so far.
pub(crate) struct Run {
    pub(crate) state: RunState,
    pub(crate) decider: Box<dyn Decider>,
    pub(crate) journal: Vec<Turn>,
    now: Timestamp,
}

/// Three steps, as most sagas of the other benchmarks have.
pub(crate) fn definition() -> SagaDefinition {
    let mut saga = SagaDefinition::builder("bench_saga");
    for step in 1..=3 {
        saga = saga.step(Step::activity(format!("step-{step}"), "bench_step").compensate("bench_undo"));
    }
    saga.build().expect("the definition is right")
}

async fn bench_step(_: ActivityContext, number: u64) -> Result<u64, Failure> {
    Ok(number)
}

/// As many activities, one after the other, as its input says.
async fn bench_saga(cx: WorkflowContext, activities: u64) -> Result<u64, Failure> {
    for number in 0..activities {
        cx.activity(bench_step, &number).await?;
    }
    Ok(activities)
}

/// The workflow in code.
pub(crate) fn workflow() -> WorkflowDefinition {
    WorkflowDefinition::of(bench_saga).expect("a plain function")
}

/// The id of the run with this number.
pub(crate) fn run_id(number: u64) -> RunId {
    RunId::from_bytes((u128::from(number) + (1 << 64)).to_be_bytes())
}

fn start(number: u64, input: u64) -> StartRun {
    let workflow_id = WorkflowId::new(format!("bench-{number:09}")).expect("a short id");
    let workflow_type = WorkflowType::new("bench_saga").expect("a short name");
    StartRun {
        run_id: run_id(number),
        identity: "bench".to_owned(),
        ..StartRun::new(workflow_id, workflow_type, Payload::json(&input).expect("a number"))
    }
}

impl Run {
    /// A run of the definition, just started.
    pub(crate) fn of_definition(number: u64) -> Self {
        let definition = definition();
        let mut start = start(number, number);
        definition.begin(&mut start).expect("it takes any input");
        Self::begin(start, Box::new(DefinitionDecider::new(definition)))
    }

    /// A run in code of so many activities, just started.
    pub(crate) fn of_code(number: u64, activities: u64) -> Self {
        let decider = CodeDecider::new(Arc::clone(workflow().workflow()));
        Self::begin(start(number, activities), Box::new(decider))
    }

    fn begin(start: StartRun, decider: Box<dyn Decider>) -> Self {
        let mut run = Self {
            state: RunState::default(),
            decider,
            journal: Vec::new(),
            now: Timestamp::from_micros(1_800_000_000_000_000),
        };
        run.take(Input::Start(Box::new(start)));
        run
    }

    /// What comes next: the end of the attempt that is running. `None` when the run has ended.
    pub(crate) fn next_input(&self) -> Option<Input> {
        let due = self.state.attempts_due(self.now).next()?;
        let token = AttemptToken {
            scheduled: due.scheduled,
            attempt: due.attempt,
        };
        let outcome = Ok(Payload::json(&RESULT).expect("a number"));
        Some(Input::AttemptEnded { token, outcome })
    }

    fn take(&mut self, input: Input) {
        self.now = Timestamp::from_micros(self.now.as_micros() + 1_000);
        let decided = decide(&mut self.state, vec![input], self.now, &mut *self.decider);
        assert!(decided.task_failure.is_none(), "{:?}", decided.task_failure);
        self.journal.extend(decided.turn);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Goes on for so many turns, or to its end.
    pub(crate) fn go_on(mut self, turns: usize) -> Self {
        for _ in 0..turns {
            match self.next_input() {
                Some(input) => self.take(input),
                None => break,
            }
        }
        self
    }

    pub(crate) fn history(&self) -> Vec<Event> {
        self.journal.iter().flat_map(|turn| turn.events.clone()).collect()
    }

    /// Its journal as a store gets it.
    pub(crate) fn records(&self) -> Vec<TurnRecord> {
        let mut state = RunState::default();
        let record = |turn: &Turn| {
            state.apply(turn).expect("it was decided");
            let started = state.started().filter(|_| turn.seq == 1);
            let opens = started.map(|started| NewRun {
                workflow_id: started.workflow_id.clone(),
                workflow_type: started.workflow_type.clone(),
            });
            TurnRecord {
                run_id: state.started().map_or(RunId::NIL, |started| started.run_id),
                seq: turn.seq,
                time: turn.time,
                bytes: encode_turn(turn).expect("it is small"),
                status: state.status(),
                next_event: state.next_event().0,
                wake: state.wake_after_restart(turn.time),
                opens,
                found_by: None,
            }
        };
        self.journal.iter().map(record).collect()
    }
}

/// The definition as a store gets it.
pub(crate) fn stored_definition() -> (amends::model::DefinitionDigest, Bytes) {
    let definition = definition();
    (definition.digest(), definition.canonical_json().clone())
}
