//! How many runs of a namespace may be open at once: which beginnings count, and which come to nothing. Must not live here: what
//! else namespaces keep apart (`namespaces`).

use std::sync::Arc;
use std::time::Duration;

use amends::model::{Reapply, Reset, ResetPoint};
use amends::testing::VirtualClock;
use amends::{
    Amends, CodecContext, CodecError, Error, Payload, PayloadCodec, RunHandle, RunStatus, WorkflowDefinition,
};
use serde_json::{Value, json};

use crate::support::{Home, run, until_status, workflow};

/// Ends when it is told to.
fn told() -> WorkflowDefinition {
    workflow("told", |cx, _| async move { cx.signal::<Value>("end").recv().await })
}

async fn start(amends: &Amends, id: &str) -> Result<RunHandle<Value>, Error> {
    amends.workflow_by_name("told").id(id).start(&json!(null)).await
}

/// Starts it as soon as there is room: that is a moment after an end is to be seen. `None`: there is none for long.
async fn start_later(amends: &Amends, id: &str, mut meanwhile: impl FnMut()) -> Option<RunHandle<Value>> {
    for _ in 0..10_000 {
        match start(amends, id).await {
            Ok(run) => return Some(run),
            Err(Error::TooManyOpenRuns { .. }) => meanwhile(),
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    None
}

#[test]
fn a_run_that_is_made_of_one_that_has_ended_takes_a_place() {
    for home in Home::each() {
        run(async {
            let builder = home.builder().workflow_definition(told()).max_open_runs(1);
            let amends = builder.start().await.unwrap();
            let first = start(&amends, "a").await.unwrap();
            first.signal("end", &json!(1)).await.unwrap();
            until_status(&amends, "a", RunStatus::Completed).await;
            let wanted = Reset {
                reapply: Reapply::None,
                ..Reset::to(ResetPoint::FirstTurn, "ada", "to end otherwise")
            };
            let again = first.reset(&wanted).await.unwrap();
            assert!(matches!(
                start(&amends, "b").await.map(drop),
                Err(Error::TooManyOpenRuns { most: 1, .. })
            ));
            again.signal("end", &json!(2)).await.unwrap();
            assert_eq!(again.result().await.unwrap(), json!(2));
            assert!(
                start_later(&amends, "b", || {}).await.is_some(),
                "it has given its place back"
            );
            let full = start(&amends, "c").await.map(drop);
            assert!(matches!(full, Err(Error::TooManyOpenRuns { .. })), "and not two");
            amends.shutdown(Duration::ZERO).await;
            home.assert_sound();
        });
    }
}

/// Cannot encode the data of one run.
struct Refusing;

impl PayloadCodec for Refusing {
    fn encoding(&self) -> &str {
        "binary/refusing"
    }

    fn encode(&self, cx: &CodecContext<'_>, _: &Payload) -> Result<Option<Payload>, CodecError> {
        match cx.workflow_id.as_str() {
            "bad" => Err(CodecError::new("no key for that")),
            _ => Ok(None),
        }
    }

    fn decode(&self, _: &CodecContext<'_>, _: &Payload) -> Result<Payload, CodecError> {
        Err(CodecError::new("nothing is encoded"))
    }
}

#[test]
fn a_start_that_comes_to_nothing_takes_no_place() {
    run(async {
        let (home, clock) = (Home::memory(), VirtualClock::new());
        let builder = home.builder().clock(Arc::new(clock.clone()));
        let builder = builder.workflow_definition(told()).codec(Refusing);
        let amends = builder.max_open_runs(1).start().await.unwrap();
        let refused = amends.workflow_by_name("told").id("bad").start(&json!("x")).await;
        assert!(matches!(refused.map(drop), Err(Error::Store(_))));
        let room = start_later(&amends, "good", || clock.advance(Duration::from_millis(10))).await;
        assert!(room.is_some());
        amends.shutdown(Duration::ZERO).await;
    });
}
