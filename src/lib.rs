//! amends: an embeddable, actor-based saga coordinator and durable-execution engine.

pub mod definition;
pub mod machine;
pub mod model;
pub mod store;
