//! Limits of activity types that a definition file names. They are the engine's, not a run's: no part of what is journaled. Must not
//! live here: keeping them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::ActivityLimits;

use super::exec::EXEC_ACTIVITY;
use super::locations::{Part, Problems};
use super::problem::did_you_mean;
use super::saga::SagaDefinition;

/// The word for steps that run programs: the key that they have in files.
pub(crate) const EXEC_WORD: &str = "exec";

impl SagaDefinition {
    /// What its file grants activity types, for the engine that loads it. A definition that was built in Rust, or read back from
    /// its canonical form, has none.
    #[must_use]
    pub fn activity_limits(&self) -> &BTreeMap<String, ActivityLimits> {
        &self.0.activity_limits
    }

    /// The same definition with limits, which are of activities that it has.
    pub(super) fn with_activity_limits(
        mut self,
        limits: &BTreeMap<String, ActivityLimits>,
        problems: &mut Problems,
    ) -> Self {
        // Of a broken definition nobody knows which activities it has.
        if limits.is_empty() || problems.has_errors() {
            return self;
        }
        let types: Vec<&str> = self.activity_types().map(|(_, activity)| activity.as_str()).collect();
        let mut of_types = BTreeMap::new();
        for (name, limits) in limits {
            let activity_type = if name == EXEC_WORD { EXEC_ACTIVITY } else { name };
            if !types.contains(&activity_type) {
                let message = format!("nothing in this saga runs the activity `{name}`");
                let known = types
                    .iter()
                    .map(|known| if *known == EXEC_ACTIVITY { EXEC_WORD } else { known });
                problems
                    .error_in(&format!("activity_limits.{name}"), Part::Key, message)
                    .maybe_hint(did_you_mean(name, known));
            }
            of_types.insert(activity_type.to_owned(), limits.clone());
        }
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.activity_limits = of_types;
        }
        self
    }
}
