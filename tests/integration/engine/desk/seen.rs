//! What is told about a stuck saga, and about decisions that cannot be made. Must not live here: decisions that are made.

use std::time::Duration;

use amends::engine::{CourseState, Rejection, StepState, UndoState};
use amends::model::{ChoiceKind, RetryState, StuckReason};
use amends::testing::VirtualClock;
use amends::{Decision, Error, RunStatus};
use serde_json::{Value, json};

use super::{HOUR, answered, engine, stuck};
use crate::support::{Home, Recorder, run, until_status};

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
        let mut description = until_status(&amends, "o", RunStatus::Stuck).await;
        // The other branch unwinds on while this one waits for a person.
        while description.step("reserve").unwrap().undo != UndoState::Done {
            tokio::task::yield_now().await;
            description = amends.client().describe("o").await.unwrap();
        }
        assert_eq!(description.search_attributes["customer"], "ada".into());
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
        assert_eq!((*retry_state, *may_have_applied), (RetryState::NonRetryable, false));
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
