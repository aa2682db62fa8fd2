//! The code of one run: its function and its handlers, polled until they rest. Must not live here: events, or comparing
//! what the code asks for with what was recorded (`decider`).
//!
//! One turn goes like this, live and on replay alike:
//!
//! ```text
//!   handlers of signals that came, then of updates:  begin one, poll it until its first await, then the next
//!   poll all handlers, then the function, until nothing wakes them
//!   look at the conditions that are waited for; met: poll again
//!   new handlers that something is there for: begin again
//! ```

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::machine::{QueryError, UnfinishedHandler};
use crate::model::{Command, Failure, ParkReason, Payload, Query, RunId, RunStarted, UpdateRequest, limits};
use crate::sdk::{Core, UpdateHandler, UpdateInfo, Workflow, WorkflowContext};

use super::handling::{CodeFuture, Handling, about};
use super::root_waker::RootWaker;

/// A query that every run of code answers: what it handles and waits for.
const DESCRIBE: &str = "__describe";

/// The updates that a turn is about.
pub(super) enum Updates<'a> {
    /// They have just arrived: validators are asked, and what is refused is gone.
    Arrived(&'a [UpdateRequest]),
    /// They were accepted when this turn was decided first.
    Recorded(Vec<UpdateRequest>),
}

impl Updates<'_> {
    fn split(self) -> (VecDeque<UpdateRequest>, bool) {
        match self {
            Updates::Arrived(updates) => (updates.iter().cloned().collect(), true),
            Updates::Recorded(updates) => (updates.into(), false),
        }
    }
}

/// One run's code.
pub(super) struct Run {
    pub(super) core: Rc<RefCell<Core>>,
    future: Option<CodeFuture>,
    handlers: Vec<Handling>,
    /// To start the code with, before its first poll.
    input: Option<Payload>,
}

/// How the code ended.
pub(super) enum Ending {
    /// Its function returned.
    Returned(Result<Payload, Failure>),
    /// It, or one of its handlers, wants another run to follow.
    ContinuedAsNew,
}

/// What the code came to in one turn.
pub(super) enum Rest {
    /// It ended.
    Ended(Ending),
    /// It waits.
    Waiting,
    /// There was nothing but updates, all refused: it was not even asked.
    Untouched,
}

/// Polls of one turn that are left.
struct Polls {
    left: u32,
    waker: Arc<RootWaker>,
    task: Waker,
}

impl Polls {
    fn new(waker: &Arc<RootWaker>) -> Self {
        Self {
            left: limits::POLLS_PER_TURN_MAX,
            waker: waker.clone(),
            task: Waker::from(waker.clone()),
        }
    }

    fn take(&mut self) -> Result<(), ParkReason> {
        if self.left == 0 {
            let polls = limits::POLLS_PER_TURN_MAX;
            let message = format!("the code wakes itself without end: after {polls} polls it had not come to rest");
            return Err(ParkReason::BadCommand { message });
        }
        self.left -= 1;
        Ok(())
    }
}

impl Run {
    /// `original` is the run that wrote the first event.
    pub(super) fn new(started: &Arc<RunStarted>, original: RunId) -> Self {
        let mut core = Core::new(Arc::clone(started));
        core.decided_by(original);
        Self {
            core: Rc::new(RefCell::new(core)),
            future: None,
            handlers: Vec::new(),
            input: Some(started.input.clone()),
        }
    }

    /// Lets the code come to rest. `only_updates`: nothing else has happened.
    pub(super) fn rest(
        &mut self,
        workflow: &Arc<dyn Workflow>,
        waker: &Arc<RootWaker>,
        updates: Updates<'_>,
        only_updates: bool,
    ) -> Result<Rest, ParkReason> {
        if let Some(input) = self.input.take() {
            let cx = WorkflowContext::new(self.core.clone());
            self.future = Some(caught(|| workflow.start(cx, input))?);
        }
        let mut polls = Polls::new(waker);
        let (mut updates, validate) = updates.split();
        let began = self.begin_handlers(&mut updates, validate, &mut polls)?;
        if only_updates && !began {
            self.refuse(updates);
            return Ok(Rest::Untouched);
        }
        loop {
            if let Some(ended) = self.poll_to_rest(&mut polls)? {
                self.refuse(updates);
                return Ok(Rest::Ended(ended));
            }
            // The code may have registered handlers for what is there.
            if !self.begin_handlers(&mut updates, validate, &mut polls)? {
                break;
            }
        }
        self.refuse(updates);
        Ok(Rest::Waiting)
    }

    /// Begins the handlers of everything that has one, in the order of arrival, each until its first await.
    fn begin_handlers(
        &mut self,
        updates: &mut VecDeque<UpdateRequest>,
        validate: bool,
        polls: &mut Polls,
    ) -> Result<bool, ParkReason> {
        let mut began = false;
        loop {
            let next = self.core.borrow_mut().next_signal_start();
            let Some(signal) = next else {
                break;
            };
            began = true;
            match caught(|| (signal.handler)(&signal.name, signal.input.clone()))? {
                Ok(future) => self.begin(Handling::Signal(signal.name, future), polls)?,
                Err(failure) => self.core.borrow_mut().note_unreadable(&signal.name, &failure),
            }
        }
        for update in std::mem::take(updates) {
            let handler = self.core.borrow().update_handler(&update.name);
            match handler {
                Some(handler) => began |= self.begin_update(&handler, update, validate, polls)?,
                None => updates.push_back(update),
            }
        }
        Ok(began)
    }

    fn begin_update(
        &mut self,
        handler: &UpdateHandler,
        update: UpdateRequest,
        validate: bool,
        polls: &mut Polls,
    ) -> Result<bool, ParkReason> {
        let update_id = update.update_id.clone();
        let info = Rc::new(UpdateInfo::new(update_id.clone(), update.name.clone()));
        if validate && let Err(failure) = about(&self.core, &info, || self.validate(handler, &update)) {
            self.core
                .borrow_mut()
                .command(Command::RejectUpdate { update_id, failure });
            return Ok(false);
        }
        match about(&self.core, &info, || caught(|| (handler.start)(update.clone())))? {
            Ok(future) => {
                let accept = Command::AcceptUpdate(Box::new(update));
                self.core.borrow_mut().command(accept);
                self.begin(Handling::Update(info, future), polls)?;
                Ok(true)
            }
            // What was accepted once has to be done: matching will find it missing.
            Err(_) if !validate => Ok(true),
            Err(failure) => {
                self.core
                    .borrow_mut()
                    .command(Command::RejectUpdate { update_id, failure });
                Ok(false)
            }
        }
    }

    /// A validator that panics, or tries to change something, refuses.
    fn validate(&self, handler: &UpdateHandler, update: &UpdateRequest) -> Result<(), Failure> {
        let Some(validate) = &handler.validate else {
            return Ok(());
        };
        let (validated, violation) = self.looking(|| validate(update));
        if let Some(tried) = violation {
            let message = format!("the validator of update {:?} tried to {tried}", update.name);
            return Err(Failure::non_retryable("NotReadOnly", message));
        }
        validated.unwrap_or_else(|reason| Err(Failure::non_retryable("ValidatorPanicked", reason.to_string())))
    }

    /// Runs user code that must not change anything. Also says what it tried to change.
    fn looking<T>(&self, look: impl FnOnce() -> T) -> (Result<T, ParkReason>, Option<String>) {
        self.core.borrow_mut().set_read_only(true);
        let looked = caught(look);
        let violation = self.core.borrow_mut().set_read_only(false);
        (looked, violation)
    }

    /// Polls a new handler until its first await.
    fn begin(&mut self, mut handling: Handling, polls: &mut Polls) -> Result<(), ParkReason> {
        polls.take()?;
        self.core.borrow_mut().handler_began();
        match caught(|| handling.poll(&self.core, &mut Context::from_waker(&polls.task)))? {
            Poll::Ready(answer) => self.end_handler(answer),
            Poll::Pending => self.handlers.push(handling),
        }
        Ok(())
    }

    fn end_handler(&self, answer: Option<Command>) {
        let mut core = self.core.borrow_mut();
        core.handler_ended();
        if let Some(answer) = answer {
            core.command(answer);
        }
    }

    /// Polls until the code neither ends nor wakes itself, nor any condition is met.
    fn poll_to_rest(&mut self, polls: &mut Polls) -> Result<Option<Ending>, ParkReason> {
        loop {
            if let Some(ended) = self.poll_while_woken(polls)? {
                return Ok(Some(ended));
            }
            if self.core.borrow().has_signal_starts() {
                return Ok(None);
            }
            let met = self.core.borrow_mut().recheck_conditions();
            let wakers = self.core.borrow_mut().take_wakers();
            if wakers.is_empty() {
                return Ok(None);
            }
            wakers.into_iter().for_each(Waker::wake);
            if let Some(ended) = self.poll_while_woken(polls)? {
                return Ok(Some(ended));
            }
            if self.core.borrow().conditions_met() == met {
                return Ok(None);
            }
        }
    }

    fn poll_while_woken(&mut self, polls: &mut Polls) -> Result<Option<Ending>, ParkReason> {
        loop {
            polls.take()?;
            polls.waker.take_woken();
            self.poll_handlers(&polls.task)?;
            // A handler may have asked for it, perhaps before its first await.
            if self.core.borrow().continues_as_new() {
                return Ok(Some(Ending::ContinuedAsNew));
            }
            let Some(future) = &mut self.future else {
                return Ok(None);
            };
            match caught(|| future.as_mut().poll(&mut Context::from_waker(&polls.task)))? {
                Poll::Ready(result) => return Ok(Some(Ending::Returned(result))),
                Poll::Pending if self.core.borrow().continues_as_new() => return Ok(Some(Ending::ContinuedAsNew)),
                Poll::Pending if polls.waker.take_woken() => {}
                Poll::Pending => return Ok(None),
            }
        }
    }

    fn poll_handlers(&mut self, task: &Waker) -> Result<(), ParkReason> {
        let mut waiting = Vec::with_capacity(self.handlers.len());
        for mut handling in std::mem::take(&mut self.handlers) {
            match caught(|| handling.poll(&self.core, &mut Context::from_waker(task)))? {
                Poll::Ready(answer) => self.end_handler(answer),
                Poll::Pending => waiting.push(handling),
            }
        }
        self.handlers = waiting;
        Ok(())
    }

    /// Nobody does these updates.
    fn refuse(&self, updates: VecDeque<UpdateRequest>) {
        let mut core = self.core.borrow_mut();
        for update in updates {
            let known = core.update_names();
            let message = match known.is_empty() {
                true => format!("the run takes no updates, {:?} neither", update.name),
                false => format!("the run takes no update {:?}; known: {}", update.name, known.join(", ")),
            };
            core.command(Command::RejectUpdate {
                update_id: update.update_id,
                failure: Failure::non_retryable("UnknownUpdate", message),
            });
        }
    }

    /// Answers a query.
    pub(super) fn ask(&self, query: &Query) -> Result<Payload, QueryError> {
        let failed = |failure: Failure| QueryError::Failed(Box::new(failure));
        let handler = self.core.borrow().query_handler(&query.name);
        let Some(handler) = handler else {
            if query.name.as_str() == DESCRIBE {
                let described = Payload::json(&self.core.borrow().describe());
                return described.map_err(|error| failed(Failure::non_retryable("InvalidOutput", error.to_string())));
            }
            let mut known = self.core.borrow().query_names();
            known.push(DESCRIBE.to_owned());
            let name = query.name.clone();
            return Err(QueryError::Unknown { name, known });
        };
        let (answer, violation) = self.looking(|| handler(query));
        if let Some(tried) = violation {
            return Err(QueryError::NotReadOnly(tried));
        }
        match answer {
            Ok(answer) => answer.map_err(failed),
            Err(reason) => Err(QueryError::Panicked(reason.to_string())),
        }
    }

    pub(super) fn closing_command(&self, ending: Ending) -> Command {
        let result = match ending {
            Ending::Returned(result) => result,
            Ending::ContinuedAsNew => match self.core.borrow_mut().take_continuation() {
                Some(next) => return Command::ContinueAsNew(Box::new(next)),
                None => Err(Failure::non_retryable(
                    "ContinueAsNew",
                    "nothing says how the run continues",
                )),
            },
        };
        let result = result.and_then(|payload| {
            payload.checked().map_err(|error| {
                let message = format!("the workflow's result cannot be recorded: {error}");
                Failure::non_retryable("InvalidOutput", message)
            })
        });
        match result {
            Ok(result) => Command::CompleteWorkflow { result },
            Err(failure) if failure.is_canceled() && self.core.borrow().cancel_was_requested() => {
                Command::CancelWorkflow { failure }
            }
            Err(failure) => Command::FailWorkflow { failure },
        }
    }

    /// The handlers that are about their work, or have not begun it, as far as somebody minds.
    pub(super) fn unfinished(&self) -> Vec<UnfinishedHandler> {
        let core = self.core.borrow();
        let begun = self.handlers.iter().filter_map(|handling| handling.unfinished(&core));
        let waiting = core.signals_not_begun().filter(|name| !core.may_abandon_signal(name));
        begun.chain(waiting.cloned().map(UnfinishedHandler::Signal)).collect()
    }

    /// Drops the code; what it still holds means nothing any more. Who answers queries stays.
    pub(super) fn put_away(&mut self) -> Result<(), ParkReason> {
        self.core.borrow_mut().end();
        let (future, handlers) = (self.future.take(), std::mem::take(&mut self.handlers));
        caught(|| drop((future, handlers)))
    }

    /// Drops everything. Handlers hold the context, and the context holds the handlers: without this they would stay for ever.
    pub(super) fn throw_away(&mut self) {
        // A destructor of the user's that panics must not take the thread of many runs with it.
        let _ = self.put_away();
        let handlers = self.core.borrow_mut().take_handlers();
        let _ = caught(|| drop(handlers));
    }
}

pub(super) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, ParkReason> {
    // A run whose code panicked is thrown away, so nobody sees what the panic left half done.
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| ParkReason::Panicked {
        message: panic_message(payload.as_ref()),
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else if let Some(failure) = payload.downcast_ref::<Failure>() {
        failure.to_string()
    } else {
        "a panic whose payload is not text".to_owned()
    }
}
