//! What runs can be found by, beside their heads' own fields. Must not live here: how it is stored or found.

use std::sync::Arc;

use crate::model::{EventAttributes, ParentRun, RunStarted, SearchAttributes, Turn};

/// What a run can be found by, beside the fields of its head.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FoundBy {
    /// The run whose child it is.
    pub parent: Option<ParentRun>,
    /// Its search attributes.
    pub search_attributes: SearchAttributes,
}

impl FoundBy {
    /// What is to be stored of it with a turn: `None` when it is as before, which for a new run is nothing.
    ///
    /// `started` is how the run began, `attributes` are those that it has after the turn.
    #[must_use]
    pub fn after(turn: &Turn, started: Option<&RunStarted>, attributes: &SearchAttributes) -> Option<Arc<FoundBy>> {
        let parent = || started.and_then(|started| started.parent.clone());
        let is_change = |attributes: &_| matches!(attributes, EventAttributes::UpsertWorkflowSearchAttributes(_));
        let changed = turn.events.iter().any(|event| is_change(&event.attributes));
        let opens = turn.seq == 1 && (!attributes.is_empty() || parent().is_some());
        (changed || opens).then(|| {
            Arc::new(FoundBy {
                parent: parent(),
                search_attributes: attributes.clone(),
            })
        })
    }
}
