//! The desk for stuck sagas as a person sees it at night: what is stuck, since when, why, what happens by itself, and the
//! command line of every choice that is open. Must not live here: which choices are open (`machine`), printing.

use std::path::Path;
use std::time::Duration;

use anstyle::Style;

use crate::engine::{RunDescription, Stuck};
use crate::model::{ChoiceKind, Payload, StuckReason, Timestamp};

use super::advice::{shell_path, shell_word};
use super::console::{BAD, FAINT, STRONG, WARN};
use super::text::{self, duration};

/// A line in pieces, each with its look.
pub(super) type Line = Vec<(Option<Style>, String)>;

/// A line as text, with the looks that `paint` gives.
pub(super) fn painted(line: &Line, paint: impl Fn(Style, &str) -> String) -> String {
    let pieces = line.iter().map(|(style, text)| match style {
        Some(style) => paint(*style, text),
        None => text.clone(),
    });
    pieces.collect()
}

/// The desk of a run; nothing when nothing is stuck. Without a data directory there is no command that could be typed.
pub(super) fn lines(run: &RunDescription, data: Option<&Path>, now: Timestamp) -> Vec<Line> {
    let mut lines = Vec::new();
    for stuck in &run.stuck {
        describe(stuck, run, now, &mut lines);
        if let Some(data) = data {
            choices(stuck, run, data, &mut lines);
        }
    }
    lines
}

/// What is stuck and why, on one line: for lists.
pub(super) fn summary(stuck: &Stuck, now: Timestamp) -> String {
    let step = stuck.step.as_ref().map(|step| format!("step {step}: "));
    let age = duration(now.since(stuck.since));
    format!("stuck for {age}: {}{}", step.unwrap_or_default(), stuck.reason)
}

fn describe(stuck: &Stuck, run: &RunDescription, now: Timestamp, lines: &mut Vec<Line>) {
    let field = |name: &str, value: String| {
        vec![
            (None, "  ".to_owned()),
            (Some(FAINT), format!("{name:<9}")),
            (None, value),
        ]
    };
    lines.push(vec![(Some(BAD), summary(stuck, now))]);
    lines.push(field("since", stuck.since.to_string()));
    lines.push(field("failure", text::failure(&stuck.failure)));
    if let Some((attempts, input)) = tried(stuck, run) {
        lines.push(field("attempts", attempts.to_string()));
        lines.push(field("input", shown(input)));
    }
    let options = run.saga_options.as_ref();
    if let Some(escalation) = options.and_then(|options| options.escalation.as_ref()) {
        let who = &escalation.activity_type;
        lines.push(field(
            "alert",
            match stuck.escalated {
                true => format!("{who} was called"),
                false => by_itself(&format!("{who} is called"), stuck, escalation.after, now),
            },
        ));
    }
    let automatic = options.and_then(|options| options.automatic);
    if let Some(automatic) = automatic.filter(|automatic| stuck.choices.contains(&automatic.choice)) {
        lines.push(vec![
            (None, "  ".to_owned()),
            (Some(FAINT), format!("{:<9}", "otherwise")),
            (
                Some(WARN),
                by_itself(&format!("{} is decided", automatic.choice), stuck, automatic.after, now),
            ),
        ]);
    }
}

fn by_itself(what: &str, stuck: &Stuck, after: Duration, now: Timestamp) -> String {
    let at = stuck.since.after(after);
    match at > now {
        true => format!("{what} in {}, at {at}", duration(at.since(now))),
        false => format!("{what} as soon as an engine runs"),
    }
}

/// How often the step, or its compensation, was tried, and with what.
fn tried<'a>(stuck: &Stuck, run: &'a RunDescription) -> Option<(u32, &'a Payload)> {
    let step = run.step(stuck.step.as_ref()?.as_str())?;
    match stuck.reason {
        StuckReason::RetriableFailed | StuckReason::Ambiguous => Some((step.attempts, &step.input)),
        StuckReason::CompensationFailed | StuckReason::UnwindTimeout => {
            let undoing = step.undoing.as_ref()?;
            Some((undoing.attempts, &undoing.input))
        }
        StuckReason::CompensationInput | StuckReason::FailedAfterPivot => None,
    }
}

/// An input to be copied, edited and given back with retry-with.
fn shown(input: &Payload) -> String {
    const BYTES_SHOWN_MAX: usize = 2048;
    match std::str::from_utf8(input.data()) {
        Ok(_) if input.is_null() => "null".to_owned(),
        Ok(text) if text.len() <= BYTES_SHOWN_MAX => text.to_owned(),
        _ => format!("{} bytes; amends show --json has them", input.data().len()),
    }
}

fn choices(stuck: &Stuck, run: &RunDescription, data: &Path, lines: &mut Vec<Line>) {
    lines.push(vec![
        (None, "  ".to_owned()),
        (Some(FAINT), "decide   one of:".to_owned()),
    ]);
    for choice in &stuck.choices {
        let meaning = meaning(*choice, stuck.reason);
        lines.push(vec![
            (None, "    ".to_owned()),
            (Some(STRONG), format!("{:<10}", choice.as_str())),
            (None, format!("  {meaning}")),
        ]);
        lines.push(vec![
            (None, "      ".to_owned()),
            (None, command(*choice, stuck, run.workflow_id.as_str(), data)),
        ]);
    }
}

/// What follows from the choice, in the words of what is stuck.
fn meaning(choice: ChoiceKind, reason: StuckReason) -> &'static str {
    use ChoiceKind as C;
    use StuckReason as R;
    match (reason, choice) {
        (R::RetriableFailed, C::Retry) => "try the step again",
        (R::RetriableFailed, C::RetryWith) => "try the step again, with another input",
        (R::RetriableFailed, C::Skip) => "go on without the step",
        (R::RetriableFailed, C::MarkDone) => "it is done by hand: go on, with this output",
        (R::Ambiguous, C::Retry) => "try the step again, under the same idempotency key",
        (R::Ambiguous, C::RetryWith) => "try the step again with another input, under the same idempotency key",
        (R::Ambiguous, C::MarkDone) => "it had its effect and returned this: go on",
        (R::Ambiguous, C::GoForward) => "it had its effect, what it returned is not known: go on",
        (R::Ambiguous, C::Skip) => "nothing happened: the step has failed, with nothing of it to undo",
        (R::Ambiguous, C::GoBack) => "it may have happened: undo it",
        (R::FailedAfterPivot, C::MarkDone) => "end the run as completed, with this result",
        (R::FailedAfterPivot, C::GoBack) => "undo everything, what the pivot did included",
        (_, C::Retry) => "try to undo the step again",
        (_, C::RetryWith) => "try to undo the step again, with another input for the compensation",
        (_, C::Skip) => "leave what the step did, and undo the rest",
        (_, C::MarkDone) => "the step is undone by hand: undo the rest",
        (_, C::GoForward) => "go on",
        (_, C::GoBack) => "turn back",
        (_, C::Abandon) => "end the run as it is: nothing more is done or undone",
    }
}

fn command(choice: ChoiceKind, stuck: &Stuck, id: &str, data: &Path) -> String {
    let mut words = vec!["amends decide".to_owned(), shell_word(id)];
    if let Some(step) = &stuck.step {
        words.push(format!("--step {}", shell_word(step.as_str())));
    }
    words.push(choice.to_string());
    let forward = matches!(
        stuck.reason,
        StuckReason::RetriableFailed | StuckReason::Ambiguous | StuckReason::FailedAfterPivot
    );
    match choice {
        ChoiceKind::RetryWith => words.push("--input JSON".to_owned()),
        ChoiceKind::MarkDone if forward => words.push("--output JSON".to_owned()),
        _ => {}
    }
    words.push("--by NAME --reason TEXT".to_owned());
    words.push(format!("--data {}", shell_path(data)));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failure, StepName};

    fn stuck(reason: StuckReason) -> Stuck {
        Stuck {
            step: Some(StepName::from_trusted("it's one")),
            reason,
            failure: Failure::new("Closed", "for the night"),
            since: Timestamp::EPOCH,
            escalated: false,
            choices: ChoiceKind::ALL.to_vec(),
        }
    }

    #[test]
    fn every_choice_is_a_command_that_a_shell_takes() {
        let line = |choice, reason| command(choice, &stuck(reason), "order 1", Path::new("data"));
        assert_eq!(
            line(ChoiceKind::Retry, StuckReason::CompensationFailed),
            r"amends decide 'order 1' --step 'it'\''s one' retry --by NAME --reason TEXT --data data"
        );
        assert!(line(ChoiceKind::RetryWith, StuckReason::Ambiguous).contains(" retry-with --input JSON "));
        assert!(line(ChoiceKind::MarkDone, StuckReason::Ambiguous).contains(" mark-done --output JSON "));
        assert!(!line(ChoiceKind::MarkDone, StuckReason::UnwindTimeout).contains("--output"));
    }

    #[test]
    fn a_summary_says_what_why_and_for_how_long() {
        let now = Timestamp::EPOCH.after(Duration::from_secs(3_660));
        assert_eq!(
            summary(&stuck(StuckReason::CompensationFailed), now),
            "stuck for 1h 1m: step it's one: a compensation failed for good"
        );
    }
}
