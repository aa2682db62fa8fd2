//! Users' data on a real engine: other encodings than JSON from one end to the other, and codecs between runs and the journal.
//! Must not live here: a codec by itself (`runtime::codecs`), failures (`failures`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use amends::engine::Offline;
use amends::model::{EventAttributes, Visit};
use amends::store::{MemoryStore, Store};
use amends::{
    ActivityContext, AmendsBuilder, Bincode, CodecContext, CodecError, Compression, Encryption, EncryptionKey, Error,
    Failure, Payload, PayloadCodec, Proto, Raw, ResultError, RunStatus, Undo, UpdateError, WorkflowContext,
};
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, run, saga, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

async fn develop(cx: ActivityContext, negative: Raw) -> Result<Bincode<Vec<u8>>, Failure> {
    cx.heartbeat(&Raw::from("half done"))?;
    Ok(Bincode(negative.0.iter().map(|byte| !byte).collect()))
}

async fn destroy(cx: ActivityContext, undo: Undo<Raw, Bincode<Vec<u8>>>) -> Result<(), Failure> {
    let recorder = cx.state::<Recorder>().expect("the engine was given it");
    recorder.note(format!("{:?} {:?}", undo.input.0.as_ref(), undo.output.unwrap().0));
    Ok(())
}

/// Develops a picture, is shown another one by a signal, and is asked for the number of both.
async fn studio(cx: WorkflowContext, picture: Raw) -> Result<Proto<String>, Failure> {
    let seen = cx.state(1_u64);
    seen.on_update("count", |seen, add: Bincode<u64>| {
        *seen += add.0;
        Ok::<_, Failure>(Raw::from(vec![*seen as u8]))
    })?;
    seen.on_query("seen", |seen, (): ()| Proto(*seen))?;
    let saga = cx.saga();
    let Bincode(developed) = saga.run(develop, &picture).compensate(destroy).await?;
    let shown = cx.signal::<Raw>("show").recv().await?;
    match shown.0.as_ref() {
        b"fail" => Err(Failure::non_retryable("Ugly", "nobody likes it").with_details(Payload::of(&Raw::from("x"))?)),
        shown => Ok(Proto(format!("{developed:?} and {shown:?}"))),
    }
}

#[test]
fn a_type_chooses_its_encoding_and_keeps_it_from_one_end_to_the_other() {
    run(async {
        let (home, recorder) = (Home::memory(), Recorder::new());
        let builder = home.builder().state(recorder.clone()).replay_every_turn();
        let builder = builder.activity(develop).activity(destroy).workflow(studio);
        let amends = builder.start().await.unwrap();
        let picture = Raw::from(vec![0, 1, 254]);
        let kept = amends.workflow(studio).id("kept").start(&picture).await.unwrap();
        let count: Raw = kept.update("count", &Bincode(2_u64)).await.unwrap();
        assert_eq!(count.0.as_ref(), [3]);
        let Proto(seen) = kept.query::<_, Proto<u64>>("seen", &()).await.unwrap();
        assert_eq!(seen, 3);
        kept.signal("show", &Raw::from(vec![9])).await.unwrap();
        assert_eq!(kept.result().await.unwrap(), Proto("[255, 254, 1] and [9]".to_owned()));

        let undone = amends.workflow(studio).id("undone").start(&picture).await.unwrap();
        undone.signal("show", &Raw::from("fail")).await.unwrap();
        let Err(ResultError::Amended(failure)) = undone.result().await else {
            panic!("it was told to fail");
        };
        let amends::model::FailureKind::Application(application) = &failure.kind else {
            panic!("{failure:?}");
        };
        let details = application.details.as_ref().unwrap();
        assert_eq!(details.to::<Raw>().unwrap(), Raw::from("x"));
        assert_eq!(recorder.all(), ["[0, 1, 254] [255, 254, 1]"]);

        let mut encodings = Encodings::default();
        for mut event in amends.client().history("kept").await.unwrap() {
            let Ok(()) = event.visit_data(&mut encodings);
        }
        let expected = [
            "binary/plain",
            "binary/plain",
            "binary/bincode",
            "binary/plain",
            "binary/bincode",
            "binary/plain",
            "binary/protobuf",
        ];
        encodings.0.sort_unstable();
        let mut expected = expected.map(str::to_owned).to_vec();
        expected.sort_unstable();
        assert_eq!(encodings.0, expected);
        amends.shutdown(SECOND).await;
    });
}

/// The encodings of all payloads.
#[derive(Default)]
struct Encodings(Vec<String>);

impl Visit for Encodings {
    type Error = std::convert::Infallible;

    fn payload(&mut self, payload: &mut Payload) -> Result<(), Self::Error> {
        self.0.push(payload.encoding().to_owned());
        Ok(())
    }

    fn message(&mut self, _: &mut String) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn another_encoding_is_a_failure_that_names_both() {
    run(async {
        let home = Home::memory();
        let builder = home
            .builder()
            .state(Recorder::new())
            .activity(develop)
            .activity(destroy);
        let builder = builder
            .workflow(studio)
            .workflow_definition(workflow("wrong", |cx, what| async move {
                match what.as_str() {
                    Some("input") => cx.activity_by_name::<Value>("develop", &json!("text")).await,
                    _ => cx.activity_by_name::<Value>("develop", &Raw::from("text")).await,
                }
            }));
        let amends = builder.start().await.unwrap();
        for (what, type_name, wanted, found) in [
            ("input", "InvalidInput", "Raw is read from binary/plain", "json/plain"),
            (
                "output",
                "InvalidOutput",
                "serde_json::value::Value is read from json/plain",
                "binary/bincode",
            ),
        ] {
            let run = amends.workflow_by_name("wrong").start(&json!(what)).await.unwrap();
            let Err(ResultError::Failed(failure)) = run.result().await else {
                panic!("{what}");
            };
            let text = failure.to_string();
            assert!(failure.is_type(type_name), "{what}: {text}");
            assert!(text.contains(wanted) && text.contains(found), "{what}: {text}");
        }
        let run = amends.workflow(studio).id("s").start(&Raw::from("x")).await.unwrap();
        let error = run.update::<_, Raw>("count", &7).await.unwrap_err().to_string();
        assert!(
            error.contains("Bincode<u64>") && error.contains("json/plain"),
            "{error}"
        );
        let error = run.query::<_, u64>("seen", &()).await.unwrap_err().to_string();
        assert!(
            error.contains("u64 is read from json/plain") && error.contains("binary/protobuf"),
            "{error}"
        );
        amends.shutdown(SECOND).await;
    });
}

fn key(id: &str) -> EncryptionKey {
    EncryptionKey::new(id, &[id.len() as u8; 32])
}

/// Says the secret wherever something can be said, and waits in between.
fn telling(builder: AmendsBuilder) -> AmendsBuilder {
    builder
        .activity_definition(activity("tell", |cx, secret| async move {
            match (cx.heartbeat_details::<Value>()?, secret.as_str()) {
                (Some(_), _) | (_, Some("undo")) => Ok(secret),
                (None, _) => {
                    cx.heartbeat(&secret)?;
                    let failure = Failure::new("Told", format!("the message says {secret}"));
                    Err(failure
                        .with_details(Payload::json(&secret)?)
                        .retry_after(Duration::ZERO))
                }
            }
        }))
        .workflow_definition(workflow("teller", |cx, secret| async move {
            cx.on_update("ask", async |what: Value| Ok::<_, Failure>(what))?;
            cx.record_marker("note", &secret)?;
            let told = cx.activity_by_name::<Value>("tell", &secret).await?;
            let go = cx.signal::<Value>("go").recv().await?;
            match go.as_str() {
                Some("fail") => Err(Failure::non_retryable("Told", format!("it was {told}"))),
                _ => Ok(json!([told, go])),
            }
        }))
}

const SECRET: &str = "hush-hush-hush";

fn everything_stored(memory: &MemoryStore) -> Vec<u8> {
    let runs = memory
        .list(&amends::engine::ListQuery {
            limit: 100,
            ..Default::default()
        })
        .unwrap();
    let histories = runs.iter().map(|head| memory.history(head.run_id).unwrap().unwrap());
    histories.flatten().flat_map(|turn| turn.bytes.to_vec()).collect()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn nothing_of_what_is_said_is_stored_in_clear_text_and_a_key_is_rotated() {
    run(async {
        let home = Home::memory();
        let Home::Memory(memory) = &home else { unreachable!() };
        let start = |encryption: Option<Encryption>| {
            let builder = telling(home.builder())
                .encode_failure_messages()
                .codec(Compression::new());
            match encryption {
                Some(encryption) => builder.codec(encryption).replay_every_turn().start(),
                None => builder.start(),
            }
        };
        let amends = start(Some(Encryption::new(key("old")))).await.unwrap();
        for id in ["ends", "fails"] {
            let run = amends
                .workflow_by_name("teller")
                .id(id)
                .start(&json!(SECRET))
                .await
                .unwrap();
            let answer: Value = run.update("ask", &json!([SECRET])).await.unwrap();
            assert_eq!(answer, json!([SECRET]));
            super::heartbeats::until_idle(&amends, id).await;
        }
        let stored = everything_stored(memory);
        assert!(!has(&stored, SECRET) && has(&stored, "Told") && has(&stored, "encryption-key-id"));
        amends.shutdown(SECOND).await;

        // Without the codec, or without the key: set aside, with the reason, and nothing is lost.
        for (encryption, expected) in [(None, "no codec"), (Some(Encryption::new(key("newer"))), "\"old\"")] {
            let amends = start(encryption).await.unwrap();
            let error = amends.client().signal("ends", "go", "now").await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(
                matches!(error, Error::Store(amends::store::Error::Codec { .. })),
                "{error:?}"
            );
            assert_eq!(error.code().to_string(), "E0042");
            let described = amends.client().describe("ends").await.unwrap();
            assert_eq!(described.status, RunStatus::Running);
            amends.shutdown(SECOND).await;
        }

        let offline = Offline::over(memory.clone());
        assert!(offline.signal("ends", "go", "now", Default::default()).is_err());
        let EventAttributes::WorkflowExecutionStarted(started) = &offline.history("ends").unwrap()[0].attributes else {
            panic!("a history begins with the start");
        };
        assert_eq!(started.input.encoding(), "binary/encrypted");
        let both = || Encryption::new(key("newer")).older(key("old"));
        let offline = Offline::over(memory.clone())
            .encode_failure_messages()
            .codec(Compression::new())
            .codec(both());
        offline.signal("ends", "go", SECRET, Default::default()).unwrap();
        drop(offline);

        let amends = start(Some(both())).await.unwrap();
        let result = amends.find("ends").await.unwrap().result().await.unwrap();
        assert_eq!(result, json!([SECRET, SECRET]));
        amends.client().signal("fails", "go", "fail").await.unwrap();
        let Err(ResultError::Failed(failure)) = amends.find("fails").await.unwrap().result().await else {
            panic!("it was told to fail");
        };
        assert_eq!(failure.message, format!("it was \"{SECRET}\""));
        amends.shutdown(SECOND).await;
        let stored = everything_stored(memory);
        assert!(!has(&stored, SECRET) && has(&stored, "newer"));
    });
}

#[test]
fn the_expressions_of_a_definition_see_decoded_values() {
    run(async {
        for home in Home::each() {
            let definition = saga(
                "name = \"trip\"\n[[step]]\nname = \"flight\"\nactivity = \"echo\"\ninput = { to = \"${ input.to }\" }\n\
                 compensation = { activity = \"note\", input = \"${ undo.output.to }\" }\n\
                 [[step]]\nname = \"pay\"\nactivity = \"fail\"\ninput = \"${ steps.flight.output.to }\"\n",
            );
            let recorder = Recorder::new();
            let (noted, failing) = (recorder.clone(), recorder.clone());
            let builder = home
                .builder()
                .codec(Encryption::new(key("k")))
                .activity_definition(activity("echo", |_, input| async move { Ok(input) }))
                .activity_definition(activity("note", move |_, input| {
                    noted.note(format!("undo {input}"));
                    async { Ok(Value::Null) }
                }))
                .activity_definition(activity("fail", move |_, input| {
                    failing.note(format!("pay {input}"));
                    async { Err(Failure::non_retryable("Declined", "")) }
                }))
                .saga(definition);
            let amends = builder.start().await.unwrap();
            let run = amends
                .workflow_by_name("trip")
                .start(&json!({"to": SECRET}))
                .await
                .unwrap();
            assert!(matches!(run.result().await, Err(ResultError::Amended(_))));
            let quoted = format!("\"{SECRET}\"");
            assert_eq!(recorder.all(), [format!("pay {quoted}"), format!("undo {quoted}")]);
            amends.shutdown(SECOND).await;
        }
    });
}

/// Works, unless it is told not to.
struct Moody(Arc<AtomicBool>);

impl PayloadCodec for Moody {
    fn encoding(&self) -> &str {
        "binary/moody"
    }

    fn encode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(CodecError::new("not in the mood")),
            false => Ok(Some(Payload::from_parts(self.encoding(), payload.to_wire()))),
        }
    }

    fn decode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        Payload::from_wire(payload.data()).map_err(CodecError::new)
    }
}

#[test]
fn a_codec_that_fails_is_told_to_the_caller_and_harms_nobody() {
    run(async {
        let (home, moody) = (Home::memory(), Arc::new(AtomicBool::new(true)));
        let builder = telling(home.builder()).codec(Moody(moody.clone()));
        let amends = builder.start().await.unwrap();
        let start = |id: &str| amends.workflow_by_name("teller").id(id.to_owned());
        let error = start("w").start(&json!(SECRET)).await.unwrap_err();
        assert!(error.to_string().contains("not in the mood"), "{error}");
        moody.store(false, Ordering::SeqCst);
        // Nothing was left of it; only for a moment it may still be known.
        let run = loop {
            match start("w").start(&json!(SECRET)).await {
                Err(Error::Interrupted) => tokio::task::yield_now().await,
                started => break started.unwrap(),
            }
        };
        super::heartbeats::until_idle(&amends, "w").await;
        moody.store(true, Ordering::SeqCst);
        let error = amends.client().signal("w", "go", "now").await.unwrap_err();
        assert!(error.to_string().contains("not in the mood"), "{error}");
        moody.store(false, Ordering::SeqCst);
        until_status(&amends, "w", RunStatus::Running).await;
        while amends.client().signal("w", "go", "now").await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(run.result().await.unwrap(), json!([SECRET, "now"]));
        amends.shutdown(SECOND).await;
    });
}

/// The largest value that is taken at the call is also journaled, and comes back.
#[test]
fn the_size_limit_is_that_of_the_value_whatever_codecs_make_of_it() {
    run(async {
        let max = amends::model::limits::PAYLOAD_BYTES_MAX;
        for home in Home::each() {
            let builder = telling(home.builder())
                .codec(Compression::new())
                .codec(Encryption::new(key("k")));
            let amends = builder.start().await.unwrap();
            // Noise, which no compression makes smaller.
            let mut state = 1_u32;
            let noise: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b'0' + ((state >> 24) % 75) as u8
            })
            .map(|byte| if byte == b'\\' { b'a' } else { byte })
            .take(max - 2)
            .collect();
            let largest = Value::from(String::from_utf8(noise).unwrap());
            let run = amends.workflow_by_name("teller").start(&json!("undo")).await.unwrap();
            let too_large = run.signal("go", &format!("{}x", largest.as_str().unwrap())).await;
            assert!(matches!(too_large, Err(Error::Payload(_))), "{too_large:?}");
            let text = format!("{}x", largest.as_str().unwrap());
            let update = run.update::<_, Value>("ask", &text).await;
            assert!(
                matches!(update, Err(UpdateError::Engine(Error::Payload(_)))),
                "{update:?}"
            );
            let query = run.query::<_, Value>("any", &text).await;
            assert!(matches!(query, Err(Error::Payload(_))), "{query:?}");
            let heartbeat = ActivityContext::for_test().build().heartbeat(&text).unwrap_err();
            assert!(heartbeat.is_type("InvalidHeartbeat"), "{heartbeat}");
            run.signal("go", &largest).await.unwrap();
            // Two of them are more than a result may be.
            let Err(ResultError::Failed(failure)) = run.result().await else {
                panic!("the result is too large");
            };
            assert!(failure.to_string().contains("limit"), "{failure}");
            amends.shutdown(SECOND).await;
            home.assert_sound();
        }
    });
}
