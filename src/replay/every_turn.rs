//! For development: every turn is decided twice, by the code that lives and by the same code run again from the beginning.
//! Must not live here: either way of deciding (`decider`).

use std::sync::Arc;

use crate::machine::{Decider, QueryError, RunState, Task, UnfinishedHandler};
use crate::model::{
    Command, Event, EventAttributes, EventId, LocalActivity, ParkReason, Payload, Query, TURN_EVENT_IDS,
};
use crate::sdk::Workflow;

use super::CodeDecider;
use super::matching::Expected;
use super::occasion::is_task;
use super::root_waker::ForeignWakes;

/// Decides as a [`CodeDecider`], and replays the run from its beginning at every turn. Where the two decide differently,
/// be it only in an activity's input, the run is parked with the difference: code that is not the same on replay is found
/// when it runs for the first time, and not when it is needed after a crash.
///
/// The costs grow with the square of a run's length, and workflow code runs oftener than usual: for development and tests.
#[derive(Debug)]
pub struct CheckedDecider {
    live: CodeDecider,
    code: Code,
    /// Up to the last `WorkflowTask`.
    history: Vec<Event>,
    broken: Option<ParkReason>,
}

struct Code(Arc<dyn Workflow>);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

impl CheckedDecider {
    /// Rebuilds the decider of a run from its history, which is empty for one that has not been decided on yet; see
    /// [`CodeDecider::replay`].
    ///
    /// # Errors
    /// Why the code cannot go on.
    pub fn replay(workflow: Arc<dyn Workflow>, history: &[Event]) -> Result<Self, ParkReason> {
        let decided = history.iter().rposition(is_task).map_or(0, |last| last + 1);
        Ok(Self {
            live: CodeDecider::replay(workflow.clone(), history)?,
            code: Code(workflow),
            history: history.get(..decided).unwrap_or_default().to_vec(),
            broken: None,
        })
    }

    /// See [`CodeDecider::foreign_wakes`].
    #[must_use]
    pub fn foreign_wakes(&self) -> ForeignWakes {
        self.live.foreign_wakes()
    }

    fn decide_twice(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        let decided = self.live.decide(task)?;
        let known = self.history.len();
        // With what the last turn led to, which says which versions it met, and which updates it accepted.
        self.history.extend_from_slice(task.events);
        let mut replayed = CodeDecider::replay(self.code.0.clone(), &self.history)?;
        let again = replayed.decide(task)?;
        let last = self.history.last();
        let id = last.map_or(EventId::FIRST, |event| event.id.plus(event.attributes.ids()));
        // What local activities are given is in no command.
        let difference = difference(&decided, &again).or_else(|| {
            let (live, replayed) = (self.live.local_activities(), replayed.local_activities());
            let (live, replayed) = different_locals(&live, &replayed)?;
            Some((decided.len() as u64, live, replayed))
        });
        if let Some((place, live, replayed)) = difference {
            return Err(ParkReason::Nondeterminism {
                at: id.plus(TURN_EVENT_IDS + place).0,
                expected: format!("{replayed} (when replayed at once)"),
                recorded: format!("{live} (from the live code)"),
            });
        }
        if is_forgotten(task, &decided) {
            self.history.truncate(known);
            return Ok(decided);
        }
        self.history.push(Event {
            id,
            time: task.now,
            attributes: EventAttributes::WorkflowTask(task.task.clone()),
        });
        Ok(decided)
    }
}

impl Decider for CheckedDecider {
    fn local_activities(&self) -> Vec<LocalActivity> {
        self.live.local_activities()
    }

    fn take_unfinished(&mut self) -> Vec<UnfinishedHandler> {
        self.live.take_unfinished()
    }

    fn query(&mut self, run: &RunState, query: &Query) -> Result<Payload, QueryError> {
        if let Some(reason) = &self.broken {
            return Err(QueryError::Undecidable(Box::new(reason.clone())));
        }
        self.live.query(run, query)
    }

    fn decide(&mut self, task: &Task<'_>) -> Result<Vec<Command>, ParkReason> {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        let decided = self.decide_twice(task);
        self.broken = decided.as_ref().err().cloned();
        decided
    }
}

/// Whether the machine forgets the turn, and shows its events again: nothing but updates had arrived, all refused.
fn is_forgotten(task: &Task<'_>, decided: &[Command]) -> bool {
    let refusal = |command: &Command| matches!(command, Command::RejectUpdate { .. });
    !task.updates.is_empty() && task.run.is_asked_for_updates_only(task.now) && decided.iter().all(refusal)
}

/// The first place where the commands differ, and both sides of it in words.
fn difference(live: &[Command], replayed: &[Command]) -> Option<(u64, String, String)> {
    let longer = live.len().max(replayed.len());
    let place = (0..longer).find(|place| match (live.get(*place), replayed.get(*place)) {
        (Some(live), Some(replayed)) => !is_same(live, replayed),
        _ => true,
    })?;
    let (live, replayed) = (live.get(place), replayed.get(place));
    let (mut told_live, mut told_replayed) = (told(live), told(replayed));
    if told_live == told_replayed {
        told_live.push_str(&details(live));
        told_replayed.push_str(&details(replayed));
    }
    Some((place as u64, told_live, told_replayed))
}

/// Equal but for the order of the fields in JSON objects, which hash tables do not keep.
fn is_same(live: &Command, replayed: &Command) -> bool {
    if live == replayed {
        return true;
    }
    match (with_ordered_payloads(live), with_ordered_payloads(replayed)) {
        (Some(live), Some(replayed)) => live == replayed,
        _ => false,
    }
}

fn with_ordered_payloads(command: &Command) -> Option<Command> {
    let mut command = command.clone();
    let payloads: Vec<&mut Payload> = match &mut command {
        Command::ScheduleActivity(schedule) => vec![&mut schedule.input],
        Command::RecordMarker { details, .. } => vec![details],
        Command::SignalExternal(signal) => vec![&mut signal.input],
        Command::StartChild(start) => std::iter::once(&mut start.input)
            .chain(start.memo.values_mut())
            .collect(),
        Command::ContinueAsNew(next) => {
            let memo = next.memo.iter_mut().flat_map(|memo| memo.values_mut());
            std::iter::once(&mut next.input).chain(memo).collect()
        }
        Command::ModifyProperties(changes) => changes.values_mut().flatten().collect(),
        Command::CompleteWorkflow { result }
        | Command::CompleteUpdate {
            outcome: Ok(result), ..
        } => vec![result],
        _ => return None,
    };
    for payload in payloads {
        *payload = in_order(payload)?;
    }
    Some(command)
}

fn in_order(payload: &Payload) -> Option<Payload> {
    let value: serde_json::Value = payload.to().ok()?;
    Payload::json(&value).ok()
}

/// The first local activities that differ, in words.
fn different_locals(live: &[LocalActivity], replayed: &[LocalActivity]) -> Option<(String, String)> {
    let same_input = |live: &Payload, replayed: &Payload| live == replayed || in_order(live) == in_order(replayed);
    let mut pairs = live.iter().zip(replayed);
    let (live, replayed) =
        pairs.find(|(live, replayed)| live.options != replayed.options || !same_input(&live.input, &replayed.input))?;
    let told = |local: &LocalActivity| {
        let LocalActivity {
            activity_type,
            input,
            options,
            ..
        } = local;
        format!("RunLocalActivity {activity_type} with input {input:?} and {options:?}")
    };
    Some((told(live), told(replayed)))
}

fn told(command: Option<&Command>) -> String {
    match command {
        None => "nothing more".to_owned(),
        Some(Command::RecordVersion(marker)) => format!("RecordMarker {marker}"),
        Some(command) => Expected::of(command).map_or_else(String::new, |expected| expected.describe()),
    }
}

/// What is not compared with a history, because the recorded value counts.
fn details(command: Option<&Command>) -> String {
    match command {
        Some(Command::ScheduleActivity(schedule)) => {
            format!(" with input {:?} and {:?}", schedule.input, schedule.options)
        }
        Some(Command::StartTimer { after, .. }) => format!(" after {after:?}"),
        Some(Command::RecordMarker { details, .. }) => format!(" with {details:?}"),
        Some(Command::CompleteWorkflow { result }) => format!(" with {result:?}"),
        Some(other) => format!(" as {other:?}"),
        None => String::new(),
    }
}
