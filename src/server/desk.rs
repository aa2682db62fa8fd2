//! The desk for stuck sagas as a person sees it at night: what is stuck, since when, why, what happens by itself, and the
//! command line of every choice that is open. Must not live here: which choices are open (`machine`), printing.

use std::time::Duration;

use anstyle::Style;

use crate::engine::{RunDescription, Stuck};
use crate::model::{ChoiceKind, Payload, StuckReason, Timestamp};

use super::advice::{options, shell_word};
use super::console::{BAD, FAINT, STRONG, WARN};
use super::input::DataArgs;
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

/// The desk of a run.
pub(super) struct Desk<'a> {
    pub(super) run: &'a RunDescription,
    /// Where the run is kept; without it there is no command that could be typed.
    pub(super) data: Option<&'a DataArgs>,
    pub(super) now: Timestamp,
    /// Whether the inputs are shown: to be copied, edited, and given back with retry-with.
    pub(super) with_inputs: bool,
}

impl Desk<'_> {
    /// Everything that is stuck; nothing when nothing is.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for stuck in &self.run.stuck {
            lines.push(vec![(Some(BAD), summary(stuck, self.now))]);
            self.facts(stuck, &mut lines);
            self.by_itself(stuck, &mut lines);
            if let Some(data) = self.data {
                choices(stuck, self.run, data, &mut lines);
            }
        }
        lines
    }

    fn facts(&self, stuck: &Stuck, lines: &mut Vec<Line>) {
        lines.push(field("since", None, stuck.since.to_string()));
        lines.push(field("failure", None, text::failure(&stuck.failure)));
        if let Some((attempts, input)) = tried(stuck, self.run) {
            lines.push(field("attempts", None, attempts.to_string()));
            if self.with_inputs {
                lines.push(field("input", None, shown(input)));
            }
        }
    }

    /// What happens when no person decides.
    fn by_itself(&self, stuck: &Stuck, lines: &mut Vec<Line>) {
        let Some(options) = &self.run.saga_options else {
            return;
        };
        let when = |what: String, after: Duration| {
            let at = stuck.since.after(after);
            match at > self.now {
                true => format!("{what} in {}, at {at}", duration(at.since(self.now))),
                false => format!("{what} as soon as an engine runs"),
            }
        };
        if let Some(escalation) = &options.escalation {
            let who = &escalation.activity_type;
            let alert = match stuck.escalated {
                true => format!("{who} was called"),
                false => when(format!("{who} is called"), escalation.after),
            };
            lines.push(field("alert", None, alert));
        }
        if let Some(automatic) = options
            .automatic
            .filter(|automatic| stuck.choices.contains(&automatic.choice))
        {
            let decided = when(format!("{} is decided", automatic.choice), automatic.after);
            lines.push(field("otherwise", Some(WARN), decided));
        }
    }
}

fn field(name: &str, style: Option<Style>, value: String) -> Line {
    vec![
        (None, "  ".to_owned()),
        (Some(FAINT), format!("{name:<9} ")),
        (style, value),
    ]
}

/// What is stuck and why, on one line: for lists.
pub(super) fn summary(stuck: &Stuck, now: Timestamp) -> String {
    let step = stuck.step.as_ref().map(|step| format!("step {step}: "));
    let age = duration(now.since(stuck.since));
    format!("stuck for {age}: {}{}", step.unwrap_or_default(), stuck.reason)
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

fn choices(stuck: &Stuck, run: &RunDescription, data: &DataArgs, lines: &mut Vec<Line>) {
    lines.push(field("decide", None, "one of:".to_owned()));
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

fn command(choice: ChoiceKind, stuck: &Stuck, id: &str, data: &DataArgs) -> String {
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
    words.push(options(data));
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
        let data = DataArgs {
            data: "data".into(),
            namespace: crate::model::NamespaceName::default(),
        };
        let line = |choice, reason| command(choice, &stuck(reason), "order 1", &data);
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
