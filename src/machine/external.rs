//! What a run says to other runs: signals, and requests to end. Must not live here: delivering it (that is `runtime`).
//!
//! ```text
//!  command --> Initiated event --> (the runtime delivers it, as often as crashes make it) --> Signaled | Failed
//! ```
//!
//! The initiating event names the message for ever: the other run takes it once, however often it is brought. A message that
//! is on its way when its sender ends is brought all the same: by the run that follows, or by the one that has ended, which
//! is not settled before that. Who has ended is not told how it went.

use crate::model::{
    Command, EventAttributes, EventId, ExternalMessage, Failure, LeftMessage, MessageKey, PendingChange, RunId,
};

use super::apply::ApplyError;
use super::left_child::cancels;
use super::state::RunState;
use super::turn::{Rejection, Reply, TurnBuilder};

/// The deduplication key of what a run says or starts by this event: equal however often that is done.
#[must_use]
pub fn external_request_id(run_id: RunId, initiated: EventId) -> String {
    format!("{run_id}/{initiated}")
}

impl TurnBuilder<'_> {
    pub(super) fn say(&mut self, command: Command) {
        match command {
            Command::SignalExternal(signal) => {
                self.emit(EventAttributes::SignalExternalWorkflowExecutionInitiated(signal));
            }
            Command::RequestCancelExternal(cancel) => {
                self.emit(EventAttributes::RequestCancelExternalWorkflowExecutionInitiated(cancel));
            }
            Command::AcceptUpdate(request) => self.accept_update(*request),
            Command::CompleteUpdate { update_id, outcome } => self.complete_update(update_id, outcome),
            _ => {}
        }
    }

    pub(super) fn external_ended(
        &mut self,
        initiated: EventId,
        outcome: Result<(), Failure>,
    ) -> Result<Reply, Rejection> {
        use EventAttributes as E;
        let pending = self.state.externals.get(&initiated);
        let ended = match (pending.ok_or(Rejection::StaleAttempt)?, outcome) {
            (ExternalMessage::Signal(_), Ok(())) => E::ExternalWorkflowExecutionSignaled { initiated },
            (ExternalMessage::Cancel(_), Ok(())) => E::ExternalWorkflowExecutionCancelRequested { initiated },
            (ExternalMessage::Signal(_), Err(failure)) => {
                E::SignalExternalWorkflowExecutionFailed { initiated, failure }
            }
            (ExternalMessage::Cancel(_), Err(failure)) => {
                E::RequestCancelExternalWorkflowExecutionFailed { initiated, failure }
            }
        };
        self.emit(ended);
        Ok(Reply::Accepted)
    }

    /// A message that a run which has ended has left was brought, or cannot be.
    pub(super) fn message_released(&mut self, message: MessageKey) -> Reply {
        if !self.state.left_messages.contains_key(&message) {
            return Reply::Duplicate;
        }
        self.change(PendingChange::MessageReleased { message });
        Reply::Accepted
    }
}

/// Folding.
impl RunState {
    pub(super) fn inherit_messages(&mut self, messages: &[LeftMessage]) {
        let messages = messages.iter().map(|left| (left.key, left.message.clone()));
        self.left_messages = messages.collect();
    }

    pub(super) fn release_message(&mut self, key: MessageKey) -> Result<(), ApplyError> {
        match self.left_messages.remove(&key) {
            Some(_) => Ok(()),
            None => Err(self.misfit(format!("the message {} is not to be brought", key.request_id()))),
        }
    }
}

impl RunState {
    /// Effect: every message of this run's that is to be brought to another one, while it is open.
    pub fn externals(&self) -> impl Iterator<Item = (EventId, &ExternalMessage)> {
        let open = !self.is_closed();
        let pending = self.externals.iter().filter(move |_| open);
        pending.map(|(initiated, pending)| (*initiated, pending))
    }

    /// Effect: the messages that are to be brought although the run that sends them has ended: this one, or one before it.
    pub fn left_messages(&self) -> impl Iterator<Item = (MessageKey, &ExternalMessage)> {
        self.left_messages.iter().map(|(key, message)| (*key, message))
    }

    /// The name of a message of this run's; of a copied one, that which it has in the run that wrote it.
    #[must_use]
    pub fn message_key(&self, initiated: EventId) -> MessageKey {
        MessageKey {
            sender_run: self.writer_of(initiated).unwrap_or(RunId::NIL),
            initiated,
        }
    }

    /// Whether this message is still to be brought.
    #[must_use]
    pub fn owes_message(&self, key: MessageKey) -> bool {
        self.left_messages.contains_key(&key)
            || (self.externals.contains_key(&key.initiated) && self.message_key(key.initiated) == key)
    }

    /// How many messages are on their way.
    pub(super) fn messages_pending(&self) -> usize {
        self.externals.len() + self.left_messages.len()
    }

    /// The messages that the run leaves when it ends now, its own and those that it was left. That a child is to end is owed to
    /// the child (`left_child`).
    pub(super) fn messages_left(&self) -> Vec<LeftMessage> {
        let is_owed_to_child = |message: &ExternalMessage| self.children().any(|(_, child)| cancels(message, child));
        let earlier = self.left_messages();
        let own = self.externals.iter().filter(|(_, message)| !is_owed_to_child(message));
        let own = own.map(|(initiated, message)| (self.message_key(*initiated), message));
        let left = earlier.chain(own).map(|(key, message)| LeftMessage {
            key,
            message: message.clone(),
        });
        left.collect()
    }
}
