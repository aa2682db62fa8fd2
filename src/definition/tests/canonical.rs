//! The journaled form: what is written today is the golden file, and the golden file is readable for ever.

use serde_json::json;

use super::super::{HttpRequest, SagaDefinition, Step};
use super::{Run, parse};

/// The canonical form of `canonical_v1.toml` as the first release wrote it. Never edited.
const GOLDEN: &str = include_str!("canonical_v1.json");
const SOURCE: &str = include_str!("canonical_v1.toml");
const DIGEST: &str = "5e7189e40d4a081e4f51b22671e9b8c8179022f3e2353b7555a10849ed144d22";

fn golden() -> SagaDefinition {
    SagaDefinition::from_canonical_json(GOLDEN.trim_end().as_bytes()).unwrap()
}

#[test]
fn what_is_written_today_is_what_the_first_release_wrote() {
    let (saga, _) = parse(SOURCE);
    let text = std::str::from_utf8(saga.canonical_json()).unwrap();
    assert_eq!(text, GOLDEN.trim_end());
    assert_eq!(saga.digest().to_string(), DIGEST);
}

#[test]
fn a_journaled_definition_is_executed_as_on_its_first_day() {
    let saga = golden();
    assert_eq!(saga.digest().to_string(), DIGEST);
    let run = Run::new(&json!({"id": 5, "items": [1]})).output(0, &json!({"x": 1}));
    let request: HttpRequest = saga.step_input(1, &run).unwrap().to().unwrap();
    assert_eq!(request.url, "http://shop/orders/5");
    let parsed = parse(SOURCE).0;
    assert_eq!(saga, parsed);
    for (left, right) in saga.steps().iter().zip(parsed.steps()) {
        assert_eq!((left.spec(), left.options()), (right.spec(), right.options()));
        assert_eq!(left.dependencies(), right.dependencies());
    }
    assert_eq!(
        (saga.run_timeout(), saga.config()),
        (parsed.run_timeout(), parsed.config())
    );
}

#[test]
fn the_digest_changes_with_the_meaning_and_not_with_the_spelling() {
    let spelled = SOURCE
        .replace("# ", "# another comment: ")
        .replace("\"2s\"", "\"2000ms\"");
    assert_eq!(parse(&spelled).0.digest().to_string(), DIGEST);
    let changed = SOURCE.replace("\"2s\"", "\"3s\"");
    assert_ne!(parse(&changed).0.digest().to_string(), DIGEST);
}

#[test]
fn a_written_null_is_not_an_absent_mapping() {
    let saga = SagaDefinition::builder("x")
        .step(Step::activity("a", "a").input(json!(null)))
        .build()
        .unwrap();
    let read = SagaDefinition::from_canonical_json(saga.canonical_json().clone()).unwrap();
    let run = Run::new(&json!(1));
    assert_eq!(read.step_input(0, &run).unwrap().data().as_ref(), b"null");
}

#[test]
fn rules_that_became_stricter_do_not_strand_runs_but_broken_bytes_are_refused() {
    // A compensatable step after a pivot: refused in a file, but a journal may hold it from a laxer version.
    let lax = GOLDEN.replace("\"kind\":\"retriable\"", "\"kind\":\"compensatable\"");
    assert_eq!(SagaDefinition::from_canonical_json(lax).unwrap().steps().len(), 3);
    let error = |text: &str| {
        SagaDefinition::from_canonical_json(text.to_owned())
            .unwrap_err()
            .to_string()
    };
    assert!(error("{}").contains("not readable"));
    assert!(error(&GOLDEN.replace("\"format\":1", "\"format\":2")).contains("upgrade amends"));
    assert!(error(&GOLDEN.replace("\"kind\"", "\"sort\"")).contains("unknown field `sort`"));
    assert!(error(&GOLDEN.replace("[\"one\"]", "[\"none\"]")).contains("unknown step `none`"));
    assert!(error(&GOLDEN.replace("\"name\":\"golden\"", "\"name\":\"\"")).contains("must not be empty"));
}
