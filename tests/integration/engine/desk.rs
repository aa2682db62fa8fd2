//! Stuck sagas: what is seen of them, what is decided, and what happens when nobody decides. Must not live here: how
//! sagas get stuck (the machine's tests), the command line (`cli`).

mod seen;
mod unattended;

use std::sync::Arc;
use std::time::Duration;

use amends::engine::RunDescription;
use amends::model::{Choice, StuckNotice};
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, Decision, Failure, Outcome, Payload, RunHandle, RunStatus};
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, run, saga, until_status};

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
    engine_of(ORDER, home, recorder, clock).await
}

async fn engine_of(text: &str, home: &Home, recorder: &Recorder, clock: &VirtualClock) -> Amends {
    let builder = home.builder().clock(Arc::new(clock.clone())).saga(saga(text));
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
