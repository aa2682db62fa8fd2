//! One seed, one world, one thread: the machine, a journal that loses what was not durable, participants that live on
//! their own, clients that insist, and a virtual clock. The same seed is the same world.
//!
//! The faults: the process dies between any two steps, is down for a while, and keeps any prefix of the turns that were
//! not yet durable; requests are late or lost, and so are answers; participants fail before or after their effect; clients
//! send again what was not acknowledged; code trips. Later the faults end, and everything must come to its end.
//!
//! What is checked is what participants and clients saw: an acknowledged request is in the history, once; a completed saga
//! has had every effect once; an amended one has left none behind, and undid in reverse order; nothing left before it was
//! durable, and no attempt left twice.
//!
//! `AMENDS_SIM_SEEDS=n` tries n seeds, `SEED=n` one, with its trace.

mod chance;
mod check;
mod operator;
mod participants;
mod reports;
mod world;

use super::plan::{Plan, PlanDesk, PlanStep, Unanswered};
use super::variable;
use chance::Chance;
use world::World;

/// Enough for every build; others may ask for more.
const SEEDS: u64 = 200;

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = variable("SEED") {
        let trace = run(seed);
        println!("{}", trace.join("\n"));
        return;
    }
    let mut endings = std::collections::BTreeMap::<String, u64>::new();
    let seeds = variable("AMENDS_SIM_SEEDS").unwrap_or(SEEDS);
    for seed in 0..seeds {
        let ending = run(seed).pop().expect("a trace ends");
        *endings.entry(ending).or_default() += 1;
    }
    println!("{endings:?}");
    for expected in ["completed", "amended", "stuck", "terminated"] {
        assert!(
            seeds < SEEDS || endings.contains_key(expected),
            "no seed ends {expected}: {endings:?}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "SEED={seed}");
    }
    assert_ne!(run(1), run(2));
}

/// Runs one world to its end; returns what happened, and how the run stands as the last line.
fn run(seed: u64) -> Vec<String> {
    let mut chance = Chance::new(seed);
    let plan = plan(&mut chance);
    let mut world = World::new(seed, &plan, chance);
    world.run();
    world.check();
    std::mem::take(&mut world.trace)
}

fn plan(chance: &mut Chance) -> Plan {
    let mut steps: Vec<PlanStep> = (0..chance.between(1, 8))
        .map(|_| PlanStep {
            builds_on: u16::try_from(chance.below(1 << 16)).unwrap_or(0)
                & u16::try_from(chance.below(1 << 16)).unwrap_or(0),
            undo: (!chance.one_in(8)).then(|| if chance.one_in(20) { 3 } else { 0 }),
            attempts: if chance.one_in(3) { 3 } else { 0 },
            within: chance.one_in(8).then(|| chance.between(5, 200)),
            unanswered: match chance.below(6) {
                0 => Unanswered::Ask,
                1 => Unanswered::Verify,
                _ => Unanswered::Compensate,
            },
            fenced: chance.one_in(5),
        })
        .collect();
    let pivot = chance
        .one_in(2)
        .then(|| usize::try_from(chance.below(steps.len() as u64)).unwrap_or(0));
    if let Some(pivot) = pivot.and_then(|at: usize| steps.get_mut(at)) {
        pivot.undo = pivot.undo.filter(|_| chance.one_in(3));
    }
    Plan {
        steps,
        pivot,
        explicit: chance.one_in(2),
        by_definition: chance.one_in(2),
        run_timeout: chance.one_in(6).then(|| chance.between(10, 400)),
        timer: chance.below(100),
        keep: chance.one_in(4).then(|| chance.below(4)),
        desk: PlanDesk {
            unwind_timeout: chance.one_in(5).then(|| chance.between(5, 200)),
            unwind_parallel: chance.one_in(4).then_some(1),
            escalates_after: chance.one_in(4).then(|| chance.between(1, 60)),
            decides_after: None,
        },
    }
}
