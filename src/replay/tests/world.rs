//! One run of workflow code under the real machine, with everything around it: attempts, locks, people who decide, time, and
//! crashes. Must not live here: tests.

use std::collections::{BTreeMap, VecDeque};

use crate::history::{from_temporal_json, to_temporal_json};
use crate::machine::{Beside, Decider, LockState, NoDecider, Reply, RunState, Successor, decide};
use crate::model::{
    AttemptOutcome, AttemptToken, Choice, Decide, Event, Failure, Input, LocalActivity, LockName, Outcome, Payload,
    PendingChange, Reset, RunId, SagaOptions, SearchAttributeType, SignalName, StartRun, StepName, Timestamp, Turn,
    WorkflowId, WorkflowType,
};
use crate::replay::{CheckedDecider, CodeDecider, replay_history};
use crate::sdk::{Registry, WorkflowFunction};

use super::mini_machine::registry_with;

/// One run, with a journal to rebuild it from.
pub(super) struct World {
    registry: Registry,
    pub(super) state: RunState,
    pub(super) decider: Box<dyn Decider>,
    journal: Vec<Turn>,
    now: Timestamp,
    /// Whether the process dies after every turn.
    crashing: bool,
    /// The run that follows this one, which has ended.
    successor: Option<Box<Successor>>,
    /// The turns after which the process dies.
    pub(super) crashes_after: Vec<usize>,
    /// Whether every turn is replayed at once.
    every_turn: bool,
    /// The activity types that fail, for good and without effect.
    failing: &'static [&'static str],
    /// How the next attempts of an activity type end; what is not said succeeds with 10.
    outcomes: BTreeMap<&'static str, VecDeque<AttemptOutcome>>,
    /// What people decide, in order, as soon as something is stuck.
    decisions: VecDeque<(Option<&'static str>, Choice)>,
    /// The locks that somebody else holds.
    pub(super) taken: Vec<&'static str>,
    pub(super) ran: Vec<String>,
}

impl World {
    pub(super) fn start<M>(
        function: impl WorkflowFunction<M>,
        crashing: bool,
        failing: &'static [&'static str],
    ) -> Self {
        let mut world = Self::new(function, crashing);
        world.failing = failing;
        world.begin(None);
        world
    }

    /// A run that has not begun.
    pub(super) fn new<M>(function: impl WorkflowFunction<M>, crashing: bool) -> Self {
        let registry = registry_with(function);
        let workflow = registry.code("w").unwrap();
        Self {
            registry,
            state: RunState::default(),
            decider: Box::new(CodeDecider::new(workflow)),
            journal: Vec::new(),
            now: Timestamp::from_micros(1_000_000),
            crashing,
            successor: None,
            crashes_after: Vec::new(),
            every_turn: false,
            failing: &[],
            outcomes: BTreeMap::new(),
            decisions: VecDeque::new(),
            taken: Vec::new(),
            ran: Vec::new(),
        }
    }

    /// The next attempts of this activity type end like this.
    pub(super) fn ends(
        mut self,
        activity_type: &'static str,
        outcomes: impl IntoIterator<Item = AttemptOutcome>,
    ) -> Self {
        self.outcomes.entry(activity_type).or_default().extend(outcomes);
        self
    }

    /// The next attempt of this activity type is lost.
    pub(super) fn loses(self, activity_type: &'static str) -> Self {
        self.ends(activity_type, [Err(Failure::worker_lost())])
    }

    /// The next attempt of this activity type fails, for good and with an effect perhaps.
    pub(super) fn breaks(self, activity_type: &'static str) -> Self {
        self.ends(activity_type, [Err(Failure::non_retryable("Broken", ""))])
    }

    /// Somebody decides this about what is stuck next.
    pub(super) fn decides(mut self, step: Option<&'static str>, choice: Choice) -> Self {
        self.decisions.push_back((step, choice));
        self
    }

    /// A search attribute has this type.
    pub(super) fn registering(mut self, name: &str, kind: SearchAttributeType) -> Self {
        self.registry.add_search_attribute(name, kind).unwrap();
        self.decider = Box::new(CodeDecider::new(self.registry.code("w").unwrap()));
        self
    }

    pub(super) fn begun(mut self) -> Self {
        self.begin(None);
        self
    }

    pub(super) fn begin(&mut self, saga: Option<SagaOptions>) {
        let Input::Start(mut start) = Self::start_of(1) else {
            unreachable!("made as one");
        };
        start.saga = saga.map(Box::new);
        self.take(Input::Start(start));
    }

    /// The start of a run with this input.
    pub(super) fn start_of(input: u32) -> Input {
        let (workflow_id, workflow_type) = (WorkflowId::from_trusted("w"), WorkflowType::from_trusted("w"));
        Input::Start(Box::new(StartRun {
            run_id: RunId::from_bytes([9; 16]),
            ..StartRun::new(workflow_id, workflow_type, Payload::json(&input).unwrap())
        }))
    }

    pub(super) fn take(&mut self, input: Input) {
        let said = format!("{input:?}");
        let replies = self.turn(vec![input]);
        let refused = replies.iter().any(|reply| matches!(reply, Reply::Rejected(_)));
        assert!(!refused, "{said}: {replies:?}");
    }

    /// One turn, and the answers.
    pub(super) fn turn(&mut self, inputs: Vec<Input>) -> Vec<Reply> {
        let decision = decide(&mut self.state, inputs, self.now, &mut *self.decider);
        assert_eq!(decision.task_failure, None, "after {:?}", self.history());
        self.journal.extend(decision.turn);
        self.successor = self.successor.take().or(decision.successor);
        if self.crashing || self.crashes_after.contains(&self.journal.len()) {
            self.crash();
        }
        decision.replies
    }

    pub(super) fn crash(&mut self) {
        let mut state = RunState::default();
        self.journal.iter().for_each(|turn| state.apply(turn).unwrap());
        self.state = state;
        let (workflow, history) = (self.registry.code("w").unwrap(), self.history());
        self.decider = match self.every_turn {
            true => Box::new(CheckedDecider::replay(workflow, &history).unwrap()),
            false => Box::new(CodeDecider::replay(workflow, &history).unwrap()),
        };
    }

    /// From here on the run that follows this one, which has ended, is told.
    pub(super) fn follow(&mut self) {
        replay_history(&self.registry, &self.history()).unwrap();
        let Successor { state, turn } = *self.successor.take().unwrap();
        assert_eq!(self.state.next_run(), state.run_id());
        self.journal = vec![turn];
        self.crash();
        assert_eq!(self.state, state);
        self.take(Input::Wake);
    }

    /// From here on the run is told that is made of this one, which ends if it is open.
    pub(super) fn reset(&mut self, wanted: &Reset) {
        let run_id = self.state.run_id().unwrap().following(self.now);
        let beside = Beside {
            gives_way: Some(&self.state),
            ..Beside::default()
        };
        let made = wanted.make(&self.journal, beside, run_id, self.now).unwrap();
        let first = made.first.clone();
        if !self.state.is_closed() {
            self.take(Input::Reset(Box::new(made)));
            let Successor { turn, .. } = *self.successor.take().unwrap();
            assert_eq!(turn, first);
            assert!(matches!(self.state.outcome(), Some(Outcome::Terminated { .. })));
        }
        self.journal = vec![first];
        self.crash();
        self.take(Input::Recovered { at: self.now });
    }

    /// The same for other code.
    pub(super) fn reset_for<M>(&mut self, function: impl WorkflowFunction<M>, wanted: &Reset) {
        let run_id = self.state.run_id().unwrap().following(self.now);
        let made = wanted.make(&self.journal, Beside::default(), run_id, self.now).unwrap();
        self.journal = vec![made.first];
        self.deploy(function);
        self.take(Input::Recovered { at: self.now });
    }

    /// How many tasks there were.
    pub(super) fn tasks(&self) -> u64 {
        let history = self.history();
        let tasks = history
            .iter()
            .filter(|event| event.attributes.kind() == "WorkflowTaskCompleted");
        tasks.count() as u64
    }

    /// Runs attempts and lets time pass until the run has ended.
    pub(super) fn until_closed(&mut self) {
        for _ in 0..200 {
            if self.state.is_closed() {
                return;
            }
            self.step();
        }
        unreachable!("it does not end: {:?}", self.history())
    }

    /// From here on every turn is replayed at once.
    pub(super) fn checking_every_turn(mut self) -> Self {
        self.every_turn = true;
        self.crash();
        self
    }

    /// The process dies, and comes back with this code.
    pub(super) fn deploy<M>(&mut self, function: impl WorkflowFunction<M>) {
        self.registry = registry_with(function);
        self.crash();
    }

    pub(super) fn turns(&self) -> usize {
        self.journal.len()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn history(&self) -> Vec<Event> {
        self.journal.iter().flat_map(|turn| turn.events.clone()).collect()
    }

    pub(super) fn signal(&mut self, value: u32) {
        self.take(Input::Signal {
            name: SignalName::from_trusted("n"),
            input: Payload::json(&value).unwrap(),
            request_id: None,
            identity: String::new(),
        });
    }

    pub(super) fn cancel(&mut self) {
        self.take(Input::RequestCancel {
            reason: String::new(),
            identity: String::new(),
        });
    }

    /// Runs attempts and lets time pass until the run has ended.
    pub(super) fn finish(mut self) -> (Outcome, Vec<String>) {
        for _ in 0..200 {
            if let Some(outcome) = self.state.outcome().cloned() {
                let text = to_temporal_json(&self.history()).to_string();
                let read = from_temporal_json(&text).unwrap();
                assert_eq!(read, self.history(), "a history that was written to a file is the same");
                replay_history(&self.registry, &read).unwrap();
                return (outcome, self.ran);
            }
            self.step();
        }
        unreachable!("it does not end: {:?}", self.history())
    }

    pub(super) fn step(&mut self) {
        if let Some(answer) = self.lock_answer() {
            return self.take(answer);
        }
        if self.state.stuck().next().is_some()
            && let Some((step, choice)) = self.decisions.pop_front()
        {
            return self.take(Input::Decide(Box::new(Decide {
                step: step.map(StepName::from_trusted),
                choice,
                by: "somebody".to_owned(),
                reason: "because".to_owned(),
                request_id: None,
            })));
        }
        if let Some(local) = self.decider.local_activities().first() {
            assert!(self.state.wants_attempt(AttemptToken::of_local(local.seq)));
            return self.end_local(local);
        }
        match self.due().first().copied() {
            Some(token) => self.end_attempt(token),
            None => {
                let wake = self.state.next_wake(self.now);
                let wake = wake.unwrap_or_else(|| unreachable!("nothing will happen: {:?}", self.history()));
                self.now = wake.max(self.now);
                self.take(Input::Wake);
            }
        }
    }

    /// A local activity ends as it is to end.
    fn end_local(&mut self, local: &LocalActivity) {
        let name = local.activity_type.to_string();
        self.ran.push(format!("{name} {:?} locally", local.input));
        let scripted = self.outcomes.get_mut(name.as_str()).and_then(VecDeque::pop_front);
        self.take(Input::AttemptEnded {
            token: AttemptToken::of_local(local.seq),
            outcome: scripted.unwrap_or_else(|| Ok(Payload::json(&10).unwrap())),
        });
    }

    /// What was changed without an event.
    pub(super) fn changes(&self) -> Vec<PendingChange> {
        self.journal.iter().flat_map(|turn| turn.pending.clone()).collect()
    }

    /// The attempt ends as it is to end.
    pub(super) fn end_attempt(&mut self, token: AttemptToken) {
        let activity = self.state.activities().find(|activity| activity.token() == token);
        let attributes = activity.unwrap().attributes.clone();
        let name = attributes.activity_type.as_str();
        self.ran.push(format!("{name} {:?}", attributes.input));
        let scripted = self.outcomes.get_mut(name).and_then(VecDeque::pop_front);
        let outcome = match (scripted, self.failing.contains(&name)) {
            (Some(outcome), _) => outcome,
            (None, true) => Err(Failure::not_applied("No", "")),
            (None, false) => Ok(Payload::json(&10).unwrap()),
        };
        self.take(Input::AttemptEnded { token, outcome });
    }

    /// What a table of locks would say now.
    pub(super) fn lock_answer(&self) -> Option<Input> {
        let mut waiting = self.state.locks().filter(|lock| lock.state == LockState::Waiting);
        waiting.find_map(|asked| {
            let lock: LockName = asked.lock.clone();
            match (self.taken.contains(&lock.as_str()), asked.no_wait) {
                (false, _) => Some(Input::LockGranted { lock }),
                (true, true) => {
                    let failure = Failure::non_retryable("LockHeld", "somebody else holds it");
                    Some(Input::LockRefused { lock, failure })
                }
                (true, false) => None,
            }
        })
    }

    /// The tokens of the attempts that are due.
    pub(super) fn due(&self) -> Vec<AttemptToken> {
        self.state
            .attempts_due(self.now)
            .map(|activity| activity.token())
            .collect()
    }

    /// Whether the saga only goes forward, or back, so that a cancellation would be refused.
    pub(super) fn is_past_cancelling(&self) -> bool {
        let input = Input::RequestCancel {
            reason: String::new(),
            identity: String::new(),
        };
        let mut state = self.state.clone();
        let decision = decide(&mut state, vec![input], self.now, &mut NoDecider);
        matches!(decision.replies.first(), Some(Reply::Rejected(_)))
    }

    /// Time goes on to when something is due, if anything ever will be.
    pub(super) fn pass_time(&mut self) -> bool {
        let Some(wake) = self.state.next_wake(self.now) else {
            return false;
        };
        self.now = wake.max(self.now);
        self.take(Input::Wake);
        true
    }
}

/// The run's result as a number, or how it ended instead.
pub(super) fn number(outcome: &Outcome) -> Result<u32, String> {
    match outcome {
        Outcome::Completed(result) => result.to().map_err(|error| error.to_string()),
        Outcome::Amended(failure) | Outcome::Failed(failure) | Outcome::Canceled(failure) => {
            let why = failure.root();
            let why = why.type_name().map_or_else(|| why.to_string(), str::to_owned);
            Err(format!("{} {why}", outcome.status()))
        }
        other => Err(other.status().to_string()),
    }
}
