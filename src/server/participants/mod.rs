//! The demo's three participant services (inventory, payment, shipping), played by one process on loopback HTTP, each
//! with its own durable ledger; and the audit that compares those ledgers with what the sagas say happened. Must not
//! live here: anything that knows the engine. Participants meet amends only over HTTP, as anybody's services would.
//!
//! | Request | Does | Undone by |
//! |---|---|---|
//! | `POST /inventory/reserve` | sets goods aside | `POST /inventory/release` |
//! | `POST /payment/charge` | takes the money | `POST /payment/refund` |
//! | `POST /payment/receipt` | sends the receipt | nothing: it comes after the pivot |
//! | `POST /shipping/ship` | books the parcel | `POST /shipping/cancel` |
//! | `GET /health` | answers `{"status":"ok"}` | |
//!
//! A request's body is the order ([`Order`]) and its header `Idempotency-Key` says which effect is meant. What goes wrong is
//! in the order's own words, see [`Behavior`].

mod audit;
mod audit_report;
mod behavior;
mod http;
mod ledger;
mod operation;
mod orders;
mod participant;

pub use audit::{PLACE_ORDER, audit};
pub use audit_report::{AuditReport, AuditRow, Violation, ViolationKind};
pub use behavior::{Behavior, FLAKY_REFUSALS, Pace};
pub use http::{Lifetime, ParticipantsError, run_participants, start_participants};
pub use ledger::{EntryOutcome, Ledger, LedgerEntry, LedgerError};
pub use operation::{Direction, Operation, Service};
pub use orders::{DEMO_ORDERS, Order, OrdersError, sample_orders};
