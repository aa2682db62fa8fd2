//! The actors that make the pure machine live: shards, runs, the journal writer, timers, attempts. Thin: a mailbox and
//! one call into the pure part. Must not live here: what an input means, or how a definition or code decides.
//!
//! ```text
//!  callers --admission--> ShardActor --Deliver--> RunActor --turn--> journal thread --commit--> Store
//!                           ^   |                   |  ^                  |
//!                 due timers+   +<---Committed------+--+------------------+   (one message per shard and commit)
//!                                                   |
//!                                  launch attempt   +--> tokio / blocking pool --AttemptEnded--> RunActor
//! ```
//!
//! Every arrow into an actor is a message; nobody waits for an actor while holding anything. Nothing leaves a run (an
//! attempt, a reply, an outcome) before the turn that caused it is durable.

mod asking;
mod attempt;
mod chain_runs;
mod child;
mod child_workflow;
pub mod clock;
mod codecs;
mod commit_queue;
mod courier;
mod entropy;
mod error;
#[cfg(unix)]
pub(crate) mod exec;
mod gateway;
mod journal;
mod locks;
mod messages;
mod namespaces;
mod offline;
mod offspring;
#[cfg(unix)]
pub(crate) mod process;
mod queues;
mod recovery;
mod reset;
mod retention;
mod run;
pub mod secrets;
mod shard;
mod shared;
mod store_slot;
mod threads;
mod throttle;
mod timers;
mod watchdog;

#[cfg(feature = "http")]
pub(crate) mod http;

pub use clock::{Clock, SystemClock};
pub(crate) use codecs::Codecs;
#[cfg(feature = "compression")]
pub use codecs::Compression;
#[cfg(feature = "encryption")]
pub use codecs::{Encryption, EncryptionKey, EncryptionKeyError};
pub(crate) use entropy::Entropy;
pub use error::RequestError;
pub(crate) use gateway::Gateway;
pub(crate) use messages::{Delivered, Watched, Whom};
pub(crate) use namespaces::{NamespaceOptions, NamespacesOptions};
pub(crate) use offline::OfflineDesk;
#[cfg(unix)]
pub use process::{WorkerProcess, worker_process};
pub use queues::TaskQueueStatus;
pub(crate) use recovery::{fold, load_turns};
pub(crate) use reset::{ResetOrder, reset_offline};
pub(crate) use retention::{Retention, prune_offline};
pub use secrets::{EnvironmentSecrets, SecretSource};
pub(crate) use shared::{Runtime, RuntimeOptions};
pub use throttle::ActivityTypeStatus;
pub(crate) use throttle::EngineLimits;
pub use watchdog::HungTurn;
