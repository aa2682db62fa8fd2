//! Stuck sagas: what is seen of them, what is decided, and what happens when nobody decides. Must not live here: how
//! sagas get stuck (the machine's tests), the command line (`cli`).

use std::sync::Arc;
use std::time::Duration;

use amends::engine::{CourseState, Offline, Rejection, RunDescription, StepState, UndoState};
use amends::model::{
    ActivityType, AutomaticDecision, Choice, ChoiceKind, Escalation, RetryState, SagaOptions, StuckNotice, StuckReason,
};
use amends::testing::VirtualClock;
use amends::{
    ActivityOptions, Amends, AmendsBuilder, Decision, Error, Failure, Outcome, Payload, RunHandle, RunStatus,
};
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, run, until_status};

const HOUR: Duration = Duration::from_secs(3_600);

/// Goods and money, side by side; then the parcel, whose fate may be unknown; then the receipt.
const ORDER: &str = r#"
name = "order"
[defaults]
retry = { maximum_attempts = 1 }
[[step]]
name = "reserve"
after = []
activity = "reserve"
compensation = { activity = "release", retry = { maximum_attempts = 1 } }
[[step]]
name = "charge"
after = []
activity = "charge"
compensation = { activity = "refund", retry = { maximum_attempts = 1 } }
[[step]]
name = "ship"
after = ["reserve", "charge"]
kind = "pivot"
activity = "ship"
[[step]]
name = "receipt"
kind = "retriable"
activity = "receipt"
[output]
parcel = "${ steps.ship.output }"
receipt = "${ steps.receipt.output }"
"#;

/// The activities of the order. Each looks into its input for what happens to it: nothing, `refused` or `unanswered`.
fn ordering(builder: AmendsBuilder, recorder: &Recorder) -> AmendsBuilder {
    let names = ["reserve", "release", "charge", "refund", "ship", "receipt"];
    let alert = recorder.clone();
    let builder = builder.activity_definition(activity("alert", move |_, notice| {
        let notice: StuckNotice = serde_json::from_value(notice).unwrap();
        let step = notice.step.unwrap_or_default();
        alert.note(format!(
            "alert {} {step} {}",
            notice.workflow_id,
            notice.choices.join(" ")
        ));
        async { Ok(Value::Null) }
    }));
    names.into_iter().fold(builder, |builder, name| {
        let recorder = recorder.clone();
        builder.activity_definition(activity(name, move |_, input| {
            recorder.note(name);
            let order = if input["input"].is_object() {
                &input["input"]
            } else {
                &input
            };
            let fate = order[name].clone();
            async move {
                match fate.as_str() {
                    Some("refused") => Err(Failure::not_applied("Refused", format!("no {name}"))),
                    Some("unanswered") => Err(Failure::new("Silence", format!("{name} said nothing"))),
                    _ => Ok(json!(format!("{name} done"))),
                }
            }
        }))
    })
}

async fn engine(home: &Home, recorder: &Recorder, clock: &VirtualClock) -> Amends {
    let saga = amends::SagaDefinition::parse("order.toml", ORDER, &amends::definition::ParseOptions::default());
    let (saga, _) = saga.unwrap();
    let builder = home.builder().clock(Arc::new(clock.clone())).saga(saga);
    ordering(builder, recorder).start().await.unwrap()
}

type Run = RunHandle<Value>;

async fn stuck(amends: &Amends, id: &str, fates: &Value) -> (Run, RunDescription) {
    let run = amends.workflow_by_name("order").id(id).start(fates).await.unwrap();
    (run, until_status(amends, id, RunStatus::Stuck).await)
}

fn answered(decision: Decision) -> Decision {
    decision.by("ada").because("ticket 4711")
}

/// What a decision leads to.
#[derive(Debug, PartialEq)]
enum Then {
    Ends(RunStatus),
    /// It fails again: stuck once more, with so many attempts made.
    StuckAgain(u32),
}

#[test]
fn every_decision_does_what_it_says() {
    use RunStatus as S;
    let refund = json!({"ship": "refused", "refund": "refused"});
    let receipt = json!({"receipt": "refused"});
    let ship = json!({"ship": "unanswered"});
    let mended = |order: Value| Decision::retry_with(&order).unwrap();
    let undo = json!({"input": {}, "output": "charge done", "failure": null});
    let cases = [
        ("refund", &refund, Decision::retry(), Then::StuckAgain(2)),
        ("refund", &refund, mended(undo), Then::Ends(S::Amended)),
        ("refund", &refund, answered(Decision::skip()), Then::Ends(S::Failed)),
        (
            "refund",
            &refund,
            answered(Decision::mark_done(&()).unwrap()),
            Then::Ends(S::Amended),
        ),
        (
            "refund",
            &refund,
            answered(Decision::abandon()),
            Then::Ends(S::Terminated),
        ),
        ("receipt", &receipt, Decision::retry(), Then::StuckAgain(2)),
        ("receipt", &receipt, mended(json!({})), Then::Ends(S::Completed)),
        (
            "receipt",
            &receipt,
            answered(Decision::skip()),
            Then::Ends(S::Completed),
        ),
        (
            "receipt",
            &receipt,
            answered(Decision::mark_done("by post").unwrap()),
            Then::Ends(S::Completed),
        ),
        (
            "receipt",
            &receipt,
            answered(Decision::abandon()),
            Then::Ends(S::Terminated),
        ),
        ("ship", &ship, Decision::retry(), Then::StuckAgain(2)),
        ("ship", &ship, mended(json!({})), Then::Ends(S::Completed)),
        (
            "ship",
            &ship,
            answered(Decision::mark_done("parcel").unwrap()),
            Then::Ends(S::Completed),
        ),
        (
            "ship",
            &ship,
            answered(Decision::go_forward()),
            Then::Ends(S::Completed),
        ),
        ("ship", &ship, answered(Decision::skip()), Then::Ends(S::Amended)),
        ("ship", &ship, answered(Decision::abandon()), Then::Ends(S::Terminated)),
    ];
    run(async {
        let (home, recorder, clock) = (Home::memory(), Recorder::new(), VirtualClock::new());
        let amends = engine(&home, &recorder, &clock).await;
        for (number, (what, fates, decision, then)) in cases.into_iter().enumerate() {
            let case = format!("{what}: {decision:?}");
            let (run, before) = stuck(&amends, &format!("order-{number}"), fates).await;
            assert_eq!(before.stuck.len(), 1, "{case}");
            run.decide(decision)
                .await
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            let came = match &then {
                Then::Ends(_) => Then::Ends(run.outcome().await.unwrap().status()),
                Then::StuckAgain(_) => {
                    until_status(&amends, run.workflow_id().as_str(), S::Stuck).await;
                    let saga = run.saga().await.unwrap();
                    let step = saga.steps.iter().find(|step| step.stuck).unwrap();
                    let undoing = step.undoing.as_ref().map(|undoing| undoing.attempts);
                    Then::StuckAgain(undoing.unwrap_or(step.attempts))
                }
            };
            assert_eq!(came, then, "{case}");
            let saga = run.saga().await.unwrap();
            assert_eq!(saga.decisions.len(), 1, "{case}");
            assert_eq!(saga.decisions[0].step, before.stuck[0].step, "{case}");
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn outputs_and_reasons_given_by_hand_are_kept() {
    run(async {
        let (home, recorder, clock) = (Home::sled(), Recorder::new(), VirtualClock::new());
        let amends = engine(&home, &recorder, &clock).await;
        let (run, _) = stuck(&amends, "o", &json!({"receipt": "refused"})).await;
        let posted = Decision::mark_done("sent by post")
            .unwrap()
            .step("receipt")
            .request_id("t");
        run.decide(posted.by("ada").because("no e-mail address")).await.unwrap();
        let result = json!({"parcel": "ship done", "receipt": "sent by post"});
        assert_eq!(
            run.outcome().await.unwrap(),
            Outcome::Completed(Payload::json(&result).unwrap())
        );
        let saga = amends.client().saga("o").await.unwrap();
        assert!(saga.stuck.is_empty());
        let decided = saga.step("receipt").unwrap().decided.as_ref().unwrap();
        let output = Payload::json("sent by post").unwrap();
        assert_eq!(decided.choice, Choice::MarkDone { output });
        assert_eq!(
            (decided.by.as_str(), decided.reason.as_str()),
            ("ada", "no e-mail address")
        );
        assert!(!decided.automatic);
        amends.shutdown(Duration::ZERO).await;
        home.assert_sound();
    });
}

#[test]
fn a_description_has_all_that_a_person_at_night_needs() {
    run(async {
        let (home, recorder, clock) = (Home::memory(), Recorder::new(), VirtualClock::new());
        let amends = engine(&home, &recorder, &clock).await;
        let begun = amends::engine::Clock::now(&clock);
        let starter = amends.workflow_by_name("order").id("o");
        let starter = starter.search_attribute("customer", "ada").unwrap();
        let starter = starter.unwind_timeout(HOUR * 24);
        let fates = json!({"ship": "refused", "refund": "refused"});
        starter.start(&fates).await.unwrap();
        let description = until_status(&amends, "o", RunStatus::Stuck).await;
        assert_eq!(description.search_attributes["customer"], Payload::json("ada").unwrap());
        assert_eq!(
            description.saga_options.as_ref().unwrap().unwind_timeout,
            Some(HOUR * 24)
        );
        assert_eq!(description.turned_back.as_ref().unwrap().at, begun);

        let [stuck] = &description.stuck[..] else {
            panic!("{:?}", description.stuck)
        };
        assert_eq!(stuck.step.as_ref().unwrap().as_str(), "charge");
        assert_eq!(stuck.reason, StuckReason::CompensationFailed);
        assert_eq!(stuck.failure.to_string(), "Refused: no refund");
        assert_eq!((stuck.since, stuck.escalated), (begun, false));
        use ChoiceKind as C;
        assert_eq!(
            stuck.choices,
            [C::Retry, C::RetryWith, C::Skip, C::MarkDone, C::Abandon]
        );
        assert_eq!(
            description.waits_for(),
            ["step charge: a compensation failed for good: Refused: no refund"]
        );

        let charge = description.step("charge").unwrap();
        assert!(charge.stuck && matches!(charge.state, StepState::Completed { .. }));
        assert!(charge.took().is_some() && charge.decided.is_none());
        let undoing = charge.undoing.as_ref().unwrap();
        assert_eq!(
            (undoing.state, undoing.attempts, undoing.took()),
            (CourseState::Stuck, 1, None)
        );
        assert_eq!(undoing.last_failure.as_ref().unwrap().to_string(), "Refused: no refund");
        assert_eq!(undoing.input.to::<Value>().unwrap()["output"], "charge done");
        let reserve = description.step("reserve").unwrap();
        assert_eq!(reserve.undo, UndoState::Done);
        assert_eq!(reserve.undoing.as_ref().unwrap().state, CourseState::Completed);
        let ship = description.step("ship").unwrap();
        let StepState::Failed {
            retry_state,
            may_have_applied,
            ..
        } = &ship.state
        else {
            panic!("{ship:?}")
        };
        assert_eq!(
            (*retry_state, *may_have_applied),
            (RetryState::MaximumAttemptsReached, false)
        );
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_decision_that_cannot_be_made_is_refused_with_its_own_code() {
    run(async {
        let (home, recorder, clock) = (Home::memory(), Recorder::new(), VirtualClock::new());
        let amends = engine(&home, &recorder, &clock).await;
        let both = json!({"ship": "refused", "refund": "refused", "release": "refused"});
        let (run, _) = stuck(&amends, "o", &both).await;
        while run.saga().await.unwrap().stuck.len() < 2 {
            tokio::task::yield_now().await;
        }
        let cases = [
            (
                Decision::skip(),
                "E0017",
                "skip leaves something undone: say who decides, and why",
            ),
            (
                Decision::retry(),
                "E0015",
                "several things are stuck, say which one is meant: reserve, charge",
            ),
            (
                Decision::retry().step("ship"),
                "E0014",
                "step \"ship\" is not stuck; stuck: reserve, charge",
            ),
            (
                Decision::go_back().step("charge"),
                "E0016",
                "go-back is not possible here; possible: retry, retry-with, skip, mark-done, abandon",
            ),
            (Decision::retry().step("\n"), "E0001", "control characters"),
        ];
        for (decision, code, text) in cases {
            let refused = run.decide(decision).await.unwrap_err();
            assert_eq!(refused.code().to_string(), code, "{refused}");
            assert!(refused.to_string().contains(text), "{refused}");
        }
        run.decide(answered(Decision::skip()).step("charge")).await.unwrap();
        run.decide(answered(Decision::skip()).step("reserve").request_id("last"))
            .await
            .unwrap();
        assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Failed);
        // The decision that ended the run may be repeated, another may not.
        run.decide(answered(Decision::skip()).step("reserve").request_id("last"))
            .await
            .unwrap();
        let late = run
            .decide(answered(Decision::skip()).request_id("other"))
            .await
            .unwrap_err();
        assert!(matches!(late, Error::Rejected(Rejection::Closed)), "{late}");
        let healthy = amends
            .workflow_by_name("order")
            .id("h")
            .start(&json!({}))
            .await
            .unwrap();
        healthy.outcome().await.unwrap();
        let waits = amends
            .workflow_by_name("order")
            .start(&json!({"receipt": "unanswered"}))
            .await
            .unwrap();
        let nothing = waits.decide(Decision::retry()).await.unwrap_err();
        assert!(matches!(nothing, Error::Rejected(Rejection::NotStuck)), "{nothing}");
        assert_eq!(nothing.code().to_string(), "E0013");
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_decision_under_the_same_request_id_is_made_once() {
    run(async {
        let (home, recorder, clock) = (Home::memory(), Recorder::new(), VirtualClock::new());
        let amends = engine(&home, &recorder, &clock).await;
        let (run, _) = stuck(&amends, "o", &json!({"ship": "refused", "refund": "refused"})).await;
        for _ in 0..3 {
            run.decide(Decision::retry().by("ada").request_id("once"))
                .await
                .unwrap();
        }
        recorder.until("refund", 2).await;
        until_status(&amends, "o", RunStatus::Stuck).await;
        assert_eq!(run.saga().await.unwrap().decisions.len(), 1);
        assert_eq!(recorder.count("refund"), 2, "tried again once");
        amends.shutdown(Duration::ZERO).await;
    });
}

/// What is decided while no engine runs is done by the next one: the attempt that becomes due by it was nobody's, so it
/// is not taken for lost, although it may be made only once.
#[test]
fn a_decision_left_for_the_next_engine_is_carried_out_by_it() {
    let (home, recorder, clock) = (Home::sled(), Recorder::new(), VirtualClock::new());
    let Home::Sled(directory) = &home else { return };
    let fates = json!({"ship": "refused", "refund": "refused"});
    run(async {
        let amends = engine(&home, &recorder, &clock).await;
        stuck(&amends, "o", &fates).await;
        amends.shutdown(Duration::from_secs(5)).await;
    });
    let offline = Offline::open(directory.path()).unwrap();
    let undo = json!({"input": {}, "output": "charge done", "failure": null});
    let again = Decision::retry_with(&undo).unwrap().by("ada").request_id("r");
    let decided = offline.decide("o", again.clone()).unwrap();
    assert_eq!(offline.decide("o", again).unwrap(), decided, "repeatable");
    let unknown = offline.decide("nobody", Decision::retry()).unwrap_err();
    assert!(matches!(unknown, Error::NotFound(_)), "{unknown}");
    let waits = offline.describe("o").unwrap();
    assert_eq!((waits.status, waits.decisions.len()), (RunStatus::Unwinding, 1));
    drop(offline);
    run(async {
        // Time has gone by meanwhile, as it does.
        let later = VirtualClock::starting_at(amends::engine::Clock::now(&clock).after(HOUR * 24 * 365));
        let amends = engine(&home, &recorder, &later).await;
        let found = amends.find("o").await.unwrap();
        assert_eq!(found.outcome().await.unwrap().status(), RunStatus::Amended);
        let undoing = found
            .saga()
            .await
            .unwrap()
            .step("charge")
            .unwrap()
            .undoing
            .clone()
            .unwrap();
        assert_eq!(
            undoing.attempts, 2,
            "the one that was refused, and the one that was decided"
        );
        amends.shutdown(Duration::ZERO).await;
    });
    assert_eq!(recorder.count("refund"), 2);
    home.assert_sound();
}

fn options(automatic: Option<(Duration, ChoiceKind)>) -> SagaOptions {
    SagaOptions {
        escalation: Some(Escalation {
            after: HOUR,
            activity_type: ActivityType::new("alert").unwrap(),
            options: ActivityOptions::default(),
        }),
        automatic: automatic.map(|(after, choice)| AutomaticDecision { after, choice }),
        ..SagaOptions::default()
    }
}

#[test]
fn somebody_is_called_once_and_at_last_it_is_decided_automatically() {
    for home in Home::each() {
        run(async {
            let (recorder, clock) = (Recorder::new(), VirtualClock::new());
            let amends = engine(&home, &recorder, &clock).await;
            let starter = amends.workflow_by_name("order").id("o");
            let starter = starter.saga_options(options(Some((HOUR * 3, ChoiceKind::Skip))));
            let fates = json!({"ship": "refused", "refund": "refused"});
            let run = starter.start(&fates).await.unwrap();
            until_status(&amends, "o", RunStatus::Stuck).await;
            let alert = "alert o charge retry retry-with skip mark-done abandon";
            assert_eq!(recorder.count(alert), 0);
            clock.pass(HOUR).await;
            recorder.until(alert, 1).await;
            let saga = run.saga().await.unwrap();
            assert!(saga.stuck[0].escalated && saga.decisions.is_empty());
            clock.pass(HOUR * 2).await;
            let outcome = run.outcome().await.unwrap();
            assert_eq!(
                outcome.status(),
                RunStatus::Failed,
                "a skipped compensation leaves something undone"
            );
            assert_eq!(recorder.count(alert), 1, "once");
            let saga = run.saga().await.unwrap();
            let [decision] = &saga.decisions[..] else {
                panic!("{:?}", saga.decisions)
            };
            assert!(decision.automatic);
            assert_eq!(
                (decision.choice.kind(), decision.by.as_str()),
                (ChoiceKind::Skip, "amends")
            );
            assert_eq!(decision.step.as_ref().unwrap().as_str(), "charge");
            assert_eq!(saga.step("charge").unwrap().undo, UndoState::Skipped);
            amends.shutdown(Duration::ZERO).await;
        });
    }
}

#[test]
fn a_person_who_is_quick_is_not_called() {
    run(async {
        let (home, recorder, clock) = (Home::memory(), Recorder::new(), VirtualClock::new());
        let amends = engine(&home, &recorder, &clock).await;
        let starter = amends.workflow_by_name("order").id("o").saga_options(options(None));
        let run = starter.start(&json!({"receipt": "refused"})).await.unwrap();
        until_status(&amends, "o", RunStatus::Stuck).await;
        clock.until_asleep(HOUR).await;
        run.decide(answered(Decision::skip())).await.unwrap();
        assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Completed);
        clock.advance(HOUR * 2);
        assert!(
            recorder.all().iter().all(|note| !note.starts_with("alert")),
            "{:?}",
            recorder.all()
        );
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn search_attributes_have_their_limits() {
    run(async {
        let amends = Amends::builder().memory().start().await.unwrap();
        let starter = || amends.workflow_by_name("order");
        assert!(matches!(starter().search_attribute("", &1), Err(Error::Id(_))));
        let large = "x".repeat(3 * 1024 * 1024);
        assert!(matches!(
            starter().search_attribute("a", &large),
            Err(Error::Payload(_))
        ));
        let mut many = starter();
        for number in 0..100 {
            many = many.search_attribute(&format!("a{number}"), &number).unwrap();
        }
        let many = many.search_attribute("a7", "again").unwrap();
        let refused = many.search_attribute("one-more", &1).err().unwrap();
        assert_eq!(refused.code().to_string(), "E0018");
        amends.shutdown(Duration::ZERO).await;
    });
}
