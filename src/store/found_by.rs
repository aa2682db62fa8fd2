//! What runs can be found by, beside their heads' own fields; and all that are open. Must not live here: how it is stored
//! or found.

use std::sync::Arc;

use super::ListQuery;
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
        // Which event asked for it, only its history says.
        let parent = started.and_then(|started| started.parent.clone());
        let parent = || {
            parent.clone().map(|parent| ParentRun {
                initiated: None,
                ..parent
            })
        };
        let is_change = |attributes: &_| {
            use EventAttributes::{UpsertWorkflowSearchAttributes, VersionMarkerRecorded};
            matches!(attributes, UpsertWorkflowSearchAttributes(_) | VersionMarkerRecorded(_))
        };
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

impl ListQuery {
    /// All open runs of all namespaces.
    #[cfg(feature = "runtime")]
    pub(crate) fn open_runs() -> Self {
        use crate::model::RunStatus;
        use crate::visibility::{Known, Query};

        let open = RunStatus::ALL.into_iter().filter(|status| !status.is_closed());
        // Says the same in a way that an index knows.
        let query = Query::parse("CloseTime IS NULL", &Known::default());
        Self {
            statuses: open.collect(),
            filter: query.ok().map(|query| query.filter),
            ..Self::default()
        }
    }
}
