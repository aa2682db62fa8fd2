//! Which run decides: of a run that was reset, first another one. Must not live here: how that is found out.

use super::super::random::Random;
use super::Core;
use crate::model::RunId;

impl Core {
    /// What is asked for from here on was, or is, decided by this run: its id is what the code hears, what looks random is
    /// made of it. So the code decides what a reset has copied as it was decided then.
    pub(crate) fn decided_by(&mut self, run_id: RunId) {
        self.decided_by = run_id;
        self.random = Random::of_run(run_id);
    }

    pub(in crate::sdk::workflow) fn run_id(&self) -> RunId {
        self.decided_by
    }
}
