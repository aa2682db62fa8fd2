//! What the code was told about the changes of itself. Must not live here: what a history says about them (`replay`).
//!
//! A run that meets a change live takes its new branch, and its history records that. When the code is run again, what the
//! history says next is known in advance: with a record it takes the new branch again, without one the old. Either way it
//! is told the same for the rest of the run.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ChangeId, Command, DEFAULT_VERSION, EventId, VersionMarker, limits};

use super::Core;

/// Why the code cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// It asks for something that makes no sense.
    Senseless(String),
    /// It has no branch for the version that the run has.
    Version {
        change: ChangeId,
        /// `None`: the run is older than the change.
        recorded: Option<(EventId, i32)>,
        minimum: i32,
        maximum: i32,
    },
}

#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The code is being run again, on a turn that was decided before.
    replaying: bool,
    patches: Changes<()>,
    versions: Changes<i32>,
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct Changes<V> {
    /// What the history says, and where.
    recorded: BTreeMap<ChangeId, (EventId, V)>,
    /// What it says directly after the turn that is being decided again.
    ahead: BTreeSet<ChangeId>,
    /// What the code was told (`None`: that the run is older).
    told: BTreeMap<ChangeId, Option<V>>,
}

impl<V> Default for Changes<V> {
    fn default() -> Self {
        Self {
            recorded: BTreeMap::new(),
            ahead: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }
}

/// What a question leads to.
struct Answer<V> {
    value: Option<V>,
    /// It is to be recorded, or was recorded in this turn.
    record: bool,
}

impl<V: Copy> Changes<V> {
    fn read_ahead(&mut self, id: &ChangeId, event: EventId, value: V) {
        self.recorded.insert(id.clone(), (event, value));
        self.ahead.insert(id.clone());
        // The history has the last word: the code that wrote it had not asked before.
        self.told.remove(id);
    }

    fn ask(&mut self, id: &ChangeId, newest: V, replaying: bool) -> Answer<V> {
        if let Some(told) = self.told.get(id) {
            return Answer {
                value: *told,
                record: false,
            };
        }
        let recorded = self.recorded.get(id).map(|(_, value)| *value);
        let answer = match recorded {
            Some(value) => Answer {
                value: Some(value),
                record: self.ahead.contains(id),
            },
            None if replaying => Answer {
                value: None,
                record: false,
            },
            None => Answer {
                value: Some(newest),
                record: true,
            },
        };
        self.told.insert(id.clone(), answer.value);
        answer
    }

    /// Whether the history, or this code in this turn, has it already.
    fn knows(&self, id: &ChangeId) -> bool {
        self.recorded.contains_key(id) || self.told.contains_key(id)
    }

    fn is_full(&self, id: &ChangeId) -> bool {
        self.told.len() >= limits::CHANGES_PER_RUN_MAX && !self.told.contains_key(id)
    }
}

/// What the code calls.
impl Core {
    /// Whether the run has the patch.
    pub(in crate::sdk::workflow) fn patched(&mut self, id: &str, deprecated: bool) -> bool {
        // The answer would be remembered, and its marker be missing.
        self.expect_writable("ask for a patch");
        let Some(id) = self.change_id(id, |versions, id| versions.patches.knows(id)) else {
            return false;
        };
        self.ask_for_patch(id, deprecated)
    }

    /// Records which version of its workflow the code is. As a deprecated patch: no other code, and no tool of Temporal's, need
    /// ask for it.
    pub(in crate::sdk::workflow) fn say_workflow_version(&mut self, marker: ChangeId) {
        self.ask_for_patch(marker, true);
    }

    fn ask_for_patch(&mut self, id: ChangeId, deprecated: bool) -> bool {
        if self.versions.patches.is_full(&id) {
            self.refuse_more_changes();
            return false;
        }
        let answer = self.versions.patches.ask(&id, (), self.versions.replaying);
        if answer.record {
            let marker = VersionMarker::Patch { id, deprecated };
            self.commands.push(Command::RecordVersion(marker));
        }
        answer.value.is_some()
    }

    /// The version of the change that the run has, or, when the code has no branch for that, one that it has: the turn is
    /// thrown away then.
    pub(in crate::sdk::workflow) fn version(&mut self, id: &str, minimum: i32, maximum: i32) -> i32 {
        self.expect_writable("ask for a version");
        let Some(id) = self.change_id(id, |versions, id| versions.versions.knows(id)) else {
            return maximum;
        };
        if minimum > maximum || maximum < DEFAULT_VERSION {
            let message = format!(
                "no version of change {id:?} lies between {minimum} and {maximum}: the first is the oldest version that the \
                 code supports, the second the newest, and versions count from {DEFAULT_VERSION}"
            );
            self.refuse(Refusal::Senseless(message));
            return maximum;
        }
        if self.versions.versions.is_full(&id) {
            self.refuse_more_changes();
            return maximum;
        }
        let answer = self.versions.versions.ask(&id, maximum, self.versions.replaying);
        let version = answer.value.unwrap_or(DEFAULT_VERSION);
        if answer.record {
            let marker = VersionMarker::Version {
                id: id.clone(),
                version,
            };
            self.commands.push(Command::RecordVersion(marker));
        }
        if !(minimum..=maximum).contains(&version) {
            self.refuse(Refusal::Version {
                recorded: self.versions.versions.recorded.get(&id).copied(),
                change: id,
                minimum,
                maximum,
            });
        }
        version.clamp(minimum, maximum)
    }

    pub(in crate::sdk::workflow) fn is_replaying(&self) -> bool {
        self.versions.replaying
    }

    /// One that the code may ask about. What looks like a version of its workflow would be taken for it, were it recorded now;
    /// where it is recorded already it does no harm to ask again.
    fn change_id(&mut self, id: &str, is_known: impl FnOnce(&Versions, &ChangeId) -> bool) -> Option<ChangeId> {
        let refused = match ChangeId::new(id) {
            Err(error) => error.to_string(),
            Ok(id) => match id.version_of(&self.started.workflow_type) {
                Some(version) if !is_known(&self.versions, &id) => format!(
                    "the change {id:?} would be taken for version {version:?} of the workflow {:?}: give it an id that does \
                     not begin like that (which version the code is says `#[workflow(version = \"..\")]`)",
                    self.started.workflow_type
                ),
                _ => return Some(id),
            },
        };
        self.refuse(Refusal::Senseless(refused));
        None
    }

    fn refuse_more_changes(&mut self) {
        let message = format!(
            "a run may ask about {} changes: name them in the code, not by what it works on",
            limits::CHANGES_PER_RUN_MAX
        );
        self.refuse(Refusal::Senseless(message));
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.versions.refusal.get_or_insert(refusal);
    }
}

/// What `replay` calls.
impl Core {
    /// A turn begins that has not been decided before.
    pub(crate) fn go_live(&mut self) {
        self.versions.replaying = false;
        self.forget_ahead();
    }

    /// A turn begins that was decided before.
    pub(crate) fn go_over(&mut self) {
        self.versions.replaying = true;
        self.forget_ahead();
    }

    /// The turn that was decided before recorded this.
    pub(crate) fn read_ahead(&mut self, event: EventId, marker: &VersionMarker) {
        match marker {
            VersionMarker::Patch { id, .. } => self.versions.patches.read_ahead(id, event, ()),
            VersionMarker::Version { id, version } => self.versions.versions.read_ahead(id, event, *version),
        }
    }

    /// Why the code must not go on from this turn, if it must not.
    pub(crate) fn take_refusal(&mut self) -> Option<Refusal> {
        self.versions.refusal.take()
    }

    fn forget_ahead(&mut self) {
        self.versions.patches.ahead.clear();
        self.versions.versions.ahead.clear();
    }
}
