//! The drawing of a definition. Lives here: what a label says of a step. Must not live here: arrows and formats.

use std::time::Duration;

use super::super::canonical::{self, Action, OnAmbiguous, Step, Timer, Work};
use super::super::child::SAGA_UNDO_ACTIVITY;
use super::super::saga::SagaDefinition;
use super::{Drawing, DrawnStep, DrawnUndo, DrawnWhat};

impl SagaDefinition {
    /// The definition as a graph: the order of its steps, and the order in which they are undone.
    ///
    /// ```
    /// use amends::definition::{DrawingFormat, SagaDefinition, Step};
    ///
    /// let saga = SagaDefinition::builder("trip").step(Step::activity("flight", "book").compensate("cancel")).build()?;
    /// assert!(saga.drawing().render(DrawingFormat::Mermaid).contains("s0 -.-> u0"));
    /// # Ok::<(), amends::definition::DefinitionError>(())
    /// ```
    #[must_use]
    pub fn drawing(&self) -> Drawing {
        // The canonical form has every text as it was written, where the compiled one has only what is executed.
        let canonical = canonical::Saga::from_bytes(self.canonical_json());
        let canonical = canonical.expect("a definition's own canonical form can be read");
        let steps = canonical.steps.iter().zip(self.steps());
        let steps = steps.map(|(step, compiled)| DrawnStep {
            name: step.name.clone(),
            kind: step.kind,
            what: what(step),
            notes: notes(step),
            after: compiled.dependencies().to_vec(),
            undo: step.compensation.as_ref().map(|work| DrawnUndo {
                notes: vec![action(&work.action)],
                state: None,
            }),
            state: None,
        });
        Drawing {
            title: canonical.name,
            locks: canonical.locks,
            steps: steps.collect(),
            completes: true,
            amends: true,
        }
    }
}

fn what(step: &Step) -> DrawnWhat {
    match &step.work.action {
        Action::Signal(_) | Action::Timer(_) => DrawnWhat::Wait,
        Action::Saga(_) => DrawnWhat::Child,
        _ if step.when.is_some() || step.foreach.is_some() => DrawnWhat::Perhaps,
        _ => DrawnWhat::Activity,
    }
}

/// What it does, and under which circumstances, a line each.
fn notes(step: &Step) -> Vec<String> {
    let mut notes = vec![action(&step.work.action)];
    if let Some(when) = &step.when {
        notes.push(format!("when {}", inside(when)));
    }
    if let Some(foreach) = &step.foreach {
        notes.push(format!(
            "for each of {}, {} at once",
            inside(&foreach.items),
            foreach.concurrency
        ));
    }
    match &step.on_ambiguous {
        None => {}
        Some(OnAmbiguous::Ask) => notes.push("nobody knows: ask a person".to_owned()),
        Some(OnAmbiguous::Verify(work)) => notes.push(format!("nobody knows: {}", verification(work))),
    }
    notes
}

fn verification(work: &Work) -> String {
    action(&work.action)
}

/// What is done, in one line.
fn action(action: &Action) -> String {
    match action {
        Action::Activity(name) if name == SAGA_UNDO_ACTIVITY => "all of the child".to_owned(),
        Action::Activity(name) => name.clone(),
        Action::Http(http) => format!("{} {}", http.method, http.url),
        Action::Exec(exec) => exec.command.join(" "),
        Action::Saga(child) => format!("saga {}", child.name),
        Action::Signal(signal) => {
            let limit = signal.timeout_us.map(|limit| format!(", up to {}", duration(limit)));
            format!("waits for {}{}", signal.name, limit.unwrap_or_default())
        }
        Action::Timer(Timer::AfterUs(time)) => format!("waits {}", duration(*time)),
        Action::Timer(Timer::Until(time)) => match time.as_str() {
            Some(text) => format!("waits until {}", inside(text)),
            None => format!("waits until {time}"),
        },
    }
}

fn duration(micros: u64) -> String {
    humantime::format_duration(Duration::from_micros(micros)).to_string()
}

/// The expression that a text is, without what marks it as one.
fn inside(text: &str) -> &str {
    let inside = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.map_or(text, str::trim)
}
