//! What expressions evaluate to, and how they fail.

use serde_json::{Value, json};

use super::super::{EvaluateErrorKind, HttpRequest, SagaDefinition, Step, UndoScope};
use super::Run;
use crate::model::{CompensationInput, Failure, Payload};

/// A saga whose second step has this input.
fn saga(input: impl Into<Value>) -> SagaDefinition {
    SagaDefinition::builder("x")
        .config("limit", 3)
        .step(Step::activity("go-on", "a").nothing_to_compensate())
        .step(Step::activity("b", "a").input(input).compensate("undo"))
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The input of the second step, or the error's text.
fn evaluate(expression: &str, input: &Value, output: &Value) -> Result<Value, String> {
    let run = Run::new(input).output(0, output);
    match saga(expression).step_input(1, &run) {
        Ok(payload) => Ok(payload.to().unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

fn data() -> Value {
    json!({
        "int": 7, "float": 1.5, "whole": 1.0, "big": u64::MAX, "negative": i64::MIN, "text": "päth/ü", "yes": true,
        "nothing": null, "list": [3, 1, 2], "map": {"z": 1, "a": 2, "m": {"deep": [{"x": "y"}]}},
        "a-b": {"c d": 5}, "lines": [{"price": 250, "quantity": 2}, {"price": 5, "quantity": 1}],
    })
}

#[test]
fn values_keep_their_type_and_strings_interpolate() {
    let cases = [
        // Nothing but selections.
        ("${ input.int }", json!(7)),
        ("${input.float}", json!(1.5)),
        ("${ input.big }", json!(u64::MAX)),
        ("${ input.negative }", json!(i64::MIN)),
        ("${ input.nothing }", json!(null)),
        ("${ input.map.m.deep }", json!([{"x": "y"}])),
        ("${ input[\"a-b\"]['c d'] }", json!(5)),
        ("${ steps[\"go-on\"].output.id }", json!("r1")),
        ("${ config.limit }", json!(3)),
        ("${ run.workflow_id }", json!("order-42")),
        ("${ run.run_id }", json!("07070707-0707-0707-0707-070707070707")),
        ("${ run.namespace }", json!("default")),
        // Strings.
        ("order-${ input.int }", json!("order-7")),
        (
            "${ input.text }${ input.yes }/${ input.float }",
            json!("päth/ütrue/1.5"),
        ),
        ("$${ input.int } costs $5", json!("${ input.int } costs $5")),
        ("", json!("")),
        // CEL.
        ("${ input.int + 1 }", json!(8)),
        ("${ input.float * 2.0 }", json!(3.0)),
        ("${ input.big }!", json!("18446744073709551615!")),
        (
            "${ [input.int, input.whole, input.big, input.nothing] }",
            json!([7, 1.0, u64::MAX, null]),
        ),
        (
            "${ {'b': input.map, 'a': [input.yes]} }",
            json!({"b": data()["map"], "a": [true]}),
        ),
        ("${ input.int > 6.5 ? 'many' : 'few' }", json!("many")),
        ("${ input.list[1] }", json!(1)),
        (
            "${ input.list.filter(n, n > 1).map(n, n * config.limit) }",
            json!([9, 6]),
        ),
        ("${ input.lines.map(l, l.price * l.quantity) }", json!([500, 5])),
        ("${ input.map.map(key, key) }", json!(["a", "m", "z"])),
        ("${ has(input.missing) }", json!(false)),
        ("${ input.?missing.orValue('none') }", json!("none")),
        ("${ size(input.text) }", json!(6)),
        ("${ input.text.split('/').join('-').upperAscii() }", json!("PäTH-ü")),
        ("${ string(input.int) + steps['go-on'].output.id }", json!("7r1")),
        (
            "${ type(input.int) == int && type(input.whole) == double }",
            json!(true),
        ),
        (
            "${ input.list.exists(n, n == 2) && !input.list.all(n, n == 2) }",
            json!(true),
        ),
        (
            "${ run }",
            json!({"workflow_id": "order-42", "run_id": "07070707-0707-0707-0707-070707070707", "namespace": "default"}),
        ),
    ];
    for (expression, expected) in cases {
        assert_eq!(
            evaluate(expression, &data(), &json!({"id": "r1"})),
            Ok(expected),
            "{expression}"
        );
    }
}

#[test]
fn every_json_value_survives_both_ways_of_evaluation() {
    for value in [
        json!(1),
        json!(-1),
        json!(1.5),
        json!(2.0),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(null),
        json!(true),
        json!("ünï \u{1F980} \"\n"),
        json!({"a": {"b": [{"c": null}, []]}, "": {}}),
    ] {
        let input = json!({ "v": value });
        for expression in ["${ input.v }", "${ dyn(input.v) }", "${ [input.v][0] }"] {
            let result = evaluate(expression, &input, &Value::Null).unwrap();
            assert_eq!(result.to_string(), value.to_string(), "{expression}");
        }
    }
}

#[test]
fn failures_name_the_step_the_expression_and_the_reason_but_not_the_data() {
    let cases = [
        ("${ input.missing }", "`input` has no key `missing`"),
        ("${ input.map.m.nope.x }", "`input.map.m` has no key `nope`"),
        ("${ input.nothing.x }", "`input.nothing` is null, it has no key `x`"),
        ("${ input.int.x }", "`input.int` is not an object, it has no key `x`"),
        ("${ input.map.nope + 1 }", "there is no key `nope`"),
        ("${ input.text + 1 }", "cannot add string and int"),
        (
            "${ size(input.int) }",
            "found no matching overload for 'size' applied to '(int)'",
        ),
        ("${ input.int / 0 }", "division by zero"),
        ("${ input.negative - 1 }", "`sub` overflows 64 bits"),
        ("${ input.list[9] }", "the index is out of bounds"),
        (
            "${ input.?missing }",
            "the result is optional; end the expression with `.orValue(..)`",
        ),
        ("${ double('NaN') }", "the result is not a number that JSON has"),
        ("${ type(1) }", "a type has no JSON form"),
        ("${ {1: 'a', '1': 'b'} }", "two keys of a map are the same in JSON"),
        ("x${ input.nothing }", "is null, which cannot be embedded in a string"),
        ("x${ input.list }", "is an array, which cannot be embedded in a string"),
    ];
    for (expression, reason) in cases {
        let error = evaluate(expression, &data(), &Value::Null).unwrap_err();
        let quoted = expression.trim_start_matches('x');
        assert_eq!(error, format!("step `b`, input: `{quoted}`: {reason}"), "{expression}");
    }
}

#[test]
fn iterations_are_bounded_however_they_are_nested() {
    let list: Vec<u32> = (0..400).collect();
    let input = json!({ "l": list });
    let squared = "${ input.l.map(a, input.l.map(b, a * b)).size() }";
    assert_eq!(
        evaluate(squared, &input, &Value::Null).unwrap_err(),
        "step `b`, input: `${ input.l.map(a, input.l.map(b, a * b)).size() }`: iteration: more than 100000 iterations in \
         one expression"
    );
    assert_eq!(
        evaluate("${ input.l.map(a, a).size() }", &input, &Value::Null),
        Ok(json!(400))
    );
}

#[test]
fn a_step_without_a_mapping_gets_the_sagas_input_as_it_is() {
    let saga = SagaDefinition::builder("x")
        .step(Step::activity("a", "a"))
        .build()
        .unwrap();
    let mut run = Run::new(&Value::Null);
    run.input = Payload::from_parts("application/protobuf", vec![1, 2, 3]);
    assert_eq!(saga.step_input(0, &run).unwrap(), run.input);
    // And a mapping that is one whole payload hands it on, too.
    let saga = self::saga("${ steps['go-on'].output }");
    run.outputs
        .insert(0, Payload::from_parts("application/protobuf", vec![4]));
    assert_eq!(saga.step_input(1, &run).unwrap().data().as_ref(), [4]);
}

#[test]
fn what_cannot_be_read_or_is_not_there_is_a_typed_error() {
    let mut run = Run::new(&Value::Null);
    let saga = self::saga(json!({"a": "${ steps['go-on'].output.id }"}));
    let error = saga.step_input(1, &run).unwrap_err();
    assert_eq!(error.kind, EvaluateErrorKind::NoValue("steps.go-on.output".to_owned()));
    run.outputs
        .insert(0, Payload::from_parts("application/protobuf", vec![1]));
    let error = saga.step_input(1, &run).unwrap_err();
    assert!(matches!(&error.kind, EvaluateErrorKind::Payload { what, .. } if what == "steps.go-on.output"));
    assert_eq!(error.expression.as_deref(), Some(" steps['go-on'].output.id "));
    assert_eq!(
        saga.step_input(9, &run).unwrap_err().kind,
        EvaluateErrorKind::NoSuchStep
    );
    run.input = Payload::json(&"x".repeat(1_500_000)).unwrap();
    let error = self::saga("${ [input, input] }").step_input(1, &run).unwrap_err();
    assert!(matches!(error.kind, EvaluateErrorKind::TooLarge(_)), "{error}");
}

#[test]
fn a_compensation_without_a_mapping_gets_its_undo() {
    let saga = saga(json!({}));
    let run = Run::new(&Value::Null);
    let (input, output) = (
        Payload::json(&json!({"a": 1})).unwrap(),
        Payload::json(&json!([2])).unwrap(),
    );
    let failure = Failure::new("Busy", "try \"later\"");
    let mut undo = UndoScope {
        scope: &run,
        input: &input,
        output: None,
        failure: Some(&failure),
    };
    let value: Value = saga.compensation_input(1, &undo).unwrap().to().unwrap();
    assert_eq!(
        value,
        json!({"input": {"a": 1}, "output": null, "failure": "Busy: try \"later\""})
    );
    (undo.output, undo.failure) = (Some(&output), None);
    let value: Value = saga.compensation_input(1, &undo).unwrap().to().unwrap();
    assert_eq!(value, json!({"input": {"a": 1}, "output": [2], "failure": null}));
    assert_eq!(
        saga.compensation_input(0, &undo).unwrap_err().kind,
        EvaluateErrorKind::NoSuchStep
    );
}

#[test]
fn a_compensation_sees_its_step_and_the_steps_before_it() {
    use super::super::CompensationBuilder;
    let mapping = json!({
        "id": "${ undo.output != null ? undo.output.id : undo.input.wish }",
        "why": "${ undo.failure }", "all": "${ undo }", "before": "${ steps['go-on'].output }",
    });
    let saga = SagaDefinition::builder("x")
        .step(Step::activity("go-on", "a").nothing_to_compensate())
        .step(Step::activity("b", "a").compensate(CompensationBuilder::activity("undo").input(mapping)))
        .build()
        .unwrap();
    let compensation = saga.steps().get(1).unwrap().spec().compensation.clone().unwrap();
    assert_eq!(compensation.input, CompensationInput::Mapped);
    let run = Run::new(&Value::Null).output(0, &json!(1));
    let input = Payload::json(&json!({"wish": "w"})).unwrap();
    let undo = UndoScope {
        scope: &run,
        input: &input,
        output: None,
        failure: None,
    };
    let value: Value = saga.compensation_input(1, &undo).unwrap().to().unwrap();
    let all = json!({"input": {"wish": "w"}, "output": null, "failure": null});
    assert_eq!(value, json!({"id": "w", "why": null, "all": all, "before": 1}));
}

#[test]
fn data_in_a_url_or_header_cannot_break_out_of_it() {
    use super::super::HttpBuilder;
    let request =
        HttpBuilder::new("GET", "${ input.base }/a/${ input.id }?q=${ input.q }").header("X-Id", "${ input.h }");
    let saga = SagaDefinition::builder("x")
        .step(Step::http("a", request))
        .build()
        .unwrap();
    let evaluate = |input: Value| match saga.step_input(0, &Run::new(&input)) {
        Ok(payload) => payload.to::<HttpRequest>().unwrap().url,
        Err(error) => error.to_string(),
    };
    let input = json!({"base": "https://h/x", "id": "../b?c", "q": "1&admin=ü", "h": "v"});
    assert_eq!(evaluate(input), "https://h/x/a/..%2Fb%3Fc?q=1%26admin%3D%C3%BC");
    let input = json!({"base": "https://h", "id": 1, "q": 2, "h": "v\r\nX-Admin: yes"});
    assert_eq!(
        evaluate(input),
        "step `a`, input: the value of header `X-Id` has a control character"
    );
    let input = json!({"base": "file:///etc", "id": 1, "q": 2, "h": "v"});
    assert_eq!(
        evaluate(input),
        "step `a`, input: `file:///etc/a/1?q=2` is not a URL that can be requested"
    );
}

#[test]
fn without_an_output_mapping_the_output_is_every_steps_output_by_name() {
    let saga = saga(json!({}));
    let mut run = Run::new(&Value::Null).output(0, &json!({"x": 1.0}));
    run.outputs
        .insert(1, Payload::from_parts("application/protobuf", vec![1]));
    let output = saga.output(&run).unwrap();
    assert_eq!(output.data().as_ref(), br#"{"b":null,"go-on":{"x":1.0}}"#);
}

/// A stack overflow would end the whole process, with every run in it; whatever is accepted must also be evaluated.
#[test]
fn no_expression_overflows_the_stack() {
    let outcome = |expression: String| {
        let step = Step::activity("a", "a").input(format!("${{{expression}}}"));
        match SagaDefinition::builder("x").step(step).build() {
            Ok(saga) => saga
                .step_input(0, &Run::new(&json!({})))
                .map_or("fails", |_| "evaluated"),
            Err(error) if error.to_string().contains("nested deeper than 32 levels") => "too deep",
            Err(error) if error.to_string().contains("more than the limit of 1024") => "too long",
            Err(_) => "refused",
        }
    };
    let chain = |first: &str, next: &str, times: usize| format!("{first}{}", next.repeat(times));
    let nest = |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
    let cases = [
        (chain("1", "+1", 31), "evaluated"),
        (chain("1", "+1", 32), "too deep"),
        (chain("1", "+1", 511), "too deep"),
        (chain("1", "+1", 600), "too long"),
        (chain("input", ".a", 500), "too deep"),
        (chain("input", "[0]", 300), "too deep"),
        (chain("'a'", ".trim()", 31), "evaluated"),
        (chain("[1]", ".map(x, x)", 100), "too deep"),
        (chain("true", " || false", 110), "evaluated"),
        (nest("(", ")", 32), "evaluated"),
        (nest("(", ")", 511), "too deep"),
        (nest("[", "]", 31), "evaluated"),
        (nest("[", "]", 500), "too deep"),
        (nest("[1].map(x, ", ")", 31), "too deep"),
        (nest("true ? 1 : ", "", 31), "evaluated"),
        (nest("true ? 1 : ", "", 90), "too deep"),
        ("(".repeat(31), "refused"),
    ];
    for (expression, expected) in cases {
        assert_eq!(outcome(expression.clone()), expected, "{expression}");
    }
}

#[test]
fn what_is_nested_too_deeply_to_be_read_back_is_refused() {
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let error = SagaDefinition::builder("x")
        .step(Step::activity("a", "a").input(nested))
        .build()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("step[0].input: nested deeper than 64 levels"),
        "{error}"
    );
}
