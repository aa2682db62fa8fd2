//! amends: an embeddable, actor-based saga coordinator and durable-execution engine.

pub mod machine;
pub mod model;
#[cfg(feature = "server")]
pub mod server;
pub mod store;
