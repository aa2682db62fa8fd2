//! Steps of a saga from code. Lives here: making an activity call a step. Must not live here: deciding what to undo
//! (`machine`).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::FusedFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{ActivityOptions, ActivityType, Failure, StepKind, StepName, Undo};
use crate::sdk::definition::CompensationDefinition;
use crate::sdk::function::ActivityFunction;
use crate::sdk::{FunctionNameError, metadata};

use super::call::{ActivityCall, invalid_id, option_setters};
use super::core::{Core, StepRequest};

/// The run's saga: a run either completes, or undoes every step that may have had an effect, in reverse order.
///
/// A step is an activity with a compensation that was registered with it. When the workflow function returns a failure,
/// or the run is cancelled, the engine compensates by itself before the run closes; the code needs no clean-up of its own.
///
/// ```
/// use amends::{ActivityContext, Failure, Undo, WorkflowContext};
///
/// async fn reserve(_cx: ActivityContext, sku: String) -> Result<u32, Failure> { Ok(7) }
/// async fn release(_cx: ActivityContext, undo: Undo<String, u32>) -> Result<(), Failure> { Ok(()) }
/// async fn charge(_cx: ActivityContext, cents: u64) -> Result<(), Failure> { Ok(()) }
/// async fn send_receipt(_cx: ActivityContext, reservation: u32) -> Result<(), Failure> { Ok(()) }
///
/// async fn place_order(cx: WorkflowContext, sku: String) -> Result<u32, Failure> {
///     let saga = cx.saga();
///     // With `#[activity(compensate = release)]` on `reserve` the second call is not needed.
///     let reservation = saga.run(reserve, &sku).compensate(release).await?;
///     saga.pivot(charge, &100).await?; // from here on the saga only goes forward
///     saga.retriable(send_receipt, &reservation).await?;
///     Ok(reservation)
/// }
/// # let _ = amends::WorkflowDefinition::of(place_order);
/// ```
#[derive(Clone)]
pub struct Saga {
    core: Rc<RefCell<Core>>,
}

impl Saga {
    pub(super) fn new(core: Rc<RefCell<Core>>) -> Self {
        Self { core }
    }

    /// A step that can be undone, by the compensation registered with the activity.
    ///
    /// # Errors
    /// As [`WorkflowContext::activity`](super::WorkflowContext::activity). On a cancellation the step itself is waited
    /// for and undone by the engine.
    pub fn run<M, F>(&self, function: F, input: &F::Input) -> StepCall<F::Input, F::Output>
    where
        F: ActivityFunction<M>,
        F::Input: Serialize,
        F::Output: DeserializeOwned,
    {
        self.step_of(StepKind::Compensatable, function, input)
    }

    /// The go/no-go step: when it has succeeded, the saga only goes forward.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn pivot<M, F>(&self, function: F, input: &F::Input) -> StepCall<F::Input, F::Output>
    where
        F: ActivityFunction<M>,
        F::Input: Serialize,
        F::Output: DeserializeOwned,
    {
        self.step_of(StepKind::Pivot, function, input)
    }

    /// A step after the pivot: tried until it succeeds, whatever the number of attempts in its options. A failure that is
    /// not retryable, or a schedule-to-close timeout, still ends it; then a person has to decide.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn retriable<M, F>(&self, function: F, input: &F::Input) -> StepCall<F::Input, F::Output>
    where
        F: ActivityFunction<M>,
        F::Input: Serialize,
        F::Output: DeserializeOwned,
    {
        self.step_of(StepKind::Retriable, function, input)
    }

    /// A step of any kind by its activity's name; it has no compensation but the one that is set on the call.
    ///
    /// # Errors
    /// As [`run`](Self::run); also when the name cannot be one.
    pub fn step_by_name<I: Serialize, O: DeserializeOwned>(
        &self,
        kind: StepKind,
        activity_type: impl AsRef<str>,
        input: &I,
    ) -> StepCall<I, O> {
        let call = ActivityCall::by_name(self.core.clone(), activity_type.as_ref(), input);
        StepCall::new(call, kind, Ok(None))
    }

    fn step_of<F: 'static, I: Serialize, O>(&self, kind: StepKind, function: F, input: &I) -> StepCall<I, O> {
        let call = ActivityCall::of_function(self.core.clone(), function, input);
        StepCall::new(call, kind, metadata::compensation::<F>())
    }
}

impl fmt::Debug for Saga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saga").finish_non_exhaustive()
    }
}

/// A call of an activity as a step of the saga: set options, then await it.
#[must_use = "a step is only scheduled when its call is awaited"]
pub struct StepCall<I, O> {
    call: ActivityCall<O>,
    input: std::marker::PhantomData<fn(I)>,
}

impl<I, O> StepCall<I, O> {
    fn new(
        call: ActivityCall<O>,
        kind: StepKind,
        compensation: Result<Option<CompensationDefinition>, FunctionNameError>,
    ) -> Self {
        let call = call.change(|request| {
            request.step = Some(StepRequest {
                name: None,
                kind,
                compensation: compensation
                    .map_err(|error| unnamed(&error))?
                    .map(CompensationDefinition::into_spec),
            });
            Ok(())
        });
        Self {
            call,
            input: std::marker::PhantomData,
        }
    }

    /// The step's name, by default the activity's. A second step of a name gets `#2` appended, and so on.
    pub fn step(self, name: impl AsRef<str>) -> Self {
        self.change_step(|step| {
            step.name = Some(StepName::new(name).map_err(|error| invalid_id(&error))?);
            Ok(())
        })
    }

    /// The activity that undoes this step, instead of the one registered with its activity.
    pub fn compensate<M, F>(self, undo: F) -> Self
    where
        F: ActivityFunction<M, Input = Undo<I, O>>,
    {
        self.change_step(|step| {
            let definition = CompensationDefinition::of(undo).map_err(|error| unnamed(&error))?;
            step.compensation = Some(definition.into_spec());
            Ok(())
        })
    }

    /// The activity that undoes this step, by its name. It is given an [`Undo`].
    pub fn compensate_by_name(self, activity_type: impl AsRef<str>) -> Self {
        self.change_step(|step| {
            let activity_type = ActivityType::new(activity_type).map_err(|error| invalid_id(&error))?;
            step.compensation = Some(CompensationDefinition::by_name(activity_type).into_spec());
            Ok(())
        })
    }

    /// The step's activity id in the run; without one, its number. Two activities of a run cannot have one id: the later
    /// call fails.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        self.call = self.call.id(id);
        self
    }

    option_setters!();

    fn set_options(mut self, set: impl FnOnce(&mut ActivityOptions)) -> Self {
        self.call = self.call.set_options(set);
        self
    }

    fn change_step(mut self, change: impl FnOnce(&mut StepRequest) -> Result<(), Failure>) -> Self {
        self.call = self.call.change(|request| request.step.as_mut().map_or(Ok(()), change));
        self
    }
}

impl<I, O: DeserializeOwned> Future for StepCall<I, O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.call).poll(cx)
    }
}

impl<I, O: DeserializeOwned> FusedFuture for StepCall<I, O> {
    fn is_terminated(&self) -> bool {
        self.call.is_terminated()
    }
}

impl<I, O> fmt::Debug for StepCall<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepCall").finish_non_exhaustive()
    }
}

fn unnamed(error: &FunctionNameError) -> Failure {
    Failure::non_retryable("UnnamedFunction", error.to_string())
}
