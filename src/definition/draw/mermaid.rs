//! Drawings as Mermaid flowcharts. Must not live here: which arrows there are.

use std::fmt::Write;

use crate::model::StepKind;

use super::{Drawing, DrawnState, DrawnWhat, End, Way};

/// The flowchart.
pub(super) fn render(drawing: &Drawing) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(drawing, &mut text);
    text
}

fn write(drawing: &Drawing, text: &mut String) -> std::fmt::Result {
    // A JSON string is a YAML string too.
    let title = serde_json::Value::from(drawing.title.as_str());
    writeln!(text, "---\ntitle: {title}\n---\nflowchart TD")?;
    let arrows = drawing.arrows();
    let reaches = |end| arrows.iter().any(|arrow| arrow.to == end);
    match drawing.locks.is_empty() {
        true => writeln!(text, "    start((start))")?,
        false => writeln!(text, "    start(({}))", label(&drawing.start_lines()))?,
    }
    for (index, step) in drawing.steps.iter().enumerate() {
        let label = label(&step.lines());
        let (open, close) = match (step.kind, step.what) {
            (StepKind::Pivot, _) => ("{{", "}}"),
            (StepKind::Retriable, _) => ("([", "])"),
            (StepKind::Compensatable, DrawnWhat::Activity | DrawnWhat::Perhaps) => ("[", "]"),
            (StepKind::Compensatable, DrawnWhat::Wait) => ("[/", "/]"),
            (StepKind::Compensatable, DrawnWhat::Child) => ("[[", "]]"),
        };
        writeln!(text, "    s{index}{open}{label}{close}")?;
        if let Some(lines) = step.undo_lines() {
            writeln!(text, "    u{index}({})", self::label(&lines))?;
        }
    }
    for end in [End::Completed, End::Amended] {
        if reaches(end) {
            writeln!(text, "    {end}((({end})))")?;
        }
    }
    for arrow in &arrows {
        let line = match arrow.way {
            Way::Forward => "-->",
            Way::Back => "-.->",
        };
        writeln!(text, "    {} {line} {}", arrow.from, arrow.to)?;
    }
    let pivots = drawing.ends_where(|step| step.kind == StepKind::Pivot, |_| false);
    class("pivot", "stroke-width:3px", &pivots, text)?;
    let perhaps = drawing.ends_where(|step| step.what == DrawnWhat::Perhaps, |_| false);
    class("perhaps", "stroke-dasharray:2 2", &perhaps, text)?;
    let undos = drawing.ends_where(|_| false, |_| true);
    class("undo", "stroke-dasharray:5 4", &undos, text)?;
    for state in DrawnState::ALL {
        let (fill, stroke) = state.colors();
        let ends = drawing.ends_where(|step| step.state == Some(state), |undo| undo.state == Some(state));
        let style = format!("fill:{fill},stroke:{stroke},color:#000");
        class(state.as_str(), &style, &ends, text)?;
    }
    Ok(())
}

/// Gives nodes a class, if there are any.
fn class(name: &str, style: &str, ends: &[End], text: &mut String) -> std::fmt::Result {
    if ends.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = ends.iter().map(ToString::to_string).collect();
    writeln!(text, "    classDef {name} {style}")?;
    writeln!(text, "    class {} {name}", names.join(","))
}

/// A label in quotes, one line under the other. Whatever means something to Mermaid, to the HTML that it makes or to the
/// Markdown that it knows is written by its number.
fn label(lines: &[String]) -> String {
    let mut label = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            label.push_str("<br/>");
        }
        let mut before = None;
        for letter in line.chars() {
            // One `$` is itself, two begin a formula.
            let is_formula = letter == '$' && before == Some('$');
            if is_formula || "\"#<>&%`*\\".contains(letter) {
                let _ = write!(label, "#{};", u32::from(letter));
            } else {
                label.push(letter);
            }
            before = Some(letter);
        }
    }
    label.push('"');
    label
}
