//! Which version of a workflow new runs take. Must not live here: which version a run has (`sdk/registry`).

use super::AmendsBuilder;

impl AmendsBuilder {
    /// Has new runs of a workflow take this version of its code, instead of the newest that is registered: for a version that is to
    /// come later, or to go back to.
    pub fn current_version(mut self, workflow_type: &str, version: &str) -> Self {
        let set = self.registry.set_current_version(workflow_type, version);
        self.registry_errors.extend(set.err());
        self
    }
}
