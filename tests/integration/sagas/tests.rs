//! One test for each shipped definition, and what is special about it.

use std::time::Duration;

use amends::RunStatus;
use amends::engine::Decision;
use serde_json::json;

use super::Shipped;
use super::shipped::{APPROVE_EXPENSE, NIGHTLY_SETTLEMENT, PLACE_ORDER, PROVISION_TENANT, SHIP_BASKET};
use super::world::Fault;
use crate::support::run;

/// A run without any trouble, then one for each step and fault.
fn plays_to_the_end(shipped: &'static Shipped) {
    run(async {
        let stage = shipped.stage().await;
        stage.start("as-it-should").await;
        stage.assert_ends("as-it-should", RunStatus::Completed).await;
        stage.fail_at_each_step().await;
        stage.amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn an_order_is_placed_or_everything_is_given_back() {
    plays_to_the_end(&PLACE_ORDER);
}

#[test]
fn a_tenant_has_everything_or_nothing() {
    plays_to_the_end(&PROVISION_TENANT);
}

#[test]
fn a_small_expense_is_paid_or_withdrawn() {
    plays_to_the_end(&APPROVE_EXPENSE);
}

#[test]
fn a_large_expense_is_paid_when_somebody_says_yes_in_time() {
    run(async {
        let stage = APPROVE_EXPENSE.stage().await;
        for (id, answer, expected) in [
            (
                "large-yes",
                Some(json!({"approved": true, "by": "Ada"})),
                RunStatus::Completed,
            ),
            (
                "large-no",
                Some(json!({"approved": false, "by": "Ada"})),
                RunStatus::Amended,
            ),
            ("large-silence", None, RunStatus::Amended),
        ] {
            stage.world.reset();
            stage.start(id).await;
            if let Some(answer) = answer {
                let client = stage.amends.client();
                client.signal(id, "approved", &answer).await.unwrap();
            }
            stage.assert_ends(id, expected).await;
            assert_eq!(
                stage.world.did("applied bank/transfer"),
                expected == RunStatus::Completed
            );
        }
        stage.amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_basket_is_shipped_or_every_line_is_put_back() {
    plays_to_the_end(&SHIP_BASKET);
}

#[test]
fn an_order_that_fails_inside_of_a_basket_fails_the_basket() {
    run(async {
        let stage = SHIP_BASKET.stage().await;
        for fault in Fault::ALL {
            for operation in ["inventory/reserve", "payment/charge", "shipping/ship"] {
                stage.world.reset();
                stage.world.fail(operation, fault, u32::MAX);
                let id = format!("{}-{fault:?}", operation.replace('/', "-"));
                stage.start(&id).await;
                stage.assert_ends(&id, RunStatus::Amended).await;
            }
        }
        stage.amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_day_is_settled_or_its_ledger_opened_again_or_a_person_is_called() {
    plays_to_the_end(&NIGHTLY_SETTLEMENT);
}

#[test]
fn a_person_who_is_called_at_night_decides_and_the_day_is_taken_back() {
    run(async {
        let stage = NIGHTLY_SETTLEMENT.stage().await;
        stage.world.fail("collect-fees", Fault::Silent, u32::MAX);
        stage.start("night").await;
        stage.assert_ends("night", RunStatus::Stuck).await;
        stage.until_done("night", "applied page").await;
        let back = Decision::go_back()
            .by("ada")
            .because("the fees are in the account, but nobody was told");
        stage.amends.client().decide("night", back).await.unwrap();
        stage.assert_ends("night", RunStatus::Amended).await;
        assert!(stage.world.did("undone return-fees") && stage.world.did("undone reopen-ledger"));
        stage.amends.shutdown(Duration::ZERO).await;
    });
}
