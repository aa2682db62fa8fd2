//! What a turn of the code is about, beside events and updates; and what a history says about its turns. Must not live here:
//! what the code makes of it (`run`).

use crate::model::{Event, EventAttributes, EventId, RunId, Timestamp, UpdateRequest, WorkflowTask};
use crate::sdk::HistoryInfo;

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
    /// The event that the turn becomes, or became.
    task: &'a WorkflowTask,
}

impl<'a> Occasion<'a> {
    /// A turn that was not decided before.
    pub(super) fn live(now: Timestamp, task: &'a WorkflowTask, only_updates: bool) -> Self {
        Self {
            now,
            led_to: None,
            only_updates,
            task,
        }
    }

    /// Whether it is decided for the first time.
    pub(super) fn is_live(&self) -> bool {
        self.led_to.is_none()
    }

    /// A turn that was decided before. One that came to nothing was forgotten: this one did not.
    pub(super) fn again(now: Timestamp, task: &'a WorkflowTask, led_to: &'a [Event]) -> Self {
        Self {
            now,
            led_to: Some(led_to),
            only_updates: false,
            task,
        }
    }
}

impl Run {
    /// `id`: of the turn's task. Returns the time of the turn before.
    pub(super) fn begin_turn(&mut self, occasion: &Occasion<'_>, id: EventId) -> Timestamp {
        let mut core = self.core.borrow_mut();
        core.set_history(HistoryInfo {
            // As Temporal counts: the task's second event is the last one that the code may know of.
            events: id.plus(1).0,
            bytes: occasion.task.history_bytes,
            continue_as_new_suggested: occasion.task.continue_as_new_suggested,
        });
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

/// The run that wrote the first event of a run that was reset.
pub(super) fn original_run(history: &[Event]) -> Option<RunId> {
    history.iter().rev().find_map(|event| match &event.attributes {
        EventAttributes::WorkflowExecutionReset(reset) => Some(reset.original_run_id),
        _ => None,
    })
}

pub(super) fn is_task(event: &Event) -> bool {
    matches!(event.attributes, EventAttributes::WorkflowTask(_))
}

/// The updates that the task before these events accepted: the events up to the next task are of its commands.
pub(super) fn accepted_in(later: &[Event]) -> Vec<UpdateRequest> {
    let of_the_task = later.iter().take_while(|event| !is_task(event));
    let accepted = of_the_task.filter_map(|event| match &event.attributes {
        EventAttributes::WorkflowExecutionUpdateAccepted(update) => Some((**update).clone()),
        _ => None,
    });
    accepted.collect()
}
