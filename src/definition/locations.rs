//! Where things were written. Lives here: the map from places in a definition (`step[2].retry`) to positions in its
//! text, and the collector of problems that uses it. Must not live here: what counts as a problem.

use std::collections::BTreeMap;

use super::problem::{Position, Problem, Severity};

/// Byte offsets of one key and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Of the key; `None` for the elements of an array.
    pub(crate) key: Option<usize>,
    /// Of the value (of its header, for a table).
    pub(crate) value: usize,
    /// Of a string's first character, when the string is written without escapes, so that places inside it are known.
    pub(crate) text: Option<usize>,
}

/// Which part of a place a problem is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
    /// So many bytes into the string that is the value.
    Text(usize),
}

/// Collects problems and knows their positions. Definitions that were not read from a text have no positions.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    text: Option<String>,
    spots: BTreeMap<String, Spot>,
    found: Vec<Problem>,
}

impl Problems {
    /// For a definition read from this text.
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            text: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// Remembers where a place was written.
    pub(crate) fn locate(&mut self, place: &str, spot: Spot) {
        self.spots.insert(place.to_owned(), spot);
    }

    /// Whether something was written at a place, readable or not.
    pub(crate) fn was_written(&self, place: &str) -> bool {
        self.spots.contains_key(place)
    }

    /// The text that a span of the file covers.
    pub(crate) fn source(&self, span: std::ops::Range<usize>) -> Option<&str> {
        self.text.as_deref()?.get(span)
    }

    /// Adds an error about the value at a place.
    pub(crate) fn error(&mut self, place: &str, message: impl Into<String>) -> &mut Problem {
        self.add(place, Part::Value, Severity::Error, message.into())
    }

    /// Adds an error about a part of a place.
    pub(crate) fn error_in(&mut self, place: &str, part: Part, message: impl Into<String>) -> &mut Problem {
        self.add(place, part, Severity::Error, message.into())
    }

    /// Adds a warning about the value at a place.
    pub(crate) fn warning(&mut self, place: &str, message: impl Into<String>) -> &mut Problem {
        self.add(place, Part::Value, Severity::Warning, message.into())
    }

    /// Adds an error at a byte offset of the text.
    pub(crate) fn error_at(&mut self, offset: usize, message: impl Into<String>) {
        let position = self.position(offset);
        self.found.push(Problem {
            position,
            place: String::new(),
            message: message.into(),
            hint: None,
            severity: Severity::Error,
        });
    }

    /// Whether the definition cannot be used.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors were found so far.
    pub(crate) fn errors(&self) -> usize {
        let errors = self.found.iter();
        errors.filter(|problem| problem.severity == Severity::Error).count()
    }

    /// Everything that was found, in the order of the text.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| (problem.position, problem.severity));
        self.found.dedup();
        self.found
    }

    fn add(&mut self, place: &str, part: Part, severity: Severity, message: String) -> &mut Problem {
        let position = self.offset(place, part).and_then(|offset| self.position(offset));
        self.found.push(Problem {
            position,
            place: place.to_owned(),
            message,
            hint: None,
            severity,
        });
        self.found.last_mut().expect("a problem was just pushed")
    }

    /// The offset of a place, or of the nearest place around it that was written.
    fn offset(&self, place: &str, part: Part) -> Option<usize> {
        self.text.as_ref()?;
        if let Some(spot) = self.spots.get(place) {
            return Some(match part {
                Part::Key => spot.key.unwrap_or(spot.value),
                Part::Value => spot.value,
                Part::Text(bytes) => spot.text.map_or(spot.value, |start| start.saturating_add(bytes)),
            });
        }
        let mut around = place;
        while let Some(end) = around.rfind(['.', '[']) {
            around = around.get(..end).unwrap_or_default();
            if let Some(spot) = self.spots.get(around) {
                return Some(spot.key.unwrap_or(spot.value));
            }
        }
        Some(0)
    }

    fn position(&self, offset: usize) -> Option<Position> {
        let text = self.text.as_deref()?;
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = text.get(..end)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |start| start.chars().count()) + 1;
        Some(Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        })
    }
}

impl Problem {
    /// Says what to do about it.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    /// Says what to do about it, when there is something to say.
    pub(crate) fn maybe_hint(&mut self, hint: Option<String>) {
        self.hint = hint;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_fall_back_to_what_is_around() {
        let mut problems = Problems::of_text("a = 1\nü = \"xyz\"\n");
        problems.locate(
            "b",
            Spot {
                key: Some(6),
                value: 11,
                text: Some(12),
            },
        );
        problems.error("b", "value");
        problems.error_in("b", Part::Text(1), "text");
        problems.error("b.c[3].d", "around");
        problems.error("z", "nowhere");
        let at: Vec<_> = problems
            .into_sorted()
            .into_iter()
            .map(|problem| (problem.message, problem.position.unwrap()))
            .map(|(message, at)| (message, at.line, at.column))
            .collect();
        let expected = [("nowhere", 1, 1), ("around", 2, 1), ("value", 2, 5), ("text", 2, 7)];
        assert_eq!(
            at,
            expected.map(|(message, line, column)| (message.to_owned(), line, column))
        );
    }
}
