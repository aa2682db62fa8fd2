//! The changes of its code that a run has met, as a search attribute: they follow from the markers in its history, so that
//! there is no event for it. Must not live here: who records markers (`task`), finding runs (`visibility`).
//!
//! The code does not see this attribute, so it is told the same whether its run was begun before or after markers were listed.

use super::state::RunState;
use crate::model::{CHANGE_VERSION, SearchAttributeValue, SearchAttributes, VersionMarker, limits};

/// Lists a change that the run has met, as long as there is room.
pub(super) fn list(attributes: &mut SearchAttributes, marker: &VersionMarker) {
    let listed = marker.listed();
    match attributes.get_mut(CHANGE_VERSION) {
        Some(SearchAttributeValue::KeywordList(list)) => {
            let fits = bytes(&*list) + bytes([&listed]) <= limits::CHANGE_VERSION_BYTES_MAX;
            if fits && !list.contains(&listed) {
                list.push(listed);
            }
        }
        // What the code itself has put there has no place in the list.
        _ => {
            let list = SearchAttributeValue::KeywordList(vec![listed]);
            attributes.insert(CHANGE_VERSION.to_owned(), list);
        }
    }
}

/// The attributes that are the user's. More than is ever listed here must be the user's, too.
pub(super) fn without(attributes: &SearchAttributes) -> SearchAttributes {
    let mut attributes = attributes.clone();
    if let Some(SearchAttributeValue::KeywordList(list)) = attributes.get(CHANGE_VERSION)
        && bytes(list) <= limits::CHANGE_VERSION_BYTES_MAX
    {
        attributes.remove(CHANGE_VERSION);
    }
    attributes
}

impl RunState {
    /// What the run can be found by that was given to it: without the list.
    #[cfg(feature = "runtime")]
    pub(crate) fn given_search_attributes(&self) -> SearchAttributes {
        without(&self.search_attributes)
    }

    /// Whether the run has the search attributes that an index has of it. The list is not there of a run that met its last
    /// change before there was a list: it may be missing as a whole, but not be another one. So what [`list`] makes of the same
    /// history must stay the same: with more room, say, the runs that are stored would seem to be damaged.
    #[cfg(feature = "runtime")]
    pub(crate) fn is_found_by(&self, listed: Option<&SearchAttributes>) -> bool {
        let listed = || listed.into_iter().flatten();
        let same = self.search_attributes.iter().eq(listed());
        let theirs = || {
            self.search_attributes
                .iter()
                .filter(|(name, _)| *name != CHANGE_VERSION)
        };
        same || theirs().eq(listed())
    }
}

fn bytes<'a>(list: impl IntoIterator<Item = &'a String>) -> usize {
    list.into_iter().map(|listed| listed.len() + 2).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChangeId;

    fn patch(id: &str) -> VersionMarker {
        VersionMarker::Patch {
            id: ChangeId::from_trusted(id),
            deprecated: false,
        }
    }

    fn version(id: &str, version: i32) -> VersionMarker {
        VersionMarker::Version {
            id: ChangeId::from_trusted(id),
            version,
        }
    }

    fn listed(attributes: &SearchAttributes) -> String {
        match attributes.get(CHANGE_VERSION) {
            Some(SearchAttributeValue::KeywordList(list)) => list.join(" "),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn changes_are_listed_in_their_order_and_once() {
        let mut attributes = SearchAttributes::new();
        for marker in [patch("b"), version("a", 2), patch("a-2"), version("c", -1)] {
            list(&mut attributes, &marker);
        }
        assert_eq!(listed(&attributes), "b a-2 c--1");
        assert!(without(&attributes).is_empty());
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut attributes = SearchAttributes::new();
        for number in 0..1_000 {
            list(&mut attributes, &patch(&format!("change-{number:03}")));
        }
        let all = listed(&attributes);
        assert!(
            all.starts_with("change-000 change-001 ") && all.ends_with(" change-041"),
            "{all}"
        );
        list(&mut attributes, &patch("longer-one"));
        assert!(listed(&attributes).ends_with(" change-041"));
    }

    #[test]
    fn what_the_code_has_put_there_makes_room() {
        let mut attributes = SearchAttributes::from([(CHANGE_VERSION.to_owned(), "mine".into())]);
        assert_eq!(without(&attributes), attributes);
        list(&mut attributes, &patch("a"));
        assert_eq!(listed(&attributes), "a");
        let long = "l".repeat(limits::CHANGE_VERSION_BYTES_MAX);
        let attributes = SearchAttributes::from([(CHANGE_VERSION.to_owned(), [long.as_str()].into())]);
        assert_eq!(without(&attributes), attributes, "it counts as the user's");
    }

    #[cfg(feature = "runtime")]
    #[test]
    fn an_index_of_before_does_not_have_the_list() {
        let stage = SearchAttributes::from([("Stage".to_owned(), "new".into())]);
        let mut state = RunState {
            search_attributes: stage.clone(),
            ..RunState::default()
        };
        assert!(state.is_found_by(Some(&stage)) && !state.is_found_by(None));
        list(&mut state.search_attributes, &patch("a"));
        assert!(state.is_found_by(Some(&stage)) && state.is_found_by(Some(&state.search_attributes)));
        let mut other = stage;
        list(&mut other, &patch("b"));
        assert!(!state.is_found_by(Some(&other)) && !state.is_found_by(None));
    }
}
