//! Handlers of signals, queries and updates, what waits for one, and messages to other runs. Must not live here: running
//! handlers (that is `replay`), their types (that is `handlers`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::task::Waker;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::model::{Command, EventId, Failure, Payload, Query, QueryName, SignalName, UpdateName, UpdateRequest};

use super::super::unfinished::{HandlerOf, UpdateInfo};
use super::{Core, Key, WaitFor, What};

/// What starts the handling of a signal; a failure means that its data does not fit.
pub(crate) type SignalHandler = Rc<dyn Fn(&SignalName, Payload) -> Result<LocalBoxFuture<'static, ()>, Failure>>;
/// What answers a query.
pub(crate) type QueryHandler = Rc<dyn Fn(&Query) -> Result<Payload, Failure>>;
/// What says whether an update is taken on.
pub(crate) type Validator = Rc<dyn Fn(&UpdateRequest) -> Result<(), Failure>>;
/// What starts the handling of an update; a failure means that its data does not fit.
pub(crate) type UpdateStart =
    Rc<dyn Fn(UpdateRequest) -> Result<LocalBoxFuture<'static, Result<Payload, Failure>>, Failure>>;

/// How an update is handled.
#[derive(Clone)]
pub(crate) struct UpdateHandler {
    pub(crate) validate: Option<Validator>,
    pub(crate) start: UpdateStart,
}

/// A signal whose handler is to be started.
pub(crate) struct SignalStart {
    pub(crate) name: SignalName,
    pub(crate) input: Payload,
    pub(crate) handler: SignalHandler,
    /// In the order of all signals.
    pub(super) place: u64,
}

/// Everything that handles messages; see the module. The handlers hold the context, which holds this: whoever throws a run
/// away has to take them out first.
#[derive(Default)]
pub(crate) struct Handlers {
    signals: BTreeMap<SignalName, SignalHandler>,
    any_signal: Option<SignalHandler>,
    queries: BTreeMap<QueryName, QueryHandler>,
    any_query: Option<QueryHandler>,
    updates: BTreeMap<UpdateName, UpdateHandler>,
    any_update: Option<UpdateHandler>,
    /// Signals whose handlers are to be started, in the order of their arrival.
    pub(super) starting: VecDeque<SignalStart>,
}

impl Handlers {
    /// Whether signals of this name have a handler of their own.
    pub(super) fn handles_signal(&self, name: &SignalName) -> bool {
        self.signals.contains_key(name)
    }

    /// Whether updates of this name have a handler of their own.
    pub(super) fn handles_update(&self, name: &UpdateName) -> bool {
        self.updates.contains_key(name)
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) handlers: Handlers,
    /// Signals that nobody has taken yet, with their place in the order of all.
    pub(super) unread: BTreeMap<SignalName, VecDeque<(u64, Payload)>>,
    signals_arrived: u64,
    /// Signals that the code receives itself: the handler of all others leaves them alone.
    received: BTreeSet<SignalName>,
    /// Handlers that have started and not ended.
    running: usize,
    /// The update that the code is about right now.
    pub(super) current_update: Option<Rc<UpdateInfo>>,
    /// Handlers that need not have finished when the run ends.
    pub(super) may_be_abandoned: BTreeSet<HandlerOf>,
    /// How many conditions were met so far.
    conditions_met: u64,
    /// Messages to other runs whose initiating events are not known yet, in order.
    unconfirmed: VecDeque<Key>,
    by_initiated: BTreeMap<EventId, Key>,
    /// A query or a validator is running, which must not change anything.
    read_only: bool,
    /// What it tried to do.
    violation: Option<String>,
}

/// What the code calls.
impl Core {
    /// To be called before anything that leaves a trace. Ends a query, or a validator, that tries to.
    pub(in crate::sdk::workflow) fn expect_writable(&mut self, what: &str) {
        if self.messages.read_only {
            self.messages.violation.get_or_insert_with(|| what.to_owned());
            let message = format!("a query or validator only looks; it tried to {what}");
            // Not a panic, which would be told on stderr: whoever asked hears of it.
            std::panic::resume_unwind(Box::new(Failure::non_retryable("NotReadOnly", message)));
        }
    }

    /// The same for destructors, which must not unwind: whether the caller has to leave it.
    pub(super) fn is_kept_from(&mut self, what: &str) -> bool {
        if self.messages.read_only {
            self.messages.violation.get_or_insert_with(|| what.to_owned());
        }
        self.messages.read_only
    }

    pub(in crate::sdk::workflow) fn receives(&mut self, name: &SignalName) {
        if !self.messages.received.contains(name) {
            self.expect_writable("receive signals");
            self.messages.received.insert(name.clone());
        }
    }

    pub(in crate::sdk::workflow) fn take_signal(&mut self, name: &SignalName) -> Option<Payload> {
        let waits = self.messages.unread.get(name).is_some_and(|unread| !unread.is_empty());
        if !waits {
            return None;
        }
        self.expect_writable("receive a signal");
        let (_, payload) = self.messages.unread.get_mut(name)?.pop_front()?;
        Some(payload)
    }

    /// Returns the handler that was replaced, to be dropped outside: it may hold anything of the code's.
    #[must_use]
    pub(in crate::sdk::workflow) fn handle_signals(
        &mut self,
        name: SignalName,
        handler: SignalHandler,
    ) -> Option<SignalHandler> {
        self.expect_writable("register a handler");
        let unread = self.messages.unread.remove(&name).unwrap_or_default();
        for (place, input) in unread {
            self.start_handler(place, name.clone(), input, handler.clone());
        }
        self.messages.handlers.signals.insert(name, handler)
    }

    #[must_use]
    pub(in crate::sdk::workflow) fn handle_any_signal(&mut self, handler: SignalHandler) -> Option<SignalHandler> {
        self.expect_writable("register a handler");
        let received = &self.messages.received;
        let (kept, unread) = std::mem::take(&mut self.messages.unread)
            .into_iter()
            .partition(|(name, _)| received.contains(name));
        self.messages.unread = kept;
        let unread: BTreeMap<SignalName, VecDeque<(u64, Payload)>> = unread;
        let in_order = unread.into_iter().flat_map(|(name, inputs)| {
            inputs
                .into_iter()
                .map(move |(place, input)| (place, (name.clone(), input)))
        });
        let in_order: BTreeMap<u64, (SignalName, Payload)> = in_order.collect();
        for (place, (name, input)) in in_order {
            self.start_handler(place, name, input, handler.clone());
        }
        self.messages.handlers.any_signal.replace(handler)
    }

    fn start_handler(&mut self, place: u64, name: SignalName, input: Payload, handler: SignalHandler) {
        let start = SignalStart {
            name,
            input,
            handler,
            place,
        };
        self.messages.handlers.starting.push_back(start);
    }

    #[must_use]
    pub(in crate::sdk::workflow) fn handle_query(
        &mut self,
        name: Option<QueryName>,
        handler: QueryHandler,
    ) -> Option<QueryHandler> {
        self.expect_writable("register a handler");
        match name {
            Some(name) => self.messages.handlers.queries.insert(name, handler),
            None => self.messages.handlers.any_query.replace(handler),
        }
    }

    #[must_use]
    pub(in crate::sdk::workflow) fn handle_update(
        &mut self,
        name: Option<UpdateName>,
        handler: UpdateHandler,
    ) -> Option<UpdateHandler> {
        self.expect_writable("register a handler");
        match name {
            Some(name) => self.messages.handlers.updates.insert(name, handler),
            None => self.messages.handlers.any_update.replace(handler),
        }
    }

    pub(in crate::sdk::workflow) fn all_handlers_finished(&self) -> bool {
        self.messages.running == 0 && self.messages.handlers.starting.is_empty()
    }

    pub(in crate::sdk::workflow) fn wait_for_condition(
        &mut self,
        key: &mut Option<Key>,
        waker: Waker,
    ) -> Option<Waker> {
        self.wait(WaitFor::Condition, key, waker)
    }

    pub(in crate::sdk::workflow) fn meet_condition(&mut self) {
        self.expect_writable("wait for a condition");
        self.messages.conditions_met += 1;
    }

    /// Says something to another run.
    pub(in crate::sdk::workflow) fn say(&mut self, command: Command) -> Result<Key, Failure> {
        self.expect_writable("send another run a message");
        self.expect_not_canceled()?;
        self.commands.push(command);
        let key = self.begin(What::External);
        self.expect_external(key);
        Ok(key)
    }

    /// The message that was given last is this operation's.
    pub(super) fn expect_external(&mut self, key: Key) {
        self.messages.unconfirmed.push_back(key);
    }
}

/// What `replay` calls.
impl Core {
    pub(crate) fn deliver_signal(&mut self, name: &SignalName, input: Payload) {
        self.messages.signals_arrived += 1;
        let place = self.messages.signals_arrived;
        let handlers = &self.messages.handlers;
        let of_all = handlers
            .any_signal
            .as_ref()
            .filter(|_| !self.messages.received.contains(name));
        if let Some(handler) = handlers.signals.get(name).or(of_all).cloned() {
            return self.start_handler(place, name.clone(), input, handler);
        }
        self.messages
            .unread
            .entry(name.clone())
            .or_default()
            .push_back((place, input));
        self.wake_waiting(|wait_for| matches!(wait_for, WaitFor::Signal(waited) if waited == name));
    }

    pub(crate) fn next_signal_start(&mut self) -> Option<SignalStart> {
        self.messages.handlers.starting.pop_front()
    }

    pub(crate) fn has_signal_starts(&self) -> bool {
        !self.messages.handlers.starting.is_empty()
    }

    pub(crate) fn update_handler(&self, name: &UpdateName) -> Option<UpdateHandler> {
        let handlers = &self.messages.handlers;
        handlers.updates.get(name).or(handlers.any_update.as_ref()).cloned()
    }

    pub(crate) fn query_handler(&self, name: &QueryName) -> Option<QueryHandler> {
        let handlers = &self.messages.handlers;
        handlers.queries.get(name).or(handlers.any_query.as_ref()).cloned()
    }

    pub(crate) fn query_names(&self) -> Vec<String> {
        self.messages.handlers.queries.keys().map(ToString::to_string).collect()
    }

    pub(crate) fn update_names(&self) -> Vec<String> {
        self.messages.handlers.updates.keys().map(ToString::to_string).collect()
    }

    pub(crate) fn handler_began(&mut self) {
        self.messages.running += 1;
    }

    pub(crate) fn handler_ended(&mut self) {
        self.messages.running -= 1;
    }

    /// A signal's data does not fit its handler: it is gone, and the history says so.
    pub(crate) fn note_unreadable(&mut self, signal: &SignalName, failure: &Failure) {
        let details = json!({"signal": signal.as_str(), "failure": failure.to_string()});
        let details = Payload::of(&details).unwrap_or_else(|_| Payload::null());
        self.record_marker("SignalNotRead".to_owned(), details);
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Lets every condition be looked at again; returns how many were met so far.
    pub(crate) fn recheck_conditions(&mut self) -> u64 {
        self.wake_waiting(|wait_for| *wait_for == WaitFor::Condition);
        self.messages.conditions_met
    }

    pub(crate) fn conditions_met(&self) -> u64 {
        self.messages.conditions_met
    }

    /// From here on nothing may be changed, or it may again. Returns what was tried in between.
    pub(crate) fn set_read_only(&mut self, read_only: bool) -> Option<String> {
        self.messages.read_only = read_only;
        self.messages.violation.take()
    }

    pub(crate) fn confirm_external(&mut self, initiated: EventId) {
        if let Some(key) = self.messages.unconfirmed.pop_front() {
            self.messages.by_initiated.insert(initiated, key);
        }
    }

    pub(crate) fn end_external(&mut self, initiated: EventId, outcome: Result<(), Failure>) {
        if let Some(key) = self.messages.by_initiated.remove(&initiated) {
            self.child_heard(key);
            self.resolve(key, outcome.map(|()| Payload::null()));
        }
    }

    /// Everything that holds the context, to be dropped outside.
    pub(crate) fn take_handlers(&mut self) -> Handlers {
        std::mem::take(&mut self.messages.handlers)
    }

    /// What the code handles and waits for, for people.
    pub(crate) fn describe(&self) -> Value {
        let handlers = &self.messages.handlers;
        let names = |names: Vec<String>, any: bool| {
            let any = any.then(|| "*".to_owned());
            names.into_iter().chain(any).collect::<Vec<_>>()
        };
        let signals = handlers.signals.keys().map(ToString::to_string).collect();
        let outstanding = self.operations.values().filter(|operation| operation.outcome.is_none());
        let operations = outstanding.map(|operation| match &operation.what {
            What::Activity { id, activity_type, .. } => format!("activity {activity_type} (id {id})"),
            What::Timer(id) => format!("timer {id}"),
            What::Local(seq) => self.locals.describe(*seq),
            What::Lock(lock) => format!("lock {lock}"),
            What::RollBack => "a rollback".to_owned(),
            What::External => "a message to another run".to_owned(),
            What::ChildStart(child) => format!("the beginning of {}", self.describe_child(*child)),
            What::ChildEnd(child) => self.describe_child(*child),
            What::ChildCancel(child) => format!("the cancellation of {}", self.describe_child(*child)),
        });
        let waits = self.waiting.values().map(|(wait_for, _)| match wait_for {
            WaitFor::Signal(name) => format!("signal {name}"),
            WaitFor::Condition => "a condition".to_owned(),
            WaitFor::Cancel => "a cancellation".to_owned(),
        });
        json!({
            "signals": names(signals, handlers.any_signal.is_some()),
            "queries": names(self.query_names(), handlers.any_query.is_some()),
            "updates": names(self.update_names(), handlers.any_update.is_some()),
            "waiting_for": operations.chain(waits).collect::<Vec<_>>(),
            "handlers_running": self.messages.running,
        })
    }
}
