//! What holds for every saga, whatever arrives in whatever order. A failing example is shrunk to a small one.
//!
//! `PROPTEST_CASES` and `PROPTEST_RNG_SEED` make it try more, or others.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::plan::{Plan, PlanDesk, PlanStep, Unanswered};
use super::variable;
use super::world::{Action, Ending, Interlude, World};

/// Few enough for every build; the seed is fixed, so that a build fails for its own changes only.
fn config() -> Config {
    Config {
        cases: variable("PROPTEST_CASES").map_or(160, |cases| u32::try_from(cases).unwrap_or(u32::MAX)),
        rng_seed: RngSeed::Fixed(variable("PROPTEST_RNG_SEED").unwrap_or(1)),
        failure_persistence: None,
        ..Config::default()
    }
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let step = (
        // Sparse enough for branches and for chains.
        (any::<u16>(), any::<u16>()).prop_map(|(some, others)| some & others),
        prop_oneof![4 => Just(Some(0)), 1 => Just(Some(2)), 2 => Just(None)],
        prop_oneof![3 => Just(0_u32), 1 => 1..4_u32],
        prop_oneof![4 => Just(None), 1 => (1..30_u64).prop_map(Some)],
        prop_oneof![2 => Just(Unanswered::Compensate), 1 => Just(Unanswered::Ask), 1 => Just(Unanswered::Verify)],
        proptest::bool::weighted(0.2),
    );
    let step = step.prop_map(|(builds_on, undo, attempts, within, unanswered, fenced)| PlanStep {
        builds_on,
        undo,
        attempts,
        within,
        unanswered,
        fenced,
    });
    let desk = (
        proptest::option::weighted(0.3, 1..60_u64),
        proptest::option::weighted(0.3, 1..4_u32),
        proptest::option::weighted(0.3, 0..60_u64),
        proptest::option::weighted(0.3, (1..60_u64, any::<usize>())),
    );
    let desk = desk.prop_map(
        |(unwind_timeout, unwind_parallel, escalates_after, decides_after)| PlanDesk {
            unwind_timeout,
            unwind_parallel,
            escalates_after,
            decides_after,
        },
    );
    (
        proptest::collection::vec(step, 1..=12),
        proptest::option::of(0..12_usize),
        any::<bool>(),
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => (1..100_u64).prop_map(Some)],
        0..60_u64,
        proptest::option::weighted(0.3, 0..12_u64),
        desk,
    )
        .prop_map(
            |(steps, pivot, explicit, by_definition, run_timeout, timer, keep, desk)| Plan {
                pivot: pivot.filter(|at| *at < steps.len()),
                steps,
                explicit,
                by_definition,
                run_timeout,
                timer,
                keep,
                desk,
            },
        )
}

fn any_ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        12 => Just(Ending::Completed),
        3 => Just(Ending::Busy),
        2 => Just(Ending::Unreachable),
        1 => Just(Ending::Broken),
        1 => Just(Ending::Declined),
        2 => Just(Ending::TimedOut),
        1 => Just(Ending::NotTaken),
        1 => Just(Ending::Canceled),
    ]
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        30 => (any::<usize>(), any_ending()).prop_map(|(which, ending)| Action::Ends(which, ending)),
        3 => any::<usize>().prop_map(Action::EndsAgain),
        3 => (0..4_u8).prop_map(Action::Signal),
        2 => Just(Action::Wake),
        1 => Just(Action::Cancel),
        6 => (any::<usize>(), any::<usize>()).prop_map(|(which, choice)| Action::Decides(which, choice)),
    ]
}

fn any_interlude() -> impl Strategy<Value = Interlude> {
    prop_oneof![
        6 => Just(Interlude::None),
        3 => (0..20_u64).prop_map(Interlude::Pass),
        4 => Just(Interlude::UntilWake),
        2 => Just(Interlude::Crash),
        1 => Just(Interlude::Park),
        1 => Just(Interlude::Unpark),
        1 => Just(Interlude::Pause),
        2 => Just(Interlude::Unpause),
    ]
}

type Script = Vec<(Interlude, Vec<Action>, bool)>;

fn any_script() -> impl Strategy<Value = Script> {
    let moment = (
        any_interlude(),
        proptest::collection::vec(any_action(), 0..4),
        proptest::bool::weighted(0.05),
    );
    proptest::collection::vec(moment, 0..50)
}

fn play<'a>(plan: &'a Plan, script: &Script) -> World<'a> {
    let mut world = World::new(plan);
    for (interlude, actions, code_trips) in script {
        world.happens(interlude, actions, *code_trips);
    }
    world
}

proptest! {
    #![proptest_config(config())]

    /// After each turn: the journal folds to the live state, nothing that is closed changes, nothing leaves twice or goes
    /// forward from a saga that goes back. In the end: every step that may have happened is undone once, in reverse
    /// order; the run is closed or waits for a person.
    #[test]
    fn a_saga_completes_or_makes_amends(plan in any_plan(), script in any_script()) {
        let mut world = play(&plan, &script);
        world.check();
        world.calms_down();
        world.check();
    }

    /// The same with an operator who ends it somewhere: whatever came before holds, and nothing comes after.
    #[test]
    fn a_terminated_run_stays_as_it_is(plan in any_plan(), script in any_script(), late in any_script()) {
        let mut world = play(&plan, &script);
        world.happens(&Interlude::None, &[Action::Terminate], false);
        prop_assert!(world.state.is_closed());
        let journal = world.journal.clone();
        for (interlude, actions, code_trips) in &late {
            world.happens(interlude, actions, *code_trips);
        }
        prop_assert_eq!(&world.journal, &journal);
        world.check();
    }
}
