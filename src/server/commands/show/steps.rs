//! The steps of a run as a table, and what does not fit into it. Must not live here: the rest of a run.

use crate::engine::{CourseState, CourseView, RunDescription, StepState, StepView, UndoState};
use crate::model::StepVerdict;
use crate::server::console::{BAD, FAINT, GOOD, STRONG, WARN};
use crate::server::dto;
use crate::server::text::{Cell, duration};

pub(super) fn rows(run: &RunDescription) -> Vec<[Cell; 8]> {
    let heading = [
        "step",
        "kind",
        "state",
        "attempts",
        "took",
        "undo",
        "undo took",
        "last failure",
    ];
    let heading = heading.map(|title| Cell::styled(title, FAINT));
    let row = |step: &StepView| {
        let style = match &step.state {
            StepState::Pending if step.stuck => BAD,
            StepState::Pending => STRONG,
            StepState::Skipped => FAINT,
            StepState::Completed { .. } => GOOD,
            StepState::Failed { .. } => WARN,
        };
        let undo_style = match step.undo {
            UndoState::Stuck => BAD,
            UndoState::Running(_) if step.stuck => BAD,
            UndoState::Skipped => BAD,
            UndoState::Done | UndoState::Running(_) => WARN,
            UndoState::NotOwed | UndoState::Owed => FAINT,
        };
        let undo_attempts = step.undoing.as_ref().map_or(0, |undoing| undoing.attempts);
        let undo = match undo_attempts {
            0 | 1 => dto::undo_text(step).to_owned(),
            attempts => format!("{}, attempt {attempts}", dto::undo_text(step)),
        };
        let undo_took = step.undoing.as_ref().and_then(CourseView::took);
        // The way back is what matters once it has begun.
        let undo_failure = step.undoing.as_ref().and_then(|undoing| undoing.last_failure.as_ref());
        let failure = undo_failure.or(step.last_failure.as_ref()).map(ToString::to_string);
        [
            step.name.to_string().into(),
            step.kind.as_str().into(),
            Cell::styled(dto::state_text(step), style),
            step.attempts.to_string().into(),
            step.took().map(duration).unwrap_or_default().into(),
            Cell::styled(undo, undo_style),
            undo_took.map(duration).unwrap_or_default().into(),
            failure.unwrap_or_default().into(),
        ]
    };
    std::iter::once(heading).chain(run.steps.iter().map(row)).collect()
}

/// What is remarkable about single steps, one line each.
pub(super) fn details(run: &RunDescription) -> Vec<String> {
    run.steps.iter().flat_map(of_step).collect()
}

fn of_step(step: &StepView) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |what: String| lines.push(format!("  {}: {what}", step.name));
    if let Some(wait) = step.wait.as_ref().filter(|_| step.state == StepState::Pending) {
        let signal = wait.signal.as_ref().map(|signal| format!(" for signal {signal}"));
        let until = wait.until.map(|until| format!(" until {until}"));
        say(format!(
            "waits{}{}",
            signal.unwrap_or_default(),
            until.unwrap_or_default()
        ));
    }
    if let Some(verification) = &step.verification {
        let stands = match verification.state {
            CourseState::Pending => "is being verified",
            CourseState::Stuck | CourseState::Failed => "could not be verified",
            CourseState::Completed => "was verified",
        };
        let failure = verification.last_failure.as_ref().map(|failure| format!(": {failure}"));
        let (probe, attempts) = (&verification.activity_type, verification.attempts);
        say(format!(
            "{stands} by {probe}, attempt {attempts}{}",
            failure.unwrap_or_default()
        ));
    }
    if let Some(verdict) = step.verdict {
        say(match verdict {
            StepVerdict::Applied => "ended without an answer; it had its effect".to_owned(),
            StepVerdict::NotApplied => "ended without an answer; it had no effect".to_owned(),
            StepVerdict::Unknown => "ended without an answer; it may have had its effect".to_owned(),
        });
    }
    match step.late_results {
        0 => {}
        1 => say("a result came too late and was refused".to_owned()),
        results => say(format!("{results} results came too late and were refused")),
    }
    lines
}
