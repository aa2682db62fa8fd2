//! Version markers against what the code asked about: matched by their id, wherever among a turn's events they stand.
//! Must not live here: what the code is told (`sdk`).

use std::collections::BTreeMap;

use crate::model::{ChangeId, Command, Event, EventAttributes, EventId, ParkReason, VersionMarker};
use crate::sdk::{Core, Refusal};

/// The markers that the code asked for in its last turn.
#[derive(Debug, Default)]
pub(super) struct AskedMarkers(BTreeMap<(&'static str, ChangeId), VersionMarker>);

impl AskedMarkers {
    pub(super) fn of(commands: &[Command]) -> Self {
        let markers = commands.iter().filter_map(|command| match command {
            Command::RecordVersion(marker) => Some((key(marker), marker.clone())),
            _ => None,
        });
        Self(markers.collect())
    }

    /// Whether the code may have led to this marker. Not asking for a version, or for a patch that was deprecated, is how
    /// code ends a change.
    pub(super) fn confirm(&mut self, recorded: &VersionMarker) -> bool {
        let asked = self.0.remove(&key(recorded)).is_some();
        asked || !matches!(recorded, VersionMarker::Patch { deprecated: false, .. })
    }

    /// One that the history does not have.
    pub(super) fn missing(&self) -> Option<&VersionMarker> {
        self.0.values().next()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Tells the core what a turn recorded that it is to decide again.
pub(super) fn read_ahead(core: &mut Core, after_the_turn: &[Event]) {
    for event in after_the_turn {
        if let EventAttributes::VersionMarkerRecorded(marker) = &event.attributes {
            core.read_ahead(event.id, marker);
        }
    }
}

/// `next` is the place of what the turn would lead to.
pub(super) fn park_reason(refusal: Refusal, next: EventId) -> ParkReason {
    match refusal {
        Refusal::Senseless(message) => ParkReason::BadCommand { message },
        Refusal::Version {
            change,
            recorded,
            minimum,
            maximum,
        } => {
            let (at, recorded) = match recorded {
                Some((event, version)) => (
                    event,
                    VersionMarker::Version {
                        id: change.clone(),
                        version,
                    }
                    .to_string(),
                ),
                None => (next, "no version of it, which counts as -1".to_owned()),
            };
            ParkReason::Nondeterminism {
                at: at.0,
                expected: format!("a version from {minimum} to {maximum} of change {change:?}"),
                recorded,
            }
        }
    }
}

fn key(marker: &VersionMarker) -> (&'static str, ChangeId) {
    (marker.name(), marker.id().clone())
}
