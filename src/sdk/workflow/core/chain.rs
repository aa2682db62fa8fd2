//! What the code knows of its run and chain, and how it asks for the run that follows. Must not live here: beginning that
//! run (that is `machine`).

use crate::model::{ContinueAsNew, Failure, Payload, SignalName, check_memo, limits};

use super::versions::Refusal;
use super::{Core, refused_attribute};

/// How long the run's history is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HistoryInfo {
    /// Events, the present task's first two included.
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) continue_as_new_suggested: bool,
}

impl Core {
    pub(crate) fn set_history(&mut self, history: HistoryInfo) {
        self.history = history;
    }

    pub(in crate::sdk::workflow) fn history(&self) -> HistoryInfo {
        self.history
    }

    /// Has another run follow this one, which is over as soon as its code waits.
    pub(in crate::sdk::workflow) fn continue_as_new(&mut self, mut next: ContinueAsNew) -> Result<(), Failure> {
        self.expect_writable("continue as a new run");
        self.expect_not_canceled()?;
        let search_attributes = next.search_attributes.take();
        next.search_attributes = search_attributes
            .map(|attributes| self.typed_search_attributes(attributes))
            .transpose()?;
        if let Some(memo) = &next.memo {
            check_memo(memo).map_err(|error| refused_attribute(&error))?;
        }
        let (signals, bytes) = self.unread_signals();
        if signals > limits::SIGNALS_CARRIED_MAX || bytes > limits::TURN_INPUT_BYTES_FULL {
            // Not a failure: they were acknowledged, and would be lost with the run.
            self.refuse(Refusal::Senseless(format!(
                "{signals} signals of {bytes} bytes are unread, and a new run can be given {} of {} bytes: receive what has \
                 arrived (`try_recv`) before continuing as a new run",
                limits::SIGNALS_CARRIED_MAX,
                limits::TURN_INPUT_BYTES_FULL
            )));
            return Ok(());
        }
        self.continuation.get_or_insert(next);
        Ok(())
    }

    pub(crate) fn continues_as_new(&self) -> bool {
        self.continuation.is_some()
    }

    /// What follows, with every signal that the code has not received.
    pub(crate) fn take_continuation(&mut self) -> Option<ContinueAsNew> {
        let mut next = self.continuation.take()?;
        next.unread = self.take_unread_signals();
        Some(next)
    }

    fn unread_signals(&self) -> (usize, usize) {
        let bytes = |input: &Payload| input.data().len();
        let unread = self.messages.unread.values().flatten().map(|(_, input)| bytes(input));
        let starting = self.messages.handlers.starting.iter().map(|start| bytes(&start.input));
        unread
            .chain(starting)
            .fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
    }

    /// In the order of their arrival.
    fn take_unread_signals(&mut self) -> Vec<(SignalName, Payload)> {
        let starting = std::mem::take(&mut self.messages.handlers.starting);
        let mut unread: Vec<(u64, SignalName, Payload)> = starting
            .into_iter()
            .map(|start| (start.place, start.name, start.input))
            .collect();
        for (name, inputs) in std::mem::take(&mut self.messages.unread) {
            unread.extend(inputs.into_iter().map(|(place, input)| (place, name.clone(), input)));
        }
        unread.sort_unstable_by_key(|(place, _, _)| *place);
        unread.into_iter().map(|(_, name, input)| (name, input)).collect()
    }
}
