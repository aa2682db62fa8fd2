//! What definitions can say beside activities and requests: everything in one file, and what each part makes of a run.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::{Run, parse};
use crate::model::{
    AutomaticDecision, ChoiceKind, Failure, InFlight, OnAmbiguous, Payload, SagaOptions, StuckNotice, TimeoutKind,
    Timestamp,
};

/// Every key that came after the first release, at least once.
const EVERYTHING: &str = include_str!("canonical_more.toml");
const CANONICAL: &str = include_str!("canonical_more.json");

#[test]
fn everything_that_can_be_said_is_in_the_canonical_form_and_read_back_from_it() {
    let (saga, report) = parse(EVERYTHING);
    // What an author may be asked about is not this file's business.
    assert_eq!(report.errors(), 0);
    assert_eq!(
        std::str::from_utf8(saga.canonical_json()).unwrap(),
        CANONICAL.trim_end()
    );
    let read = SagaDefinition::from_canonical_json(CANONICAL.trim_end()).unwrap();
    assert_eq!(read, saga);
    for (left, right) in read.steps().iter().zip(saga.steps()) {
        assert_eq!((left.spec(), left.options()), (right.spec(), right.options()));
        assert_eq!(
            (left.action(), left.foreach_concurrency(), left.awaited_signal()),
            (right.action(), right.foreach_concurrency(), right.awaited_signal())
        );
    }
    assert_eq!(
        (read.saga_options(), read.secrets()),
        (saga.saga_options(), saga.secrets())
    );
    assert_eq!(read.input_schema(), saga.input_schema());
    assert_eq!(
        (read.lock_timeout(), read.lock_wait()),
        (Some(Duration::from_secs(30)), true)
    );
}

#[test]
fn a_saga_of_every_kind_of_step_can_be_built_in_rust() {
    let verify = CompensationBuilder::http(
        HttpBuilder::new("GET", "http://pay/${ undo.input.body.key }")
            .header("Authorization", "Bearer ${ secret.PAY }"),
    );
    let resize = ExecBuilder::new(["resize", "${ item }"])
        .env("TOKEN", "${ secret.PAY }")
        .cwd("/srv")
        .stdin(json!({"index": "${ index }"}))
        .success_codes([0, 3])
        .retryable_codes([75])
        .not_applied_codes([64])
        .text_output();
    let charge = HttpBuilder::new("POST", "http://pay/charges").body(json!({"key": "${ run.workflow_id }"}));
    let built = SagaDefinition::builder("everything")
        .version("1.2")
        .unwind_timeout(Duration::from_secs(3_600))
        .unwind_parallel(4)
        .escalate(
            Duration::from_secs(600),
            CompensationBuilder::activity("page").input("${ notice.step }"),
        )
        .decide(Duration::from_secs(86_400), ChoiceKind::GoBack)
        .lock("order:${ input.id }")
        .lock_timeout(Duration::from_secs(30))
        .search_attribute("customer", "${ input.customer }")
        .search_attribute("kind", "order")
        .input_schema(json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}))
        .secret("PAY")
        .secret("MAIL")
        .ask_when_ambiguous()
        .step(Step::http("charge", charge).verify(verify).fence().compensate("refund"))
        .step(
            Step::exec("resize", resize)
                .foreach("${ input.sizes }", 2)
                .when("${ size(input.sizes) > 0 }")
                .compensate(ExecBuilder::new(["remove"])),
        )
        .step(
            Step::signal(
                "approval",
                SignalBuilder::new("approve")
                    .timeout(Duration::from_secs(3_600))
                    .default(json!({"by": "${ null }"})),
            )
            .after(["charge"]),
        )
        .step(Step::timer("pause", Duration::from_secs(60)))
        .step(Step::timer_until("date", "${ input.date }"))
        .step(Step::saga(
            "trip",
            ChildBuilder::new("book-trip@2")
                .id("trip-${ input.id }")
                .input("${ input.trip }"),
        ))
        .step(Step::saga("other", ChildBuilder::new("send-gift")).nothing_to_compensate())
        .build()
        .unwrap();
    assert_eq!(
        std::str::from_utf8(built.canonical_json()).unwrap(),
        std::str::from_utf8(parse(EVERYTHING).0.canonical_json()).unwrap()
    );
}

#[test]
fn a_program_gets_arguments_as_they_are_and_secrets_only_as_placeholders() {
    let (saga, _) = parse(EVERYTHING);
    let run = Run::new(&json!({"id": 1, "sizes": ["10 x $HOME"]}));
    struct Of<'a>(&'a Run, Value);
    impl Scope for Of<'_> {
        fn workflow_id(&self) -> &crate::model::WorkflowId {
            self.0.workflow_id()
        }
        fn run_id(&self) -> crate::model::RunId {
            self.0.run_id()
        }
        fn input(&self) -> &Payload {
            self.0.input()
        }
        fn step_input(&self, step: usize) -> Option<Payload> {
            self.0.step_input(step)
        }
        fn step_output(&self, step: usize) -> Option<Payload> {
            self.0.step_output(step)
        }
        fn item(&self) -> Option<Item<'_>> {
            let (value, index) = (&self.1, 7);
            Some(Item { value, index })
        }
    }
    let request = |item: Value| saga.step_input(1, &Of(&run, item));
    let program: ExecRequest = request(json!("10 x $HOME")).unwrap().to().unwrap();
    assert_eq!(program.command, ["resize", "10 x $HOME"]);
    assert_eq!(program.env["TOKEN"], format!("{SECRET_OPEN}PAY{SECRET_CLOSE}"));
    assert_eq!(
        (program.stdin.clone(), program.output),
        (json!({"index": 7}), ExecOutput::Text)
    );
    use ExecVerdict as V;
    let verdicts = [0, 3, 75, 64, 1, -9].map(|code| program.verdict(code));
    assert_eq!(
        verdicts,
        [
            V::Success,
            V::Success,
            V::Retryable,
            V::NotApplied,
            V::Failed,
            V::Failed
        ]
    );
    let error = |item: Value| request(item).unwrap_err().to_string();
    assert_eq!(
        error(json!("a\0b")),
        "step `resize[7]`, input: an argument of the program has a NUL character"
    );
    assert!(error(json!([])).contains("is an array, which cannot be embedded in a string"));
}

#[test]
fn a_runs_data_cannot_ask_for_a_secret() {
    let text = r#"
        name = "x"
        secrets = ["KEY"]
        [[step]]
        name = "send"
        http = { url = "http://x/${ input.a }", headers = { A = "${ secret.KEY }${ input.b }" }, body = { a = "${ input.c }" } }
        compensation = "none"
    "#;
    let (saga, _) = parse(text);
    let send = |a: &str, b: &str, c: Value| {
        let run = Run::new(&json!({"a": a, "b": b, "c": c}));
        saga.step_input(0, &run)
            .map(|payload| payload.to::<HttpRequest>().unwrap())
    };
    let request = send("x/y", "", json!("{{KEY}}")).unwrap();
    assert_eq!(
        (request.url.as_str(), request.headers["A"].as_str()),
        ("http://x/x%2Fy", "{{amends:secret:KEY}}")
    );
    let forged = "{{amends:secret:KEY}}";
    assert!(
        send(forged, "", json!(1)).is_ok(),
        "percent-encoded, it stands for nothing"
    );
    for (b, c) in [(forged, json!(1)), ("", json!(forged)), ("", json!([{forged: 1}]))] {
        let error = send("", b, c).unwrap_err().to_string();
        assert!(error.contains("only stands for secrets of the definition"), "{error}");
    }
}

#[test]
fn policies_are_what_a_run_is_started_with() {
    let (saga, _) = parse(EVERYTHING);
    let SagaOptions {
        unwind_timeout,
        unwind_parallel,
        escalation,
        automatic,
    } = saga.saga_options();
    assert_eq!(
        (*unwind_timeout, *unwind_parallel),
        (Some(Duration::from_secs(3_600)), Some(4))
    );
    let escalation = escalation.as_ref().unwrap();
    assert_eq!(
        (escalation.activity_type.as_str(), escalation.after),
        ("page", Duration::from_secs(600))
    );
    let (after, choice) = (Duration::from_secs(86_400), ChoiceKind::GoBack);
    assert_eq!(*automatic, Some(AutomaticDecision { after, choice }));
    let spec = |step: usize| saga.steps().get(step).unwrap().spec();
    assert!(
        matches!(&spec(0).on_ambiguous, OnAmbiguous::Verify(verify) if verify.activity_type.as_str() == HTTP_ACTIVITY)
    );
    assert_eq!(
        (&spec(1).on_ambiguous, &spec(2).on_ambiguous),
        (&OnAmbiguous::Ask, &OnAmbiguous::Compensate)
    );
    assert_eq!(
        (spec(0).in_flight, spec(1).in_flight),
        (InFlight::Fence, InFlight::Wait)
    );
    let notice = StuckNotice {
        workflow_id: "w".to_owned(),
        run_id: "r".to_owned(),
        namespace: "default".to_owned(),
        workflow_type: "everything".to_owned(),
        step: Some("charge".to_owned()),
        reason: String::new(),
        failure: String::new(),
        choices: Vec::new(),
    };
    let told = saga.escalation_input(&notice, &Run::new(&json!(1))).unwrap();
    assert_eq!(told.to::<Value>().unwrap(), json!("charge"));
    let named: Vec<String> = saga
        .activity_types()
        .map(|(step, activity)| format!("{}:{activity}", step.map_or("", |step| step.as_str())))
        .collect();
    let expected = [
        "charge:http",
        "charge:refund",
        "charge:http",
        "resize:amends.exec",
        "resize:amends.exec",
        "trip:amends.saga",
        "trip:amends.saga.undo",
        "other:amends.saga",
        ":page",
    ];
    assert_eq!(named, expected);
}

#[test]
fn a_verification_knows_the_request_it_asks_about() {
    let (saga, _) = parse(EVERYTHING);
    let run = Run::new(&json!({"id": 1}));
    let input = saga.step_input(0, &run).unwrap();
    let failure = Failure::timeout(TimeoutKind::StartToClose);
    let undo = UndoScope {
        scope: &run,
        input: &input,
        output: None,
        failure: Some(&failure),
    };
    let asked: HttpRequest = saga.verification_input(0, &undo).unwrap().to().unwrap();
    assert_eq!(asked.url, "http://pay/order-42");
    assert!(
        saga.verification_input(1, &undo)
            .unwrap_err()
            .to_string()
            .contains("no such step")
    );
}

#[test]
fn an_input_is_checked_before_anything_is_started() {
    let (saga, _) = parse(EVERYTHING);
    let check = |input: Value| {
        saga.check_input(&Payload::json(&input).unwrap())
            .map_err(|error| error.to_string())
    };
    assert_eq!(check(json!({"id": 5, "more": true})), Ok(()));
    let said = check(json!({"id": "5"})).unwrap_err();
    assert_eq!(
        said,
        r#"the input does not fit the saga's schema: /id: "5" is not of type "integer""#
    );
    assert!(
        check(json!({}))
            .unwrap_err()
            .contains(r#"/: "id" is a required property"#)
    );
    let error = saga
        .check_input(&Payload::from_parts("application/cbor", vec![1]))
        .unwrap_err();
    assert!(error.to_string().contains("application/cbor"));
    assert!(saga.check_input(&Payload::null()).is_err());
    let (free, _) = parse("name = \"x\"\n[[step]]\nname = \"a\"\nactivity = \"a\"\n");
    assert_eq!(free.check_input(&Payload::from_parts("x", vec![1])), Ok(()));
}

#[test]
fn search_attributes_and_locks_come_from_the_input() {
    let (saga, _) = parse(EVERYTHING);
    let found = |input: Value| saga.search_attributes(&Payload::json(&input).unwrap());
    let attributes = found(json!({"customer": 7})).unwrap();
    let text = |name: &str| attributes[name].to_json();
    assert_eq!((text("customer"), text("kind")), (json!(7), json!("order")));
    assert_eq!(found(json!({"customer": null})).unwrap().len(), 1);
    let several = found(json!({"customer": ["ada", "bob"]})).unwrap();
    assert_eq!(
        several["customer"],
        crate::model::SearchAttributeValue::from(["ada", "bob"])
    );
    let error = found(json!({"customer": [1]})).unwrap_err().to_string();
    assert_eq!(
        error,
        "search_attributes: `customer` is a list; a search attribute is a text, a number, true or false, or a list of texts"
    );
    assert!(
        found(json!({}))
            .unwrap_err()
            .to_string()
            .contains("`input` has no key `customer`")
    );
    let locks = saga.locks(&Run::new(&json!({"id": 9}))).unwrap();
    assert_eq!(locks.iter().map(|lock| lock.as_str()).collect::<Vec<_>>(), ["order:9"]);
}

#[test]
fn what_a_step_waits_for_is_known_from_the_runs_data() {
    let (saga, _) = parse(EVERYTHING);
    let run = Run::new(&json!({"date": "1970-01-02T00:00:00Z"}));
    let now = Timestamp::from_micros(3_600_000_000);
    let wait = |step: usize| saga.wait(step, now, &run).unwrap();
    assert_eq!(wait(0), None);
    let approval = wait(2).unwrap();
    assert_eq!(approval.signal.unwrap().as_str(), "approve");
    assert_eq!(approval.default.unwrap().to::<Value>().unwrap(), json!({"by": null}));
    let children: Vec<&str> = saga.steps().iter().filter_map(Step::child_saga).collect();
    assert_eq!(children, ["book-trip@2", "send-gift"]);
    assert_eq!(wait(3).unwrap().timeout, Some(Duration::from_secs(60)));
    assert_eq!(wait(4).unwrap().timeout, Some(Duration::from_secs(23 * 3_600)));
}

#[test]
fn the_newest_of_one_name_is_found_by_its_version() {
    let saga = |version: &str| {
        let version = match version {
            "" => String::new(),
            version => format!("version = \"{version}\"\n"),
        };
        parse(&format!(
            "name = \"x\"\n{version}[[step]]\nname = \"a\"\nactivity = \"a\"\n"
        ))
        .0
    };
    let mut all = ["1.10", "", "1.9", "2.0-rc1"].map(saga);
    all.sort_by(SagaDefinition::compare_versions);
    let names: Vec<String> = all.iter().map(SagaDefinition::versioned_name).collect();
    assert_eq!(names, ["x", "x@1.9", "x@1.10", "x@2.0-rc1"]);
}
