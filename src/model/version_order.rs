//! The order of the versions that authors give to definitions and workflows. Must not live here: what has a version.

use std::cmp::Ordering;

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    /// Without its leading zeros, as long as it may be.
    Number(&'a str),
}

/// Which of two versions is newer.
///
/// They are compared part by part, as people read them: runs of digits as numbers, other letters as texts, whatever
/// separates them. Where one ends, a further number makes the other one newer (`1.2` < `1.2.1`), a further text older
/// (`2.0-rc1` < `2.0`). A number is newer than a text.
#[must_use]
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let (mut lefts, mut rights) = (parts(left).into_iter(), parts(right).into_iter());
    loop {
        let by_part = match (lefts.next(), rights.next()) {
            // The same to a reader (`1.0` and `1-0`): any order will do, if it is always the same.
            (None, None) => return left.cmp(right),
            (Some(Part::Text(_)), None) => Ordering::Less,
            (None, Some(Part::Text(_))) => Ordering::Greater,
            (Some(Part::Number(_)), None) => Ordering::Greater,
            (None, Some(Part::Number(_))) => Ordering::Less,
            (Some(Part::Text(left)), Some(Part::Text(right))) => left.cmp(right),
            (Some(Part::Number(left)), Some(Part::Number(right))) => left.len().cmp(&right.len()).then(left.cmp(right)),
            (Some(Part::Text(_)), Some(Part::Number(_))) => Ordering::Less,
            (Some(Part::Number(_)), Some(Part::Text(_))) => Ordering::Greater,
        };
        if by_part != Ordering::Equal {
            return by_part;
        }
    }
}

fn parts(version: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let same = |letter: char| match first.is_ascii_digit() {
            true => letter.is_ascii_digit(),
            false => letter.is_alphabetic(),
        };
        let end = rest.find(|letter| !same(letter)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end.max(first.len_utf8()));
        if first.is_ascii_digit() {
            parts.push(Part::Number(part.trim_start_matches('0')));
        } else if first.is_alphabetic() {
            parts.push(Part::Text(part));
        }
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_read_them() {
        let in_order = [
            "beta",
            "0.9",
            "1",
            "1.2",
            "1.2.1",
            "1.10",
            "2.0-alpha",
            "2.0-rc1",
            "2.0-rc2",
            "2.0-rc10",
            "2.0",
            "2.0.0",
            "2026-11-27",
        ];
        for (left, right) in in_order.iter().zip(in_order.iter().skip(1)) {
            assert_eq!(compare_versions(left, right), Ordering::Less, "{left} {right}");
            assert_eq!(compare_versions(right, left), Ordering::Greater, "{right} {left}");
        }
        assert_eq!(compare_versions("v2", "v10"), Ordering::Less);
        assert_eq!(compare_versions("1.0", "1.0"), Ordering::Equal);
        assert_ne!(compare_versions("1.0", "1-0"), Ordering::Equal);
    }
}
