//! Ordinary functions as activities and workflows: the traits that give them types, and the adapters that read their
//! input and write their output. Must not live here: names and options (`metadata`).
//!
//! The `Marker` parameter exists for inference alone: it lets one trait be implemented for functions of several shapes
//! without the implementations overlapping. Nobody writes it.

use std::any::type_name;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, LocalBoxFuture};

use crate::model::{Failure, FromPayload, Payload, ToPayload};

use super::{Activity, ActivityContext, Execution, Workflow, WorkflowContext};

/// A function that is an activity: `async fn(ActivityContext, I) -> Result<O, E>`, the same without `async` for one
/// that blocks, or either without an input. `I` is deserialised, `O` serialised, and `E` becomes a [`Failure`].
///
/// Implemented for all such functions; not to be implemented by hand (that is what [`Activity`] is for).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an activity",
    label = "not a function that amends can run as an activity",
    note = "an activity is `async fn(ActivityContext, I) -> Result<O, E>`, or a blocking `fn` of the same shape, or either \
            without the input",
    note = "`I` must be `DeserializeOwned`, `O` must be `Serialize`, `E` must be `Into<Failure>`, and the future must be `Send`"
)]
pub trait ActivityFunction<Marker>: Send + Sync + 'static {
    /// What it takes; `()` for a function without an input.
    type Input: FromPayload;
    /// What it returns when it succeeds.
    type Output: ToPayload;

    /// The function behind the trait that the engine runs.
    fn into_activity(self) -> Arc<dyn Activity>;
}

/// A function that is a workflow: `async fn(WorkflowContext, I) -> Result<O, E>`, or without an input. Its future need
/// not be `Send`.
///
/// Implemented for all such functions; not to be implemented by hand (that is what [`Workflow`] is for).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a workflow",
    label = "not a function that amends can run as a workflow",
    note = "a workflow is `async fn(WorkflowContext, I) -> Result<O, E>`, or `async fn(WorkflowContext) -> Result<O, E>`",
    note = "`I` must be `DeserializeOwned`, `O` must be `Serialize`, and `E` must be `Into<Failure>`"
)]
pub trait WorkflowFunction<Marker>: Send + Sync + 'static {
    /// What it takes; `()` for a function without an input.
    type Input: FromPayload;
    /// What it returns when it succeeds.
    type Output: ToPayload;

    /// The function behind the trait that the engine runs.
    fn into_workflow(self) -> Arc<dyn Workflow>;
}

/// Marks an async function with an input.
#[derive(Debug)]
pub struct AsyncWithInput<I>(PhantomData<fn(I)>);
/// Marks an async function without an input.
#[derive(Debug)]
pub struct AsyncAlone;
/// Marks a blocking function with an input.
#[derive(Debug)]
pub struct BlockingWithInput<I>(PhantomData<fn(I)>);
/// Marks a blocking function without an input.
#[derive(Debug)]
pub struct BlockingAlone;

impl<F, I, Fut, O, E> ActivityFunction<AsyncWithInput<I>> for F
where
    F: Fn(ActivityContext, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, E>> + Send + 'static,
    I: FromPayload + 'static,
    O: ToPayload + 'static,
    E: Into<Failure> + 'static,
{
    type Input = I;
    type Output = O;

    fn into_activity(self) -> Arc<dyn Activity> {
        Arc::new(AsyncFunction(move |cx: ActivityContext, input: Payload| -> Started {
            let future = read_input(&input).map(|input| self(cx, input));
            Box::pin(async move { write_output(future?.await) })
        }))
    }
}

impl<F, Fut, O, E> ActivityFunction<AsyncAlone> for F
where
    F: Fn(ActivityContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, E>> + Send + 'static,
    O: ToPayload + 'static,
    E: Into<Failure> + 'static,
{
    type Input = ();
    type Output = O;

    fn into_activity(self) -> Arc<dyn Activity> {
        Arc::new(AsyncFunction(move |cx: ActivityContext, _input: Payload| -> Started {
            let future = self(cx);
            Box::pin(async move { write_output(future.await) })
        }))
    }
}

impl<F, I, O, E> ActivityFunction<BlockingWithInput<I>> for F
where
    F: Fn(ActivityContext, I) -> Result<O, E> + Send + Sync + 'static,
    I: FromPayload + 'static,
    O: ToPayload + 'static,
    E: Into<Failure> + 'static,
{
    type Input = I;
    type Output = O;

    fn into_activity(self) -> Arc<dyn Activity> {
        Arc::new(BlockingFunction(move |cx: ActivityContext, input: Payload| {
            write_output(self(cx, read_input(&input)?))
        }))
    }
}

impl<F, O, E> ActivityFunction<BlockingAlone> for F
where
    F: Fn(ActivityContext) -> Result<O, E> + Send + Sync + 'static,
    O: ToPayload + 'static,
    E: Into<Failure> + 'static,
{
    type Input = ();
    type Output = O;

    fn into_activity(self) -> Arc<dyn Activity> {
        Arc::new(BlockingFunction(move |cx: ActivityContext, _input: Payload| {
            write_output(self(cx))
        }))
    }
}

impl<F, I, Fut, O, E> WorkflowFunction<AsyncWithInput<I>> for F
where
    F: Fn(WorkflowContext, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, E>> + 'static,
    I: FromPayload + 'static,
    O: ToPayload + 'static,
    E: Into<Failure> + 'static,
{
    type Input = I;
    type Output = O;

    fn into_workflow(self) -> Arc<dyn Workflow> {
        Arc::new(FunctionWorkflow(
            move |cx: WorkflowContext, input: Payload| -> StartedLocally {
                let future = read_input(&input).map(|input| self(cx, input));
                Box::pin(async move { write_output(future?.await) })
            },
        ))
    }
}

impl<F, Fut, O, E> WorkflowFunction<AsyncAlone> for F
where
    F: Fn(WorkflowContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, E>> + 'static,
    O: ToPayload + 'static,
    E: Into<Failure> + 'static,
{
    type Input = ();
    type Output = O;

    fn into_workflow(self) -> Arc<dyn Workflow> {
        Arc::new(FunctionWorkflow(
            move |cx: WorkflowContext, _input: Payload| -> StartedLocally {
                let future = self(cx);
                Box::pin(async move { write_output(future.await) })
            },
        ))
    }
}

type Started = BoxFuture<'static, Result<Payload, Failure>>;
type StartedLocally = LocalBoxFuture<'static, Result<Payload, Failure>>;

struct AsyncFunction<F>(F);

#[async_trait]
impl<F> Activity for AsyncFunction<F>
where
    F: Fn(ActivityContext, Payload) -> Started + Send + Sync + 'static,
{
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        (self.0)(cx, input).await
    }
}

struct BlockingFunction<F>(F);

impl<F> Activity for BlockingFunction<F>
where
    F: Fn(ActivityContext, Payload) -> Result<Payload, Failure> + Send + Sync + 'static,
{
    fn execution(&self) -> Execution {
        Execution::Blocking
    }

    fn execute_blocking(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        (self.0)(cx, input)
    }
}

struct FunctionWorkflow<F>(F);

impl<F> Workflow for FunctionWorkflow<F>
where
    F: Fn(WorkflowContext, Payload) -> StartedLocally + Send + Sync + 'static,
{
    fn start(&self, cx: WorkflowContext, input: Payload) -> StartedLocally {
        (self.0)(cx, input)
    }
}

fn read_input<I: FromPayload>(input: &Payload) -> Result<I, Failure> {
    input.to().map_err(|error| {
        let message = format!("the input cannot be read as {}: {error}", type_name::<I>());
        Failure::non_retryable("InvalidInput", message)
    })
}

fn write_output<O: ToPayload, E: Into<Failure>>(result: Result<O, E>) -> Result<Payload, Failure> {
    encode(&result.map_err(Into::into)?).map_err(|error| {
        let message = format!("the output of type {} cannot be recorded: {error}", type_name::<O>());
        Failure::non_retryable("InvalidOutput", message)
    })
}

/// The value as JSON; nothing at all for `()` and `None`, which read the same and cost no bytes.
pub(super) fn encode<T: ToPayload + ?Sized>(value: &T) -> Result<Payload, crate::model::PayloadError> {
    let payload = Payload::of(value)?;
    let is_null = payload.data().as_ref() == b"null";
    Ok(if is_null { Payload::null() } else { payload })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::limits;

    #[derive(Debug)]
    struct OutOfStock;

    impl From<OutOfStock> for Failure {
        fn from(OutOfStock: OutOfStock) -> Self {
            Failure::not_applied("OutOfStock", "none left")
        }
    }

    async fn twice(_cx: ActivityContext, n: u32) -> Result<u32, OutOfStock> {
        if n == 0 { Err(OutOfStock) } else { Ok(n * 2) }
    }

    async fn alone(_cx: ActivityContext) -> Result<(), Failure> {
        Ok(())
    }

    fn blocking(_cx: ActivityContext, n: u32) -> Result<String, Failure> {
        Ok(n.to_string())
    }

    fn blocking_alone(_cx: ActivityContext) -> Result<Vec<u8>, Failure> {
        Ok(vec![0; limits::PAYLOAD_BYTES_MAX])
    }

    fn run<M>(function: impl ActivityFunction<M>, input: Payload) -> Result<Payload, Failure> {
        let (activity, cx) = (function.into_activity(), ActivityContext::for_test().build());
        match activity.execution() {
            Execution::Async => activity.execute(cx, input).now_or_never().unwrap(),
            Execution::Blocking => activity.execute_blocking(cx, input),
        }
    }

    #[test]
    fn functions_of_every_shape_run() {
        let four = Payload::json(&4).unwrap();
        assert_eq!(run(twice, four.clone()).unwrap().to::<u32>().unwrap(), 8);
        assert!(run(alone, four.clone()).unwrap().is_null());
        assert_eq!(run(blocking, four).unwrap().to::<String>().unwrap(), "4");
        assert!(run(twice, Payload::json(&0).unwrap()).unwrap_err().is_not_applied());
    }

    #[test]
    fn values_that_do_not_fit_are_failures_that_name_the_type() {
        let input = run(twice, Payload::json("four").unwrap()).unwrap_err();
        assert!(
            input.is_type("InvalidInput") && input.message.contains("u32"),
            "{input}"
        );
        let output = run(blocking_alone, Payload::null()).unwrap_err();
        assert!(
            output.is_type("InvalidOutput") && output.message.contains("Vec<u8>"),
            "{output}"
        );
        assert!(output.message.contains("limit"), "{output}");
    }

    #[test]
    fn an_activity_without_code_says_so() {
        struct Empty;
        impl Activity for Empty {}
        let cx = ActivityContext::for_test().build();
        let failure = Empty.execute(cx, Payload::null()).now_or_never().unwrap().unwrap_err();
        assert!(
            failure.is_type("NotImplemented") && failure.message.contains("`execute`"),
            "{failure}"
        );
    }
}
