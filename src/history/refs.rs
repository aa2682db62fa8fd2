//! Which event of ours an event of a history that is read has become: ids are given anew, because a turn of ours takes three in
//! a row. Must not live here: reading events.

use std::collections::BTreeMap;

use crate::model::{EventId, TURN_EVENT_IDS};

/// Ids as the history has them, and ours.
#[derive(Debug, Default)]
pub(super) struct Refs {
    ours: BTreeMap<u64, EventId>,
    taken: u64,
}

impl Refs {
    /// The id that the next event gets.
    pub(super) fn next(&self) -> EventId {
        EventId(self.taken + 1)
    }

    pub(super) fn get(&self, theirs: u64) -> Option<EventId> {
        self.ours.get(&theirs).copied()
    }

    pub(super) fn take(&mut self, theirs: u64) {
        self.ours.insert(theirs, self.next());
        self.taken += 1;
    }

    /// A turn that the history does not have.
    pub(super) fn take_turn_of_ours(&mut self) {
        self.taken += TURN_EVENT_IDS;
    }

    /// A turn: its three events.
    pub(super) fn take_turn(&mut self, theirs: [u64; 3]) {
        for (place, theirs) in (0..).zip(theirs) {
            self.ours.insert(theirs, self.next().plus(place));
        }
        self.taken += TURN_EVENT_IDS;
    }
}
