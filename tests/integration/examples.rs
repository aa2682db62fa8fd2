//! The programs in `examples/` that show what activities and workflows can do: they run as people would run them, a second
//! time, too, and on virtual time. Must not live here: those that show how to embed the engine (`embed`).

use std::sync::Arc;
use std::time::Duration;

use amends::testing::VirtualClock;

use crate::support::run;

#[path = "../../examples/approval.rs"]
#[allow(dead_code, reason = "its `main` only answers itself")]
mod approval;
#[path = "../../examples/batch.rs"]
#[allow(dead_code, reason = "its `main` only makes up an album")]
mod batch;
#[path = "../../examples/cart_entity.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod cart_entity;
#[path = "../../examples/child_options.rs"]
#[allow(dead_code, reason = "its `main` only prints")]
mod child_options;
#[path = "../../examples/children.rs"]
#[allow(dead_code, reason = "its `main` only prints")]
mod children;
#[path = "../../examples/encrypted.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod encrypted;
#[path = "../../examples/order_approval.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod order_approval;

#[path = "../../examples/subscription.rs"]
#[allow(dead_code, reason = "its `main` only prints")]
mod subscription;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_batch_gathers_what_came_of_it_and_names_what_did_not_work() {
    run(async {
        let images = (0..50).map(|number| match number % 10 {
            3 => format!("{number}.txt"),
            _ => format!("{number:02}.png"),
        });
        let report = batch::run(images.collect()).await.unwrap();
        assert_eq!(report.cover, "the cover, from the near mirror");
        assert_eq!(report.bytes, 45 * 6_000);
        assert_eq!(report.broken, ["3.txt", "13.txt", "23.txt", "33.txt", "43.txt"]);
    });
}

#[test]
fn pictures_are_archived_once_each_and_looked_at_for_three_nights() {
    let (archived, found) = run(child_options::run()).unwrap();
    let expected = child_options::Archived {
        receipts: ["dawn, at try 2", "dusk, at try 2"].map(str::to_owned).to_vec(),
        known: vec!["dawn".to_owned()],
        nights: 3,
    };
    assert_eq!(archived, expected);
    assert_eq!(found, 2, "both tries");
}

#[test]
fn parcels_arrive_together_or_turn_back_together() {
    let (arrived, why, on_its_way) = run(children::run()).unwrap();
    let expected = [
        "parcel to Lisbon, signed for by Ada",
        "parcel to Porto, signed for by Grace",
    ];
    assert_eq!(arrived, expected);
    assert!(why.contains("NoAddress") && why.contains("where to?"), "{why}");
    assert_eq!(on_its_way, amends::RunStatus::Amended, "it was taken back");
}

#[test]
fn an_approval_is_escalated_when_nobody_answers() {
    run(async {
        let clock = VirtualClock::new();
        let (amends, questions) = approval::engine(Arc::new(clock.clone())).await.unwrap();
        let ask = || questions.recv_timeout(Duration::from_secs(60)).unwrap();

        let quick = approval::begin(&amends, "train").await.unwrap();
        let (approver, token) = ask();
        assert_eq!(approver, "manager");
        amends.client().complete_activity(&token, &true).await.unwrap();
        assert_eq!(quick.result().await.unwrap(), "train: approved by the manager");

        let named = approval::begin(&amends, "taxi").await.unwrap();
        let _ = ask();
        let question = amends.client().activity_by_id("taxi", "manager").unwrap();
        question.complete(&true).await.unwrap();
        assert_eq!(named.result().await.unwrap(), "taxi: approved by the manager");

        let slow = approval::begin(&amends, "flight").await.unwrap();
        let (_, of_manager) = ask();
        clock.pass(DAY * 2).await;
        let (approver, token) = ask();
        assert_eq!(approver, "director");
        let late = amends.client().complete_activity(&of_manager, &true).await;
        assert!(matches!(late, Err(amends::Error::NoSuchAttempt(_))), "{late:?}");
        amends.client().complete_activity(&token, &false).await.unwrap();
        assert_eq!(slow.result().await.unwrap(), "flight: declined by the director");

        let forgotten = approval::begin(&amends, "hotel").await.unwrap();
        let _ = ask();
        clock.pass(DAY * 2).await;
        let _ = ask();
        clock.pass(DAY * 5).await;
        assert!(
            forgotten
                .result()
                .await
                .unwrap_err()
                .to_string()
                .contains("NobodyAnswered")
        );
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn orders_are_approved_declined_or_forgotten() {
    let directory = tempfile::TempDir::new().unwrap();
    for _ in 0..2 {
        let ends = run(order_approval::run(directory.path())).unwrap();
        assert_eq!(ends[0], "a piano for 900000 cents, approved by Ada");
        assert!(
            ends[1].starts_with("undone") && ends[1].contains("Ada said no"),
            "{ends:?}"
        );
        assert!(ends[2].starts_with("undone") && ends[2].contains("in time"), "{ends:?}");
    }
}

#[test]
fn a_cart_is_filled_and_paid_once() {
    let directory = tempfile::TempDir::new().unwrap();
    for _ in 0..2 {
        let (cart, spent) = run(cart_entity::run(directory.path())).unwrap();
        assert_eq!(cart.items, ["a book", "a lamp"]);
        assert_eq!((cart.cents, spent, cart.renewed), (6_500, 6_500, 1));
    }
}

#[test]
fn an_admission_goes_on_under_a_new_key_and_waits_without_the_old_one() {
    let directory = tempfile::TempDir::new().unwrap();
    let (refused, result) = run(encrypted::run(directory.path())).unwrap();
    assert!(
        refused.contains("\"spring\"") && refused.contains("known: autumn"),
        "{refused}"
    );
    assert_eq!(result, "bed 12 for Ada, seen by Dr. Blackwell: a broken arm");
}

/// Seven months, in the days of the virtual clock.
#[test]
fn a_subscription_is_charged_each_month_dunned_and_undone() {
    let lives = run(subscription::run()).unwrap();
    let expected = [
        vec![
            "day 0: Ada may come in",
            "day 0: Ada pays 900",
            "day 30: Ada may come in",
            "day 30: Ada pays 1500",
            "day 60: Ada may come in",
            "day 60: Ada pays 1500",
            "day 72: Ada gets 900 back",
            "day 72: Ada may not come in",
        ],
        vec![
            "day 0: Bob may come in",
            "day 0: Bob pays 900",
            "day 30: Bob may come in",
            "day 30: Bob's card is declined",
            "day 30: Bob is reminded",
            "day 34: Bob's card is declined",
            "day 34: Bob is reminded",
            "day 35: Bob pays 900",
            "day 60: Bob may come in",
            "day 60: Bob pays 900",
            "day 60: Bob gets 900 back",
            "day 60: Bob may not come in",
        ],
        vec![
            "day 0: Cleo may come in",
            "day 0: Cleo pays 900",
            "day 30: Cleo may come in",
            "day 30: Cleo's card is declined",
            "day 30: Cleo is reminded",
            "day 34: Cleo's card is declined",
            "day 34: Cleo is reminded",
            "day 38: Cleo's card is declined",
            "day 38: Cleo is reminded",
            "day 42: Cleo's card is declined",
            "day 42: Cleo is reminded",
            "day 44: Cleo may not come in",
        ],
    ];
    for ((end, notes), expected) in lives.into_iter().zip(expected) {
        assert_eq!(notes, expected);
        assert_eq!(end, amends::RunStatus::Amended);
    }
}
