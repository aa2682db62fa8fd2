//! The run of which another one is made: what of its history is copied, and what only its pending record knows. Must not
//! live here: what is refused, and what the new run does with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::machine::apply::ApplyError;
use crate::machine::ledger::StepState;
use crate::machine::state::RunState;
use crate::machine::turn::TurnBuilder;
use crate::model::{
    ActivityType, Event, EventAttributes, EventId, PendingChange, ResetAttempt, ResetPoint, RunId, RunReset, Timestamp,
    Turn,
};

use super::ResetRefusal;
use super::point::find;

/// A run, and the turn of it that is to be decided again.
pub(super) struct Base<'a> {
    turns: &'a [Turn],
    /// The place of the turn in the journal.
    place: usize,
    /// The task that is not copied, nor anything after it.
    pub(super) point: EventId,
    /// What the run has come to.
    pub(super) state: RunState,
    /// What it was right before that task.
    pub(super) there: RunState,
}

/// An activity, as it was seen the last time before it ended.
struct Seen {
    attempt: ResetAttempt,
    due: Timestamp,
    is_held: bool,
    ended: Option<Timestamp>,
}

impl<'a> Base<'a> {
    pub(super) fn of(turns: &'a [Turn], point: ResetPoint) -> Result<Self, ResetRefusal> {
        let (place, point) = find(point, turns)?;
        let mut base = Self {
            turns,
            place,
            point,
            state: RunState::fold(turns)?,
            there: RunState::fold(&until(turns, place, point))?,
        };
        // Of what it has itself copied, only its own reset knows.
        let doubts = base.resets().flat_map(|reset| reset.doubts.clone()).collect::<Vec<_>>();
        doubts.into_iter().for_each(|step| base.there.saga.doubt(step));
        Ok(base)
    }

    /// The events before the point, as the new run has them.
    pub(super) fn copied(&self, run_id: RunId, now: Timestamp) -> impl Iterator<Item = Event> {
        let events = self.turns.iter().flat_map(|turn| &turn.events);
        let first_run = self.state.first_run();
        events.take_while(|event| event.id < self.point).map(move |event| {
            let mut event = event.clone();
            if let EventAttributes::WorkflowExecutionStarted(started) = &mut event.attributes {
                let started = Arc::make_mut(started);
                started.run_id = run_id;
                let chain = started.chain.get_or_insert_default();
                chain.first = first_run;
                // What counts from the run's or the chain's start counts from here, without any delay.
                chain.backoff = Duration::ZERO;
                chain.expires_at = chain
                    .execution_timeout
                    .map(|limit| now.after(limit))
                    .or(chain.expires_at);
            }
            event
        })
    }

    /// What is not copied.
    pub(super) fn later(&self) -> impl Iterator<Item = &'a Event> {
        let (point, events) = (self.point, self.turns.iter().flat_map(|turn| &turn.events));
        events.filter(move |event| event.id >= point)
    }

    /// Resets that made this run itself of another one, after the point.
    fn resets(&self) -> impl Iterator<Item = &'a RunReset> {
        self.later().filter_map(|event| match &event.attributes {
            EventAttributes::WorkflowExecutionReset(reset) => Some(&**reset),
            _ => None,
        })
    }

    /// How far the activities have come that have not ended in the new run.
    pub(super) fn attempts(&self, made: &RunState, now: Timestamp) -> Result<Vec<ResetAttempt>, ApplyError> {
        let mut seen: BTreeMap<EventId, Seen> = BTreeMap::new();
        let mut state = RunState::default();
        for (place, turn) in self.turns.iter().enumerate() {
            state.apply(turn)?;
            if place + 1 < self.place || made.activities.is_empty() {
                continue;
            }
            for scheduled in made.activities.keys() {
                match (state.activities.get(scheduled), seen.get_mut(scheduled)) {
                    (Some(activity), _) => {
                        let attempt = ResetAttempt {
                            scheduled: *scheduled,
                            attempt: activity.attempt,
                            lost: true,
                            may_have_applied: activity.may_have_applied,
                            forgiven: activity.attempts_forgiven,
                        };
                        let (due, ended) = (activity.due, None);
                        let is_held = activity.held.is_some() || state.is_kept_back(activity);
                        seen.insert(
                            *scheduled,
                            Seen {
                                attempt,
                                due,
                                is_held,
                                ended,
                            },
                        );
                    }
                    (None, Some(Seen { ended, .. })) => *ended = ended.or(Some(turn.time)),
                    (None, None) => {}
                }
            }
        }
        let attempts = made.activities.keys().map(|scheduled| match seen.get(scheduled) {
            // It may have been begun unless it was certainly not.
            Some(Seen {
                attempt,
                due,
                is_held,
                ended,
            }) => ResetAttempt {
                lost: !is_held && *due <= ended.unwrap_or(now),
                ..*attempt
            },
            None => self.ended_in_a_copy(*scheduled),
        });
        Ok(attempts.collect())
    }

    /// Of an activity that ended in what this run itself has copied, only the history knows.
    fn ended_in_a_copy(&self, of: EventId) -> ResetAttempt {
        let started = self.later().filter_map(|event| match &event.attributes {
            EventAttributes::ActivityTaskStarted { scheduled, attempt, .. } if *scheduled == of => Some(*attempt),
            _ => None,
        });
        let attempt = started.max().unwrap_or(1);
        ResetAttempt {
            scheduled: of,
            attempt,
            lost: true,
            may_have_applied: attempt > 1,
            forgiven: 0,
        }
    }

    /// Steps that ended before the point and may have had an effect, of which events alone do not tell.
    pub(super) fn doubts(&self, made: &RunState) -> Vec<EventId> {
        let may_have = |state: &StepState| {
            matches!(
                state,
                StepState::Failed {
                    may_have_applied: true,
                    ..
                }
            )
        };
        let steps = self.there.steps().filter(|step| may_have(&step.state));
        let unknown = steps.filter(|step| {
            made.step_by_event(step.scheduled)
                .is_some_and(|made| !may_have(&made.state))
        });
        unknown.map(|step| step.scheduled).collect()
    }

    /// The local activities that the code waited for. Perhaps too many, where a copy has lost count: those are asked for
    /// again, or by nobody.
    pub(super) fn locals(&self) -> Vec<(u32, ActivityType)> {
        let mut locals = self.there.locals.clone();
        let own_reset = self.resets().next();
        locals.extend(own_reset.iter().flat_map(|reset| reset.locals.iter().cloned()));
        if own_reset.is_some() {
            locals.extend(self.later().filter_map(|event| match &event.attributes {
                EventAttributes::LocalActivityEnded(ended) => Some((ended.seq, ended.activity_type.clone())),
                _ => None,
            }));
        }
        locals.into_iter().collect()
    }

    /// The new run's saga must stand as this one's stood.
    pub(super) fn compare(&self, made: &RunState) -> Result<(), ApplyError> {
        for step in self.there.steps() {
            let same = made
                .step_by_event(step.scheduled)
                .is_some_and(|made| made.state == step.state && made.undo == step.undo);
            if !same {
                return Err(made.misfit(format!("the step {} does not come out as it was", step.name)));
            }
        }
        Ok(())
    }
}

/// The turns before the one at this place, and of that one what came before the point.
fn until(turns: &[Turn], place: usize, point: EventId) -> Vec<Turn> {
    let mut copied: Vec<Turn> = turns.iter().take(place + 1).cloned().collect();
    if let Some(last) = copied.last_mut() {
        let is_task = |event: &&Event| matches!(event.attributes, EventAttributes::WorkflowTask(_));
        let has_earlier_task = last.events.iter().find(is_task).is_some_and(|task| task.id < point);
        last.events.retain(|event| event.id < point);
        last.pending.retain(|change| match change {
            // What its first task has asked for is not asked for yet.
            PendingChange::LocalBegun { .. } => has_earlier_task,
            PendingChange::LocalForgotten { .. }
            | PendingChange::FollowedBy { .. }
            | PendingChange::GivesWay { .. } => false,
            _ => true,
        });
    }
    copied
}

impl TurnBuilder<'_> {
    /// Takes over what another run has recorded.
    pub(super) fn copy(&mut self, event: Event) -> Result<(), ApplyError> {
        self.state.apply_event(&event)?;
        self.take_event(event);
        Ok(())
    }
}
