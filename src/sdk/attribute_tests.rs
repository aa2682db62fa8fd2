//! What the attributes say arrives where it is used.

use std::time::Duration;

use crate::model::{ActivityOptions, Failure, InFlight, OnAmbiguous, SagaOptions, TaskQueue, Undo, Verdict};
use crate::sdk::{ActivityContext, ActivityDefinition, Registry, RegistryError, WorkflowContext, WorkflowDefinition};
use crate::{activity, workflow};

#[activity(
    start_to_close = "10s",
    schedule_to_close = "1h 30m",
    schedule_to_start = "5m",
    heartbeat = "500ms",
    retry(
        initial_interval = "2s",
        coefficient = 3,
        maximum_interval = "1m",
        max_attempts = 5,
        non_retryable("A", "B")
    ),
    compensate = release,
    verify = find,
    in_flight = "fence",
    task_queue = "warehouse"
)]
async fn reserve(_cx: ActivityContext, order: String) -> Result<u32, Failure> {
    Ok(u32::try_from(order.len()).unwrap_or(0))
}

#[activity(name = "give-back", start_to_close = "3s")]
fn release(_cx: ActivityContext, undo: Undo<String, u32>) -> Result<(), Failure> {
    drop(undo);
    Ok(())
}

#[activity(start_to_close = "4s")]
async fn find(_cx: ActivityContext, of: Undo<String, u32>) -> Result<Verdict<u32>, Failure> {
    drop(of);
    Ok(Verdict::not_applied())
}

#[activity(on_ambiguous = "ask", cancellation = "abandon")]
async fn r#type(_cx: ActivityContext) -> Result<(), Failure> {
    Ok(())
}

#[workflow(name = "order", task_queue = "orders", unwind_timeout = "10m", unwind_parallel = 4)]
async fn place_order(cx: WorkflowContext, order: String) -> Result<u32, Failure> {
    cx.saga().run(reserve, &order).await
}

#[test]
fn attributes_become_options_and_compensations() {
    let definition = ActivityDefinition::of(reserve).unwrap();
    assert_eq!(definition.activity_type().as_str(), "reserve");
    let options = definition.options();
    assert_eq!(options.start_to_close(), Duration::from_secs(10));
    assert_eq!(options.schedule_to_close, Some(Duration::from_secs(5_400)));
    assert_eq!(options.schedule_to_start, Some(Duration::from_secs(300)));
    assert_eq!(options.heartbeat, Some(Duration::from_millis(500)));
    assert_eq!(options.retry.initial_interval, Duration::from_secs(2));
    assert!((options.retry.backoff_coefficient - 3.0).abs() < f64::EPSILON);
    assert_eq!(options.retry.maximum_interval, Some(Duration::from_secs(60)));
    assert_eq!(options.retry.maximum_attempts, 5);
    assert_eq!(options.retry.non_retryable_types, ["A", "B"]);
    assert_eq!(options.task_queue, Some(TaskQueue::from_trusted("warehouse")));
    let compensation = definition.compensation().unwrap();
    assert_eq!(compensation.activity_type.as_str(), "give-back");
    let expected = ActivityOptions {
        start_to_close: Some(Duration::from_secs(3)),
        ..ActivityOptions::for_compensation()
    };
    assert_eq!(
        compensation.options, expected,
        "what it does not set is a compensation's default"
    );
}

#[test]
fn attributes_become_policies_of_steps_and_sagas() {
    let definition = ActivityDefinition::of(reserve).unwrap();
    let OnAmbiguous::Verify(probe) = definition.on_ambiguous() else {
        unreachable!("{definition:?}")
    };
    assert_eq!(probe.activity_type.as_str(), "find");
    assert_eq!(probe.options.start_to_close(), Duration::from_secs(4));
    assert_eq!(definition.in_flight(), InFlight::Fence);
    let asked = ActivityDefinition::of(r#type).unwrap();
    assert_eq!(
        (asked.on_ambiguous(), asked.in_flight()),
        (&OnAmbiguous::Ask, InFlight::Wait)
    );
    let order = WorkflowDefinition::of(place_order).unwrap();
    let expected = SagaOptions {
        unwind_timeout: Some(Duration::from_secs(600)),
        unwind_parallel: Some(4),
        ..SagaOptions::default()
    };
    assert_eq!(order.saga_options(), Some(&expected));
    assert_eq!(order.task_queue(), Some(&TaskQueue::from_trusted("orders")));
    async fn plain(_cx: WorkflowContext) -> Result<(), Failure> {
        Ok(())
    }
    assert_eq!(WorkflowDefinition::of(plain).unwrap().saga_options(), None);
}

#[test]
fn names_come_from_the_attribute_or_the_function() {
    assert_eq!(ActivityDefinition::of(r#type).unwrap().activity_type().as_str(), "type");
    assert_eq!(
        WorkflowDefinition::of(place_order).unwrap().workflow_type().as_str(),
        "order"
    );
    assert_eq!(WorkflowDefinition::type_of(&place_order).unwrap().as_str(), "order");
    let mut registry = Registry::new();
    registry.add_activity(ActivityDefinition::of(reserve).unwrap()).unwrap();
    let problems = registry.check().unwrap_err();
    assert!(matches!(&problems[..], [
            RegistryError::MissingCompensation { compensation, .. },
            RegistryError::MissingVerification { verification, .. },
        ] if compensation.as_str() == "give-back" && verification.as_str() == "find"));
}

#[test]
fn functions_inside_of_functions_can_have_attributes() {
    #[activity(name = "inner-most")]
    async fn inner(_cx: ActivityContext) -> Result<(), Failure> {
        Ok(())
    }
    assert_eq!(
        ActivityDefinition::of(inner).unwrap().activity_type().as_str(),
        "inner-most"
    );
}

#[test]
fn functions_stay_callable() {
    use futures_util::FutureExt;
    let cx = ActivityContext::for_test().build();
    assert_eq!(reserve(cx, "abc".to_owned()).now_or_never(), Some(Ok(3)));
}
