//! Attempts and waits for which there is too little time, or too much. Must not live here: what is done when time is up.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{ActivityOptions, RetryPolicy, StepKind};

use super::super::canonical::{Action, Saga, Step, Timer, Work};
use super::super::child::NO_LIMIT;
use super::super::graph::Graph;
use super::super::locations::Problems;

/// Intervals that are added up one by one: by then they have reached the longest one, or hardly grow.
const INTERVALS_ADDED: u32 = 200;

/// Steps one after the other with how long each of them takes, and how long all of them take.
type Way<'a> = (Duration, Vec<(Duration, &'a Step)>);

pub(super) fn check(saga: &Saga, graph: &Graph, problems: &mut Problems) {
    for (index, step) in saga.steps.iter().enumerate() {
        let place = format!("step[{index}]");
        check_retries(&step.work, &format!("step `{}`", step.name), &place, problems);
        if let Some(compensation) = &step.compensation {
            let what = format!("the compensation of step `{}`", step.name);
            check_retries(compensation, &what, &format!("{place}.compensation"), problems);
        }
    }
    check_deadline(saga, graph, problems);
    check_unwinding(saga, graph, problems);
    check_endless(saga, graph, problems);
}

/// Attempts that were asked for, but for which there is no time.
fn check_retries(work: &Work, what: &str, place: &str, problems: &mut Problems) {
    let Some(options) = options_of(work) else { return };
    let attempts = options.retry.maximum_attempts;
    let (Some(limit), Some(takes)) = (options.schedule_to_close, all_attempts(&options)) else {
        return;
    };
    // Whoever gives each attempt all of the time counts on their being shorter.
    if takes > limit && options.start_to_close() != limit {
        let message = format!(
            "{attempts} attempts of {what} may take {}, longer than its `schedule_to_close` of {}",
            text(takes),
            text(limit)
        );
        problems
            .warning(&format!("{place}.schedule_to_close"), message)
            .hint("then the last ones are not made: raise it, or lower `start_to_close` or `retry.maximum_attempts`");
    }
}

/// How long going forward may take, up to the pivot: from there on, no deadline ends the saga.
fn check_deadline(saga: &Saga, graph: &Graph, problems: &mut Problems) {
    let limit = saga.run_timeout_us.map(Duration::from_micros);
    let before_pivot =
        |index: usize, step: &Step| (!is_past_pivot(index, &saga.steps, graph)).then(|| longest(&step.work));
    let way = longest_way(&saga.steps, graph, before_pivot);
    if let Some((takes, way)) = too_long(way, limit) {
        problems
            .warning(
                "run_timeout",
                format!(
                    "trying {} may take {takes}, longer than `run_timeout`",
                    way.join(", then ")
                ),
            )
            .hint("then the saga turns back while a step could still be tried: raise it, or try for a shorter time");
    }
}

/// How long going back may take.
fn check_unwinding(saga: &Saga, graph: &Graph, problems: &mut Problems) {
    let limit = saga.unwind_timeout_us.map(Duration::from_micros);
    let undo = |_: usize, step: &Step| {
        let undoable = step.kind != StepKind::Retriable;
        undoable.then(|| step.compensation.as_ref().map_or(Duration::ZERO, longest))
    };
    let way = longest_way(&saga.steps, graph, undo);
    if let Some((takes, mut way)) = too_long(way, limit) {
        way.reverse();
        problems
            .warning(
                "unwind_timeout",
                format!(
                    "undoing {} may take {takes}, longer than `unwind_timeout`",
                    way.join(", then ")
                ),
            )
            .hint("then a person is called while it could still be tried: raise it, or try for a shorter time");
    }
}

/// The way as names, without what takes no time, if it takes longer than it may.
fn too_long(way: Option<Way<'_>>, limit: Option<Duration>) -> Option<(String, Vec<String>)> {
    let (takes, way) = way?;
    let names = way.iter().filter(|(takes, _)| !takes.is_zero());
    let names = names.map(|(_, step)| format!("`{}`", step.name)).collect();
    (takes > limit?).then(|| (text(takes), names))
}

/// Steps that may go on for ever, when nothing else ends the run.
fn check_endless(saga: &Saga, graph: &Graph, problems: &mut Problems) {
    let mut endless = Vec::new();
    for (index, step) in saga.steps.iter().enumerate() {
        let past_pivot = is_past_pivot(index, &saga.steps, graph);
        match &step.work.action {
            Action::Signal(signal) if signal.timeout_us.is_none() && past_pivot => {
                let message = format!(
                    "step `{}` may wait for ever: after the pivot, no `run_timeout` ends it",
                    step.name
                );
                let place = format!("step[{index}].signal");
                problems
                    .warning(&place, message)
                    .hint("add a `timeout`, and a `default` to go on with");
            }
            Action::Signal(signal) if signal.timeout_us.is_none() => endless.push(step),
            _ if step.kind == StepKind::Retriable || past_pivot => {}
            _ => endless.extend(options_of(&step.work).filter(may_go_on_for_ever).map(|_| step)),
        }
    }
    let names: Vec<String> = endless.iter().map(|step| format!("`{}`", step.name)).collect();
    if let Some((first, others)) = names.split_first()
        && saga.run_timeout_us.is_none()
    {
        let more = match others.len() {
            0 => String::new(),
            1 => format!(" and {}", others.concat()),
            count => format!(" and {count} other steps"),
        };
        problems
            .warning("", format!("{first}{more} may go on for ever: nothing ends the saga then"))
            .hint(
                "add run_timeout = \"1h\" to the saga; or, to the step, `retry.maximum_attempts`, `schedule_to_close`, or \
                 a signal's `timeout`",
            );
    }
}

fn may_go_on_for_ever(options: &ActivityOptions) -> bool {
    let attempts = options.retry.maximum_attempts;
    options.schedule_to_close.is_none() && (attempts == 0 || options.start_to_close() >= NO_LIMIT)
}

fn is_past_pivot(index: usize, steps: &[Step], graph: &Graph) -> bool {
    let mut pivots = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.kind == StepKind::Pivot);
    pivots.any(|(pivot, _)| graph.waits_for(index, pivot))
}

/// The steps that take longest one after the other, with how long each of them takes; a step that takes `None` is left out.
fn longest_way<'a>(
    steps: &'a [Step],
    graph: &Graph,
    takes: impl Fn(usize, &Step) -> Option<Duration>,
) -> Option<Way<'a>> {
    // A step waits for more steps than any of those that it waits for.
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|step| graph.ancestors.get(*step).map_or(0, BTreeSet::len));
    let mut ways: Vec<Option<Way<'a>>> = vec![None; steps.len()];
    for index in order {
        let step = steps.get(index).and_then(|step| Some((takes(index, step)?, step)));
        let Some((takes, step)) = step else { continue };
        let before = graph.dependencies.get(index).into_iter().flatten();
        let before = before.filter_map(|before| ways.get(*before)?.as_ref());
        let before = before.max_by_key(|(takes, way)| (*takes, Reverse(way.len())));
        let (sum, mut way) = before.cloned().unwrap_or_default();
        way.push((takes, step));
        if let Some(slot) = ways.get_mut(index) {
            *slot = Some((sum.saturating_add(takes), way));
        }
    }
    let ways = ways.into_iter().flatten();
    ways.max_by_key(|(takes, way)| (*takes, Reverse(way.len())))
}

/// How long it may take. What is tried for ever counts with a single attempt, and what waits for ever not at all: how long
/// is then for the deadline to say.
fn longest(work: &Work) -> Duration {
    match &work.action {
        Action::Signal(signal) => return signal.timeout_us.map(Duration::from_micros).unwrap_or_default(),
        Action::Timer(Timer::AfterUs(time)) => return Duration::from_micros(*time),
        Action::Timer(Timer::Until(_)) => return Duration::ZERO,
        _ => {}
    }
    let Some(options) = options_of(work) else {
        return Duration::ZERO;
    };
    let one = Some(options.start_to_close()).filter(|one| *one < NO_LIMIT);
    let one = one.unwrap_or_default();
    let takes = all_attempts(&options).unwrap_or(one);
    options.schedule_to_close.map_or(takes, |limit| takes.min(limit))
}

fn options_of(work: &Work) -> Option<ActivityOptions> {
    work.options.as_ref().map(ActivityOptions::from)
}

/// How long all attempts and the intervals between them may take. `None`: there is no limit.
fn all_attempts(options: &ActivityOptions) -> Option<Duration> {
    let (start_to_close, retry) = (options.start_to_close(), &options.retry);
    let RetryPolicy { maximum_attempts, .. } = retry;
    let intervals = maximum_attempts.checked_sub(1).filter(|_| start_to_close < NO_LIMIT)?;
    let added = intervals.min(INTERVALS_ADDED);
    let waiting = (1..=added).fold(Duration::ZERO, |sum, attempt| {
        sum.saturating_add(retry.interval_after(attempt))
    });
    let rest = retry.interval_after(added).saturating_mul(intervals - added);
    Some(
        start_to_close
            .saturating_mul(*maximum_attempts)
            .saturating_add(waiting)
            .saturating_add(rest),
    )
}

fn text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
