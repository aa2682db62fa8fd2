//! Where a run that was made of others comes from: whose history is copied in it, and what it was told at its beginning. Must
//! not live here: what is copied, and what is refused.

use std::collections::BTreeMap;

use crate::machine::apply::ApplyError;
use crate::machine::state::RunState;
use crate::model::{
    Event, EventId, HoldReason, RequestId, ResetAttempt, RunId, RunReset, Timestamp, UpdateId, UpdateRequest,
};

/// Where a run that was made of others comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origins {
    /// Oldest first.
    resets: Vec<Origin>,
    /// Local activities that the code waits for since before the last of them, and the runs that asked for them first.
    locals: BTreeMap<u32, RunId>,
    /// The deduplication key of the request that made it.
    request_id: Option<RequestId>,
    /// Updates that its base had accepted: the next task is about them.
    readmitted: Vec<UpdateRequest>,
}

/// One of the resets that have made a run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Origin {
    /// Where what is copied ends.
    reset: EventId,
    /// The run that was reset.
    base: RunId,
    /// The run that wrote what is right before that: the base, unless that one has copied it itself.
    writer: RunId,
    /// The run that was made.
    made: RunId,
}

impl Origins {
    /// The run that wrote this event, if it is copied.
    fn writer_of(&self, event: EventId) -> Option<RunId> {
        let copied_in = self.resets.iter().find(|origin| event < origin.reset);
        copied_in.map(|origin| origin.writer)
    }

    /// Whether the run was reset for that, or wrote what is copied.
    #[must_use]
    pub fn contain(&self, run: RunId) -> bool {
        let is_one = |origin: &Origin| [origin.base, origin.writer].contains(&run);
        self.resets.iter().any(is_one)
    }

    /// Whether this event is of one of those runs, and is not copied.
    #[must_use]
    pub fn leave(&self, run: RunId, event: EventId) -> bool {
        self.contain(run) && self.writer_of(event) != Some(run)
    }
}

impl RunState {
    /// The run that wrote this event: another one, for what this one has copied when it was made of that one by a reset.
    #[must_use]
    pub fn writer_of(&self, event: EventId) -> Option<RunId> {
        let copied = self.origins().and_then(|origins| origins.writer_of(event));
        copied.or_else(|| self.run_id())
    }

    /// The run that asked for a local activity.
    #[must_use]
    pub fn writer_of_local(&self, seq: u32) -> Option<RunId> {
        let copied = self.origins().and_then(|origins| origins.locals.get(&seq).copied());
        copied.or_else(|| self.run_id())
    }

    /// Where the run comes from, if a reset has made it.
    #[must_use]
    pub fn origins(&self) -> Option<&Origins> {
        self.origins.as_deref()
    }

    /// The runs that were reset to make this one, the first of them first.
    pub fn bases(&self) -> impl Iterator<Item = RunId> {
        let resets = self.origins().into_iter().flat_map(|origins| &origins.resets);
        resets.map(|origin| origin.base)
    }

    /// Whether this request has made the run.
    #[must_use]
    pub fn was_made_by(&self, request_id: &RequestId) -> bool {
        let made_by = self.origins.as_ref().and_then(|origins| origins.request_id.as_ref());
        made_by == Some(request_id)
    }

    /// The updates that the next task is about before any other.
    pub(in crate::machine) fn readmitted(&self) -> &[UpdateRequest] {
        let origins = self.origins.as_deref();
        origins.map(|origins| origins.readmitted.as_slice()).unwrap_or_default()
    }

    pub(in crate::machine) fn is_readmitted(&self, update_id: &UpdateId) -> bool {
        self.readmitted().iter().any(|update| update.update_id == *update_id)
    }

    /// They were shown to the decider.
    pub(in crate::machine) fn forget_readmitted(&mut self) {
        if let Some(origins) = &mut self.origins {
            origins.readmitted.clear();
        }
    }

    /// A local activity of this number is asked for anew.
    pub(in crate::machine) fn forget_copied_local(&mut self, seq: u32) {
        if let Some(origins) = &mut self.origins {
            origins.locals.remove(&seq);
        }
    }

    pub(in crate::machine) fn apply_reset(&mut self, event: &Event, reset: &RunReset) -> Result<(), ApplyError> {
        let origins = self.origins.get_or_insert_default();
        // The history begins with what the original run wrote, and goes on with what was made of it, and of that.
        let before = origins.resets.last();
        let writer = before.map_or(reset.original_run_id, |before| before.made);
        origins.resets.push(Origin {
            reset: event.id,
            base: reset.base_run_id,
            writer,
            made: reset.new_run_id,
        });
        // What had been asked for even earlier is not asked for anew.
        let earlier = std::mem::take(&mut origins.locals);
        let locals = reset.locals.iter().map(|(seq, _)| *seq);
        origins.locals = locals
            .map(|seq| (seq, earlier.get(&seq).copied().unwrap_or(writer)))
            .collect();
        origins.request_id.clone_from(&reset.request_id);
        origins.readmitted.clone_from(&reset.updates);
        // What counts from a run's start counts from here.
        self.started_at = event.time;
        self.backoff_until = None;
        self.task_due = true;
        self.locals = reset.locals.iter().cloned().collect();
        self.inherit_children(&reset.children);
        // Of those that its base was left, these are still to be brought.
        self.inherit_messages(&reset.messages);
        for attempt in &reset.attempts {
            self.take_over(attempt, event.time)?;
        }
        for step in &reset.doubts {
            self.saga.doubt(*step);
        }
        Ok(())
    }

    /// An activity goes on under the number to which its base had come. An attempt that nobody has begun is held, and let go
    /// by whoever makes the run live; the others are due, and count as lost then.
    fn take_over(&mut self, from: &ResetAttempt, now: Timestamp) -> Result<(), ApplyError> {
        let activity = self.pending(from.scheduled)?;
        activity.attempt = from.attempt;
        activity.attempts_forgiven = from.forgiven;
        activity.may_have_applied |= from.may_have_applied;
        activity.held = (!from.lost).then_some(HoldReason::Stopping);
        activity.since_turn = 0;
        activity.budget_from = now;
        Ok(())
    }
}
