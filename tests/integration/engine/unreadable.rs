//! Runs that cannot be read for a while, or written at all, and what that means to others and to themselves. Must not live here:
//! codecs as such (`data`), damage (`isolation`).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use amends::model::ParkReason;
use amends::testing::VirtualClock;
use amends::{CodecContext, CodecError, Error, IdReusePolicy, Payload, PayloadCodec, RunStatus, WorkflowDefinition};
use serde_json::{Value, json};

use super::child_workflows::until_event;
use crate::support::{Home, Recorder, activity, run, saga, until_status, until_status_as_time_passes, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// Encodes the data of one run, and fails at decoding it whenever it is told to.
#[derive(Clone)]
pub(super) struct Lock {
    of: &'static str,
    pub(super) decodes: Arc<AtomicBool>,
}

impl Lock {
    pub(super) fn of(workflow_id: &'static str) -> Self {
        Self {
            of: workflow_id,
            decodes: Arc::new(AtomicBool::new(true)),
        }
    }
}

impl PayloadCodec for Lock {
    fn encoding(&self) -> &str {
        "binary/locked"
    }

    fn encode(&self, cx: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        let encoded = || Payload::from_parts(self.encoding(), payload.to_wire());
        Ok((cx.workflow_id.as_str() == self.of).then(encoded))
    }

    fn decode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        match self.decodes.load(Ordering::SeqCst) {
            true => Payload::from_wire(payload.data()).map_err(CodecError::new),
            false => Err(CodecError::new("locked")),
        }
    }
}

/// Waits for a word, or has a child that does.
fn family() -> [WorkflowDefinition; 2] {
    let child = workflow("child", |cx, _| async move { cx.signal::<Value>("word").recv().await });
    let parent = workflow("parent", |cx, has_child| async move {
        if has_child == json!(true) {
            cx.child_by_name::<_, Value>("child")
                .id("child")
                .start(&json!("x"))
                .await?;
        }
        cx.signal::<Value>("word").recv().await
    });
    [child, parent]
}

/// A run that has ended cannot let go of a child that cannot be read. Who speaks to it hears that it has ended, and who begins
/// another one under its workflow id waits: neither asks without end.
#[test]
fn a_run_that_cannot_let_go_of_its_child_has_ended_for_all_who_speak_to_it() {
    run(async {
        let (home, lock) = (Home::memory(), Lock::of("child"));
        let open = async || {
            let [child, parent] = family();
            let builder = home.builder().codec(lock.clone());
            let builder = builder.workflow_definition(child).workflow_definition(parent);
            builder.start().await.unwrap()
        };
        let amends = open().await;
        let starter = amends.workflow_by_name("parent").id("p");
        starter.start(&json!(true)).await.unwrap();
        until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
        amends.shutdown(SECOND).await;

        lock.decodes.store(false, Ordering::SeqCst);
        let amends = open().await;
        amends.client().signal("p", "word", &"enough").await.unwrap();
        until_status(&amends, "p", RunStatus::Completed).await;
        let late = amends.client().signal("p", "word", &"more").await;
        assert!(matches!(late, Err(Error::Rejected(_))), "{late:?}");
        let next = amends.workflow_by_name("parent").id("p");
        let next = next.id_reuse_policy(IdReusePolicy::AllowDuplicate);
        let (next, stopped) = tokio::join!(next.start(&json!(false)), amends.shutdown(SECOND));
        assert!(matches!(next, Err(Error::ShuttingDown)), "{next:?} {stopped:?}");

        lock.decodes.store(true, Ordering::SeqCst);
        let amends = open().await;
        let next = amends.workflow_by_name("parent").id("p");
        let next = next.id_reuse_policy(IdReusePolicy::AllowDuplicate);
        next.start(&json!(false)).await.unwrap();
        assert_eq!(
            amends.client().describe("child").await.unwrap().status,
            RunStatus::Terminated,
            "its id was free as soon as its child had heard of its end"
        );
        amends.shutdown(SECOND).await;
        home.assert_sound();
    });
}

/// Answers with what it has in memory, or spoils that and panics.
fn spoiled() -> WorkflowDefinition {
    workflow("spoiled", |cx, _| async move {
        let memory = Rc::new(Cell::new("fine"));
        let (shown, spoils) = (Rc::clone(&memory), memory);
        cx.on_query("memory", move |()| shown.get().to_owned())?;
        cx.on_query("spoil", move |()| {
            spoils.set("spoiled");
            assert_eq!(spoils.get(), "fine", "it panics after it has done something");
        })?;
        cx.signal::<Value>("end").recv().await
    })
}

#[test]
fn code_that_a_query_has_spoiled_is_never_asked_again_also_when_it_cannot_be_read_just_then() {
    run(async {
        let (home, lock, clock) = (Home::memory(), Lock::of("w"), VirtualClock::new());
        let builder = home.builder().codec(lock.clone()).clock(Arc::new(clock.clone()));
        let amends = builder.workflow_definition(spoiled()).start().await.unwrap();
        let run = amends
            .workflow_by_name("spoiled")
            .id("w")
            .start(&json!(0))
            .await
            .unwrap();
        let client = amends.client();
        assert_eq!(client.query::<_, String>("w", "memory", &()).await.unwrap(), "fine");
        lock.decodes.store(false, Ordering::SeqCst);
        assert!(client.query::<_, ()>("w", "spoil", &()).await.is_err());
        lock.decodes.store(true, Ordering::SeqCst);
        let memory = async {
            loop {
                match client.query::<_, String>("w", "memory", &()).await {
                    Ok(memory) => break memory,
                    Err(Error::Interrupted) => tokio::task::yield_now().await,
                    Err(other) => panic!("{other}"),
                }
            }
        };
        let passing = async {
            loop {
                clock.advance(Duration::from_millis(10));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            memory = memory => assert_eq!(memory, "fine"),
            () = passing => {}
        }
        run.signal("end", &json!("over")).await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!("over"));
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_saga_of_a_definition_that_was_set_aside_is_undone_with_the_inputs_that_its_definition_says() {
    let mut text = r#"
name = "trip"
run_timeout = "1h"
[[step]]
name = "book"
activity = "book"
input = { to = "${ input.to }" }
compensation = { activity = "cancel", input = "${ undo.input.to }" }
"#
    .to_owned();
    // More than fits into one turn.
    let largest = amends::model::limits::PAYLOAD_BYTES_MAX - 1_000;
    let fit = amends::model::limits::HISTORY_BYTES_MAX as usize / largest;
    for number in 0..=fit {
        let step = format!("[[step]]\nname = \"pay-{number}\"\nactivity = \"book\"\nafter = [\"book\"]\n");
        text.push_str(&step);
        text.push_str("input = \"${ input.form }\"\n");
    }
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let builder = home.builder().clock(Arc::new(clock.clone())).saga(saga(&text));
        let builder = builder
            .activity_definition(activity("book", |_, input| async move { Ok(input) }))
            .activity_definition(activity("cancel", move |_, input: Value| {
                noted.note(input.to_string());
                async { Ok(Value::Null) }
            }));
        let amends = builder.start().await.unwrap();
        let input = json!({"to": "Rome", "form": "x".repeat(largest)});
        let run = amends.workflow_by_name("trip").id("w").start(&input).await.unwrap();
        let parked = until_status_as_time_passes(&amends, &clock, "w", RunStatus::Parked).await;
        assert!(
            matches!(parked.parked, Some(ParkReason::BadCommand { .. })),
            "{:?}",
            parked.parked
        );
        clock.advance(Duration::from_secs(3_600));
        run.outcome().await.unwrap();
        assert_eq!(recorder.all(), ["\"Rome\""]);
        amends.shutdown(SECOND).await;
    });
}

/// Takes everything but one word.
struct Prudish;

impl PayloadCodec for Prudish {
    fn encoding(&self) -> &str {
        "binary/prudish"
    }

    fn encode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        match payload.data().ends_with(b"unheard-of\"") {
            true => Err(CodecError::new("that is not said")),
            false => Ok(None),
        }
    }

    fn decode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        Ok(payload.clone())
    }
}

#[test]
fn a_saga_whose_result_no_codec_takes_is_set_aside_after_some_tries() {
    run(async {
        let (home, clock, recorder) = (Home::memory(), VirtualClock::new(), Recorder::new());
        let noted = recorder.clone();
        let tell = activity("tell", move |_, _| {
            noted.note("told".to_owned());
            async { Ok(json!("unheard-of")) }
        });
        let text = "name = \"telling\"\n[[step]]\nname = \"one\"\nactivity = \"tell\"\ncompensation = \"none\"\n";
        let builder = home.builder().clock(Arc::new(clock.clone())).codec(Prudish);
        let builder = builder.activity_definition(tell).saga(saga(text));
        let amends = builder.start().await.unwrap();
        let starter = amends.workflow_by_name("telling").id("t");
        starter.start(&json!({})).await.unwrap();
        let parked = until_status_as_time_passes(&amends, &clock, "t", RunStatus::Parked).await;
        let reason = parked.parked.unwrap().to_string();
        assert!(reason.contains("that is not said"), "{reason}");
        assert!(recorder.len() <= 4, "{}", recorder.len());
        amends.shutdown(SECOND).await;
    });
}
