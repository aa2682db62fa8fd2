//! The test kit, for users and for amends itself. Lives here: what makes tests of workflows, stores and the engine short
//! and exact. Must not live here: anything that a running engine needs.

#[cfg(feature = "runtime")]
mod clock;
mod faulty_store;
mod replayer;
pub mod store_conformance;

#[cfg(feature = "runtime")]
pub use clock::VirtualClock;
pub use faulty_store::{CommitFault, StoreFaults};
pub use replayer::{ReplayError, Replayer};
