//! What goes wrong in a store. Must not live here: what becomes of it (the engine forgets, and opens the store again).

use crate::model::RunId;

/// Why a store could not do what was asked. Never a user's failure, never journaled, never a reason to compensate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another engine, in this process or another, has the data directory open.
    #[error("the data directory {path} is in use by another process; stop it, or choose another directory")]
    InUse {
        /// The directory.
        path: String,
    },
    /// The directory cannot be created, read or written.
    #[error("the data directory {path} cannot be used: {reason}")]
    Unusable {
        /// The directory.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The data was written by a newer version of amends, or is not amends' at all.
    #[error(
        "the data in {path} has format {found}, this version of amends reads up to {supported}; use a newer amends"
    )]
    Format {
        /// The directory.
        path: String,
        /// The format that was found.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// Stored data is damaged.
    #[error("damaged data{}: {what}", .run.map(|run| format!(" of run {run}")).unwrap_or_default())]
    Corrupt {
        /// The run concerned, if it is known.
        run: Option<RunId>,
        /// What is wrong, and where.
        what: String,
    },
    /// A run's data cannot be encoded or decoded: a key or a codec is missing. Nothing is damaged, and nothing is lost.
    #[error("the data of run {run} is not at hand: {what}")]
    Codec {
        /// The run concerned.
        run: RunId,
        /// Why not.
        what: String,
    },
    /// No space left.
    #[error("no space left on the device: {0}")]
    Full(String),
    /// Reading or writing failed.
    #[error("input/output error: {0}")]
    Io(String),
    /// An earlier commit failed; nothing is accepted until the store is reopened.
    #[error("the store stopped accepting commits after an earlier error ({0}); it must be reopened")]
    Poisoned(String),
    /// Another owner has claimed the store since.
    #[error("another owner has claimed the store (epoch {current}, ours was {ours})")]
    Fenced {
        /// The epoch of the commit.
        ours: u64,
        /// The store's epoch.
        current: u64,
    },
    /// The batch contradicts what is stored (a gap or a repetition in a run's turns): a bug of ours, nothing was written.
    #[error("refused batch: {0}")]
    Refused(String),
}
