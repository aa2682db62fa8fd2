//! Sagas as pictures: what runs after what, and what is undone before what. Lives here: the drawing that definitions and
//! runs have in common, and the arrows that follow from it. Must not live here: how a format spells it (that is `mermaid`
//! and `dot`), or how a definition (`definition`) or a run comes to its steps.

mod definition;
mod dot;
mod mermaid;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use super::graph::reached;
use crate::model::StepKind;

/// The longest line of a label: what is longer is cut, a picture is not the place to read it.
const LINE_CHARACTERS: usize = 60;

/// A saga as a graph, forward and back: of a [definition](super::SagaDefinition::drawing) or of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawing {
    /// What stands above it.
    pub title: String,
    /// What the saga holds before its first step.
    pub locks: Vec<String>,
    /// The steps.
    pub steps: Vec<DrawnStep>,
    /// Whether its last steps lead to a completed saga.
    pub completes: bool,
    /// Whether its first compensations lead to an amended saga.
    pub amends: bool,
}

/// How a drawing is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawingFormat {
    /// A [Mermaid](https://mermaid.js.org) flowchart: for Markdown.
    Mermaid,
    /// A [Graphviz](https://graphviz.org) digraph: `dot -Tsvg`.
    Dot,
}

/// One step of a drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrawnStep {
    /// Its name.
    pub name: String,
    /// What it means for the saga's course.
    pub kind: StepKind,
    /// What it is.
    pub what: DrawnWhat,
    /// What it does, and when: one line each.
    pub notes: Vec<String>,
    /// The indices of the steps that it waits for.
    pub after: Vec<usize>,
    /// How it is undone.
    pub undo: Option<DrawnUndo>,
    /// How it stands, when it is a run's.
    pub state: Option<DrawnState>,
}

/// What a step is, as far as its shape tells that. The shape of a pivot or a retriable step tells its kind instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrawnWhat {
    /// Something that is done.
    #[default]
    Activity,
    /// Something that may be left out, or done many times.
    Perhaps,
    /// Waiting, for a signal or a time.
    Wait,
    /// Another saga.
    Child,
}

/// One compensation of a drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrawnUndo {
    /// What it does: one line each.
    pub notes: Vec<String>,
    /// How it stands, when it is a run's.
    pub state: Option<DrawnState>,
}

/// How a run's step or compensation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrawnState {
    /// It has not ended.
    Running,
    /// It ended with a result.
    Completed,
    /// It ended without one.
    Failed,
    /// It was undone; the compensation has done so.
    Undone,
    /// It waits for a person.
    Stuck,
    /// It was left out.
    Skipped,
}

/// What an arrow begins or ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Start,
    Step(usize),
    Undo(usize),
    Completed,
    Amended,
}

struct Arrow {
    from: End,
    to: End,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Back,
}

impl Drawing {
    /// The drawing as text that ends with a line break.
    #[must_use]
    pub fn render(&self, format: DrawingFormat) -> String {
        match format {
            DrawingFormat::Mermaid => mermaid::render(self),
            DrawingFormat::Dot => dot::render(self),
        }
    }

    /// Every arrow: forward in the order of the steps, then the way back.
    fn arrows(&self) -> Vec<Arrow> {
        let forward = |(from, to)| Arrow {
            from,
            to,
            way: Way::Forward,
        };
        let back = |(from, to)| Arrow {
            from,
            to,
            way: Way::Back,
        };
        let forward = self.forward().into_iter().map(forward);
        forward.chain(self.back().into_iter().map(back)).collect()
    }

    fn forward(&self) -> Vec<(End, End)> {
        let mut arrows = Vec::new();
        let mut last: BTreeSet<usize> = (0..self.steps.len()).collect();
        for (index, step) in self.steps.iter().enumerate() {
            if step.after.is_empty() {
                arrows.push((End::Start, End::Step(index)));
            }
            for before in &step.after {
                arrows.push((End::Step(*before), End::Step(index)));
                last.remove(before);
            }
        }
        if self.completes {
            arrows.extend(last.into_iter().map(|step| (End::Step(step), End::Completed)));
        }
        arrows
    }

    /// From a step that failed to its compensation, and from there to those of the steps before it. What cannot be undone
    /// is passed over. After the pivot nothing leads back.
    fn back(&self) -> Vec<(End, End)> {
        let mut arrows = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            if step.kind == StepKind::Retriable || self.is_past_pivot(index) {
                continue;
            }
            let from = match step.undo {
                Some(_) => {
                    arrows.push((End::Step(index), End::Undo(index)));
                    End::Undo(index)
                }
                None => End::Step(index),
            };
            let next = self.undone_next(index);
            if next.is_empty() && self.amends {
                arrows.push((from, End::Amended));
            }
            arrows.extend(next.into_iter().map(|next| (from, End::Undo(next))));
        }
        arrows
    }

    /// The nearest steps before this one that have a compensation.
    fn undone_next(&self, index: usize) -> BTreeSet<usize> {
        let compensated = |step: usize| self.steps.get(step).is_some_and(|step| step.undo.is_some());
        let mut nearest = reached(self.after(index), |step| match compensated(step) {
            true => &[],
            false => self.after(step),
        });
        nearest.retain(|step| compensated(*step));
        // What another one's way back leads to anyway needs no arrow of its own.
        let farther: BTreeSet<usize> = nearest.iter().flat_map(|step| self.before(*step)).collect();
        nearest.difference(&farther).copied().collect()
    }

    fn is_past_pivot(&self, index: usize) -> bool {
        let is_pivot = |step: usize| self.steps.get(step).is_some_and(|step| step.kind == StepKind::Pivot);
        self.before(index).into_iter().any(is_pivot)
    }

    /// Every step that this one waits for, directly or not.
    fn before(&self, index: usize) -> BTreeSet<usize> {
        reached(self.after(index), |step| self.after(step))
    }

    fn after(&self, index: usize) -> &[usize] {
        self.steps.get(index).map_or(&[], |step| step.after.as_slice())
    }

    /// The lines of the label of its beginning.
    fn start_lines(&self) -> Vec<String> {
        let locks: Vec<String> = self.locks.iter().map(|lock| format!("lock {lock}")).collect();
        lines("start".to_owned(), &locks)
    }

    /// The steps and compensations that stand like this, or of this kind: what a format gives a style of its own.
    fn ends_where(&self, step: impl Fn(&DrawnStep) -> bool, undo: impl Fn(&DrawnUndo) -> bool) -> Vec<End> {
        let mut ends = Vec::new();
        for (index, drawn) in self.steps.iter().enumerate() {
            if step(drawn) {
                ends.push(End::Step(index));
            }
            if drawn.undo.as_ref().is_some_and(&undo) {
                ends.push(End::Undo(index));
            }
        }
        ends
    }
}

impl DrawnStep {
    /// The lines of its label.
    fn lines(&self) -> Vec<String> {
        let name = match self.kind {
            StepKind::Compensatable => self.name.clone(),
            StepKind::Pivot => format!("{} (pivot)", self.name),
            StepKind::Retriable => format!("{} (retriable)", self.name),
        };
        lines(name, &self.notes)
    }

    /// The lines of its compensation's label.
    fn undo_lines(&self) -> Option<Vec<String>> {
        let undo = self.undo.as_ref()?;
        Some(lines(format!("undo {}", self.name), &undo.notes))
    }
}

fn lines(first: String, notes: &[String]) -> Vec<String> {
    let notes = notes.iter().filter(|note| !note.is_empty()).cloned();
    std::iter::once(first)
        .chain(notes)
        .map(|line| shortened(&line))
        .collect()
}

/// One line without control characters, not too long.
fn shortened(line: &str) -> String {
    let mut letters = line.chars();
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut short: String = letters.by_ref().take(LINE_CHARACTERS).map(plain).collect();
    if letters.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

impl DrawnState {
    const ALL: [DrawnState; 6] = [
        DrawnState::Running,
        DrawnState::Completed,
        DrawnState::Failed,
        DrawnState::Undone,
        DrawnState::Stuck,
        DrawnState::Skipped,
    ];

    fn as_str(self) -> &'static str {
        match self {
            DrawnState::Running => "running",
            DrawnState::Completed => "completed",
            DrawnState::Failed => "failed",
            DrawnState::Undone => "undone",
            DrawnState::Stuck => "stuck",
            DrawnState::Skipped => "skipped",
        }
    }

    /// The colours of what stands like this: of its inside and of its line.
    fn colors(self) -> (&'static str, &'static str) {
        match self {
            DrawnState::Running => ("#e3efff", "#1565c0"),
            DrawnState::Completed => ("#dcf5e0", "#2e7d32"),
            DrawnState::Failed => ("#fde2e0", "#c62828"),
            DrawnState::Undone => ("#fff3d6", "#b26a00"),
            DrawnState::Stuck => ("#ffb3ad", "#8e0000"),
            DrawnState::Skipped => ("#eeeeee", "#757575"),
        }
    }
}

impl fmt::Display for End {
    /// The name of the node, in every format.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Start => f.write_str("start"),
            End::Step(index) => write!(f, "s{index}"),
            End::Undo(index) => write!(f, "u{index}"),
            End::Completed => f.write_str("completed"),
            End::Amended => f.write_str("amended"),
        }
    }
}
