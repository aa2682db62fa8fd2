//! Drawings as Graphviz digraphs. Must not live here: which arrows there are.

use std::fmt::Write;

use crate::model::StepKind;

use super::{Drawing, DrawnState, DrawnWhat, End, Way};

/// The digraph.
pub(super) fn render(drawing: &Drawing) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(drawing, &mut text);
    text
}

fn write(drawing: &Drawing, text: &mut String) -> std::fmt::Result {
    let title = quoted(std::slice::from_ref(&drawing.title));
    writeln!(text, "digraph {title} {{")?;
    writeln!(
        text,
        "    label={title}; labelloc=t; rankdir=TB; fontname=\"sans-serif\";"
    )?;
    writeln!(text, "    node [fontname=\"sans-serif\", shape=box];")?;
    match drawing.locks.is_empty() {
        true => writeln!(text, "    start [shape=circle];")?,
        false => writeln!(
            text,
            "    start [label={}, shape=circle];",
            quoted(&drawing.start_lines())
        )?,
    }
    for (index, step) in drawing.steps.iter().enumerate() {
        let shape = match (step.kind, step.what) {
            (StepKind::Pivot, _) => "shape=hexagon, penwidth=3",
            (StepKind::Retriable, _) => "shape=ellipse",
            (StepKind::Compensatable, DrawnWhat::Activity | DrawnWhat::Perhaps) => "shape=box",
            (StepKind::Compensatable, DrawnWhat::Wait) => "shape=parallelogram",
            (StepKind::Compensatable, DrawnWhat::Child) => "shape=box, peripheries=2",
        };
        let perhaps = if step.what == DrawnWhat::Perhaps { "dotted" } else { "" };
        let label = quoted(&step.lines());
        writeln!(
            text,
            "    s{index} [label={label}, {shape}{}];",
            filled(perhaps, step.state)
        )?;
        if let (Some(undo), Some(lines)) = (&step.undo, step.undo_lines()) {
            let style = filled("rounded,dashed", undo.state);
            writeln!(text, "    u{index} [label={}{style}];", quoted(&lines))?;
            // Beside its step, so that the way forward leads down and the way back up again.
            writeln!(text, "    {{ rank=same; s{index}; u{index}; }}")?;
        }
    }
    let arrows = drawing.arrows();
    for end in [End::Completed, End::Amended] {
        if arrows.iter().any(|arrow| arrow.to == end) {
            writeln!(text, "    {end} [shape=doublecircle];")?;
        }
    }
    for arrow in &arrows {
        let style = match (arrow.way, arrow.from) {
            (Way::Forward, _) => "",
            (Way::Back, End::Step(_)) => " [style=dashed]",
            // Drawn, but without a say in what stands above what.
            (Way::Back, _) => " [style=dashed, constraint=false]",
        };
        writeln!(text, "    {} -> {}{style};", arrow.from, arrow.to)?;
    }
    writeln!(text, "}}")
}

/// The style of a node that stands like this.
fn filled(style: &str, state: Option<DrawnState>) -> String {
    match state {
        Some(state) => {
            let (fill, line) = state.colors();
            let style = if style.is_empty() {
                "filled".to_owned()
            } else {
                format!("{style},filled")
            };
            format!(
                ", style=\"{style}\", fillcolor=\"{fill}\", color=\"{line}\", class={}",
                state.as_str()
            )
        }
        None if style.is_empty() => String::new(),
        None => format!(", style=\"{style}\""),
    }
}

/// A text in quotes, one line under the other.
fn quoted(lines: &[String]) -> String {
    let mut quoted = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            quoted.push_str("\\n");
        }
        for letter in line.chars() {
            match letter {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                // Graphviz reads HTML's entities in every text.
                '&' => quoted.push_str("&amp;"),
                letter if letter.is_control() => quoted.push(' '),
                letter => quoted.push(letter),
            }
        }
    }
    quoted.push('"');
    quoted
}
