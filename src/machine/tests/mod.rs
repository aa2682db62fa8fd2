//! Tests of the machine by what a reader expects of a run: what arrives, and the whole history that comes of it. Must not
//! live here: anything that needs a runtime or a store.
//!
//! Histories are compared whole, as text, so that a difference reads like a review. Every turn of every scenario is also
//! folded again from its journal and compared with the live state.

mod activity;
mod adoption;
mod ambiguity;
mod attributes;
mod cancellation;
mod chain;
mod child;
mod commands;
mod compensation;
mod definition;
mod desk;
mod desk_policy;
mod granted;
mod kept_back;
mod left_child;
mod left_message;
mod lifecycle;
mod messages;
mod oracle;
mod parking;
mod partial;
mod pause;
mod pivot;
mod plan;
mod properties;
mod report;
mod reset;
mod reset_again;
mod rollback;
mod scenario;
mod script;
mod simulation;
mod text;
mod timer;
mod tries;
mod world;

/// A number that the caller of the tests has chosen.
#[expect(
    clippy::disallowed_methods,
    reason = "how much is tried is for whoever starts the tests to say"
)]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
