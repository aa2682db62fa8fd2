//! A person who looks after stuck sagas, knows what really happened, and sometimes does things by hand. Must not live here:
//! what a saga makes of a decision.

use super::world::World;
use crate::machine::Stuck;
use crate::machine::tests::scenario::decision;
use crate::model::*;

impl World<'_> {
    /// A person looks at what is stuck, goes and sees what really happened, and decides.
    pub(super) fn operator_looks(&mut self) {
        let Some(process) = &self.process else {
            return;
        };
        let stuck: Vec<Stuck> = process.state.stuck().collect();
        let which = usize::try_from(self.chance.below(stuck.len() as u64)).unwrap_or(0);
        let Some(Stuck { step, reason, .. }) = stuck.get(which) else {
            return;
        };
        let Some(name) = step.as_ref().map(|step| step.to_string()) else {
            return;
        };
        let tries_again = self.chance.one_in(2);
        let output = Payload::null();
        let choice = match reason {
            StuckReason::CompensationFailed | StuckReason::CompensationInput | StuckReason::UnwindTimeout => {
                match self.chance.below(4) {
                    0 => Choice::Skip,
                    1 => {
                        self.participants.undo_by_hand(&name);
                        Choice::MarkDone { output }
                    }
                    2 => Choice::RetryWith { input: output },
                    _ => Choice::Retry,
                }
            }
            StuckReason::RetriableFailed if tries_again => Choice::Retry,
            StuckReason::RetriableFailed => {
                self.participants.apply_by_hand(&name);
                Choice::MarkDone { output }
            }
            StuckReason::Ambiguous if self.participants.has_applied(&name) => Choice::MarkDone { output },
            StuckReason::Ambiguous if tries_again => Choice::Retry,
            StuckReason::Ambiguous => {
                self.participants.refuse(&name);
                Choice::Skip
            }
            StuckReason::FailedAfterPivot => return,
        };
        self.trace.push(format!("decides {name} {choice:?}"));
        self.turn(vec![decision(&name, choice, "")], None);
    }
}
