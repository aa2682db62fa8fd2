//! Stuck sagas that nobody looks at: who is called, what is decided by itself, and what is left for the next engine. Must
//! not live here: decisions of people while the engine runs.

use std::time::Duration;

use amends::engine::{Offline, UndoState};
use amends::model::{ActivityType, AutomaticDecision, ChoiceKind, Escalation, SagaOptions};
use amends::testing::VirtualClock;
use amends::{ActivityOptions, Decision, Error, RunStatus};
use serde_json::json;

use super::{HOUR, ORDER, answered, engine, engine_of, stuck};
use crate::support::{Home, Recorder, run, until_status};

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

/// The definition may say it as well, and what its runs can be found by.
#[test]
fn a_definition_says_whom_to_call() {
    run(async {
        let (home, recorder, clock) = (Home::memory(), Recorder::new(), VirtualClock::new());
        let stuck = "[stuck]\nescalate = { activity = \"alert\" }\nescalate_after = \"1h\"\n[search_attributes]\nwho = \"${ input.who }\"\n";
        let text = ORDER.replacen("[defaults]", &format!("{stuck}[defaults]"), 1);
        let amends = engine_of(&text, &home, &recorder, &clock).await;
        let fates = json!({"who": "ada", "receipt": "refused"});
        let (run, description) = super::stuck(&amends, "o", &fates).await;
        assert_eq!(description.search_attributes["who"], "ada".into());
        clock.pass(HOUR).await;
        recorder
            .until("alert o receipt retry retry-with skip mark-done abandon", 1)
            .await;
        run.decide(answered(Decision::skip())).await.unwrap();
        assert_eq!(run.outcome().await.unwrap().status(), RunStatus::Completed);
        let unfit = amends
            .workflow_by_name("order")
            .start(&json!({"who": [1]}))
            .await
            .unwrap_err();
        assert_eq!(unfit.code().to_string(), "E0019", "{unfit}");
        amends.shutdown(Duration::ZERO).await;
    });
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
