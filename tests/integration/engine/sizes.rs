//! Values that are too large, and large values in bursts. Must not live here: the limits (`model::limits`).

use std::time::Duration;

use amends::model::limits::PAYLOAD_BYTES_MAX;
use amends::testing::StoreFaults;
use amends::{Error, Failure, Payload, ResultError, UpdateError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::heartbeats::until_pending;
use crate::support::{Home, activity, run, workflow};

const SECOND: Duration = Duration::from_secs(1);

fn text(bytes: usize) -> Value {
    Value::from("x".repeat(bytes))
}

#[test]
fn a_value_that_is_too_large_is_refused_where_it_is_given() {
    run(async {
        let home = Home::memory();
        let amends = home
            .builder()
            .activity_definition(activity("large", |_, _| async { Ok(text(PAYLOAD_BYTES_MAX)) }))
            .workflow_definition(workflow("w", |cx, what| async move {
                match what.as_str() {
                    Some("activity result") => cx.activity_by_name("large", &()).await,
                    Some("activity input") => cx.activity_by_name("large", &text(PAYLOAD_BYTES_MAX)).await,
                    Some("result") => Ok(text(PAYLOAD_BYTES_MAX)),
                    _ => cx.signal("go").recv().await,
                }
            }))
            .start()
            .await
            .unwrap();
        let start = amends.workflow_by_name("w").start(&text(PAYLOAD_BYTES_MAX)).await;
        assert!(matches!(start, Err(Error::Payload(_))), "{start:?}");
        for (what, expected) in [
            ("activity result", "InvalidPayload"),
            ("activity input", "InvalidInput"),
            ("result", "InvalidPayload"),
        ] {
            let run = amends.workflow_by_name("w").start(&json!(what)).await.unwrap();
            match run.result().await {
                Err(ResultError::Failed(failure)) => assert!(failure.is_type(expected), "{what}: {failure}"),
                other => panic!("{what}: {other:?}"),
            }
        }
        let waiting = amends
            .workflow_by_name("w")
            .id("s")
            .start(&json!("signal"))
            .await
            .unwrap();
        let signal = waiting.signal("go", &text(PAYLOAD_BYTES_MAX)).await;
        assert!(matches!(signal, Err(Error::Payload(_))), "{signal:?}");
        let largest = text(PAYLOAD_BYTES_MAX - 2);
        waiting.signal("go", &largest).await.unwrap();
        assert_eq!(waiting.result().await.unwrap(), largest);
        amends.shutdown(SECOND).await;
    });
}

/// Far more than a record has room for: the attempt has failed all the same, and its run goes on.
#[test]
fn a_failure_with_too_much_data_loses_the_data_and_nothing_else() {
    run(async {
        let home = Home::memory();
        let failure = || {
            let page = Payload::from_parts("binary/plain", vec![b'x'; 60 * 1024 * 1024]);
            Failure::non_retryable("Down", "no answer").with_details(page)
        };
        let amends = home
            .builder()
            .activity_definition(activity("large", move |cx, who: Value| async move {
                match who.as_str() {
                    Some("itself") => Err(failure()),
                    _ => Err(cx.complete_later()),
                }
            }))
            .workflow_definition(workflow("w", move |cx, who| async move {
                match who.as_str() {
                    Some("workflow") => Err(failure()),
                    Some("update") => {
                        cx.on_update("ask", async move |_: Value| Err::<Value, _>(failure()))?;
                        cx.signal("go").recv().await
                    }
                    _ => cx.activity_by_name("large", &who).id("the-activity").await,
                }
            }))
            .start()
            .await
            .unwrap();
        for who in ["itself", "another", "workflow"] {
            let run = amends.workflow_by_name("w").id(who).start(&json!(who)).await.unwrap();
            if who == "another" {
                until_pending(&amends, who, |pending| pending.handed_over).await;
                let activity = amends.client().activity_by_id(who, "the-activity").unwrap();
                activity.fail(failure()).await.unwrap();
            }
            match run.result().await {
                Err(ResultError::Failed(failure)) => {
                    assert!(failure.is_type("Down"), "{who}: {failure}");
                    let cut = "no answer ... (cut: details of 629";
                    assert!(failure.root().message.starts_with(cut), "{who}: {failure}");
                    assert_eq!(failure.details_bytes(), 0);
                }
                other => panic!("{who}: {other:?}"),
            }
        }
        let run = amends.workflow_by_name("w").start(&json!("update")).await.unwrap();
        let asked: Result<Value, UpdateError> = run.update("ask", &json!(1)).await;
        let refused = asked.unwrap_err().to_string();
        assert!(refused.contains("no answer ... (cut: details of 629"), "{refused}");
        run.signal("go", &json!(2)).await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!(2));
        amends.shutdown(SECOND).await;
        home.assert_sound();
    });
}

/// What waits while a commit is slow becomes more than one turn, or more than one commit, where it has to.
#[test]
fn a_burst_of_large_values_is_split_into_turns_and_commits_that_fit() {
    run(async {
        let (home, faults) = (Home::memory(), StoreFaults::new());
        let builder = home
            .faulty_builder(&faults)
            .workflow_definition(workflow("hoarder", |cx, wanted| async move {
                let signals = cx.signal::<Box<RawValue>>("large");
                let mut bytes = 0;
                for _ in 0..wanted.as_u64().unwrap_or(0) {
                    bytes += signals.recv().await?.get().len();
                }
                Ok(json!(bytes))
            }));
        let amends = builder.start().await.unwrap();
        let large = RawValue::from_string(format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX - 1024))).unwrap();
        let one = amends
            .workflow_by_name("hoarder")
            .id("one")
            .start(&json!(20))
            .await
            .unwrap();
        faults.hold();
        let signal = || {
            let (amends, large) = (amends.clone(), large.clone());
            tokio::spawn(async move { amends.client().signal("one", "large", &large).await })
        };
        let mut signals = vec![signal()];
        let held = faults.clone();
        tokio::task::spawn_blocking(move || held.until_held()).await.unwrap();
        signals.extend((1..20).map(|_| signal()));
        let starts: Vec<_> = (0..36)
            .map(|number| {
                let starter = amends.workflow_by_name("hoarder").id(format!("m{number}"));
                let large = Payload::json(&large).unwrap();
                tokio::spawn(async move { starter.start_payload(large).await })
            })
            .collect();
        // The more of them wait by then the better; it must hold for any number.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        faults.release();
        for signal in signals {
            signal.await.unwrap().unwrap();
        }
        for start in starts {
            start.await.unwrap().unwrap().result().await.unwrap();
        }
        assert_eq!(one.result().await.unwrap(), json!(20 * (large.get().len())));
        let sled_takes = amends::store::sled::COMMIT_BYTES_MAX;
        assert!(
            faults.largest_commit() < sled_takes,
            "{} bytes",
            faults.largest_commit()
        );
        amends.shutdown(SECOND).await;
    });
}
