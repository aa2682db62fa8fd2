//! The index of search attributes: which runs in the database have which values. Must not live here: runs that are in
//! memory; what queries mean (`visibility`).
//!
//! A key has the name, the value in an order of bytes that is that of the values, and the run; nothing stands behind it. The
//! index may say of more runs that they are meant than are: texts are cut, large whole numbers rounded. Whoever asks looks at
//! the runs' heads.
//!
//! ```text
//! A length(2) name class(1) value run(16)
//! class   1 number: (8); 2 time: (8); 3 text: at most 64 bytes, 0; 4 true or false: (1); 5 words: nothing
//! ```

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Disk;
use super::index::run_mark;
use super::keys::{self, Key};
use crate::model::{RunId, Timestamp};
use crate::store::{Error, RunHead};
use crate::visibility::{Range, indexed};

/// Bytes of a text in a key: most differ before; those that do not are told apart by their runs' heads.
const TEXT_BYTES_MAX: usize = 64;

const NUMBER: u8 = 1;
const TIME: u8 = 2;
const TEXT: u8 = 3;
const BOOL: u8 = 4;
const WORDS: u8 = 5;

/// The keys of all search attributes of a run.
pub(super) fn entries(head: &RunHead) -> BTreeSet<Key> {
    let attributes = head.search_attributes().into_iter().flatten();
    let values = attributes.flat_map(|(name, value)| indexed(value).into_iter().map(move |range| (name, range)));
    values
        .map(|(name, range)| {
            let mut key = bounds(name, &range).0;
            if matches!(range, Range::Texts(..)) {
                key.push(0);
            }
            key.extend_from_slice(head.run_id.as_bytes());
            key
        })
        .collect()
}

/// Differs for each entry.
pub(super) fn mark(key: &[u8]) -> u64 {
    let run = keys::run_at_end(key).map_or(0, run_mark);
    run ^ (u64::from(crc32c::crc32c(key)) << 32)
}

/// The lowest and the highest key of the values of a range.
pub(super) fn bounds(name: &str, range: &Range) -> (Key, Key) {
    let key = |class: u8, value: &[u8]| {
        let mut key = keys::attribute(name, class);
        key.extend_from_slice(value);
        key
    };
    let ends = |class: u8, lower: Option<Vec<u8>>, upper: Option<Vec<u8>>, behind: &[u8]| {
        let highest = match upper {
            Some(upper) => [&key(class, &upper)[..], behind, &[u8::MAX; 16]].concat(),
            // Below every key of the next class, which are all longer.
            None => key(class + 1, &[]),
        };
        (key(class, &lower.unwrap_or_default()), highest)
    };
    match range {
        Range::Numbers(lower, upper) => ends(NUMBER, lower.map(number), upper.map(number), &[]),
        Range::Times(lower, upper) => ends(TIME, lower.map(time), upper.map(time), &[]),
        Range::Texts(lower, upper) => {
            let text = |text: &Option<String>| text.as_deref().map(cut);
            ends(TEXT, text(lower), text(upper), &[0])
        }
        Range::TextsWith(start) => ends(TEXT, Some(cut(start)), Some(cut(start)), &[u8::MAX]),
        Range::Bool(truth) => {
            let truth = vec![u8::from(*truth)];
            ends(BOOL, Some(truth.clone()), Some(truth), &[])
        }
        Range::Words => ends(WORDS, None, None, &[]),
    }
}

fn cut(text: &str) -> Vec<u8> {
    text.bytes().take(TEXT_BYTES_MAX).collect()
}

/// The order of the bytes is that of the numbers.
fn number(number: f64) -> Vec<u8> {
    // Minus zero is zero.
    let bits = (number + 0.0).to_bits();
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    ordered.to_be_bytes().to_vec()
}

fn time(time: Timestamp) -> Vec<u8> {
    let ordered = time.as_micros().cast_unsigned() ^ 1 << 63;
    ordered.to_be_bytes().to_vec()
}

impl Disk {
    /// The runs that have a value in one of the ranges, and perhaps some more; `None` when there are more than `most`.
    pub(super) fn runs_with(&self, name: &str, ranges: &[Range], most: usize) -> Result<Option<Vec<RunId>>, Error> {
        let mut runs = Vec::new();
        for range in ranges {
            let (lower, upper) = bounds(name, range);
            if self.runs_between(&lower, &upper, most, &mut runs)?.is_break() {
                return Ok(None);
            }
        }
        Ok(Some(runs))
    }

    /// The runs at the ends of the keys from `lower` to `upper`, both belonging to it; breaks when there are more than `most`.
    pub(super) fn runs_between(
        &self,
        lower: &[u8],
        upper: &[u8],
        most: usize,
        runs: &mut Vec<RunId>,
    ) -> Result<ControlFlow<()>, Error> {
        self.each_between(lower, upper, |key| {
            runs.extend(keys::run_at_end(key));
            match runs.len() > most {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
    }

    /// The names of all search attributes in the index, at most so many.
    pub(super) fn attribute_names(&self, most: usize) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        let mut from = vec![keys::ATTRIBUTE];
        let highest = vec![keys::ATTRIBUTE + 1];
        while names.len() < most {
            let mut next = None;
            let _ = self.each_between(&from, &highest, |key| {
                next = keys::read_attribute(key).map(str::to_owned);
                ControlFlow::Break(())
            })?;
            let Some(name) = next else { break };
            from = keys::attribute(&name, u8::MAX);
            names.insert(name);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{RunStatus, SearchAttributeValue};
    use crate::store::FoundBy;
    use crate::testing::store_conformance::turn;

    fn head(value: SearchAttributeValue) -> RunHead {
        let mut head = RunHead::opened_by(&turn(1, 1, 1, RunStatus::Running)).unwrap();
        head.found_by = Some(Arc::new(FoundBy {
            parent: None,
            search_attributes: [("a".to_owned(), value)].into(),
        }));
        head
    }

    /// Whether a run with this value is among those that the index gives for the range.
    fn finds(value: impl Into<SearchAttributeValue>, range: &Range) -> bool {
        let (lower, upper) = bounds("a", range);
        let keys = entries(&head(value.into()));
        keys.iter().any(|key| lower <= *key && *key <= upper)
    }

    #[test]
    fn values_are_between_the_bounds_of_their_ranges() {
        let numbers = |lower: Option<f64>, upper: Option<f64>| Range::Numbers(lower, upper);
        for (value, lower, upper, expected) in [
            (7.0, Some(7.0), Some(7.0), true),
            (7.0, Some(7.1), None, false),
            (-7.0, None, Some(-7.0), true),
            (-7.0, Some(-7.5), Some(0.0), true),
            (-8.0, Some(-7.5), Some(0.0), false),
            (0.0, Some(-0.0), Some(-0.0), true),
            (1e300, Some(1.0), None, true),
            (-1e300, None, Some(1.0), true),
        ] {
            assert_eq!(
                finds(value, &numbers(lower, upper)),
                expected,
                "{value} in {lower:?}..{upper:?}"
            );
        }
        assert!(finds(i64::MAX, &numbers(Some(i64::MAX as f64), None)));
        assert!(finds(3, &numbers(Some(2.5), Some(3.0))));
        let at = Timestamp::from_micros;
        assert!(finds(at(-5), &Range::Times(Some(at(-5)), Some(at(3)))));
        assert!(!finds(at(-6), &Range::Times(Some(at(-5)), None)));
        assert!(finds(true, &Range::Bool(true)) && !finds(true, &Range::Bool(false)));
        assert!(finds(
            SearchAttributeValue::Text("some words".to_owned()),
            &Range::Words
        ));
        assert!(!finds("x", &Range::Words) && !finds(1, &Range::Bool(true)));
    }

    #[test]
    fn texts_are_found_whole_by_their_beginning_and_in_their_order() {
        let texts =
            |lower: Option<&str>, upper: Option<&str>| Range::Texts(lower.map(str::to_owned), upper.map(str::to_owned));
        let long = "x".repeat(100);
        assert!(finds("ada", &texts(Some("ada"), Some("ada"))));
        assert!(!finds("adam", &texts(Some("ada"), Some("ada"))));
        assert!(!finds("ad", &texts(Some("ada"), Some("ada"))));
        assert!(finds("", &texts(Some(""), Some(""))) && finds("", &texts(None, Some("a"))));
        assert!(finds(long.as_str(), &texts(Some(&long), Some(&long))));
        assert!(finds("b", &texts(Some("a"), None)) && !finds("b", &texts(None, Some("a"))));
        assert!(finds("ada", &Range::TextsWith("ad".to_owned())) && finds("ad", &Range::TextsWith("ad".to_owned())));
        assert!(!finds("bad", &Range::TextsWith("ad".to_owned())));
        assert!(finds("\u{10ffff}", &Range::TextsWith(String::new())));
        assert!(finds(long.as_str(), &Range::TextsWith(long.clone())));
        assert!(finds(["a", "b"], &texts(Some("b"), Some("b"))));
    }

    #[test]
    fn each_entry_has_a_mark_of_its_own() {
        let marks = |value: SearchAttributeValue| entries(&head(value)).iter().map(|key| mark(key)).collect::<Vec<_>>();
        assert_ne!(marks("a".into()), marks("b".into()));
        assert_ne!(marks(1.into()), marks(true.into()));
        assert_eq!(entries(&head(["a", "b", "a"].into())).len(), 2);
    }
}
