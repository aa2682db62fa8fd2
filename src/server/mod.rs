//! The binary's facades. Lives here: what stands between the outside and the engine. Must not live here: decisions about
//! runs.

pub(crate) mod bench;
pub mod participants;
