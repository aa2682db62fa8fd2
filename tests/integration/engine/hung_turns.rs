//! Turns that do not come back are told of while they hang, with their run and their workflow. Must not live here: how often it is
//! looked (`runtime::watchdog`), code that comes back but never rests (`isolation`).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends::engine::HungTurn;
use amends::{Amends, RunStatus, WorkflowDefinition};
use serde_json::{Value, json};

use crate::support::{Home, Recorder, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// Blocks its thread, each time that it is let to, until it is told to go on.
fn blocking() -> (WorkflowDefinition, Sender<()>) {
    let (go_on, told) = channel();
    let told: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(told));
    let definition = workflow("blocking", move |cx, _| {
        let told = Arc::clone(&told);
        async move {
            cx.on_query("block", {
                let told = Arc::clone(&told);
                move |(): ()| told.lock().unwrap().recv().is_ok()
            })?;
            let _ = told.lock().unwrap().recv();
            cx.signal::<()>("end").recv().await?;
            Ok(Value::Null)
        }
    });
    (definition, go_on)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a turn hangs in real time, and whether it comes to that is seen long before"
)]
async fn until_hung(amends: &Amends, hangs: bool) -> Vec<HungTurn> {
    let until = async {
        loop {
            let hung = amends.client().hung_turns();
            if hung.is_empty() != hangs {
                return hung;
            }
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(SECOND * 60, until).await;
    seen.unwrap_or_else(|_| panic!("hangs: {hangs} was never seen"))
}

#[test]
fn a_turn_that_does_not_come_back_is_told_of_while_it_hangs() {
    run(async {
        let (home, (blocking, go_on)) = (Home::memory(), blocking());
        let builder = home.builder().shards(1).turn_hangs_after(Duration::from_millis(20));
        let amends = builder.workflow_definition(blocking).start().await.unwrap();
        assert_eq!(amends.client().hung_turns(), []);
        let starting = {
            let amends = amends.clone();
            tokio::spawn(async move {
                amends
                    .workflow_by_name("blocking")
                    .id("b")
                    .start(&json!(0))
                    .await
                    .unwrap()
            })
        };
        // In its first turn: nothing of it is in the store.
        let hung = until_hung(&amends, true).await.remove(0);
        assert_eq!((hung.workflow_id.as_str(), hung.shard), ("b", 0));
        assert_eq!(hung.workflow_type.as_ref().map(|kind| kind.as_str()), Some("blocking"));
        assert!(hung.hangs_for >= Duration::from_millis(20), "{hung:?}");
        go_on.send(()).unwrap();
        let started = starting.await.unwrap();
        assert_eq!(hung.run_id, started.run_id());
        until_hung(&amends, false).await;

        // A query is asked of the code on the same thread.
        let asking = {
            let amends = amends.clone();
            tokio::spawn(async move { amends.client().query::<_, bool>("b", "block", &()).await.unwrap() })
        };
        let hung = until_hung(&amends, true).await.remove(0);
        assert_eq!((hung.run_id, hung.workflow_type.is_some()), (started.run_id(), true));
        go_on.send(()).unwrap();
        assert!(asking.await.unwrap());
        until_hung(&amends, false).await;
        amends.shutdown(SECOND).await;
    });
}

/// A run that is made live again is replayed on its shard's thread, too.
#[test]
fn a_replay_that_does_not_come_back_is_told_of_as_well() {
    run(async {
        let (home, (blocking, go_on)) = (Home::memory(), blocking());
        go_on.send(()).unwrap();
        let start = |definition: WorkflowDefinition| {
            let builder = home.builder().turn_hangs_after(Duration::from_millis(20));
            builder.workflow_definition(definition).start()
        };
        let amends = start(blocking).await.unwrap();
        amends
            .workflow_by_name("blocking")
            .id("b")
            .start(&json!(0))
            .await
            .unwrap();
        until_status(&amends, "b", RunStatus::Running).await;
        amends.shutdown(SECOND).await;

        let (blocking, go_on) = self::blocking();
        let amends = start(blocking).await.unwrap();
        let telling = {
            let amends = amends.clone();
            tokio::spawn(async move { amends.client().signal("b", "end", &()).await.unwrap() })
        };
        let hung = until_hung(&amends, true).await.remove(0);
        assert_eq!(hung.workflow_id.as_str(), "b");
        // From now on it does not block any more, however often it is replayed.
        drop(go_on);
        telling.await.unwrap();
        assert_eq!(amends.find("b").await.unwrap().result().await.unwrap(), Value::Null);
        until_hung(&amends, false).await;
        amends.shutdown(SECOND).await;
    });
}

/// Whoever waits for an engine to stop is told what keeps it.
#[test]
fn a_turn_that_hangs_while_its_engine_stops_is_told_of() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let (go_on, told) = channel::<()>();
        let (told, begun) = (Mutex::new(told), recorder.clone());
        let blocking = workflow("blocking", move |_, _| {
            begun.note("begun");
            let _ = told.lock().unwrap().recv();
            async { Ok(Value::Null) }
        });
        let builder = home.builder().turn_hangs_after(Duration::from_millis(400));
        let amends = builder.workflow_definition(blocking).start().await.unwrap();
        let starting = {
            let amends = amends.clone();
            tokio::spawn(async move { amends.workflow_by_name("blocking").id("b").start(&json!(0)).await })
        };
        recorder.until("begun", 1).await;
        let stopping = {
            let amends = amends.clone();
            tokio::spawn(async move { amends.shutdown(Duration::ZERO).await })
        };
        let hung = until_hung(&amends, true).await.remove(0);
        assert_eq!(hung.workflow_id.as_str(), "b");
        go_on.send(()).unwrap();
        stopping.await.unwrap();
        let _ = starting.await.unwrap();
        until_hung(&amends, false).await;
    });
}
