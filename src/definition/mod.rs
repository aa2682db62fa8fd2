//! Saga definitions: `sagas/*.toml`, or their equal built in Rust, become a checked, immutable [`SagaDefinition`] that
//! the machine follows. Lives here: the file format, its checks, the mapping expressions, the journaled form. Must not
//! live here: I/O (callers pass text), clocks, or the state of any run.
//!
//! ```text
//! text --read--> authored --resolve--> canonical --rules--> (refused?) --compile--> SagaDefinition
//!                    ^                     |
//!                 builder          journaled; a run reads it back and only compiles
//! ```
//!
//! Every pass reports all it finds and goes on with stand-ins, so that an author sees every problem of a file at once.

mod authored;
mod builder;
mod canonical;
mod compile;
mod draw;
mod expression;
mod graph;
mod http;
mod load;
mod locations;
mod mapping;
mod problem;
mod read;
mod resolve;
mod rules;
mod saga;
#[cfg(test)]
mod tests;
mod warnings;

pub use builder::{CompensationBuilder, HttpBuilder, SagaBuilder, StepBuilder};
pub use draw::{Drawing, DrawingFormat};
pub(crate) use draw::{DrawnState, DrawnStep, DrawnUndo};
pub use expression::{EvaluateError, EvaluateErrorKind, Scope, UndoScope};
pub use http::{HTTP_ACTIVITY, HttpRequest, HttpVerdict};
pub use load::ParseOptions;
pub use problem::{CheckReport, DefinitionError, Position, Problem, Severity};
pub use saga::{SagaDefinition, Step};
