//! Runs workflow code against a history: feeds it what happened, collects what it asks for, and compares that with what
//! was recorded. Must not live here: what commands mean (`machine`), I/O, clocks, randomness.
//!
//! The code of a run is a future. It is polled only inside of [`CodeDecider::decide`](crate::machine::Decider::decide),
//! between which it stands still; everything it awaits is resolved from events. So a future that has seen the same events
//! in the same portions is in the same place, and replaying is nothing but running it again: each `WorkflowTask` event of
//! a history ends the portion that one earlier call was given.

mod decider;
mod every_turn;
mod handling;
mod matching;
mod occasion;
mod root_waker;
mod run;
mod saga;
#[cfg(test)]
mod tests;
mod versions;

pub use decider::CodeDecider;
pub use every_turn::CheckedDecider;
pub use root_waker::ForeignWakes;

use crate::model::{Event, EventAttributes, ParkReason};
use crate::sdk::Registry;

/// Checks that the registered workflow code still decides what a recorded history says: the test to run on saved
/// histories before new code meets open runs.
///
/// ```
/// use amends::model::{Event, EventAttributes, EventId, RunId, RunStarted, WorkflowId, WorkflowType, WorkflowTask};
/// use amends::replay::replay_history;
/// use amends::{Failure, Payload, Registry, Timestamp, WorkflowContext, WorkflowDefinition};
///
/// async fn hello(_cx: WorkflowContext, name: String) -> Result<String, Failure> {
///     Ok(format!("Hello, {name}"))
/// }
///
/// let mut registry = Registry::new();
/// registry.add_workflow(WorkflowDefinition::of(hello)?)?;
/// let (id, run_id) = (WorkflowId::new("hello-1")?, RunId::from_bytes([1; 16]));
/// let started = RunStarted::new(id, run_id, WorkflowType::new("hello")?, Payload::json("Ada")?);
/// let event = |id, attributes| Event { id: EventId(id), time: Timestamp::EPOCH, attributes };
/// let mut history = vec![
///     event(1, EventAttributes::WorkflowExecutionStarted(started.into())),
///     event(2, EventAttributes::WorkflowTask(WorkflowTask::default())),
///     event(5, EventAttributes::WorkflowExecutionCompleted { result: Payload::json("Hello, Ada")? }),
/// ];
/// assert!(replay_history(&registry, &history).is_ok());
/// history.pop(); // the code completes, the history does not
/// assert!(replay_history(&registry, &history).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The reason for which the engine would park the run: nondeterminism with the place and both sides, a panic, a foreign
/// future, or a workflow type that is not registered.
pub fn replay_history(registry: &Registry, history: &[Event]) -> Result<(), ParkReason> {
    let workflow_type = match history.first().map(|event| &event.attributes) {
        Some(EventAttributes::WorkflowExecutionStarted(started)) => &started.workflow_type,
        _ => return Err(decider::no_beginning()),
    };
    let workflow = registry.code_of_run(workflow_type, history)?;
    CodeDecider::replay(workflow, history)?.check_rest(history)
}
