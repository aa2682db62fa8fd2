//! amends: an embeddable, actor-based saga coordinator and durable-execution engine.

pub mod machine;
pub mod model;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
