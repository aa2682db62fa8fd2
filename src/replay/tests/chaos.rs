//! A saga with everything in it under random outcomes, orders and crashes: whatever happens, its history replays.

use std::time::Duration;

use futures_util::future::{join, select, try_join};

use crate::machine::{StepState, UndoState};
use crate::model::{
    Choice, ChoiceKind, Decide, Event, EventAttributes, EventId, Failure, Input, Outcome, Payload, RetryPolicy, Undo,
    Verdict,
};
use crate::sdk::{ActivityContext, WorkflowContext};

use super::world::World;
use super::{double, half, undo_double};

/// Enough for every build.
const SEEDS: u64 = 400;

async fn find(_cx: ActivityContext, _of: Undo<u32, u32>) -> Result<Verdict<u32>, Failure> {
    Ok(Verdict::not_applied())
}

async fn undo_half(_cx: ActivityContext, _undo: Undo<u32, u32>) -> Result<(), Failure> {
    Ok(())
}

async fn everything(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let saga = cx.saga();
    let first = saga.run(double, &n).compensate(undo_double).await?;
    saga.lock("order").await?;
    let _ = saga.lock("other").timeout(Duration::from_secs(30)).await;
    for attempt in 0..3 {
        let savepoint = saga.savepoint();
        let verified = saga
            .run(half, &attempt)
            .compensate(undo_half)
            .retry(RetryPolicy::never())
            .verify(find);
        let asked = saga
            .run(double, &attempt)
            .compensate(undo_double)
            .on_ambiguous_ask()
            .fence_in_flight();
        let both = try_join(verified, asked.retry(RetryPolicy::never()));
        let timed = select(Box::pin(both), cx.sleep(Duration::from_secs(20))).await;
        let pair = match timed {
            futures_util::future::Either::Left((pair, _)) => pair,
            futures_util::future::Either::Right((slept, both)) => {
                slept?;
                // The calls are still there when the saga is rolled back behind them.
                let (rolled_back, both) = join(saga.roll_back_to(&savepoint), both).await;
                rolled_back?;
                assert!(both.is_err());
                continue;
            }
        };
        match pair {
            Ok((a, b)) => {
                saga.pivot(half, &(a + b))
                    .compensate(undo_half)
                    .on_ambiguous_ask()
                    .await?;
                return saga.retriable(double, &first).await;
            }
            Err(_) => saga.roll_back_to(&savepoint).await?,
        }
    }
    Err(Failure::new("NobodySells", ""))
}

/// A generator that is good enough for choosing, and the same everywhere.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn outcome(dice: &mut Dice, activity_type: &str) -> Result<Payload, Failure> {
    match dice.below(10) {
        0 => Err(Failure::worker_lost()),
        1 => Err(Failure::non_retryable("Broken", "")),
        2 => Err(Failure::not_applied("No", "")),
        _ if activity_type == "find" => Ok(Payload::json(&match dice.below(2) {
            0 => Verdict::applied(3_u32),
            _ => Verdict::not_applied(),
        })
        .unwrap()),
        _ => Ok(Payload::json(&10).unwrap()),
    }
}

fn decision(dice: &mut Dice, world: &World) -> Option<Input> {
    let stuck: Vec<_> = world.state.stuck().collect();
    let stuck = stuck
        .get(usize::try_from(dice.below(stuck.len().max(1) as u64)).unwrap())?
        .clone();
    let kind = stuck.choices[usize::try_from(dice.below(stuck.choices.len() as u64)).unwrap()];
    let payload = Payload::json(&10).unwrap();
    let choice = match kind {
        ChoiceKind::Retry => Choice::Retry,
        ChoiceKind::RetryWith => Choice::RetryWith { input: payload },
        ChoiceKind::Skip => Choice::Skip,
        ChoiceKind::MarkDone => Choice::MarkDone { output: payload },
        ChoiceKind::GoForward => Choice::GoForward,
        ChoiceKind::GoBack => Choice::GoBack,
        // It would end most runs before anything interesting happens.
        ChoiceKind::Abandon if dice.below(10) > 0 => return None,
        ChoiceKind::Abandon => Choice::Abandon,
    };
    let (by, reason, request_id) = ("dice".to_owned(), String::new(), None);
    let step = stuck.step;
    Some(Input::Decide(Box::new(Decide {
        step,
        choice,
        by,
        reason,
        request_id,
    })))
}

fn happen(world: &mut World, dice: &mut Dice) {
    let due = world.due();
    match dice.below(12) {
        0..6 if !due.is_empty() => {
            let token = due[usize::try_from(dice.below(due.len() as u64)).unwrap()];
            let activity = world
                .state
                .activities()
                .find(|activity| activity.token() == token)
                .unwrap();
            let canceled = activity.cancel_requested && dice.below(2) == 0;
            let outcome = match canceled {
                true => Err(Failure::canceled("as asked")),
                false => outcome(dice, activity.attributes.activity_type.as_str()),
            };
            world.take(Input::AttemptEnded { token, outcome });
        }
        6..8 => {
            if let Some(decision) = decision(dice, world) {
                world.take(decision);
            }
        }
        8 => {
            if let Some(answer) = world.lock_answer() {
                world.take(answer);
            }
        }
        9 if dice.below(8) == 0 && world.state.cancel_requested().is_none() => {
            // Refused behind the pivot: nothing changes then.
            if !world.is_past_cancelling() {
                world.cancel();
            }
        }
        10 => world.crash(),
        _ => {
            world.pass_time();
        }
    }
}

/// What a rollback concerned is undone when it is completed, or a person has left it.
fn check_what_was_rolled_back(world: &World, seed: u64) {
    let history = world.history();
    let completed = |started: EventId| {
        let completes = |event: &Event| matches!(event.attributes, EventAttributes::SagaRollbackCompleted { started: of } if of == started);
        history.iter().any(completes)
    };
    for event in &history {
        let EventAttributes::SagaRollbackStarted { keep } = event.attributes else {
            continue;
        };
        let before = world.state.steps().filter(|step| step.scheduled < event.id);
        for step in before
            .skip(usize::try_from(keep).unwrap())
            .filter(|_| completed(event.id))
        {
            let settled = matches!(step.undo, UndoState::NotOwed | UndoState::Done | UndoState::Skipped);
            assert!(settled && step.state != StepState::Pending, "seed {seed}: {step:?}");
        }
    }
}

#[test]
fn whatever_happens_the_history_replays() {
    let ends = throw_dice(0..SEEDS, |world| world);
    for end in ["completed", "amended", "terminated"] {
        assert!(ends.contains_key(end), "the dice never lead to {end}: {ends:?}");
    }
}

#[test]
fn whatever_happens_every_turn_is_decided_alike_when_replayed_at_once() {
    let ends = throw_dice(SEEDS..SEEDS + 40, World::checking_every_turn);
    assert!(ends.len() > 1, "{ends:?}");
}

/// How often the runs of these seeds ended in which way.
fn throw_dice(
    seeds: std::ops::Range<u64>,
    prepare: impl Fn(World) -> World,
) -> std::collections::BTreeMap<String, u32> {
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for seed in seeds {
        let mut dice = Dice(seed);
        let mut world = prepare(World::new(everything, seed % 2 == 0).begun());
        if seed % 3 == 0 {
            world.taken = vec!["other"];
        }
        let mut happened = 0;
        while world.state.outcome().is_none() {
            happen(&mut world, &mut dice);
            happened += 1;
            assert!(happened < 5_000, "seed {seed} does not end: {:?}", world.history());
        }
        check_what_was_rolled_back(&world, seed);
        let status = world.state.outcome().map(Outcome::status).unwrap();
        *ends.entry(status.to_string()).or_default() += 1;
        world.finish();
    }
    ends
}
