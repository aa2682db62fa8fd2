//! How a run's head follows from its turns: the same for every store. Must not live here: where heads are kept.

use super::{Error, RunHead, RunWake, TurnRecord};
use crate::model::SearchAttributes;
use crate::visibility::Subject;

/// Where a run stands within a batch that is being checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Turns so far, those earlier in the batch included.
    pub(crate) turns: u64,
    /// Whether the last of them ended the run.
    pub(crate) closed: bool,
}

impl Place {
    /// Checks that a turn continues the run that stands here (`None`: an unknown run) and gives the place after it.
    ///
    /// # Errors
    /// [`Error::Refused`] for a gap, a repetition, a turn after the end, and a beginning that is none.
    pub(crate) fn after(place: Option<Place>, turn: &TurnRecord) -> Result<Place, Error> {
        let refused = |why: String| {
            Err(Error::Refused(format!(
                "turn {} of run {}: {why}",
                turn.seq, turn.run_id
            )))
        };
        let turns = place.map_or(0, |place| place.turns);
        if place.is_some_and(|place| place.closed) {
            return refused(format!("the run ended with turn {turns}"));
        }
        if turn.seq != turns.saturating_add(1) {
            return refused(format!("the run has {turns} turns"));
        }
        match (&turn.opens, turn.seq) {
            (Some(_), 1) => {}
            (None, 1) => return refused("a first turn has to say what the run is".to_owned()),
            (Some(_), _) => return refused("only a first turn says what the run is".to_owned()),
            (None, _) => {}
        }
        Ok(Place {
            turns: turn.seq,
            closed: turn.status.is_closed(),
        })
    }
}

impl RunHead {
    /// The head of a run before its first turn; `None` when the turn is not a first one.
    pub(crate) fn opened_by(turn: &TurnRecord) -> Option<RunHead> {
        let new = turn.opens.as_ref()?;
        Some(RunHead {
            workflow_id: new.workflow_id.clone(),
            run_id: turn.run_id,
            workflow_type: new.workflow_type.clone(),
            status: turn.status,
            started_at: turn.time,
            closed_at: None,
            turns: 0,
            next_event: turn.next_event,
            wake: None,
            history_bytes: 0,
            found_by: None,
        })
    }

    /// Moves the head past one more turn, which was checked before.
    pub(crate) fn advance(&mut self, turn: &TurnRecord) {
        self.status = turn.status;
        self.closed_at = turn.status.is_closed().then_some(turn.time);
        self.turns = turn.seq;
        self.next_event = turn.next_event;
        self.wake = turn.wake;
        if let Some(found_by) = &turn.found_by {
            self.found_by = Some(found_by.clone());
        }
        self.history_bytes = self
            .history_bytes
            .saturating_add(u64::try_from(turn.bytes.len()).unwrap_or(u64::MAX));
    }

    /// The run's search attributes.
    #[must_use]
    pub fn search_attributes(&self) -> Option<&SearchAttributes> {
        self.found_by.as_deref().map(|found_by| &found_by.search_attributes)
    }

    /// What a query may ask of the run.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        let found_by = self.found_by.as_deref();
        Subject {
            workflow_id: self.workflow_id.as_str(),
            run_id: self.run_id,
            workflow_type: self.workflow_type.as_str(),
            status: self.status,
            started_at: self.started_at,
            closed_at: self.closed_at,
            history_length: self.next_event.saturating_sub(1),
            history_bytes: self.history_bytes,
            parent: found_by.and_then(|found_by| found_by.parent.as_ref()),
            search_attributes: found_by.map(|found_by| &found_by.search_attributes),
        }
    }

    /// When the run must be looked at after a restart; `None` if it need not be.
    pub(crate) fn wakes(&self) -> Option<RunWake> {
        let at = self.wake.filter(|_| !self.status.is_closed())?;
        Some(RunWake {
            run_id: self.run_id,
            workflow_id: self.workflow_id.clone(),
            at,
        })
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            turns: self.turns,
            closed: self.status.is_closed(),
        }
    }
}
