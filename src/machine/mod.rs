//! The pure, event-sourced state machine of one run. Lives here: deciding what inputs mean, folding events into state,
//! and saying what the runtime must bring about. Must not live here: I/O, clocks, randomness, async, actors.
//!
//! [`decide`] takes a state and inputs, and leaves the state after the turn together with the [`Turn`](crate::model::Turn)
//! to be journaled. The very same folding ([`RunState::apply`]) rebuilds a run from its journal, so live running and
//! recovery are one path. What the outside should do is never told by an event handler: it is asked from the state
//! ([`RunState::attempts_due`], [`RunState::next_wake`]), so that it is the same after a crash.

mod activity;
mod adoption;
mod ambiguity;
mod apply;
mod chain;
mod changes_met;
mod child;
mod cron;
mod decider;
mod definition_decider;
mod desk;
mod external;
mod granted;
mod heartbeat;
mod ledger;
mod left_child;
mod lifecycle;
mod local;
mod lock;
mod pause;
mod pending;
mod query;
mod report;
mod reset;
mod rollback;
mod saga;
mod state;
mod task;
mod timer;
mod turn;
mod update;
mod wait;

#[cfg(test)]
mod tests;

pub use apply::ApplyError;
pub use chain::Successor;
pub use child::PendingChild;
pub use cron::{CronError, CronSchedule};
pub use decider::{Decider, NoDecider, Task, TaskError, UnfinishedHandler};
pub use definition_decider::DefinitionDecider;
pub use desk::Stuck;
pub use external::external_request_id;
pub use granted::check_start;
pub use heartbeat::{Beat, HeartbeatThrottle};
pub use ledger::{StepRecord, StepState, UndoState};
pub use pause::Pause;
pub use pending::{LockState, PendingActivity, PendingTimer, RunLock};
pub use query::QueryError;
pub use reset::{Beside, Origins, ResetRefusal};
pub use state::{Phase, RunState};
pub use turn::{Decision, Rejection, Reply, decide, park};
pub use update::{UPDATE_ABANDONED, UpdateRecord};
