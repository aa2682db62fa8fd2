//! The language of mappings: JSON-like values whose strings may hold `${ CEL }` expressions. Lives here: the templates,
//! their compilation (checked when a definition is loaded) and their evaluation (pure, bounded, the same on every
//! replay). Must not live here: which fields of a definition are templates.
//!
//! CEL rather than jq or a scripting language: every expression ends, so that a definition cannot hang an engine's
//! thread; it is typed; and what it refers to can be seen without running it.

mod compile;
mod dialect;
mod environment;
mod error;
mod names;
mod references;
mod split;
mod template;
mod value;

pub use environment::{Item, Scope, UndoScope};
pub use error::{EvaluateError, EvaluateErrorKind};

pub(super) use compile::Expression;
pub(super) use environment::{Environment, Known};
pub(super) use error::Fault;
pub(super) use names::{Extras, Names, Reference, UndoPart};
pub(super) use template::{Template, TextTemplate};
