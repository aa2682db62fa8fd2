//! What a namespace grants its runs: how large their values and their histories may be. Must not live here: how many may be open
//! (`namespaces`), what every run may have (`sizes`).

use std::time::Duration;

use amends::config::EngineConfig;
use amends::machine::Rejection;
use amends::model::{Event, EventAttributes, StepKind};
use amends::{
    ActivityContext, Amends, Error, Failure, Namespace, ResultError, RetryPolicy, RunStatus, UpdateError,
    WorkflowContext,
};
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

fn text(bytes: usize) -> Value {
    Value::from("x".repeat(bytes))
}

#[track_caller]
fn assert_refused(error: &Error) {
    let expected = Rejection::PayloadTooLarge {
        bytes: 1_002,
        max: 1_000,
    };
    assert!(
        matches!(error, Error::Rejected(refused) if *refused == expected),
        "{error}"
    );
}

/// Does with a value of 1,002 bytes what its input says.
async fn handle(cx: WorkflowContext, what: Value) -> Result<Value, Failure> {
    let small = json!("small");
    cx.on_update("set", async |_: Value| Ok::<_, Failure>(()))?;
    cx.saga()
        .step_by_name::<_, Value>(StepKind::Compensatable, "hold", &small)
        .compensate_by_name("let go")
        .await?;
    match what.as_str() {
        Some("activity result") => cx.activity_by_name("large", &small).await,
        Some("activity input") => cx.activity_by_name("hold", &text(1_000)).await,
        Some("memo") => cx.upsert_memo("note", &text(1_000)).map(|()| small),
        Some("result") => Ok(text(1_000)),
        _ => cx.signal("go").recv().await,
    }
}

#[test]
fn a_value_that_the_namespace_does_not_grant_is_refused_or_fails_its_run() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let noted = recorder.clone();
        let let_go = activity("let go", move |_, _| {
            noted.note("let go");
            async { Ok(Value::Null) }
        });
        let amends = home
            .builder()
            .activity_definition(activity("hold", |_, _| async { Ok(json!("held")) }))
            .activity_definition(activity("large", |_, _| async { Ok(text(1_000)) }))
            .activity_definition(let_go)
            .workflow_definition(workflow("handle", handle))
            .namespace(Namespace::new("small").max_payload_bytes(1_000));
        let amends = amends.start().await.unwrap();
        let small = amends.in_namespace("small").unwrap();
        let start = small.workflow_by_name("handle").start(&text(1_000)).await;
        assert_refused(&start.unwrap_err());
        let noted = small.workflow_by_name("handle").memo("note", &text(1_000)).unwrap();
        assert_refused(&noted.start(&json!("result")).await.unwrap_err());
        assert_eq!(
            small.client().list("").await.unwrap().len(),
            0,
            "nothing of them is recorded"
        );

        for (undone, what) in (1..).zip(["activity result", "activity input", "memo", "result"]) {
            let of = |amends: &Amends| amends.workflow_by_name("handle").id(what);
            match of(&small).start(&json!(what)).await.unwrap().result().await {
                Err(ResultError::Amended(failure)) => {
                    let root = failure.root();
                    assert!(
                        root.is_type("InvalidPayload") && root.message.contains("1000"),
                        "{what}: {failure}"
                    );
                }
                other => panic!("{what}: {other:?}"),
            }
            assert_eq!(
                recorder.count("let go"),
                undone,
                "{what}: what the run had done is undone"
            );
            of(&amends).start(&json!(what)).await.unwrap().result().await.unwrap();
        }

        let waiting = small
            .workflow_by_name("handle")
            .id("s")
            .start(&json!("wait"))
            .await
            .unwrap();
        assert_refused(&waiting.signal("go", &text(1_000)).await.unwrap_err());
        match waiting.update::<_, ()>("set", &text(1_000)).await {
            Err(UpdateError::Engine(error)) => assert_refused(&error),
            other => panic!("{other:?}"),
        }
        waiting.update::<_, ()>("set", &text(998)).await.unwrap();
        waiting.signal("go", &text(998)).await.unwrap();
        assert_eq!(waiting.result().await.unwrap(), text(998), "just so large");
        amends.shutdown(SECOND).await;
    });
}

/// Writes as many notes, and says at which event it was first told to go on as a new run.
async fn chatter(cx: WorkflowContext, notes: u64) -> Result<Option<u64>, Failure> {
    let mut told = None;
    for _ in 0..notes {
        cx.record_marker("note", &())?;
        cx.signal::<Value>("on").recv().await?;
        let info = cx.info();
        told = told.or(info.continue_as_new_suggested.then_some(info.history_length));
    }
    Ok(told)
}

async fn chat(amends: &Amends, notes: u64, signal: &Value) -> (Result<Option<u64>, ResultError>, RunStatus) {
    let chatter = amends.workflow(chatter).id("c").start(&notes).await.unwrap();
    for _ in 0..notes {
        // The run may have ended.
        if chatter.signal("on", signal).await.is_err() {
            break;
        }
    }
    let result = chatter.result().await;
    (result, chatter.describe().await.unwrap().status)
}

#[test]
fn a_history_is_as_long_as_its_namespace_grants() {
    run(async {
        let home = Home::memory();
        let builder = home.builder().workflow(chatter);
        let builder = builder.namespace(Namespace::new("short").max_history_events(200));
        let builder = builder.namespace(Namespace::new("light").max_history_bytes(64 * 1024));
        let amends = builder.start().await.unwrap();
        let short = amends.in_namespace("short").unwrap();
        let (result, _) = chat(&short, 200, &json!(0)).await;
        match result {
            Err(ResultError::Failed(failure)) => {
                assert!(
                    failure.is_type("HistoryTooLong") && failure.message.contains("200"),
                    "{failure}"
                );
            }
            other => panic!("{other:?}"),
        }
        let length = short.client().history("c").await.unwrap().last().unwrap().id.0;
        assert!((170..=200).contains(&length), "{length} events");

        let light = amends.in_namespace("light").unwrap();
        let (result, status) = chat(&light, 30, &text(4_000)).await;
        assert_eq!(status, RunStatus::Canceled, "{result:?}");
        let history = light.client().history("c").await.unwrap();
        let remedy = |event: &Event| match &event.attributes {
            EventAttributes::WorkflowExecutionCancelRequested { reason, .. } => reason.contains("continue_as_new"),
            _ => false,
        };
        assert!(history.iter().any(remedy), "{history:?}");
        let (told, status) = chat(&amends, 30, &text(4_000)).await;
        assert_eq!(
            (told.unwrap(), status),
            (None, RunStatus::Completed),
            "nobody else is bound"
        );
        amends.shutdown(SECOND).await;
    });
}

/// As that of a run is whose end was lost with its memory.
#[test]
fn a_history_that_is_too_long_already_ends_with_what_comes_next() {
    run(async {
        let home = Home::memory();
        let engine = |light: Namespace| home.builder().workflow(chatter).namespace(light).start();
        let amends = engine(Namespace::new("light")).await.unwrap();
        let light = amends.in_namespace("light").unwrap();
        let talked_to = light.workflow(chatter).id("c").start(&40).await.unwrap();
        for _ in 0..30 {
            talked_to.signal("on", &text(4_000)).await.unwrap();
        }
        amends.shutdown(SECOND).await;

        let amends = engine(Namespace::new("light").max_history_bytes(64 * 1024))
            .await
            .unwrap();
        let light = amends.in_namespace("light").unwrap();
        light.client().signal("c", "on", &text(1)).await.unwrap();
        until_status(&light, "c", RunStatus::Canceled).await;
        amends.shutdown(SECOND).await;
    });
}

/// Has an activity that says and fails a lot, and tells how many bytes of history that came to.
async fn import(cx: WorkflowContext) -> Result<u64, Failure> {
    let retry = RetryPolicy {
        initial_interval: Duration::ZERO,
        ..RetryPolicy::default()
    };
    cx.activity_by_name::<Value>("import", &()).retry(retry).await?;
    // What is wanted of a local activity is recorded beside events.
    cx.local_activity(note, &text(100)).await?;
    cx.signal::<Value>("on").recv().await?;
    let info = cx.info();
    assert!(!info.continue_as_new_suggested, "{} bytes", info.history_bytes);
    Ok(info.history_bytes)
}

async fn note(_: ActivityContext, text: Value) -> Result<Value, Failure> {
    Ok(text)
}

/// 40 heartbeats and failed attempts with 2,000 bytes each.
#[test]
fn heartbeats_and_failed_attempts_are_no_history() {
    run(async {
        let mut counted = Vec::new();
        for in_two_engines in [false, true] {
            let home = Home::memory();
            let start = || {
                let builder = home.builder().workflow(import);
                let builder = builder.activity(note);
                let builder = builder.activity_definition(activity("import", |cx, _| async move {
                    let attempt = cx.info().attempt;
                    cx.heartbeat(&(attempt, text(2_000)))?;
                    match attempt {
                        40.. => Ok(json!("all")),
                        _ => Err(Failure::new("ConnectionLost", "")),
                    }
                }));
                let light = Namespace::new("light").max_history_bytes(16 * 1024);
                builder.namespace(light).start()
            };
            let mut amends = start().await.unwrap();
            let light = amends.in_namespace("light").unwrap();
            let mut run = light
                .workflow_by_name("import")
                .id("i")
                .start(&Value::Null)
                .await
                .unwrap();
            while !has_ended_a_local_activity(&light).await {
                tokio::task::yield_now().await;
            }
            if in_two_engines {
                amends.shutdown(SECOND).await;
                amends = start().await.unwrap();
                let light = amends.in_namespace("light").unwrap();
                run = light.find("i").await.unwrap();
            }
            run.signal("on", &()).await.unwrap();
            counted.push(run.result().await.unwrap());
            amends.shutdown(SECOND).await;
        }
        assert_eq!(counted[0], counted[1]);
    });
}

async fn has_ended_a_local_activity(amends: &Amends) -> bool {
    let history = amends.client().history("i").await.unwrap();
    let ended = |event: &Event| matches!(event.attributes, EventAttributes::LocalActivityEnded(_));
    history.iter().any(ended)
}

#[test]
fn a_configuration_grants_less_to_a_namespace_and_to_the_default_one() {
    run(async {
        let home = Home::memory();
        let file = "max_history_events = 200\n[namespaces.small]\nmax_payload_bytes = 1000\n\
                    [namespaces.light]\nmax_history_bytes = 65536\n";
        let builder = home.builder().workflow(chatter);
        let builder = builder.workflow_definition(workflow("handle", handle));
        let builder = builder.config(EngineConfig::parse("amends.toml", file).unwrap());
        let amends = builder.start().await.unwrap();
        let small = amends.in_namespace("small").unwrap();
        assert_refused(&small.workflow_by_name("handle").start(&text(1_000)).await.unwrap_err());
        let (result, _) = chat(&amends, 200, &json!(0)).await;
        match result {
            Err(ResultError::Failed(failure)) => assert!(failure.is_type("HistoryTooLong"), "{failure}"),
            other => panic!("{other:?}"),
        }
        let light = amends.in_namespace("light").unwrap();
        let (result, status) = chat(&light, 30, &text(4_000)).await;
        assert_eq!(status, RunStatus::Canceled, "{result:?}");
        amends.shutdown(SECOND).await;
    });
}

#[test]
fn a_run_is_told_in_time_to_go_on_as_a_new_one() {
    run(async {
        let home = Home::memory();
        let builder = home.builder().workflow(chatter);
        let builder = builder.namespace(Namespace::new("default").max_history_events(400));
        let amends = builder.start().await.unwrap();
        let (told, _) = chat(&amends, 60, &json!(0)).await;
        let told = told.unwrap().expect("60 notes and signals are more than 200 events");
        assert!((200..=210).contains(&told), "{told}");
        amends.shutdown(SECOND).await;
    });
}
