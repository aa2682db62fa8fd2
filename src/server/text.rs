//! Small text forms for people: tables, durations, statuses. Must not live here: what is shown where.

use std::time::Duration;

use anstyle::Style;

use crate::engine::OverlapPolicy;
use crate::model::{Failure, FailureKind};

use super::console::Console;

/// A cell of a table.
pub(crate) struct Cell {
    text: String,
    style: Option<Style>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, style: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Cell {
    /// A cell with a colour.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style: Some(style),
        }
    }
}

/// The lines of a table, columns two spaces apart. The first row is the heading.
pub(crate) fn table<const COLUMNS: usize>(rows: &[[Cell; COLUMNS]], console: &Console) -> Vec<String> {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    let line = |row: &[Cell; COLUMNS]| {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let padding = width - cell.text.chars().count();
            match cell.style {
                Some(style) => line.push_str(&console.paint(style, &cell.text)),
                None => line.push_str(&cell.text),
            }
            line.push_str(&" ".repeat(padding + 2));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// `350 ms`, `12.3 s`, `5m 12s`.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string(),
    }
}

/// `1 run`, `2 runs`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// An overlap policy by its name.
pub(crate) fn policy(policy: OverlapPolicy) -> &'static str {
    match policy {
        OverlapPolicy::Skip => "skip",
        OverlapPolicy::BufferOne => "buffer-one",
        OverlapPolicy::BufferAll => "buffer-all",
        OverlapPolicy::CancelOther => "cancel-other",
        OverlapPolicy::TerminateOther => "terminate-other",
        OverlapPolicy::AllowAll => "allow-all",
    }
}

/// A failure on one line. Activities by their name in the run: every step of a saga may be an `http` activity.
pub(crate) fn failure(failure: &Failure) -> String {
    match (&failure.kind, &failure.cause) {
        (FailureKind::Activity { activity_id, .. }, Some(cause)) => format!("{activity_id} failed: {cause}"),
        _ => failure.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::console::{BAD, Format};

    #[test]
    fn columns_line_up_and_json_consoles_have_no_colours() {
        let console = Console::new(Format::Json);
        let rows = [
            ["id".into(), "status".into()],
            ["order-1".into(), Cell::styled("stuck", BAD)],
        ];
        assert_eq!(table(&rows, &console), ["id       status", "order-1  stuck"]);
    }

    #[test]
    fn durations_are_short() {
        let texts = [5, 12_345, 312_900].map(|millis| duration(Duration::from_millis(millis)));
        assert_eq!(texts, ["5 ms", "12.3 s", "5m 12s"]);
    }
}
