//! What the code waits for. Must not live here: beginning or ending it.

use std::task::Waker;

use crate::model::{ActivityId, ActivityType, EventId, Failure, LockName, Payload, TimerId};

use super::super::CancellationType;
use super::ChildSerial;
use super::scopes::ScopeId;
use super::steps::StepSerial;

/// What the code waits for, or no longer waits for but the engine has not ended yet.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) what: What,
    /// What it belongs to.
    pub(super) scope: ScopeId,
    pub(super) outcome: Option<Result<Payload, Failure>>,
    pub(super) waker: Option<Waker>,
    /// The future was dropped: nobody will ask for the outcome.
    pub(super) abandoned: bool,
    /// The engine was asked to stop it, or will be at the end of this turn.
    pub(super) asked_to_stop: bool,
}

impl Operation {
    pub(super) fn cancellation(&self) -> Option<CancellationType> {
        match &self.what {
            What::Activity { cancellation, .. } => Some(*cancellation),
            _ => None,
        }
    }

    pub(super) fn is_about_a_child(&self) -> bool {
        matches!(
            self.what,
            What::ChildStart(_) | What::ChildEnd(_) | What::ChildCancel(_)
        )
    }

    /// Whether it goes on when nobody wants it any more.
    pub(super) fn is_left_alone(&self) -> bool {
        self.cancellation() == Some(CancellationType::Abandon)
    }

    /// Whether the code hears of its real end, also when it was asked to stop.
    pub(super) fn is_waited_for(&self) -> bool {
        self.cancellation() == Some(CancellationType::WaitCancellationCompleted)
    }
}

#[derive(Debug)]
pub(super) enum What {
    Activity {
        id: ActivityId,
        activity_type: ActivityType,
        scheduled: Option<EventId>,
        cancellation: CancellationType,
        step: Option<StepSerial>,
    },
    Timer(TimerId),
    Local(u32),
    Lock(LockName),
    RollBack,
    /// A message to another run.
    External,
    /// Waits for a child's beginning.
    ChildStart(ChildSerial),
    /// Waits for a child's end.
    ChildEnd(ChildSerial),
    /// Asks a child to end.
    ChildCancel(ChildSerial),
}
