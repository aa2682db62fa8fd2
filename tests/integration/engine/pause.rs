//! Pausing on a whole engine: nothing begins, nothing is lost, restarts change nothing. Must not live here: what exactly waits
//! (the machine's own tests).

use std::sync::Arc;
use std::time::Duration;

use amends::RunStatus;
use amends::testing::VirtualClock;
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, counting_workflow, run, workflow};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_paused_run_records_signals_and_goes_on_from_there_also_after_a_restart() {
    for home in Home::each() {
        let builder = || home.builder().workflow_definition(counting_workflow("count"));
        run(async {
            let amends = builder().start().await.unwrap();
            let count = amends.workflow_by_name("count").id("c").start(&json!(2)).await.unwrap();
            count.pause("ada", "looking into it").await.unwrap();
            count.signal("go", &1).await.unwrap();
            count.signal("go", &2).await.unwrap();
            let refused = count.pause("bob", "me too").await;
            assert!(refused.is_ok(), "pausing twice is once");
            let stands = count.describe().await.unwrap();
            assert_eq!(stands.status, RunStatus::Paused);
            let pause = stands.paused.unwrap();
            assert_eq!(
                (pause.identity.as_str(), pause.reason.as_str()),
                ("ada", "looking into it")
            );
            amends.shutdown(SECOND).await;
        });
        run(async {
            let amends = builder().start().await.unwrap();
            let query = amends::engine::ListQuery {
                statuses: vec![RunStatus::Paused],
                ..Default::default()
            };
            assert_eq!(amends.client().list(&query).await.unwrap().len(), 1);
            assert_eq!(amends.client().describe("c").await.unwrap().status, RunStatus::Paused);
            amends.client().unpause("c", "ada", "found it").await.unwrap();
            let count = amends.find("c").await.unwrap();
            assert_eq!(count.result().await.unwrap(), json!([1, 2]));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

#[test]
fn a_timer_that_was_due_meanwhile_fires_when_the_run_goes_on_and_its_activity_is_begun_then() {
    let clock = VirtualClock::new();
    let recorder = Recorder::new();
    run(async {
        let noted = recorder.clone();
        let note = activity("note", move |_cx, input: Value| {
            let noted = noted.clone();
            async move {
                noted.note(input.as_str().unwrap_or_default().to_owned());
                Ok(input)
            }
        });
        let naps = workflow("naps", |cx, input| async move {
            cx.sleep(Duration::from_secs(60)).await?;
            let noted: Value = cx.activity_by_name("note", &input).await?;
            Ok(noted)
        });
        let builder = Home::memory().builder().clock(Arc::new(clock.clone()));
        let amends = builder
            .activity_definition(note)
            .workflow_definition(naps)
            .start()
            .await
            .unwrap();
        let nap = amends
            .workflow_by_name("naps")
            .id("n")
            .start(&json!("awake"))
            .await
            .unwrap();
        nap.pause("ada", "").await.unwrap();
        clock.advance(Duration::from_secs(3_600));
        // Whatever the clock has set in motion comes before this.
        nap.signal("hello", &()).await.unwrap();
        assert_eq!(nap.describe().await.unwrap().status, RunStatus::Paused);
        assert!(recorder.all().is_empty());
        nap.unpause("ada", "").await.unwrap();
        assert_eq!(nap.result().await.unwrap(), json!("awake"));
        assert_eq!(recorder.all(), ["awake"]);
        amends.shutdown(SECOND).await;
    });
}
