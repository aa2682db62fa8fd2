//! Turns for tests: what only sagas have. Must not live here: assertions.

use proptest::prelude::*;

use super::{compensation, duration, event_id, failure, names, options, payload, retry_state, step_kind, text, time};
use crate::model::*;

fn choice_kind() -> BoxedStrategy<ChoiceKind> {
    proptest::sample::select(ChoiceKind::ALL.to_vec()).boxed()
}

pub(super) fn saga_options() -> BoxedStrategy<SagaOptions> {
    let escalation = (duration(), text(), options()).prop_map(|(after, kind, options)| Escalation {
        after,
        activity_type: ActivityType::from_trusted(kind),
        options,
    });
    let automatic = (duration(), choice_kind()).prop_map(|(after, choice)| AutomaticDecision { after, choice });
    (
        proptest::option::of(duration()),
        proptest::option::of(any::<u32>()),
        proptest::option::of(escalation),
        proptest::option::of(automatic),
    )
        .prop_map(|(unwind_timeout, unwind_parallel, escalation, automatic)| SagaOptions {
            unwind_timeout,
            unwind_parallel,
            escalation,
            automatic,
        })
        .boxed()
}

/// What happens to sagas only.
pub(super) fn saga_events() -> BoxedStrategy<EventAttributes> {
    use EventAttributes as E;
    let choice = prop_oneof![
        Just(Choice::Retry),
        payload().prop_map(|input| Choice::RetryWith { input }),
        Just(Choice::Skip),
        payload().prop_map(|output| Choice::MarkDone { output }),
        Just(Choice::GoForward),
        Just(Choice::GoBack),
        Just(Choice::Abandon),
    ];
    let decided = (
        proptest::option::of(event_id()),
        choice,
        text(),
        text(),
        proptest::option::of(text().prop_map(RequestId::from_trusted)),
        any::<bool>(),
    )
        .prop_map(|(step, choice, by, reason, request_id, automatic)| {
            E::SagaDecided(Box::new(SagaDecided {
                step,
                choice,
                by,
                reason,
                request_id,
                automatic,
            }))
        });
    let verdicts = vec![StepVerdict::Applied, StepVerdict::NotApplied, StepVerdict::Unknown];
    let wait = (
        text(),
        names(),
        proptest::option::of(text().prop_map(SignalName::from_trusted)),
        proptest::option::of(time()),
        proptest::option::of(payload()),
    )
        .prop_map(|(name, after, signal, until, default)| {
            E::SagaWaitStarted(Box::new(SagaWaitStarted {
                name: StepName::from_trusted(name),
                after,
                signal,
                until,
                default,
            }))
        });
    let wait_result = prop_oneof![
        event_id().prop_map(WaitResult::Signaled),
        proptest::sample::select(vec![WaitResult::Elapsed, WaitResult::TimedOut, WaitResult::Canceled]),
    ];
    prop_oneof![
        decided,
        (event_id(), failure(), retry_state()).prop_map(|(scheduled, failure, retry_state)| {
            E::SagaStepAmbiguous(Box::new(SagaStepAmbiguous {
                scheduled,
                failure,
                retry_state,
            }))
        }),
        (event_id(), proptest::sample::select(verdicts))
            .prop_map(|(scheduled, verdict)| E::SagaStepResolved { scheduled, verdict }),
        any::<u64>().prop_map(|keep| E::SagaRollbackStarted { keep }),
        event_id().prop_map(|started| E::SagaRollbackCompleted { started }),
        wait,
        (event_id(), wait_result).prop_map(|(started, result)| E::SagaWaitEnded { started, result }),
        (text(), names()).prop_map(|(name, after)| {
            let name = StepName::from_trusted(name);
            E::SagaStepSkipped(Box::new(SagaStepSkipped { name, after }))
        }),
        (text(), proptest::option::of(time()), any::<bool>()).prop_map(|(lock, until, no_wait)| {
            E::SagaLockRequested {
                lock: LockName::from_trusted(lock),
                until,
                no_wait,
            }
        }),
        event_id().prop_map(|requested| E::SagaLockAcquired { requested }),
        (event_id(), failure()).prop_map(|(requested, failure)| E::SagaLockRefused { requested, failure }),
        (any::<[u8; 16]>(), proptest::collection::vec(adopted(), 0..3)).prop_map(|(run, steps)| {
            let run_id = RunId::from_bytes(run);
            E::SagaAdopted(Box::new(SagaAdopted { run_id, steps }))
        }),
    ]
    .boxed()
}

fn adopted() -> BoxedStrategy<AdoptedStep> {
    let outcome = prop_oneof![payload().prop_map(Ok), failure().prop_map(Err)];
    (
        (text(), step_kind(), proptest::option::of(names()), payload()),
        (outcome, proptest::option::of(compensation()), event_id(), event_id()),
    )
        .prop_map(
            |((name, kind, after, input), (outcome, compensation, scheduled, closed))| AdoptedStep {
                name: StepName::from_trusted(name),
                kind,
                after,
                input,
                outcome,
                compensation,
                scheduled,
                closed,
            },
        )
        .boxed()
}
