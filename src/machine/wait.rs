//! Steps that wait, for a signal or for a time. Must not live here: timers and signals of workflow code.

use crate::model::{EventAttributes, EventId, SagaWaitStarted, WaitResult, WaitStep};

use super::turn::TurnBuilder;

impl TurnBuilder<'_> {
    pub(super) fn begin_wait(&mut self, wait: WaitStep) {
        let WaitStep {
            name,
            after,
            signal,
            timeout,
            default,
        } = wait;
        let until = timeout.map(|timeout| self.now.after(timeout));
        self.emit(EventAttributes::SagaWaitStarted(Box::new(SagaWaitStarted {
            name,
            after,
            signal,
            until,
            default,
        })));
        self.serve_waits();
    }

    /// Gives every signal that a step waits for to the step that has waited longest.
    pub(super) fn serve_waits(&mut self) {
        if self.state.paused.is_some() {
            return;
        }
        while let Some((started, signal)) = self.served_next() {
            let result = WaitResult::Signaled(signal);
            self.emit(EventAttributes::SagaWaitEnded { started, result });
        }
    }

    fn served_next(&self) -> Option<(EventId, EventId)> {
        self.state.waits.iter().find_map(|(started, wait)| {
            let unread = self.state.unread_signals.get(wait.started.signal.as_ref()?)?;
            unread.front().map(|(signal, _)| (*started, *signal))
        })
    }

    /// Ends the waits whose time has come.
    pub(super) fn end_waits(&mut self) {
        let now = self.now;
        let due = self
            .state
            .waits
            .iter()
            .filter(|(_, wait)| wait.started.until.is_some_and(|until| until <= now));
        let due: Vec<(EventId, WaitResult)> = due
            .map(|(started, wait)| {
                let fails = wait.started.signal.is_some() && wait.started.default.is_none();
                let result = if fails {
                    WaitResult::TimedOut
                } else {
                    WaitResult::Elapsed
                };
                (*started, result)
            })
            .collect();
        for (started, result) in due {
            self.emit(EventAttributes::SagaWaitEnded { started, result });
        }
    }

    /// The saga turns back: nobody waits any more.
    pub(super) fn stop_waits(&mut self) {
        let waiting: Vec<EventId> = self.state.waits.keys().copied().collect();
        for started in waiting {
            let result = WaitResult::Canceled;
            self.emit(EventAttributes::SagaWaitEnded { started, result });
        }
    }
}
