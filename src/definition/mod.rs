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
mod catalog;
mod child;
mod compile;
mod draw;
mod evaluate;
mod exec;
mod expression;
mod graph;
mod http;
mod limits;
mod load;
mod locations;
mod mapping;
mod problem;
mod read;
mod resolve;
mod rules;
mod saga;
mod schema;
mod secret;
mod start;
#[cfg(test)]
mod tests;
mod time;
mod version;
mod warnings;

pub use builder::{
    ChildBuilder, CompensationBuilder, ExecBuilder, HttpBuilder, SagaBuilder, SignalBuilder, StepBuilder,
};
pub use catalog::Catalog;
pub use child::{ChildSaga, SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY};
pub use draw::{Drawing, DrawingFormat, DrawnState, DrawnStep, DrawnUndo, DrawnWhat};
pub use evaluate::{WaitFor, instance_name, list_of};
pub use exec::{EXEC_ACTIVITY, ExecOutput, ExecRequest, ExecVerdict};
pub use expression::{EvaluateError, EvaluateErrorKind, Item, Scope, UndoScope};
#[cfg(feature = "http")]
pub(crate) use http::percent_encode;
pub use http::{HTTP_ACTIVITY, HttpRequest, HttpVerdict};
#[cfg(feature = "runtime")]
pub(crate) use limits::EXEC_WORD;
pub use load::ParseOptions;
#[cfg(feature = "runtime")]
pub(crate) use locations::{Part, Problems};
pub use problem::{CheckReport, DefinitionError, Position, Problem, Severity};
#[cfg(feature = "runtime")]
pub(crate) use read::{document, limits as read_limits, table::Table};
pub use saga::{SagaDefinition, Step, StepAction};
pub use schema::InputError;
pub use secret::{SECRET_CLOSE, SECRET_OPEN};
pub use start::StartError;
pub use version::split_version;

/// The activities that amends brings along: no registered activity may have one of these names.
pub const BUILT_IN_ACTIVITIES: [&str; 4] = [HTTP_ACTIVITY, EXEC_ACTIVITY, SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY];
