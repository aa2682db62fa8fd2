//! The local activities that the code waits for. Must not live here: running them.

use std::collections::BTreeMap;

use crate::model::{ActivityType, Command, Failure, LocalActivity, LocalActivityEnded, Payload};

use super::super::local::LocalRequest;
use super::{Core, Key, What};

/// By their numbers: what each is given, and the operation that waits for it.
#[derive(Debug, Default)]
pub(super) struct Locals {
    last: u32,
    running: BTreeMap<u32, (Key, LocalActivity)>,
}

impl Locals {
    pub(super) fn forget(&mut self, seq: u32) {
        self.running.remove(&seq);
    }

    /// In words, for people.
    pub(super) fn describe(&self, seq: u32) -> String {
        match self.running.get(&seq) {
            Some((_, activity)) => format!("local activity {} (number {seq})", activity.activity_type),
            None => format!("local activity number {seq}"),
        }
    }
}

impl Core {
    pub(in crate::sdk::workflow) fn run_local(&mut self, request: LocalRequest) -> Result<Key, Failure> {
        self.expect_writable("run a local activity");
        self.expect_not_canceled()?;
        let LocalRequest {
            activity_type,
            input,
            options,
        } = request;
        self.locals.last += 1;
        let seq = self.locals.last;
        let key = self.begin(What::Local(seq));
        self.commands.push(Command::RunLocalActivity {
            seq,
            activity_type: activity_type.clone(),
        });
        let activity = LocalActivity {
            seq,
            activity_type,
            input,
            options,
        };
        self.locals.running.insert(seq, (key, activity));
        Ok(key)
    }

    /// What the code waits for.
    pub(crate) fn local_activities(&self) -> Vec<LocalActivity> {
        let running = self.locals.running.values();
        running.map(|(_, activity)| activity.clone()).collect()
    }

    /// A local activity ended. Whether the code had asked for this one.
    pub(crate) fn end_local(
        &mut self,
        seq: u32,
        activity_type: &ActivityType,
        outcome: &Result<Payload, Failure>,
    ) -> bool {
        let asked_for = self.locals.running.get(&seq);
        let Some((key, _)) = asked_for.filter(|(_, activity)| activity.activity_type == *activity_type) else {
            return false;
        };
        let key = *key;
        self.locals.forget(seq);
        let heard = |recorded| LocalActivityEnded::heard(seq, activity_type, recorded);
        let outcome = outcome.clone().map_err(heard);
        self.resolve(key, outcome);
        true
    }
}
