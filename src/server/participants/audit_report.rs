//! What the audit found, as data and as a table. Must not live here: finding it (that is `audit`).

use std::collections::BTreeMap;
use std::fmt;

use super::Operation;

/// What the audit found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuditReport {
    /// One row per status, ordered by status.
    pub rows: Vec<AuditRow>,
    /// Everything that contradicts a promise; empty when all is well.
    pub violations: Vec<Violation>,
    /// Requests that came again with a key that had been answered, and were absorbed by it.
    pub repeated: u64,
    /// Requests that were turned away for the moment.
    pub unavailable: u64,
    /// Compensations of steps that had never been applied.
    pub nothing_to_undo: u64,
}

/// What the orders with one status did at the participants, all together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// The status, as in the outcomes.
    pub status: String,
    /// How many orders have it.
    pub orders: u64,
    /// How often each operation was applied for them.
    pub applied: BTreeMap<Operation, u64>,
    /// How many violations concern them.
    pub violations: u64,
}

/// A contradiction between an order's outcome and the ledgers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The order concerned.
    pub order_id: String,
    /// What kind of contradiction it is.
    pub kind: ViolationKind,
    /// What was found, in words.
    pub what: String,
}

/// The kinds of contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// Something that was reported as done, or accepted, left no trace.
    Lost,
    /// Something happened more than once.
    Doubled,
    /// An effect of an order that did not complete was left standing.
    NotUndone,
    /// An effect was undone that should stand.
    WronglyUndone,
    /// The order has no final status, or one that nobody knows.
    Unfinished,
    /// The participants did something for an order that nobody placed.
    Unknown,
}

impl AuditReport {
    /// Whether nothing contradicts anything.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// How many orders have this status.
    #[must_use]
    pub fn orders(&self, status: &str) -> u64 {
        self.rows
            .iter()
            .filter(|row| row.status == status)
            .map(|row| row.orders)
            .sum()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.order_id, self.what)
    }
}

impl fmt::Display for AuditReport {
    /// A table of the rows, then the violations, one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<11}{:>7}", "status", "orders")?;
        for operation in Operation::ALL {
            write!(f, "{operation:>9}")?;
        }
        writeln!(f, "{:>12}", "violations")?;
        for row in &self.rows {
            write!(f, "{:<11}{:>7}", row.status, row.orders)?;
            for operation in Operation::ALL {
                write!(f, "{:>9}", row.applied.get(&operation).copied().unwrap_or_default())?;
            }
            writeln!(f, "{:>12}", row.violations)?;
        }
        for violation in &self.violations {
            writeln!(f, "violation: {violation}")?;
        }
        Ok(())
    }
}
