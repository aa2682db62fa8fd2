//! Runs that are not in memory: the shard knows nothing of them, and looks into the store when somebody asks. Must not live
//! here: making them live.

use crate::model::{RunId, WorkflowId};
use crate::store::{Error, RunHead};

use super::super::messages::Take;
use super::ShardActor;
use super::entry::{Entry, Presence};

/// What there is under a workflow id.
pub(super) enum LookedUp {
    /// An open run, which has an entry from here on.
    Open,
    /// One that has ended.
    Ended(RunHead),
    Unknown,
}

impl ShardActor {
    /// Looks for a run: this one, or the newest one with its workflow id.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn look_up(&mut self, workflow_id: &WorkflowId, run_id: Option<RunId>) -> Result<LookedUp, Error> {
        let entry = self.entries.get(workflow_id);
        if entry.is_some_and(|entry| run_id.is_none_or(|wanted| wanted == entry.run_id)) {
            return Ok(LookedUp::Open);
        }
        let store = self.shared.store.get()?;
        let found = match run_id {
            Some(run_id) => store.head(run_id)?.filter(|head| head.workflow_id == *workflow_id),
            None => store.find(workflow_id)?,
        };
        Ok(match found {
            None => LookedUp::Unknown,
            Some(head) if head.status.is_closed() => LookedUp::Ended(head),
            Some(head) => {
                self.supersede(workflow_id, head.run_id);
                self.entry_of(workflow_id, head.run_id);
                LookedUp::Open
            }
        })
    }

    /// This run is open: whichever else has its id's entry has ended, durably, and its actor has just not said so yet. Who
    /// waits for that one looks into the store.
    fn supersede(&mut self, workflow_id: &WorkflowId, run_id: RunId) {
        if self
            .entries
            .get(workflow_id)
            .is_some_and(|entry| entry.run_id != run_id)
        {
            drop(self.let_go(workflow_id));
        }
    }

    /// Takes the entry of a run that has ended out of the table, with who waits for the run. The run answers what was on its
    /// way to it: a repeated start is still the same request.
    pub(super) fn let_go(&mut self, workflow_id: &WorkflowId) -> Option<Entry> {
        let mut ended = self.entries.remove(workflow_id)?;
        let letters = ended.take_letters();
        if let Presence::Live(actor) | Presence::Passivating(actor, _) = &ended.actor {
            letters.into_iter().for_each(|letter| actor.do_send(Take(letter)));
        }
        self.live.remove(workflow_id);
        self.timers.remove(workflow_id);
        Some(ended)
    }

    /// Whether this very run is open. One that cannot be looked for is not, to whoever only has news for it.
    pub(super) fn knows_open(&mut self, workflow_id: &WorkflowId, run_id: RunId) -> bool {
        matches!(self.look_up(workflow_id, Some(run_id)), Ok(LookedUp::Open))
    }

    /// The entry of an open run, if need be a new one.
    pub(super) fn entry_of(&mut self, workflow_id: &WorkflowId, run_id: RunId) -> &mut Entry {
        let unseen = &mut self.unseen;
        let begun_until = self.begun_until;
        self.entries.entry(workflow_id.clone()).or_insert_with(|| {
            let mut entry = Entry::new(run_id, Presence::Passive);
            entry.attempts_lost = unseen.remove(&run_id).then_some(begun_until);
            entry
        })
    }

    /// Forgets runs that are not in memory and that nobody waits for; the store has them.
    pub(super) fn forget_passive(&mut self) {
        self.entries.retain(|_, entry| !entry.is_forgettable());
        // Tables grow with what there is at once, but never get smaller by themselves.
        let roomy = |len: usize, capacity: usize| capacity > ROOM_KEPT && capacity / 8 > len;
        if roomy(self.entries.len(), self.entries.capacity()) {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        if roomy(self.live.len(), self.live.capacity()) {
            self.live.shrink_to(self.live.len() * 2);
        }
    }
}

/// Entries for which a table has room whatever is in it.
const ROOM_KEPT: usize = 4_096;
