//! Steps of a saga from code. Lives here: making an activity call a step. Must not live here: deciding what to undo
//! (`machine`).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::FusedFuture;

use crate::model::{
    ActivityOptions, ActivityType, Failure, FromPayload, InFlight, OnAmbiguous, StepKind, StepName, ToPayload, Undo,
    Verdict,
};
use crate::sdk::definition::{CompensationDefinition, StepDefinition, VerificationDefinition};
use crate::sdk::function::{ActivityFunction, WorkflowFunction};
use crate::sdk::{FunctionNameError, metadata};

use super::call::{ActivityCall, invalid_id, option_setters};
use super::child::ChildCall;
use super::core::{ActivityRequest, Core, StepRequest};
use super::lock::LockCall;
use super::rollback::{RollBack, Savepoint};

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
        F::Input: ToPayload,
        F::Output: FromPayload,
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
        F::Input: ToPayload,
        F::Output: FromPayload,
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
        F::Input: ToPayload,
        F::Output: FromPayload,
    {
        self.step_of(StepKind::Retriable, function, input)
    }

    /// A step of any kind by its activity's name; it has no compensation but the one that is set on the call.
    ///
    /// # Errors
    /// As [`run`](Self::run); also when the name cannot be one.
    pub fn step_by_name<I: ToPayload, O: FromPayload>(
        &self,
        kind: StepKind,
        activity_type: impl AsRef<str>,
        input: &I,
    ) -> StepCall<I, O> {
        let call = ActivityCall::by_name(self.core.clone(), activity_type.as_ref(), input);
        StepCall::new(call, kind, Ok(StepDefinition::default()))
    }

    /// Another saga as a step of this one, by its workflow's name: code or a definition. The step ends when that run does;
    /// to undo the step is to undo that run as a whole.
    ///
    /// # Errors
    /// As [`run`](Self::run); also when the name cannot be one. A child that ended without having done anything (amended,
    /// failed or cancelled) is a failure of its step that needs no undoing; one that somebody terminated may have done
    /// anything, so that the step is undone.
    pub fn child<O: FromPayload>(
        &self,
        workflow_type: impl AsRef<str>,
        input: &(impl ToPayload + ?Sized),
    ) -> ChildCall<O> {
        ChildCall::by_name(self.core.clone(), workflow_type.as_ref(), input)
    }

    /// Another saga as a step of this one, by its workflow's function; see [`child`](Self::child).
    ///
    /// ```
    /// use amends::{Failure, WorkflowContext};
    ///
    /// async fn ship(cx: WorkflowContext, order: u32) -> Result<String, Failure> { Ok(format!("parcel-{order}")) }
    ///
    /// async fn place_order(cx: WorkflowContext, order: u32) -> Result<String, Failure> {
    ///     let saga = cx.saga();
    ///     let parcel = saga.child_workflow(ship, &order).id(format!("ship-{order}")).await?;
    ///     saga.child::<()>("invoice", &parcel).await?; // if this fails, the shipping is undone
    ///     Ok(parcel)
    /// }
    /// # let _ = amends::WorkflowDefinition::of(place_order);
    /// ```
    ///
    /// # Errors
    /// As [`child`](Self::child).
    pub fn child_workflow<M, F>(&self, function: F, input: &F::Input) -> ChildCall<F::Output>
    where
        F: WorkflowFunction<M>,
        F::Input: ToPayload,
        F::Output: FromPayload,
    {
        ChildCall::of_function(self.core.clone(), function, input)
    }

    /// The present place in the saga, to which [`roll_back_to`](Self::roll_back_to) can return. Nothing is recorded.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint::of(&self.core.borrow())
    }

    /// Undoes every step that was begun after the savepoint, as a failure of the run would; then the code goes on and may
    /// try something else. Resolves when all of it is undone. A step that is in flight is stopped first, and its call fails
    /// with a cancellation at once.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure, Undo, WorkflowContext};
    ///
    /// async fn reserve(_cx: ActivityContext, from: String) -> Result<u32, Failure> { Ok(7) }
    /// async fn release(_cx: ActivityContext, undo: Undo<String, u32>) -> Result<(), Failure> { Ok(()) }
    /// async fn book_truck(_cx: ActivityContext, reservation: u32) -> Result<u32, Failure> { Ok(1) }
    /// async fn cancel_truck(_cx: ActivityContext, undo: Undo<u32, u32>) -> Result<(), Failure> { Ok(()) }
    /// async fn charge(_cx: ActivityContext, reservation: u32) -> Result<(), Failure> { Ok(()) }
    ///
    /// /// Buys from the first supplier that has both the goods and a truck.
    /// async fn buy(cx: WorkflowContext, suppliers: Vec<String>) -> Result<u32, Failure> {
    ///     let saga = cx.saga();
    ///     for supplier in suppliers {
    ///         let savepoint = saga.savepoint();
    ///         let bought = async {
    ///             let reservation = saga.run(reserve, &supplier).compensate(release).await?;
    ///             saga.run(book_truck, &reservation).compensate(cancel_truck).await?;
    ///             Ok::<_, Failure>(reservation)
    ///         };
    ///         match bought.await {
    ///             Ok(reservation) => {
    ///                 saga.pivot(charge, &reservation).await?;
    ///                 return Ok(reservation);
    ///             }
    ///             // Whoever cancels the run wants no other supplier.
    ///             Err(failure) if failure.is_canceled() => return Err(failure),
    ///             // Nothing is left of this supplier, and everything of what came before.
    ///             Err(_) => saga.roll_back_to(&savepoint).await?,
    ///         }
    ///     }
    ///     Err(Failure::non_retryable("NobodySells", "no supplier has both the goods and a truck"))
    /// }
    /// # let _ = amends::WorkflowDefinition::of(buy);
    /// ```
    ///
    /// Once begun, a rollback goes on although its future may be dropped. Names of steps that were undone are not given
    /// again: the next step of the name gets `#2` appended.
    ///
    /// # Errors
    /// Fails at once, without undoing anything: with a failure of type `BehindPivot` when a pivot would have to be undone
    /// that has succeeded, or may be succeeding; of type `RollbackUnderWay` when the saga is being rolled back already;
    /// with a cancellation when the run is cancelled (which undoes everything).
    pub fn roll_back_to(&self, savepoint: &Savepoint) -> RollBack {
        RollBack::new(self.core.clone(), savepoint)
    }

    /// Takes a lock, which the run then holds until it ends, also over a crash: for what no two sagas may work on at once.
    /// Others wait in the order in which they came. To ask for a lock that the run holds is fine; it has it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::{Failure, WorkflowContext};
    ///
    /// async fn change_order(cx: WorkflowContext, order: u32) -> Result<(), Failure> {
    ///     cx.saga().lock(format!("order:{order}")).timeout(Duration::from_secs(60)).await?;
    ///     // Until this run ends, nobody else who asks for the lock changes the order.
    ///     Ok(())
    /// }
    /// # let _ = amends::WorkflowDefinition::of(change_order);
    /// ```
    ///
    /// # Errors
    /// Resolves to a failure when the lock is not to be had: somebody holds it ([`no_wait`](LockCall::no_wait)), it took too
    /// long ([`timeout`](LockCall::timeout), type `LockTimeout`), or waiting for it would never end, because each waits for
    /// the other. Resolves to a cancellation when the run is cancelled, and to a failure of type `InvalidId` when the name
    /// cannot be one.
    pub fn lock(&self, name: impl AsRef<str>) -> LockCall {
        LockCall::new(self.core.clone(), name.as_ref())
    }

    fn step_of<F: 'static, I: ToPayload, O>(&self, kind: StepKind, function: F, input: &I) -> StepCall<I, O> {
        let call = ActivityCall::of_function(self.core.clone(), function, input);
        StepCall::new(call, kind, metadata::as_step::<F>())
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
    pub(super) fn new(
        call: ActivityCall<O>,
        kind: StepKind,
        as_step: Result<StepDefinition, FunctionNameError>,
    ) -> Self {
        let call = call.change(|request| {
            let as_step = as_step.map_err(|error| unnamed(&error))?;
            request.step = Some(StepRequest {
                name: None,
                kind,
                compensation: as_step.compensation.map(CompensationDefinition::into_spec),
                on_ambiguous: as_step.on_ambiguous,
                in_flight: as_step.in_flight,
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

    /// When the step ends without an answer (a timeout, a crash, attempts used up), this activity finds out whether it had
    /// its effect. If it had, the saga goes on with the output that the verdict tells (null when it tells none); if not,
    /// the step has failed, with nothing to undo. When the verification itself fails for good, a person is asked.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure, Undo, Verdict, WorkflowContext};
    ///
    /// async fn charge(_cx: ActivityContext, cents: u64) -> Result<String, Failure> { Ok("charge-1".into()) }
    /// async fn refund(_cx: ActivityContext, undo: Undo<u64, String>) -> Result<(), Failure> { Ok(()) }
    /// async fn find_charge(_cx: ActivityContext, of: Undo<u64, String>) -> Result<Verdict<String>, Failure> {
    ///     // Ask the participant by the idempotency key of the step.
    ///     Ok(Verdict::not_applied())
    /// }
    ///
    /// async fn pay(cx: WorkflowContext, cents: u64) -> Result<String, Failure> {
    ///     cx.saga().run(charge, &cents).compensate(refund).verify(find_charge).await
    /// }
    /// # let _ = amends::WorkflowDefinition::of(pay);
    /// ```
    pub fn verify<M, F>(self, probe: F) -> Self
    where
        F: ActivityFunction<M, Input = Undo<I, O>, Output = Verdict<O>>,
    {
        self.change_step(|step| {
            let definition = VerificationDefinition::of(probe).map_err(|error| unnamed(&error))?;
            step.on_ambiguous = definition.into_policy();
            Ok(())
        })
    }

    /// As [`verify`](Self::verify), by the activity's name. It is given an [`Undo`] and returns a [`Verdict`].
    pub fn verify_by_name(self, activity_type: impl AsRef<str>) -> Self {
        self.change_step(|step| {
            let activity_type = ActivityType::new(activity_type).map_err(|error| invalid_id(&error))?;
            step.on_ambiguous = VerificationDefinition::by_name(activity_type).into_policy();
            Ok(())
        })
    }

    /// When the step ends without an answer, a person is asked whether it had its effect. Until then its call waits.
    pub fn on_ambiguous_ask(self) -> Self {
        self.change_step(|step| {
            step.on_ambiguous = OnAmbiguous::Ask;
            Ok(())
        })
    }

    /// When the step ends without an answer, it has failed, and is undone with the rest: the default, whatever the
    /// activity's attribute says.
    pub fn on_ambiguous_compensate(self) -> Self {
        self.change_step(|step| {
            step.on_ambiguous = OnAmbiguous::Compensate;
            Ok(())
        })
    }

    /// When the saga turns back, an attempt of this step that is running is not waited for: its late result is refused, and
    /// the step is undone at once. Only for participants that refuse an attempt with a number lower than one they have seen.
    pub fn fence_in_flight(self) -> Self {
        self.change_step(|step| {
            step.in_flight = InFlight::Fence;
            Ok(())
        })
    }

    /// When the saga turns back, an attempt of this step that is running is asked to stop and waited for: the default,
    /// whatever the activity's attribute says.
    pub fn wait_in_flight(self) -> Self {
        self.change_step(|step| {
            step.in_flight = InFlight::Wait;
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

    pub(super) fn change_request(mut self, change: impl FnOnce(&mut ActivityRequest) -> Result<(), Failure>) -> Self {
        self.call = self.call.change(change);
        self
    }

    pub(super) fn change_step(self, change: impl FnOnce(&mut StepRequest) -> Result<(), Failure>) -> Self {
        self.change_request(|request| request.step.as_mut().map_or(Ok(()), change))
    }
}

impl<I, O: FromPayload> Future for StepCall<I, O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.call).poll(cx)
    }
}

impl<I, O: FromPayload> FusedFuture for StepCall<I, O> {
    fn is_terminated(&self) -> bool {
        self.call.is_terminated()
    }
}

impl<I, O> fmt::Debug for StepCall<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepCall").finish_non_exhaustive()
    }
}

pub(super) fn unnamed(error: &FunctionNameError) -> Failure {
    Failure::non_retryable("UnnamedFunction", error.to_string())
}
