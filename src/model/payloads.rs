//! Where a turn has users' data: every payload of its events and changes, and the texts of failures. Lives here: the walk over
//! them, as long as the list of events is. Must not live here: what is done with them (codecs, in `runtime`).
//!
//! Search attributes are left out: runs are found by them. So are the texts of people's requests (reasons, identities).

use std::sync::Arc;

use super::{
    ChildEnd, ChildEvent, Choice, Event, EventAttributes, ExternalMessage, Failure, FailureKind, LeftMessage, Payload,
    PendingChange, RunStarted, StartChild, Turn, UnwindCause,
};

/// What is done to each piece of users' data.
pub trait Visit {
    /// Why it cannot be done.
    type Error;

    /// To a payload.
    ///
    /// # Errors
    /// The visitor's own.
    fn payload(&mut self, payload: &mut Payload) -> Result<(), Self::Error>;

    /// To the message of a failure.
    ///
    /// # Errors
    /// The visitor's own.
    fn message(&mut self, message: &mut String) -> Result<(), Self::Error>;
}

impl Turn {
    /// Goes through all of the turn's payloads and failures, in order.
    ///
    /// # Errors
    /// The visitor's first.
    pub fn visit_data<V: Visit>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        for event in &mut self.events {
            event.visit_data(visitor)?;
        }
        for change in &mut self.pending {
            match change {
                PendingChange::RetryScheduled { failure: f, .. } => failure(f, visitor)?,
                PendingChange::Heartbeat { details, .. } => visitor.payload(details)?,
                PendingChange::Held { .. }
                | PendingChange::Released { .. }
                | PendingChange::LateResult { .. }
                | PendingChange::Parked { .. }
                | PendingChange::Unparked
                | PendingChange::LocalBegun { .. }
                | PendingChange::FollowedBy { .. }
                | PendingChange::LocalForgotten { .. }
                | PendingChange::GivesWay { .. }
                | PendingChange::ChildReleased { .. }
                | PendingChange::MessageReleased { .. }
                | PendingChange::HandedOver { .. } => {}
            }
        }
        Ok(())
    }
}

impl Event {
    /// Goes through all of the event's payloads and failures, in order.
    ///
    /// # Errors
    /// The visitor's first.
    pub fn visit_data<V: Visit>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        use EventAttributes as E;
        match &mut self.attributes {
            E::WorkflowExecutionStarted(started) => Arc::make_mut(started).visit_data(visitor),
            E::WorkflowExecutionContinuedAsNew(next) => visitor.payload(&mut next.input),
            E::WorkflowPropertiesModified(changes) => {
                let set = changes.values_mut().flatten();
                set.into_iter().try_for_each(|field| visitor.payload(field))
            }
            E::WorkflowExecutionCompleted { result } | E::ActivityTaskCompleted { result, .. } => {
                visitor.payload(result)
            }
            E::WorkflowExecutionFailed { failure: f, .. }
            | E::WorkflowExecutionCanceled { failure: f, .. }
            | E::ActivityTaskFailed { failure: f, .. }
            | E::ActivityTaskTimedOut { failure: f, .. }
            | E::SignalExternalWorkflowExecutionFailed { failure: f, .. }
            | E::RequestCancelExternalWorkflowExecutionFailed { failure: f, .. }
            | E::SagaLockRefused { failure: f, .. } => failure(f, visitor),
            E::WorkflowExecutionSignaled(signal) => visitor.payload(&mut signal.input),
            E::ActivityTaskScheduled(scheduled) => visitor.payload(&mut Arc::make_mut(scheduled).input),
            E::ActivityTaskStarted { last_failure, .. } => match last_failure {
                Some(last) => failure(last, visitor),
                None => Ok(()),
            },
            E::MarkerRecorded { details, .. } => visitor.payload(details),
            E::ActivityTaskCanceled { details, .. } => {
                details.as_mut().map_or(Ok(()), |details| visitor.payload(details))
            }
            E::LocalActivityEnded(ended) => outcome(&mut ended.outcome, visitor),
            E::WorkflowExecutionUpdateAccepted(update) => visitor.payload(&mut update.input),
            E::WorkflowExecutionReset(reset) => {
                let mut updates = reset.updates.iter_mut();
                updates.try_for_each(|update| visitor.payload(&mut update.input))?;
                let mut children = reset.children.iter_mut();
                children.try_for_each(|child| start_child(&mut child.start, visitor))?;
                messages(&mut reset.messages, visitor)
            }
            E::WorkflowExecutionUpdateCompleted(update) => outcome(&mut update.outcome, visitor),
            E::SignalExternalWorkflowExecutionInitiated(signal) => visitor.payload(&mut signal.input),
            E::Child(event) => child_event(event, visitor),
            _ => self.attributes.visit_saga_data(visitor),
        }
    }
}

impl RunStarted {
    fn visit_data<V: Visit>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        visitor.payload(&mut self.input)?;
        self.memo.values_mut().try_for_each(|field| visitor.payload(field))?;
        let Some(chain) = &mut self.chain else {
            return Ok(());
        };
        if let Some(last) = &mut chain.last_failure {
            failure(last, visitor)?;
        }
        if let Some(last) = &mut chain.last_result {
            visitor.payload(last)?;
        }
        let mut children = chain.children.iter_mut();
        children.try_for_each(|child| start_child(&mut child.start, visitor))?;
        messages(&mut chain.messages, visitor)
    }
}

impl EventAttributes {
    /// The events that Temporal does not have, and all that have no data.
    fn visit_saga_data<V: Visit>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        use EventAttributes as E;
        match self {
            E::SagaUnwindStarted(unwind) => match &mut unwind.cause {
                UnwindCause::Failed(f) | UnwindCause::Canceled(f) => failure(f, visitor),
                UnwindCause::TimedOut => Ok(()),
            },
            E::SagaStuck(stuck) => failure(&mut stuck.failure, visitor),
            E::SagaDecided(decided) => match &mut decided.choice {
                Choice::RetryWith { input: payload } | Choice::MarkDone { output: payload } => visitor.payload(payload),
                Choice::Retry | Choice::Skip | Choice::GoForward | Choice::GoBack | Choice::Abandon => Ok(()),
            },
            E::SagaStepAmbiguous(step) => failure(&mut step.failure, visitor),
            E::SagaWaitStarted(wait) => match &mut wait.default {
                Some(default) => visitor.payload(default),
                None => Ok(()),
            },
            E::SagaAdopted(adopted) => adopted.steps.iter_mut().try_for_each(|step| {
                visitor.payload(&mut step.input)?;
                outcome(&mut step.outcome, visitor)
            }),
            // What is new and has data fails the test of `store::record` that looks for data in what was encoded.
            _ => Ok(()),
        }
    }
}

fn messages<V: Visit>(left: &mut [LeftMessage], visitor: &mut V) -> Result<(), V::Error> {
    left.iter_mut().try_for_each(|left| match &mut left.message {
        ExternalMessage::Signal(signal) => visitor.payload(&mut signal.input),
        ExternalMessage::Cancel(_) => Ok(()),
    })
}

fn child_event<V: Visit>(event: &mut ChildEvent, visitor: &mut V) -> Result<(), V::Error> {
    match event {
        ChildEvent::Initiated(start) => start_child(start, visitor),
        ChildEvent::StartFailed { failure: f, .. } => failure(f, visitor),
        ChildEvent::Started { .. } => Ok(()),
        ChildEvent::Ended { end, .. } => match end {
            ChildEnd::Completed(result) => visitor.payload(result),
            ChildEnd::Failed(f) | ChildEnd::Canceled(f) => failure(f, visitor),
            ChildEnd::TimedOut | ChildEnd::Terminated => Ok(()),
        },
    }
}

fn start_child<V: Visit>(start: &mut Arc<StartChild>, visitor: &mut V) -> Result<(), V::Error> {
    let start = Arc::make_mut(start);
    visitor.payload(&mut start.input)?;
    start.memo.values_mut().try_for_each(|field| visitor.payload(field))
}

fn outcome<V: Visit>(outcome: &mut Result<Payload, Failure>, visitor: &mut V) -> Result<(), V::Error> {
    match outcome {
        Ok(payload) => visitor.payload(payload),
        Err(f) => failure(f, visitor),
    }
}

fn failure<V: Visit>(outermost: &mut Failure, visitor: &mut V) -> Result<(), V::Error> {
    let mut next = Some(outermost);
    while let Some(failure) = next {
        visitor.message(&mut failure.message)?;
        let details = match &mut failure.kind {
            FailureKind::Application(application) => application.details.as_mut(),
            FailureKind::Timeout { last_heartbeat, .. } => last_heartbeat.as_mut(),
            FailureKind::Canceled { details } => details.as_mut(),
            FailureKind::Terminated
            | FailureKind::WorkerLost
            | FailureKind::Activity { .. }
            | FailureKind::ChildWorkflow(_) => None,
        };
        if let Some(details) = details {
            visitor.payload(details)?;
        }
        next = failure.cause.as_deref_mut();
    }
    Ok(())
}
