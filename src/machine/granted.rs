//! Keeping to what a run is granted: values that are too large are refused, fail their attempt, or fail the run whose code hands
//! them on. Must not live here: how much that is (`RunLimits`), lengths of histories (`lifecycle`, `task`).

use crate::model::{AttemptOutcome, Command, Failure, Payload, RunLimits, StartRun, WorkflowType, limits};

use super::{Rejection, RunState};

/// Workflows of amends' own, such as those that keep schedules: one value of theirs is all that they know.
const OWN_TYPES: &str = "amends.";

/// The limits of a run, which are no part of what its history folds to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Granted(RunLimits);

impl PartialEq for Granted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl RunState {
    /// Says what the run is granted. It is not folded: its namespace grants more or less from one engine to the next.
    pub fn grant(&mut self, limits: RunLimits) {
        self.granted = Granted(limits);
    }

    /// What the run is granted.
    #[must_use]
    pub fn limits(&self) -> RunLimits {
        self.granted.0
    }

    /// Whether a value that comes from outside may be taken.
    pub(super) fn check_payload(&self, payload: &Payload) -> Result<(), Rejection> {
        match self.started() {
            Some(started) => check(&self.limits(), &started.workflow_type, payload),
            None => Ok(()),
        }
    }

    /// What an attempt has come to, whoever says so: a result that is too large is none, of a failure too much is left out.
    pub(super) fn within_limits(&self, outcome: AttemptOutcome) -> AttemptOutcome {
        let result = outcome.map_err(Failure::bounded)?;
        match self.check_payload(&result) {
            Ok(()) => Ok(result),
            Err(refused) => Err(too_large(&refused)),
        }
    }

    /// Why the run has to fail: its code hands on a value that is too large. Nothing of the commands is done, so that no
    /// history has half of them.
    pub(super) fn value_too_large(&self, commands: &[Command]) -> Option<Failure> {
        if self.limits().payload_bytes >= limits::PAYLOAD_BYTES_MAX {
            return None;
        }
        let mut payloads = commands.iter().flat_map(payloads);
        payloads.find_map(|payload| Some(too_large(&self.check_payload(payload).err()?)))
    }
}

/// Whether a run with these limits may begin with what it is given.
///
/// # Errors
/// [`Rejection::PayloadTooLarge`].
pub fn check_start(granted: &RunLimits, start: &StartRun) -> Result<(), Rejection> {
    let mut given = std::iter::once(&start.input).chain(start.memo.values());
    given.try_for_each(|payload| check(granted, &start.workflow_type, payload))
}

fn check(granted: &RunLimits, of: &WorkflowType, payload: &Payload) -> Result<(), Rejection> {
    let max = granted.payload_bytes;
    // What is too large for everybody was refused where it was made.
    if max >= limits::PAYLOAD_BYTES_MAX || of.as_str().starts_with(OWN_TYPES) {
        return Ok(());
    }
    match payload.size() {
        bytes if bytes > max => Err(Rejection::PayloadTooLarge { bytes, max }),
        _ => Ok(()),
    }
}

fn too_large(refused: &Rejection) -> Failure {
    Failure::non_retryable("InvalidPayload", refused.to_string())
}

/// What a command hands on.
fn payloads(command: &Command) -> Vec<&Payload> {
    match command {
        Command::ScheduleActivity(schedule) => vec![&schedule.input],
        Command::RecordMarker { details, .. } => vec![details],
        Command::ModifyProperties(changes) => changes.values().flatten().collect(),
        Command::SignalExternal(signal) => vec![&signal.input],
        Command::StartChild(child) => std::iter::once(&child.input).chain(child.memo.values()).collect(),
        Command::CompleteUpdate { outcome, .. } => outcome.iter().collect(),
        Command::ContinueAsNew(next) => {
            let memo = next.memo.iter().flat_map(|memo| memo.values());
            std::iter::once(&next.input).chain(memo).collect()
        }
        Command::CompleteWorkflow { result } => vec![result],
        _ => Vec::new(),
    }
}
