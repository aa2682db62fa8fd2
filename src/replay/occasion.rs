//! What a turn of the code is about, beside events and updates. Must not live here: what the code makes of it (`run`).

use crate::model::{Event, Timestamp};

use super::run::Run;
use super::versions;

/// When a turn is decided, and for the how manieth time.
#[derive(Clone, Copy)]
pub(super) struct Occasion<'a> {
    now: Timestamp,
    /// What a turn that was decided before led to; `None` for one that was not.
    led_to: Option<&'a [Event]>,
    /// Nothing but updates has arrived.
    pub(super) only_updates: bool,
}

impl<'a> Occasion<'a> {
    /// A turn that was not decided before.
    pub(super) fn live(now: Timestamp, only_updates: bool) -> Self {
        Self {
            now,
            led_to: None,
            only_updates,
        }
    }

    /// A turn that was decided before. One that came to nothing was forgotten: this one did not.
    pub(super) fn again(now: Timestamp, led_to: &'a [Event]) -> Self {
        Self {
            now,
            led_to: Some(led_to),
            only_updates: false,
        }
    }
}

impl Run {
    /// Returns the time of the turn before.
    pub(super) fn begin_turn(&mut self, occasion: &Occasion<'_>) -> Timestamp {
        let mut core = self.core.borrow_mut();
        let before = core.set_now(occasion.now);
        match occasion.led_to {
            Some(led_to) => {
                core.go_over();
                versions::read_ahead(&mut core, led_to);
            }
            None => core.go_live(),
        }
        before
    }
}
