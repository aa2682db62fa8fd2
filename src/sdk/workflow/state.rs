//! State that a workflow function and its handlers share. Must not live here: handlers that await (`handlers`).

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::model::{Failure, FromPayload, ToPayload};

use super::WorkflowContext;
use super::condition::WaitCondition;

/// State that a workflow function shares with its handlers; clones are the same state. Made by
/// [`WorkflowContext::state`]. It is rebuilt by replay, so it costs the journal nothing.
///
/// Handlers that do not await are registered right here. What they may do is in their types: signals and updates get
/// `&mut S`, queries and validators `&S`.
///
/// ```
/// use amends::{Failure, WorkflowContext};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Cart { items: Vec<String>, checked_out: bool }
///
/// async fn cart(cx: WorkflowContext, _input: ()) -> Result<Cart, Failure> {
///     let cart = cx.state(Cart::default());
///     cart.on_signal("add", |cart, item: String| cart.items.push(item))?;
///     cart.on_query("items", |cart, ()| cart.items.clone())?;
///     cart.on_validated_update(
///         "check-out",
///         |cart, _: &()| match cart.items.is_empty() {
///             true => Err(Failure::new("EmptyCart", "there is nothing to pay for")),
///             false => Ok(()),
///         },
///         |cart, ()| {
///             cart.checked_out = true;
///             Ok(cart.items.len())
///         },
///     )?;
///     cart.wait_until(|cart| cart.checked_out).await?;
///     Ok(cart.get())
/// }
/// # let _ = amends::WorkflowDefinition::of(cart);
/// ```
pub struct WorkflowState<S> {
    cx: WorkflowContext,
    state: Rc<RefCell<S>>,
}

impl<S> Clone for WorkflowState<S> {
    fn clone(&self) -> Self {
        Self {
            cx: self.cx.clone(),
            state: self.state.clone(),
        }
    }
}

impl<S: 'static> WorkflowState<S> {
    pub(super) fn new(cx: WorkflowContext, initial: S) -> Self {
        let state = Rc::new(RefCell::new(initial));
        Self { cx, state }
    }

    /// A copy of the state.
    #[must_use]
    pub fn get(&self) -> S
    where
        S: Clone,
    {
        self.read(S::clone)
    }

    /// Looks at the state. Inside of `look` the same state must not be changed.
    pub fn read<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.state.borrow())
    }

    /// Changes the state. Inside of `change` the same state must not be looked at by other ways. In a query's handler or a
    /// validator this ends the query, or refuses the update.
    pub fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        self.cx.core.borrow_mut().expect_writable("change the run's state");
        change(&mut self.state.borrow_mut())
    }

    /// Waits until the state is so. It is looked at whenever anything has happened.
    ///
    /// # Errors
    /// Resolves to a cancellation when the run is cancelled.
    pub fn wait_until(&self, condition: impl Fn(&S) -> bool + Unpin) -> WaitCondition<impl FnMut() -> bool + Unpin> {
        let state = self.state.clone();
        self.cx.wait_condition(move || condition(&state.borrow()))
    }

    /// Handles signals; see [`WorkflowContext::on_signal`].
    ///
    /// # Errors
    /// As there.
    pub fn on_signal<I>(&self, name: impl AsRef<str>, handler: impl Fn(&mut S, I) + 'static) -> Result<(), Failure>
    where
        I: FromPayload + 'static,
    {
        let this = self.clone();
        self.cx
            .on_signal(name, async move |input: I| this.change(|state| handler(state, input)))
            .map(drop)
    }

    /// Answers queries; see [`WorkflowContext::on_query`].
    ///
    /// # Errors
    /// As there.
    pub fn on_query<I, O>(&self, name: impl AsRef<str>, handler: impl Fn(&S, I) -> O + 'static) -> Result<(), Failure>
    where
        I: FromPayload + 'static,
        O: ToPayload + 'static,
    {
        let this = self.clone();
        self.cx
            .on_query(name, move |input: I| this.read(|state| handler(state, input)))
    }

    /// Does updates; see [`WorkflowContext::on_update`].
    ///
    /// # Errors
    /// As there.
    pub fn on_update<I, O, E>(
        &self,
        name: impl AsRef<str>,
        handler: impl Fn(&mut S, I) -> Result<O, E> + 'static,
    ) -> Result<(), Failure>
    where
        I: FromPayload + 'static,
        O: ToPayload + 'static,
        E: Into<Failure> + 'static,
    {
        let this = self.clone();
        self.cx
            .on_update(name, async move |input: I| this.change(|state| handler(state, input)))
            .map(drop)
    }

    /// Does updates that a validator lets pass; see [`WorkflowContext::on_validated_update`].
    ///
    /// # Errors
    /// As there.
    pub fn on_validated_update<I, O, E>(
        &self,
        name: impl AsRef<str>,
        validator: impl Fn(&S, &I) -> Result<(), E> + 'static,
        handler: impl Fn(&mut S, I) -> Result<O, E> + 'static,
    ) -> Result<(), Failure>
    where
        I: FromPayload + 'static,
        O: ToPayload + 'static,
        E: Into<Failure> + 'static,
    {
        let (this, looked_at) = (self.clone(), self.clone());
        let registered = self.cx.on_validated_update(
            name,
            move |input: &I| looked_at.read(|state| validator(state, input)),
            async move |input: I| this.change(|state| handler(state, input)),
        );
        registered.map(drop)
    }
}

impl<S: fmt::Debug> fmt::Debug for WorkflowState<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkflowState").field(&self.state).finish()
    }
}
