//! Versions of workflow code, as a run's history records them. Must not live here: how code asks for them (`sdk`), or what
//! a history without them means (`replay`).

use std::fmt;

use super::{ChangeId, IdError, WorkflowType};

/// The version of a change that a run is older than: what its history says by saying nothing.
pub const DEFAULT_VERSION: i32 = -1;

/// The search attribute that lists the changes which a run has met: Temporal's name.
pub const CHANGE_VERSION: &str = "TemporalChangeVersion";

/// Changes that say which version of a whole workflow a run has: `place_order@2`.
impl ChangeId {
    /// The change that the history of a run of this version says to have met.
    ///
    /// # Errors
    /// When the version cannot be one.
    pub fn of_version(workflow_type: &WorkflowType, version: &str) -> Result<Self, IdError> {
        super::check_id("workflow version", version)?;
        Self::new(format!("{workflow_type}@{version}"))
    }

    /// The version of this workflow that the change stands for, if it does.
    #[must_use]
    pub fn version_of(&self, workflow_type: &WorkflowType) -> Option<&str> {
        self.as_str().strip_prefix(workflow_type.as_str())?.strip_prefix('@')
    }
}

/// What a run's history says about one change of its code. To Temporal's tools it is a marker, with the names and details
/// that Temporal's SDKs give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionMarker {
    /// The run takes the new branch of a patch.
    Patch {
        /// Which patch.
        id: ChangeId,
        /// No code has the old branch any more: the code may stop asking, too.
        deprecated: bool,
    },
    /// The run has this version of a change.
    Version {
        /// Which change.
        id: ChangeId,
        /// Its version.
        version: i32,
    },
}

impl VersionMarker {
    /// The name of the markers that record patches.
    pub const PATCH: &'static str = "core_patch";

    /// The name of the markers that record versions.
    pub const VERSION: &'static str = "Version";

    /// The change that it is about. Patches and versions of the same id are different changes.
    #[must_use]
    pub fn id(&self) -> &ChangeId {
        match self {
            VersionMarker::Patch { id, .. } | VersionMarker::Version { id, .. } => id,
        }
    }

    /// The marker's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            VersionMarker::Patch { .. } => Self::PATCH,
            VersionMarker::Version { .. } => Self::VERSION,
        }
    }

    /// How [`CHANGE_VERSION`] lists it: as Temporal's SDKs do.
    #[must_use]
    pub fn listed(&self) -> String {
        match self {
            VersionMarker::Patch { id, .. } => id.as_str().to_owned(),
            VersionMarker::Version { id, version } => format!("{id}-{version}"),
        }
    }

    /// Whether this name of a marker has a meaning of its own, so that no note may have it.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        [Self::PATCH, Self::VERSION].contains(&name)
    }
}

impl fmt::Display for VersionMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name(), self.id())?;
        match self {
            VersionMarker::Patch { deprecated: false, .. } => Ok(()),
            VersionMarker::Patch { deprecated: true, .. } => f.write_str(" (deprecated)"),
            VersionMarker::Version { version, .. } => write!(f, " = {version}"),
        }
    }
}
