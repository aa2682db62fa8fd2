//! One step: its defaults, and what its kind of work cannot have. Must not live here: what it does (that is `work`), or
//! checks that look at several steps.

use crate::model::{ActivityOptions, InFlight, StepKind, limits};

use super::super::authored::{Compensation, Foreach, OnAmbiguous, Retry, Saga, Step, Work};
use super::super::canonical;
use super::super::child::{NO_LIMIT, SAGA_UNDO_ACTIVITY};
use super::super::locations::{Part, Problems};
use super::check_not_empty;
use super::options::with_options;
use super::work::{Purpose, work};

/// What steps have that do not say otherwise.
pub(super) struct Defaults {
    forward: ActivityOptions,
    backward: ActivityOptions,
    on_ambiguous: Option<OnAmbiguous>,
    in_flight: InFlight,
}

impl Defaults {
    pub(super) fn of(saga: &Saga) -> Self {
        Self {
            forward: with_options(ActivityOptions::default(), &saga.defaults),
            backward: with_options(ActivityOptions::for_compensation(), &saga.compensation_defaults),
            on_ambiguous: saga.default_on_ambiguous.clone(),
            in_flight: saga.default_in_flight.unwrap_or_default(),
        }
    }
}

pub(super) fn step(
    step: &Step,
    previous: Option<&Step>,
    place: &str,
    defaults: &Defaults,
    problems: &mut Problems,
) -> canonical::Step {
    let after = match &step.after {
        Some(after) => after.clone(),
        None => previous
            .map(|step| step.name.clone().unwrap_or_default())
            .into_iter()
            .collect(),
    };
    let kind = step.kind.unwrap_or_default();
    let waits = what_waits(&step.work);
    if let Some(what) = waits {
        refuse_what_does_not_wait(step, what, place, problems);
    }
    // Retried until it succeeds is what a retriable step is: only its own word limits that, no default.
    let mut forward = defaults.forward.clone();
    if kind == StepKind::Retriable {
        forward.retry.maximum_attempts = 0;
    }
    if step.work.saga.is_some() {
        forward.start_to_close = Some(NO_LIMIT);
    }
    check_not_empty(step.when.as_ref(), &format!("{place}.when"), problems);
    canonical::Step {
        name: step.name.clone().unwrap_or_default(),
        kind,
        after,
        when: step.when.clone(),
        foreach: step.foreach.as_ref().map(|each| foreach(each, kind, place, problems)),
        work: work(&step.work, place, Purpose::Step, &forward, problems),
        compensation: compensation(step, kind, place, &defaults.backward, problems),
        on_ambiguous: match waits {
            Some(_) => None,
            None => on_ambiguous(step, place, defaults, problems),
        },
        in_flight: match waits {
            Some(_) => InFlight::default(),
            None => step.in_flight.unwrap_or(defaults.in_flight),
        },
    }
}

fn compensation(
    step: &Step,
    kind: StepKind,
    place: &str,
    defaults: &ActivityOptions,
    problems: &mut Problems,
) -> Option<canonical::Work> {
    match &step.compensation {
        Compensation::Nothing => None,
        Compensation::Work(work) => {
            let place = format!("{place}.compensation");
            Some(self::work(work, &place, Purpose::Compensation, defaults, problems))
        }
        // A child saga is undone as a unit, by its own compensations.
        Compensation::Unsaid if step.work.saga.is_some() && kind != StepKind::Retriable => Some(canonical::Work {
            action: canonical::Action::Activity(SAGA_UNDO_ACTIVITY.to_owned()),
            input: None,
            options: Some(canonical::Options::from(&ActivityOptions {
                start_to_close: Some(NO_LIMIT),
                ..defaults.clone()
            })),
        }),
        Compensation::Unsaid => None,
    }
}

fn on_ambiguous(
    step: &Step,
    place: &str,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Option<canonical::OnAmbiguous> {
    match step.on_ambiguous.as_ref().or(defaults.on_ambiguous.as_ref())? {
        OnAmbiguous::Compensate => None,
        OnAmbiguous::Ask => Some(canonical::OnAmbiguous::Ask),
        OnAmbiguous::Verify(verify) => {
            let place = format!("{place}.on_ambiguous.verify");
            let verify = work(verify, &place, Purpose::Verification, &defaults.backward, problems);
            Some(canonical::OnAmbiguous::Verify(Box::new(verify)))
        }
    }
}

fn foreach(foreach: &Foreach, kind: StepKind, place: &str, problems: &mut Problems) -> canonical::Foreach {
    let place = format!("{place}.foreach");
    let items = format!("{place}.items");
    check_not_empty(foreach.items.as_ref(), &items, problems);
    if foreach.items.is_none() && !problems.was_written(&items) {
        problems
            .error(&place, "`foreach` has no `items`")
            .hint("write items = \"${ input.lines }\"");
    }
    if foreach.concurrency == Some(0) {
        problems.error(&format!("{place}.concurrency"), "must be at least 1");
    }
    if kind == StepKind::Pivot {
        problems
            .error_in(&place, Part::Key, "a pivot cannot be a `foreach`")
            .hint("a saga has one go/no-go step: do it in one step, after the list");
    }
    canonical::Foreach {
        items: foreach.items.clone().unwrap_or_default(),
        concurrency: foreach.concurrency.unwrap_or(limits::FOREACH_CONCURRENCY_DEFAULT),
    }
}

fn what_waits(work: &Work) -> Option<&'static str> {
    match (&work.signal, &work.timer) {
        (Some(_), _) => Some("signal"),
        (None, Some(_)) => Some("timer"),
        (None, None) => None,
    }
}

/// Nothing is attempted by a step that waits, so that nothing can be retried, limited, doubtful or undone.
fn refuse_what_does_not_wait(step: &Step, what: &str, place: &str, problems: &mut Problems) {
    let options = &step.work.options;
    let unfit = [
        ("kind", step.kind.is_some()),
        ("foreach", step.foreach.is_some()),
        ("compensation", step.compensation != Compensation::Unsaid),
        ("on_ambiguous", step.on_ambiguous.is_some()),
        ("in_flight", step.in_flight.is_some()),
        ("start_to_close", options.start_to_close.is_some()),
        ("schedule_to_close", options.schedule_to_close.is_some()),
        ("schedule_to_start", options.schedule_to_start.is_some()),
        ("heartbeat", options.heartbeat.is_some()),
        ("task_queue", options.task_queue.is_some()),
        ("retry", options.retry != Retry::default()),
    ];
    for (key, _) in unfit.into_iter().filter(|(_, written)| *written) {
        let problem = problems.error_in(
            &format!("{place}.{key}"),
            Part::Key,
            format!("a `{what}` step has no `{key}`"),
        );
        problem.hint(match key {
            "schedule_to_close" | "start_to_close" if what == "signal" => "use `signal.timeout`",
            _ => "it only waits: nothing is attempted, and nothing is to be undone",
        });
    }
}
