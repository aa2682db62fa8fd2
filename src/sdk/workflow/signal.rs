//! Receiving signals. Must not live here: sending them.

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::model::{Failure, FromPayload, Payload, SignalName};

use super::call::invalid_id;
use super::core::{Core, Key};

/// Receives the signals of one name; see [`WorkflowContext::signal`](super::WorkflowContext::signal).
pub struct SignalReceiver<T> {
    core: Rc<RefCell<Core>>,
    name: Result<SignalName, Failure>,
    value: PhantomData<fn() -> T>,
}

impl<T> SignalReceiver<T> {
    pub(super) fn new(core: Rc<RefCell<Core>>, name: &str) -> Self {
        let name = SignalName::new(name).map_err(|error| invalid_id(&error));
        if let Ok(name) = &name {
            core.borrow_mut().receives(name);
        }
        Self {
            core,
            name,
            value: PhantomData,
        }
    }

    /// Waits for the next signal. When several wait for one, the one that is polled first gets it.
    ///
    /// # Errors
    /// Resolves to a cancellation when the run is cancelled, or to a failure of type `InvalidInput` when the signal's
    /// data does not fit `T` (that signal is then consumed).
    pub fn recv(&self) -> SignalReceive<T> {
        SignalReceive {
            core: self.core.clone(),
            name: self.name.clone(),
            waiting: None,
            value: PhantomData,
        }
    }

    /// The next signal if it has arrived already; also after a cancellation.
    ///
    /// # Errors
    /// A failure of type `InvalidInput` when the signal's data does not fit `T` (it is then consumed).
    pub fn try_recv(&self) -> Result<Option<T>, Failure>
    where
        T: FromPayload,
    {
        let name = self.name.as_ref().map_err(Clone::clone)?;
        let taken = self.core.borrow_mut().take_signal(name);
        taken.map(|payload| read_signal(name, &payload)).transpose()
    }
}

impl<T> Clone for SignalReceiver<T> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
            name: self.name.clone(),
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for SignalReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignalReceiver").field(&self.name).finish()
    }
}

/// Resolves to the next signal; see [`SignalReceiver::recv`]. A signal is taken only when this resolves, so dropping it
/// loses none.
#[must_use = "futures do nothing unless awaited"]
pub struct SignalReceive<T> {
    core: Rc<RefCell<Core>>,
    name: Result<SignalName, Failure>,
    waiting: Option<Key>,
    value: PhantomData<fn() -> T>,
}

impl<T: FromPayload> Future for SignalReceive<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let name = match &this.name {
            Ok(name) => name,
            Err(failure) => return Poll::Ready(Err(failure.clone())),
        };
        let waker = cx.waker().clone();
        let mut core = this.core.borrow_mut();
        if let Err(canceled) = core.expect_not_canceled() {
            return Poll::Ready(Err(canceled));
        }
        if let Some(payload) = core.take_signal(name) {
            drop(core);
            return Poll::Ready(read_signal(name, &payload));
        }
        let replaced = core.wait_for_signal(name, &mut this.waiting, waker);
        drop(core);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for SignalReceive<T> {
    fn drop(&mut self) {
        if let Some(key) = self.waiting {
            let removed = self.core.borrow_mut().stop_waiting(key);
            drop(removed);
        }
    }
}

impl<T> fmt::Debug for SignalReceive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignalReceive").field(&self.name).finish()
    }
}

fn read_signal<T: FromPayload>(name: &SignalName, payload: &Payload) -> Result<T, Failure> {
    payload.to().map_err(|error| {
        let message = format!("signal {name} cannot be read as {}: {error}", type_name::<T>());
        Failure::non_retryable("InvalidInput", message)
    })
}
