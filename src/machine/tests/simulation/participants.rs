//! The services behind the activities, as the saga's participants should be: idempotent by key, and a compensation fences
//! off a forward request that is still on its way. They know what really happened. Must not live here: the machine's view.

use std::collections::BTreeMap;

use super::chance::Chance;
use crate::machine::tests::scenario::{broken, busy, declined, unreachable};
use crate::model::*;

/// What really happened, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    Applied(String),
    Undone(String),
}

/// What one participant remembers of one step.
#[derive(Default)]
struct Memory {
    key: Option<EventId>,
    applied: bool,
    refused: bool,
    undone: bool,
}

#[derive(Default)]
pub(super) struct Participants {
    memories: BTreeMap<String, Memory>,
    pub(super) effects: Vec<Effect>,
}

impl Participants {
    /// A forward request arrives.
    pub(super) fn forward(&mut self, name: &str, key: EventId, chance: &mut Chance, calm: bool) -> AttemptOutcome {
        let memory = self.memories.entry(name.to_owned()).or_default();
        let known = *memory.key.get_or_insert(key);
        assert_eq!(known, key, "the idempotency key of {name} is stable");
        if memory.undone || memory.refused {
            return Err(declined());
        }
        if memory.applied {
            return Ok(Payload::null());
        }
        let luck = if calm { 99 } else { chance.below(100) };
        match luck {
            0..10 => return Err(busy()),
            10..15 => return Err(unreachable()),
            15..20 => {
                memory.refused = true;
                return Err(declined());
            }
            20..22 => return Err(broken()),
            _ => {}
        }
        memory.applied = true;
        self.effects.push(Effect::Applied(name.to_owned()));
        match luck {
            22..24 => Err(broken()),
            24..30 => Err(busy()),
            _ => Ok(Payload::null()),
        }
    }

    /// A compensation arrives. There may be nothing to undo; from here on there never will be.
    pub(super) fn undo(&mut self, name: &str, chance: &mut Chance, calm: bool) -> AttemptOutcome {
        let luck = if calm { 99 } else { chance.below(100) };
        match luck {
            0..20 => return Err(busy()),
            20..22 => return Err(broken()),
            _ => {}
        }
        let memory = self.memories.entry(name.to_owned()).or_default();
        if !memory.undone {
            memory.undone = true;
            self.effects.push(Effect::Undone(name.to_owned()));
        }
        match luck {
            22..30 => Err(busy()),
            _ => Ok(Payload::null()),
        }
    }

    /// Somebody asks whether a forward request had its effect. If not, it never will have.
    pub(super) fn verify(&mut self, name: &str, chance: &mut Chance, calm: bool) -> AttemptOutcome {
        let luck = if calm { 99 } else { chance.below(100) };
        match luck {
            0..10 => return Err(busy()),
            10..12 => return Err(broken()),
            _ => {}
        }
        let memory = self.memories.entry(name.to_owned()).or_default();
        memory.refused |= !memory.applied;
        let verdict = match memory.applied {
            true => Payload::json(&Verdict::applied(1)),
            false => Payload::json(&Verdict::<()>::not_applied()),
        };
        Ok(verdict.expect("small enough"))
    }

    /// A person makes sure that a forward request that had no effect never has one.
    pub(super) fn refuse(&mut self, name: &str) {
        self.memories.entry(name.to_owned()).or_default().refused = true;
    }

    /// A person does by hand what a forward request should have done.
    pub(super) fn apply_by_hand(&mut self, name: &str) {
        let memory = self.memories.entry(name.to_owned()).or_default();
        if !std::mem::replace(&mut memory.applied, true) {
            self.effects.push(Effect::Applied(name.to_owned()));
        }
    }

    /// A person undoes by hand what a forward request did.
    pub(super) fn undo_by_hand(&mut self, name: &str) {
        let memory = self.memories.entry(name.to_owned()).or_default();
        if !std::mem::replace(&mut memory.undone, true) {
            self.effects.push(Effect::Undone(name.to_owned()));
        }
    }

    pub(super) fn has_applied(&self, name: &str) -> bool {
        self.memories.get(name).is_some_and(|memory| memory.applied)
    }

    pub(super) fn has_undone(&self, name: &str) -> bool {
        self.memories.get(name).is_some_and(|memory| memory.undone)
    }
}
