//! Rounds of SIGKILL: a child process runs sagas against participants that live in this process, is killed at a random
//! moment and started again on the same data; in the end everything is counted. Lives here: the rounds. Must not live here:
//! what the child does (`child`), what participants do (`ledger`), what must hold (`audit`).
//!
//! `AMENDS_CRASH_ROUNDS` says how many (6 when it does not), `SEED` which random numbers to use.

mod audit;
mod chance;
mod child;
mod ledger;
mod process;

use std::time::Duration;

use tempfile::TempDir;

use self::chance::Chance;
use self::ledger::Ledger;
use self::process::{Child, Observed, Since};

/// What the environment says, as a number.
#[expect(
    clippy::disallowed_methods,
    reason = "the door to the environment of the crash rounds"
)]
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// The body of the child process. Run as a test it has nothing to do.
#[test]
fn child() {
    if let Some(order) = child::Order::from_environment() {
        child::live(&order);
    }
}

#[test]
fn nothing_is_lost_or_doubled_by_kill_nine() {
    let (rounds, seed) = (setting("AMENDS_CRASH_ROUNDS", 6), setting("SEED", 1));
    println!("{rounds} crash rounds, SEED={seed}");
    let home = TempDir::new().unwrap();
    let ledger = Ledger::serve(seed);
    let mut observed = Observed::default();
    let mut chance = Chance::new(seed);
    for round in 0..rounds {
        // A quarter of the kills hits a child that is still starting: opening its store, or recovering.
        let (since, longest) = match round % 4 {
            3 => (Since::Start, 50_000),
            _ => (Since::Words(1 + chance.below(400)), 20_000),
        };
        let patience = Duration::from_micros(chance.below(longest));
        let child = Child::spawn(home.path(), ledger.address(), &observed.order());
        child.kill_after(patience, since, &mut observed);
        ledger.until_quiet();
    }
    ledger.calm();
    let before = observed.summary();
    let child = Child::spawn(home.path(), ledger.address(), &observed.last_order());
    child.until_done(&mut observed);
    println!("before the last start: {before}; in the end: {}", observed.summary());
    audit::audit(home.path(), &observed, &ledger);
    assert!(
        rounds < 4 || observed.ended.len() > 64,
        "too little happened to prove anything"
    );
}
