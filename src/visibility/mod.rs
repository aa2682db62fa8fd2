//! The language in which runs are asked for: `WorkflowType = 'order' AND Amount > 100 ORDER BY StartTime DESC`. Lives here:
//! reading it, and saying of one run whether it is meant. Must not live here: where runs are kept, or how they are found.
//!
//! ```text
//! text --tokens--> parser --syntax--> check --Query--> Filter::matches(run)     one run at a time
//!                                                  --> Filter::narrow()         what an index can help with
//!                                                  --> Order::key(run)          for a list that is sorted
//! ```
//!
//! A comparison with something that a run does not have is neither true nor false, as in SQL: the run is found neither by it
//! nor by its opposite.

mod attribute;
mod check;
mod error;
mod evaluate;
mod narrow;
mod order;
mod parser;
mod syntax;
mod tokens;

#[cfg(test)]
mod tests;

pub use attribute::{Attribute, BuiltIn};
pub use check::{Known, Query};
pub use error::QuerySyntaxError;
pub use evaluate::{Comparison, Condition, Filter, Literal, Subject, Test};
pub use narrow::{Narrow, Range, indexed};
pub use order::{Order, SortKey, SortValue};
