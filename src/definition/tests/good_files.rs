//! Files that are right: the ones that amends ships, and what defaults and inheritance make of small ones.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{
    CompensationBuilder, HTTP_ACTIVITY, HttpBuilder, HttpRequest, HttpVerdict, ParseOptions, SagaDefinition, Step,
    UndoScope,
};
use super::{Run, parse};
use crate::model::{ActivityOptions, CompensationInput, Failure, Payload, RetryPolicy, StepKind, TimeoutKind};

const PLACE_ORDER: &str = include_str!("../../../sagas/place-order.toml");
const BOOK_TRIP: &str = include_str!("../../../sagas/book-trip.toml");

#[test]
fn shipped_sagas_have_no_problems_at_all() {
    let others = [
        include_str!("../../../sagas/provision-tenant.toml"),
        include_str!("../../../sagas/approve-expense.toml"),
        include_str!("../../../sagas/ship-basket.toml"),
        include_str!("../../../sagas/nightly-settlement.toml"),
    ];
    for text in [PLACE_ORDER, BOOK_TRIP].into_iter().chain(others) {
        let (definition, report) = parse(text);
        assert_eq!(report.problems, [], "{}", definition.name());
    }
}

#[test]
fn the_readmes_first_saga_is_right() {
    let readme = include_str!("../../../sagas/README.md");
    let (_, from_block) = readme.split_once("```toml\n").unwrap();
    let (block, _) = from_block.split_once("```").unwrap();
    let (saga, report) = parse(block);
    assert_eq!((saga.steps().len(), report.problems), (2, Vec::new()));
}

#[test]
fn place_order_sends_these_requests() {
    let (saga, _) = parse(PLACE_ORDER);
    let order = json!({"order_id": "order-42", "sku": "lamp", "quantity": 2});
    let run = Run::new(&order)
        .output(0, &json!({"reservation_id": "r-1"}))
        .output(1, &json!({"charge_id": "c-1"}))
        .output(2, &json!({"tracking_id": "t-1"}));
    let request = |step: usize| saga.step_input(step, &run).unwrap().to::<HttpRequest>().unwrap();

    let reserve = request(0);
    assert_eq!(
        (reserve.method.as_str(), reserve.url.as_str()),
        ("POST", "http://127.0.0.1:8080/inventory/reserve")
    );
    assert_eq!(reserve.body, Some(order));
    assert_eq!(reserve.verdict(422), HttpVerdict::NotApplied);
    assert_eq!(reserve.verdict(409), HttpVerdict::Failed);

    let kinds: Vec<StepKind> = saga.steps().iter().map(|step| step.spec().kind).collect();
    use StepKind::{Compensatable, Pivot, Retriable};
    assert_eq!(kinds, [Compensatable, Compensatable, Pivot, Retriable]);
    let receipt = saga.steps().get(3).unwrap();
    assert_eq!((receipt.dependencies(), receipt.dependents()), (&[2][..], &[][..]));
    assert_eq!(receipt.activity_type().unwrap().as_str(), HTTP_ACTIVITY);
    assert_eq!(
        receipt.options().retry.maximum_attempts,
        0,
        "retriable: until it succeeds"
    );
    assert_eq!(
        receipt.options().retry.initial_interval,
        Duration::from_millis(100),
        "inherited"
    );

    let output: Value = saga.output(&run).unwrap().to().unwrap();
    assert_eq!(
        output,
        json!({"order_id": "order-42", "reservation": "r-1", "charge": "c-1", "parcel": "t-1"})
    );
    assert_eq!(saga.run_timeout(), Some(Duration::from_secs(900)));
}

#[test]
fn place_order_can_undo_a_step_that_never_answered() {
    let (saga, _) = parse(PLACE_ORDER);
    let order = json!({"order_id": "order-42", "sku": "lamp"});
    let run = Run::new(&order);
    let input = Payload::null();
    let failure = Failure::timeout(TimeoutKind::StartToClose);
    let undo = UndoScope {
        scope: &run,
        input: &input,
        output: None,
        failure: Some(&failure),
    };
    let release: HttpRequest = saga.compensation_input(0, &undo).unwrap().to().unwrap();
    assert_eq!(release.url, "http://127.0.0.1:8080/inventory/release");
    assert_eq!(release.verdict(404), HttpVerdict::Success, "nothing there to release");
    let refund: HttpRequest = saga.compensation_input(1, &undo).unwrap().to().unwrap();
    assert_eq!(refund.body, Some(order));
    let spec = saga.steps().first().unwrap().spec().compensation.clone().unwrap();
    assert_eq!(spec.input, CompensationInput::Mapped);
    assert_eq!(
        spec.options,
        ActivityOptions {
            start_to_close: Some(Duration::from_secs(2)),
            retry: RetryPolicy {
                initial_interval: Duration::from_millis(100),
                maximum_interval: Some(Duration::from_secs(5)),
                ..RetryPolicy::default()
            },
            ..ActivityOptions::default()
        }
    );
}

#[test]
fn parallel_branches_join_where_after_says_so() {
    let (saga, _) = parse(BOOK_TRIP);
    let dependencies: Vec<&[usize]> = saga.steps().iter().map(Step::dependencies).collect();
    assert_eq!(dependencies, [&[][..], &[][..], &[0, 1][..], &[2][..]]);
    let travellers = json!([{"email": "a@x"}, {"email": "b@x"}, {"email": "c@x"}]);
    let run = Run::new(&json!({"to": "Porto", "nights": 2, "travellers": travellers, "card": "tok"}))
        .output(0, &json!({"cents": 100}))
        .output(1, &json!({"cents": 250}));
    let input = |step: usize| saga.step_input(step, &run).unwrap().to::<Value>().unwrap();
    assert_eq!(
        input(1),
        json!({"booking": "order-42-hotel", "city": "Porto", "nights": 2, "rooms": 2})
    );
    assert_eq!(input(2), json!({"card": "tok", "cents": 350}));
    assert_eq!(input(3)["to"], json!(["a@x", "b@x", "c@x"]));
    let compensation = saga.steps().first().unwrap().spec().compensation.clone().unwrap();
    assert_eq!(compensation.input, CompensationInput::Undo);
}

#[test]
fn overrides_replace_config_before_anything_else() {
    let config = [("payment".to_owned(), "https://pay.internal".to_owned())].into();
    let options = ParseOptions {
        config: Some(&config),
        ..ParseOptions::default()
    };
    let (saga, _) = SagaDefinition::parse("x", PLACE_ORDER, &options).unwrap();
    let run = Run::new(&json!({"customer": 1, "items": [], "amount": 1}));
    let charge: HttpRequest = saga.step_input(1, &run).unwrap().to().unwrap();
    assert_eq!(charge.url, "https://pay.internal/charge");
    assert_ne!(saga.digest(), parse(PLACE_ORDER).0.digest());
}

#[test]
fn a_saga_built_in_rust_is_the_same_as_its_file() {
    let file = r#"
        name = "order"
        version = "2"
        task_queue = "orders"
        run_timeout = "1h"
        output = "${ steps.ship.output.id }"
        [config]
        shop = "http://shop"
        [defaults]
        start_to_close = "5s"
        [[step]]
        name = "reserve"
        activity = "reserve_inventory"
        task_queue = "warehouse"
        input = { sku = "${ input.sku }" }
        compensation = { activity = "release_inventory", task_queue = "returns" }
        [[step]]
        name = "charge"
        after = []
        http = { url = "${ config.shop }/charges", headers = { X-Run = "${ run.run_id }" }, body = "${ input }" }
        compensation = { http = { method = "DELETE", url = "${ config.shop }/charges/${ run.workflow_id }" } }
        [[step]]
        name = "ship"
        kind = "pivot"
        after = ["reserve", "charge"]
        activity = "ship"
        [[step]]
        name = "mail"
        kind = "retriable"
        activity = "mail"
    "#;
    let defaults = ActivityOptions {
        start_to_close: Some(Duration::from_secs(5)),
        ..ActivityOptions::default()
    };
    let charge = HttpBuilder::new("POST", "${ config.shop }/charges")
        .header("X-Run", "${ run.run_id }")
        .body("${ input }");
    let refund = HttpBuilder::new("DELETE", "${ config.shop }/charges/${ run.workflow_id }");
    let built = SagaDefinition::builder("order")
        .version("2")
        .task_queue("orders")
        .run_timeout(Duration::from_secs(3_600))
        .config("shop", "http://shop")
        .defaults(&defaults)
        .step(
            Step::activity("reserve", "reserve_inventory")
                .task_queue("warehouse")
                .input(json!({"sku": "${ input.sku }"}))
                .compensate(CompensationBuilder::activity("release_inventory").task_queue("returns")),
        )
        .step(Step::http("charge", charge).after::<&str>([]).compensate(refund))
        .step(Step::activity("ship", "ship").pivot().after(["reserve", "charge"]))
        .step(Step::activity("mail", "mail").retriable())
        .output("${ steps.ship.output.id }")
        .build()
        .unwrap();
    assert_eq!(built.canonical_json(), parse(file).0.canonical_json());
    let queues: Vec<&str> = built.task_queues().into_iter().map(|queue| queue.as_str()).collect();
    assert_eq!(queues, ["orders", "returns", "warehouse"]);
    let read = SagaDefinition::from_canonical_json(built.canonical_json().clone()).unwrap();
    assert_eq!(read.task_queue().map(|queue| queue.as_str()), Some("orders"));
    let queue = |options: &ActivityOptions| options.task_queue.as_ref().map(ToString::to_string);
    let reserve = &read.steps()[0];
    assert_eq!(queue(reserve.options()).as_deref(), Some("warehouse"));
    assert_eq!(
        queue(&reserve.spec().compensation.as_ref().unwrap().options).as_deref(),
        Some("returns")
    );
}

#[test]
fn a_builder_reports_every_problem_by_its_place() {
    let error = SagaDefinition::builder("")
        .step(Step::activity("a", "x").after(["b"]).start_to_close(Duration::ZERO))
        .step(Step::activity("a", "").input(json!({"x": ["${ nope }"]})).retriable())
        .build()
        .unwrap_err();
    let expected = "\
: error: name: must not be empty
: error: step[0].start_to_close: must be longer than zero
: error: step[1].activity: must not be empty
: error: step[1].name: step name `a` is taken by step number 1
: error: step[0].after[0]: unknown step `b`
: error: step[1].kind: retriable step `a` does not come after a pivot; before the pivot a step is compensatable; add the pivot to its `after`
: error: step[1].input.x[0]: in `${ nope }`: unknown variable `nope`; variables: input, steps, undo, config, run
: warning: step[0]: step `a` has no compensation; add [step.compensation], or compensation = \"none\" if there is nothing to undo";
    assert_eq!(error.to_string(), expected);
}
