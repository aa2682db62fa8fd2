//! The desk for stuck sagas: what is stuck, what may be decided about it, what follows, and what happens when nobody
//! decides. Must not live here: how something gets stuck.
//!
//! | Stuck because | Choices |
//! |---|---|
//! | a compensation failed, has no input, or takes too long | retry, retry-with, skip, mark-done, abandon |
//! | a retriable step failed for good | retry, retry-with, skip, mark-done, abandon |
//! | nobody knows whether a step had its effect | retry, retry-with, mark-done, go-forward, skip, go-back (if it can be undone), abandon |
//! | a failure after the pivot | mark-done (with the run's result), go-back, abandon |

use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    ActivityId, ActivityRole, ActivityScheduled, Choice, ChoiceKind, Decide, EventAttributes, EventId, Failure,
    Payload, RetryState, SagaDecided, StepName, StepVerdict, StuckNotice, StuckReason, TimeoutKind, Timestamp,
    UnwindCause,
};

use super::activity::CurrentAttempt;
use super::decider::Decider;
use super::pending::{PendingActivity, StuckItem};
use super::state::RunState;
use super::turn::{Rejection, Reply, TurnBuilder};

/// The least time after which something is decided automatically.
const AUTOMATIC_AFTER_MIN: Duration = Duration::from_secs(1);

/// Something about a saga that needs a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Stuck {
    /// The step concerned; `None`: the saga as a whole.
    pub step: Option<StepName>,
    /// Why.
    pub reason: StuckReason,
    /// The failure that led here.
    pub failure: Failure,
    /// Since when.
    pub since: Timestamp,
    /// Whether somebody was told.
    pub escalated: bool,
    /// What may be decided now.
    pub choices: Vec<ChoiceKind>,
}

impl RunState {
    /// What needs a person, and what that person may decide.
    pub fn stuck(&self) -> impl Iterator<Item = Stuck> + '_ {
        self.stuck.iter().map(|(step, item)| Stuck {
            step: self.name_of_stuck(*step).cloned(),
            reason: item.reason,
            failure: item.failure.clone(),
            since: item.since,
            escalated: item.escalated,
            choices: self.choices(*step, item),
        })
    }

    /// The step that is stuck; `None`: the saga as a whole.
    fn name_of_stuck(&self, step: Option<EventId>) -> Option<&StepName> {
        Some(&self.step_by_event(step?)?.name)
    }

    fn choices(&self, step: Option<EventId>, item: &StuckItem) -> Vec<ChoiceKind> {
        let mut choices = self.choices_of(step, item);
        // A child saga that has ended stays as it ended: only one with another id can end differently.
        let stuck = step.and_then(|step| self.stuck_activity(step, item.reason));
        if let Some(activity) = stuck.and_then(|stuck| self.activities.get(&stuck))
            && activity.is_about_a_child()
        {
            let undoes = activity.is_compensation();
            choices.retain(|choice| !(*choice == ChoiceKind::Retry || undoes && *choice == ChoiceKind::RetryWith));
        }
        choices
    }

    fn choices_of(&self, step: Option<EventId>, item: &StuckItem) -> Vec<ChoiceKind> {
        use ChoiceKind as C;
        match item.reason {
            StuckReason::CompensationFailed
            | StuckReason::CompensationInput
            | StuckReason::UnwindTimeout
            | StuckReason::RetriableFailed => vec![C::Retry, C::RetryWith, C::Skip, C::MarkDone, C::Abandon],
            StuckReason::Ambiguous => {
                let record = step.and_then(|step| self.saga.by_scheduled(step));
                let can_be_undone = record.is_some_and(|record| record.compensation().is_some());
                let mut choices = vec![C::Retry, C::RetryWith, C::MarkDone, C::GoForward, C::Skip];
                // What was asked to stop is not tried again.
                let activity = step.and_then(|step| self.activities.get(&step));
                if activity.is_none_or(|activity| activity.cancel_requested) {
                    choices.retain(|choice| !matches!(choice, C::Retry | C::RetryWith));
                }
                choices.extend(can_be_undone.then_some(C::GoBack));
                choices.push(C::Abandon);
                choices
            }
            // What has been undone cannot be said to be done.
            StuckReason::FailedAfterPivot if self.unwinding_since.is_some() => vec![C::GoBack, C::Abandon],
            StuckReason::FailedAfterPivot => vec![C::MarkDone, C::GoBack, C::Abandon],
        }
    }

    /// When the unwinding as a whole has taken too long, if that still concerns anything.
    pub(super) fn unwind_deadline(&self) -> Option<Timestamp> {
        let deadline = self.unwind_limit()?;
        let concerned = |activity: &PendingActivity| activity.is_compensation() && !activity.stuck;
        let mut activities = self.activities.values();
        activities
            .any(|activity| concerned(activity) && activity.budget_from < deadline)
            .then_some(deadline)
    }

    fn unwind_limit(&self) -> Option<Timestamp> {
        let limit = self.saga_options()?.unwind_timeout?;
        Some(self.unwinding_since?.after(limit))
    }

    /// When an activity is not tried again any more.
    pub(super) fn budget_end(&self, activity: &PendingActivity) -> Option<Timestamp> {
        let unwinding = match activity.is_compensation() {
            true => self.unwind_limit().filter(|limit| activity.budget_from < *limit),
            false => None,
        };
        activity.deadline().into_iter().chain(unwinding).min()
    }

    /// When somebody is to be told of what is stuck, or no person has decided in time.
    pub(super) fn desk_wake(&self) -> Option<Timestamp> {
        let items = self.stuck.iter();
        items
            .flat_map(|(step, item)| self.escalates_at(item).into_iter().chain(self.decides_at(*step, item)))
            .min()
    }

    fn escalates_at(&self, item: &StuckItem) -> Option<Timestamp> {
        let escalation = self.saga_options()?.escalation.as_ref()?;
        (!item.escalated).then(|| item.since.after(escalation.after))
    }

    fn decides_at(&self, step: Option<EventId>, item: &StuckItem) -> Option<Timestamp> {
        let automatic = self.saga_options()?.automatic?;
        let is_open = self.choices(step, item).contains(&automatic.choice);
        // What cannot be made from the same data now cannot be made from it later.
        let in_vain = item.reason == StuckReason::CompensationInput && automatic.choice == ChoiceKind::Retry;
        if !is_open || in_vain || without_data(automatic.choice).is_none() {
            return None;
        }
        // Each decision doubles the time until the next one: deciding the same for ever must not fill the history.
        let doubled = 1_u32 << self.automatic_decisions.min(10);
        let after = automatic.after.max(AUTOMATIC_AFTER_MIN).saturating_mul(doubled);
        Some(item.since.after(after))
    }
}

impl TurnBuilder<'_> {
    pub(super) fn decide_stuck(&mut self, decide: Decide, decider: &dyn Decider) -> Result<Reply, Rejection> {
        let Decide {
            step,
            choice,
            by,
            reason,
            request_id,
        } = decide;
        if request_id
            .as_ref()
            .is_some_and(|id| self.state.decision_requests.contains(id))
        {
            return Ok(Reply::Duplicate);
        }
        let step = self.find_stuck(step.as_ref())?;
        let open = self
            .state
            .stuck
            .get(&step)
            .map(|item| self.state.choices(step, item))
            .unwrap_or_default();
        if !open.contains(&choice.kind()) {
            return Err(Rejection::ChoiceNotOpen {
                choice: choice.kind(),
                open: open.iter().map(ChoiceKind::to_string).collect(),
            });
        }
        let decided = SagaDecided {
            step,
            choice,
            by,
            reason,
            request_id,
            automatic: false,
        };
        self.carry_out(decided, decider);
        Ok(Reply::Accepted)
    }

    fn find_stuck(&self, step: Option<&StepName>) -> Result<Option<EventId>, Rejection> {
        let stuck = &self.state.stuck;
        let names = || {
            let names = stuck.keys().map(|step| self.state.name_of_stuck(*step));
            names
                .map(|name| name.map_or("(the saga)".to_owned(), StepName::to_string))
                .collect::<Vec<_>>()
        };
        match (step, stuck.len()) {
            (_, 0) => Err(Rejection::NotStuck),
            (None, 1) => Ok(stuck.keys().next().copied().flatten()),
            // Steps have names; the saga as a whole is what is left to be meant.
            (None, _) if stuck.contains_key(&None) => Ok(None),
            (None, _) => Err(Rejection::WhichStep { stuck: names() }),
            (Some(name), _) => {
                let scheduled = self.state.step(name.as_str()).map(|step| step.scheduled);
                match scheduled.filter(|scheduled| stuck.contains_key(&Some(*scheduled))) {
                    Some(scheduled) => Ok(Some(scheduled)),
                    None => Err(Rejection::StepNotStuck {
                        step: name.to_string(),
                        stuck: names(),
                    }),
                }
            }
        }
    }

    fn carry_out(&mut self, decided: SagaDecided, decider: &dyn Decider) {
        let Some(item) = self.state.stuck.get(&decided.step).cloned() else {
            return;
        };
        let SagaDecided {
            step,
            choice,
            by,
            reason,
            ..
        } = decided.clone();
        self.emit(EventAttributes::SagaDecided(Box::new(decided)));
        match (step, choice) {
            (_, Choice::Abandon) => {
                self.terminate(reason, by);
            }
            // Folding the decision has done it.
            (_, Choice::Retry | Choice::RetryWith { .. }) => {}
            (None, Choice::MarkDone { output }) => {
                self.emit(EventAttributes::WorkflowExecutionCompleted { result: output });
            }
            (None, _) => self.unwind(UnwindCause::Failed(item.failure), decider),
            (Some(step), choice) => self.carry_out_for_step(step, &item, &choice),
        }
    }

    fn carry_out_for_step(&mut self, step: EventId, item: &StuckItem, choice: &Choice) {
        let output = match choice {
            Choice::MarkDone { output } => output.clone(),
            _ => Payload::null(),
        };
        if item.reason == StuckReason::Ambiguous {
            let verdict = match choice {
                Choice::Skip => StepVerdict::NotApplied,
                Choice::GoBack => StepVerdict::Unknown,
                _ => StepVerdict::Applied,
            };
            return self.resolve(step, verdict, output);
        }
        let Some(scheduled) = self.state.stuck_activity(step, item.reason) else {
            return;
        };
        match choice {
            // A compensation that is left: its activity ends as it is.
            Choice::Skip if item.reason != StuckReason::RetriableFailed => {
                let failure = item.failure.clone();
                self.close_failed(scheduled, failure, RetryState::NonRetryable, CurrentAttempt::Running);
            }
            _ => self.complete_activity(scheduled, output),
        }
    }

    /// What time has brought to the desk.
    pub(super) fn wake_desk(&mut self, decider: &dyn Decider) {
        if self.state.is_closed() {
            return;
        }
        self.call_for_help_with_unwinding();
        let now = self.now;
        let overdue = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        let items: Vec<(Option<EventId>, StuckItem)> = self
            .state
            .stuck
            .iter()
            .map(|(step, item)| (*step, item.clone()))
            .collect();
        for (step, item) in items {
            if overdue(self.state.escalates_at(&item)) {
                self.escalate(step, &item, decider);
            }
            if overdue(self.state.decides_at(step, &item)) {
                self.decide_automatically(step, decider);
            }
            if self.state.is_closed() {
                return;
            }
        }
    }

    fn call_for_help_with_unwinding(&mut self) {
        let Some(deadline) = self.state.unwind_deadline().filter(|deadline| *deadline <= self.now) else {
            return;
        };
        let overdue = self
            .state
            .activities
            .values()
            .filter(|activity| !activity.stuck && activity.budget_from < deadline);
        let overdue: Vec<(EventId, Option<Failure>)> = overdue
            .filter_map(|activity| Some((activity.attributes.undoes()?, activity.last_failure.clone())))
            .collect();
        for (step, last) in overdue {
            let mut failure = Failure::timeout(TimeoutKind::ScheduleToClose);
            failure.message = "undoing the saga took longer than its limit".to_owned();
            if let Some(last) = last {
                failure = failure.caused_by(last);
            }
            self.emit_stuck(Some(step), StuckReason::UnwindTimeout, failure);
        }
    }

    fn escalate(&mut self, step: Option<EventId>, item: &StuckItem, decider: &dyn Decider) {
        let Some(escalation) = self.state.saga_options().and_then(|options| options.escalation.clone()) else {
            return;
        };
        let Some(started) = self.state.started() else {
            return;
        };
        let notice = StuckNotice {
            workflow_id: started.workflow_id.to_string(),
            run_id: started.run_id.to_string(),
            namespace: started.workflow_id.namespace().to_owned(),
            workflow_type: started.workflow_type.to_string(),
            step: self.state.name_of_stuck(step).map(StepName::to_string),
            reason: item.reason.to_string(),
            failure: item.failure.to_string(),
            choices: self
                .state
                .choices(step, item)
                .iter()
                .map(ChoiceKind::to_string)
                .collect(),
        };
        // A notice is small, but for the failure, which is bounded: it always fits a payload.
        let as_it_is = || Payload::json(&notice).unwrap_or_default();
        let input = decider
            .escalation_input(self.state, &notice)
            .unwrap_or_else(|_| as_it_is());
        let activity_id = ActivityId::from_trusted(format!("escalation-{}", self.state.next_event()));
        self.emit(EventAttributes::ActivityTaskScheduled(Arc::new(ActivityScheduled {
            activity_id,
            activity_type: escalation.activity_type,
            input,
            options: escalation.options,
            role: ActivityRole::Escalation(step),
        })));
    }

    fn decide_automatically(&mut self, step: Option<EventId>, decider: &dyn Decider) {
        let Some(automatic) = self.state.saga_options().and_then(|options| options.automatic) else {
            return;
        };
        let Some(choice) = without_data(automatic.choice) else {
            return;
        };
        let decided = SagaDecided {
            step,
            choice,
            by: env!("CARGO_PKG_NAME").to_owned(),
            reason: format!("nobody decided within {:?}", automatic.after),
            request_id: None,
            automatic: true,
        };
        self.carry_out(decided, decider);
    }
}

/// The choice, if it needs nothing but itself.
fn without_data(kind: ChoiceKind) -> Option<Choice> {
    match kind {
        ChoiceKind::Retry => Some(Choice::Retry),
        ChoiceKind::Skip => Some(Choice::Skip),
        ChoiceKind::GoForward => Some(Choice::GoForward),
        ChoiceKind::GoBack => Some(Choice::GoBack),
        ChoiceKind::Abandon => Some(Choice::Abandon),
        ChoiceKind::RetryWith | ChoiceKind::MarkDone => None,
    }
}
