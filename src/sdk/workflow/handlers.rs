//! Handlers: what workflow code does with signals, queries and updates as they come. Must not live here: running them
//! (that is `replay`), or the state that they share (`state`).

use std::any::type_name;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, select};

use crate::model::{
    Failure, FromPayload, IdError, Payload, Query, QueryName, SignalName, ToPayload, UpdateName, UpdateRequest,
};
use crate::sdk::function::encode;

use super::call::invalid_id;
use super::condition::WaitCondition;
use super::core::{UpdateHandler, Validator};
use super::external::ExternalWorkflow;
use super::state::WorkflowState;
use super::unfinished::{HandlerOf, RegisteredHandler, UpdateInfo};
use super::{WorkflowContext, invalid_input};

/// Signals, queries and updates. Handlers are called in the order in which what they handle came; each runs until its
/// first `await` before the next one begins, and before the workflow function goes on. A second handler for a name
/// replaces the first. What handlers share with the function is best kept in a [`WorkflowState`].
impl WorkflowContext {
    /// State that this run's function and handlers share: see [`WorkflowState`].
    pub fn state<S: 'static>(&self, initial: S) -> WorkflowState<S> {
        WorkflowState::new(self.clone(), initial)
    }

    /// Handles every signal of this name, also those that came before, as long as nobody received them. A signal whose data
    /// does not fit `I` is passed over; the history gets a marker `SignalNotRead` that says so.
    ///
    /// ```
    /// use amends::{Failure, WorkflowContext};
    ///
    /// async fn ledger(cx: WorkflowContext, _input: ()) -> Result<i64, Failure> {
    ///     let balance = cx.state(0_i64);
    ///     let paid_in = balance.clone();
    ///     let timer = cx.clone();
    ///     cx.on_signal("pay", async move |amount: i64| {
    ///         // A handler may await whatever a workflow may await.
    ///         if timer.sleep(std::time::Duration::from_secs(5)).await.is_ok() {
    ///             paid_in.change(|balance| *balance += amount);
    ///         }
    ///     })?;
    ///     balance.wait_until(|balance| *balance >= 100).await?;
    ///     cx.wait_condition(|| cx.all_handlers_finished()).await?;
    ///     Ok(balance.get())
    /// }
    /// # let _ = amends::WorkflowDefinition::of(ledger);
    /// ```
    ///
    /// # Errors
    /// A failure of type `InvalidId` when no signal can have this name.
    pub fn on_signal<I, F>(&self, name: impl AsRef<str>, handler: F) -> Result<RegisteredHandler, Failure>
    where
        I: FromPayload + 'static,
        F: AsyncFn(I) + 'static,
    {
        let name = SignalName::new(name).map_err(|error| invalid_id(&error))?;
        let handler = Rc::new(handler);
        let start = move |name: &SignalName, input: Payload| {
            let input = read::<I>("signal", name.as_str(), &input)?;
            let handler = handler.clone();
            Ok(async move { handler(input).await }.boxed_local())
        };
        let replaced = self.core.borrow_mut().handle_signals(name.clone(), Rc::new(start));
        drop(replaced);
        Ok(self.registered(HandlerOf::Signal(Some(name))))
    }

    /// Handles every signal that has no handler of its own and that the code does not receive by
    /// [`signal`](Self::signal), also those that came before.
    pub fn on_any_signal<F>(&self, handler: F) -> RegisteredHandler
    where
        F: AsyncFn(SignalName, Payload) + 'static,
    {
        let handler = Rc::new(handler);
        let start = move |name: &SignalName, input: Payload| {
            let (handler, name) = (handler.clone(), name.clone());
            Ok(async move { handler(name, input).await }.boxed_local())
        };
        let replaced = self.core.borrow_mut().handle_any_signal(Rc::new(start));
        drop(replaced);
        self.registered(HandlerOf::Signal(None))
    }

    /// Answers queries of this name, while the run goes on and after it has ended. The handler only looks: when it asks the
    /// engine for anything, or changes a [`WorkflowState`], the query fails and nothing else happens. (State that it
    /// reaches in other ways it could change unnoticed; that would be lost, or not, by chance.)
    ///
    /// # Errors
    /// A failure of type `InvalidId` when no query can have this name.
    pub fn on_query<I, O, F>(&self, name: impl AsRef<str>, handler: F) -> Result<(), Failure>
    where
        I: FromPayload + 'static,
        O: ToPayload + 'static,
        F: Fn(I) -> O + 'static,
    {
        let name = query_name(name)?;
        let answer = move |query: &Query| {
            let input = read::<I>("query", query.name.as_str(), &query.input)?;
            write(&handler(input))
        };
        let replaced = self.core.borrow_mut().handle_query(Some(name), Rc::new(answer));
        drop(replaced);
        Ok(())
    }

    /// Answers every query that has no handler of its own.
    pub fn on_any_query<F>(&self, handler: F)
    where
        F: Fn(&QueryName, &Payload) -> Result<Payload, Failure> + 'static,
    {
        let answer = move |query: &Query| handler(&query.name, &query.input);
        let replaced = self.core.borrow_mut().handle_query(None, Rc::new(answer));
        drop(replaced);
    }

    /// Does updates of this name: requests whose callers wait for the result. An update whose data does not fit `I` is
    /// refused, and leaves no trace.
    ///
    /// # Errors
    /// A failure of type `InvalidId` when no update can have this name.
    pub fn on_update<I, O, E, F>(&self, name: impl AsRef<str>, handler: F) -> Result<RegisteredHandler, Failure>
    where
        I: FromPayload + 'static,
        O: ToPayload + 'static,
        E: Into<Failure> + 'static,
        F: AsyncFn(I) -> Result<O, E> + 'static,
    {
        self.add_update::<I, O, E, F>(name.as_ref(), None, handler)
    }

    /// Does updates of this name, after a look at each: one that the validator refuses leaves no trace in the history. The
    /// validator only looks, like a query's handler. It is not asked again on replay.
    ///
    /// # Errors
    /// A failure of type `InvalidId` when no update can have this name.
    pub fn on_validated_update<I, O, E, F, V>(
        &self,
        name: impl AsRef<str>,
        validator: V,
        handler: F,
    ) -> Result<RegisteredHandler, Failure>
    where
        I: FromPayload + 'static,
        O: ToPayload + 'static,
        E: Into<Failure> + 'static,
        F: AsyncFn(I) -> Result<O, E> + 'static,
        V: Fn(&I) -> Result<(), E> + 'static,
    {
        let validate = move |request: &UpdateRequest| {
            let input = read::<I>("update", request.name.as_str(), &request.input)?;
            validator(&input).map_err(Into::into)
        };
        self.add_update::<I, O, E, F>(name.as_ref(), Some(Rc::new(validate)), handler)
    }

    fn add_update<I, O, E, F>(
        &self,
        name: &str,
        validate: Option<Validator>,
        handler: F,
    ) -> Result<RegisteredHandler, Failure>
    where
        I: FromPayload + 'static,
        O: ToPayload + 'static,
        E: Into<Failure> + 'static,
        F: AsyncFn(I) -> Result<O, E> + 'static,
    {
        let name = UpdateName::new(name).map_err(|error| invalid_id(&error))?;
        let handler = Rc::new(handler);
        let start = move |request: UpdateRequest| {
            let input = read::<I>("update", request.name.as_str(), &request.input)?;
            let handler = handler.clone();
            let handled = async move {
                let output = handler(input).await.map_err(Into::into)?;
                write(&output)
            };
            Ok(handled.boxed_local())
        };
        let start = Rc::new(start);
        let handler = UpdateHandler { validate, start };
        let replaced = self.core.borrow_mut().handle_update(Some(name.clone()), handler);
        drop(replaced);
        Ok(self.registered(HandlerOf::Update(Some(name))))
    }

    /// What was said about the handler before it is of the one that it replaces.
    fn registered(&self, which: HandlerOf) -> RegisteredHandler {
        self.core.borrow_mut().mind_unfinished(&which);
        RegisteredHandler::new(self.core.clone(), which)
    }

    /// Does every update that has no handler of its own.
    pub fn on_any_update<F>(&self, handler: F) -> RegisteredHandler
    where
        F: AsyncFn(UpdateName, Payload) -> Result<Payload, Failure> + 'static,
    {
        self.add_any_update(None, handler)
    }

    /// Does every update that has no handler of its own, after a look at each: see
    /// [`on_validated_update`](Self::on_validated_update).
    ///
    /// ```
    /// use amends::{Failure, WorkflowContext};
    ///
    /// async fn script(cx: WorkflowContext, verbs: Vec<String>) -> Result<(), Failure> {
    ///     cx.on_any_validated_update(
    ///         move |verb, _| match verbs.iter().any(|known| known == verb.as_str()) {
    ///             true => Ok(()),
    ///             false => Err(Failure::new("UnknownVerb", verb.as_str())),
    ///         },
    ///         async |_verb, said| Ok(said),
    ///     );
    ///     cx.signal::<()>("end").recv().await
    /// }
    /// # let _ = amends::WorkflowDefinition::of(script);
    /// ```
    pub fn on_any_validated_update<F, V>(&self, validator: V, handler: F) -> RegisteredHandler
    where
        F: AsyncFn(UpdateName, Payload) -> Result<Payload, Failure> + 'static,
        V: Fn(&UpdateName, &Payload) -> Result<(), Failure> + 'static,
    {
        let validate = move |request: &UpdateRequest| validator(&request.name, &request.input);
        self.add_any_update(Some(Rc::new(validate)), handler)
    }

    fn add_any_update<F>(&self, validate: Option<Validator>, handler: F) -> RegisteredHandler
    where
        F: AsyncFn(UpdateName, Payload) -> Result<Payload, Failure> + 'static,
    {
        let handler = Rc::new(handler);
        let start = move |request: UpdateRequest| {
            let handler = handler.clone();
            Ok(async move { handler(request.name, request.input).await }.boxed_local())
        };
        let start = Rc::new(start);
        let handler = UpdateHandler { validate, start };
        let replaced = self.core.borrow_mut().handle_update(None, handler);
        drop(replaced);
        self.registered(HandlerOf::Update(None))
    }

    /// The update that the code is about right now: its id and its name, in the update's handler and its validator, and in
    /// whatever they call. `None` elsewhere.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure, WorkflowContext};
    ///
    /// async fn charge(_cx: ActivityContext, request: (String, u32)) -> Result<(), Failure> { drop(request); Ok(()) }
    ///
    /// async fn tab(cx: WorkflowContext, _table: u32) -> Result<(), Failure> {
    ///     let own = cx.clone();
    ///     cx.on_update("pay", async move |cents: u32| {
    ///         let update = own.current_update().ok_or_else(|| Failure::new("NotAnUpdate", ""))?;
    ///         own.activity(charge, &(update.id.to_string(), cents)).await
    ///     })?;
    ///     cx.signal::<()>("leave").recv().await
    /// }
    /// # let _ = amends::WorkflowDefinition::of(tab);
    /// ```
    #[must_use]
    pub fn current_update(&self) -> Option<UpdateInfo> {
        self.core.borrow().current_update().cloned()
    }

    /// Whether no handler of a signal or an update is still about its work: what to wait for before the function returns,
    /// because what a handler has not finished then, it never will.
    #[must_use]
    pub fn all_handlers_finished(&self) -> bool {
        self.core.borrow().all_handlers_finished()
    }

    /// Waits until the condition holds. It is looked at whenever anything has happened, and must only look.
    ///
    /// # Errors
    /// Resolves to a cancellation when the run is cancelled.
    pub fn wait_condition<F: FnMut() -> bool + Unpin>(&self, condition: F) -> WaitCondition<F> {
        WaitCondition::new(self.core.clone(), condition)
    }

    /// Waits until the condition holds, but no longer than `limit`: `false` when the time was up first.
    ///
    /// # Errors
    /// A cancellation when the run is cancelled.
    pub async fn wait_condition_for<F: FnMut() -> bool + Unpin>(
        &self,
        limit: Duration,
        condition: F,
    ) -> Result<bool, Failure> {
        match select(self.wait_condition(condition), self.sleep(limit)).await {
            Either::Left((met, _)) => met.map(|()| true),
            Either::Right((slept, _)) => slept.map(|()| false),
        }
    }

    /// Another run, to send it a signal or ask it to end.
    ///
    /// ```
    /// use amends::{Failure, WorkflowContext};
    ///
    /// async fn payment(cx: WorkflowContext, order: String) -> Result<(), Failure> {
    ///     cx.external(&order).signal("paid", &true).await
    /// }
    /// # let _ = amends::WorkflowDefinition::of(payment);
    /// ```
    #[must_use]
    pub fn external(&self, workflow_id: impl AsRef<str>) -> ExternalWorkflow {
        ExternalWorkflow::new(self.core.clone(), workflow_id.as_ref())
    }
}

fn query_name(name: impl AsRef<str>) -> Result<QueryName, Failure> {
    QueryName::new(name).map_err(|error: IdError| invalid_id(&error))
}

fn read<I: FromPayload>(what: &str, name: &str, input: &Payload) -> Result<I, Failure> {
    input.to().map_err(|error| {
        let message = format!(
            "the data of {what} {name:?} cannot be read as {}: {error}",
            type_name::<I>()
        );
        Failure::non_retryable("InvalidInput", message)
    })
}

fn write<O: ToPayload>(output: &O) -> Result<Payload, Failure> {
    encode(output)
        .and_then(|payload| payload.checked())
        .map_err(|error| Failure::non_retryable("InvalidOutput", invalid_input("the answer", &error).message))
}
