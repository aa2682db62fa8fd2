//! The engine inside every kind of host: tokio with many threads and with one, actix, a plain thread; and the programs in
//! `examples/`, which are what people copy. Must not live here: what engines do (`engine`).

use std::thread::{self, ThreadId};
use std::time::Duration;

use amends::{ActivityContext, Amends, Failure, WorkflowContext};
use serde_json::json;

use crate::support::counting_workflow;

#[path = "../../examples/embed_thread.rs"]
mod embed_thread;
#[path = "../../examples/embed_tokio.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod embed_tokio;

#[cfg(feature = "server")]
#[path = "../../examples/embed_actix.rs"]
#[allow(dead_code, reason = "its `main` only chooses the directory")]
mod embed_actix;

async fn shout(cx: ActivityContext, word: String) -> Result<String, Failure> {
    cx.state::<Threads>().unwrap().note();
    Ok(word.to_uppercase())
}

#[expect(clippy::needless_pass_by_value, reason = "an activity owns its input")]
fn whisper(cx: ActivityContext, word: String) -> Result<String, Failure> {
    cx.state::<Threads>().unwrap().note();
    Ok(word.to_lowercase())
}

async fn speak(cx: WorkflowContext, word: String) -> Result<(String, String), Failure> {
    cx.sleep(Duration::from_millis(1)).await?;
    Ok((cx.activity(shout, &word).await?, cx.activity(whisper, &word).await?))
}

/// The threads that activities ran on.
#[derive(Default)]
struct Threads(std::sync::Mutex<Vec<ThreadId>>);

impl Threads {
    fn note(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

/// A whole engine life; whatever the host is, activities run beside its thread.
async fn use_engine() {
    let builder = Amends::builder().memory().state(Threads::default());
    let amends = builder
        .activity(shout)
        .activity(whisper)
        .workflow(speak)
        .start()
        .await
        .unwrap();
    let run = amends.workflow(speak).start(&"Hello".to_owned()).await.unwrap();
    assert_eq!(run.result().await.unwrap(), ("HELLO".to_owned(), "hello".to_owned()));
    amends.shutdown(Duration::from_secs(5)).await;
}

#[test]
fn in_tokio_with_many_threads() {
    #[tokio::main]
    async fn main() {
        use_engine().await;
    }
    main();
}

/// The host's only thread is busy with something else while an activity runs.
#[test]
fn in_tokio_with_one_thread() {
    #[tokio::main(flavor = "current_thread")]
    async fn main() {
        use_engine().await;
        let (sender, told) = std::sync::mpsc::channel::<ThreadId>();
        let sender = std::sync::Mutex::new(sender);
        let activity = crate::support::activity("tell", move |_, input| {
            sender.lock().unwrap().send(thread::current().id()).unwrap();
            async { Ok(input) }
        });
        let flow = crate::support::workflow(
            "tell",
            |cx, input| async move { cx.activity_by_name("tell", &input).await },
        );
        let builder = Amends::builder()
            .memory()
            .activity_definition(activity)
            .workflow_definition(flow);
        let amends = builder.start().await.unwrap();
        let run = amends.workflow_by_name("tell").start(&json!(1)).await.unwrap();
        // Blocks this thread, on which nothing of the engine may rely.
        assert_ne!(told.recv().unwrap(), thread::current().id());
        assert_eq!(run.result().await.unwrap(), json!(1));
        amends.shutdown(Duration::from_secs(5)).await;
    }
    main();
}

#[test]
fn in_an_actix_system() {
    actix_rt::System::new().block_on(use_engine());
}

#[test]
fn on_a_plain_thread() {
    thread::spawn(|| amends::engine::block_on(use_engine())).join().unwrap();
}

#[test]
fn several_engines_live_in_one_process_and_may_simply_be_dropped() {
    #[tokio::main]
    async fn main() {
        let start = || {
            Amends::builder()
                .memory()
                .shards(1)
                .workflow_definition(counting_workflow("count"))
                .start()
        };
        let (one, two) = (start().await.unwrap(), start().await.unwrap());
        for amends in [&one, &two] {
            let run = amends
                .workflow_by_name("count")
                .id("same")
                .start(&json!(1))
                .await
                .unwrap();
            run.signal("go", &1).await.unwrap();
            assert_eq!(run.result().await.unwrap(), json!([1]));
        }
        drop(one);
        let run = two
            .workflow_by_name("count")
            .id("other")
            .start(&json!(0))
            .await
            .unwrap();
        assert_eq!(run.result().await.unwrap(), json!([]));
    }
    main();
}

#[test]
fn the_tokio_example_runs_and_finds_its_orders_the_second_time() {
    let directory = tempfile::TempDir::new().unwrap();
    for _ in 0..2 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(embed_tokio::run(directory.path())).unwrap();
    }
}

#[test]
fn the_thread_example_runs() {
    embed_thread::main().unwrap();
}

/// A request that is sent again orders once, also when another process has begun meanwhile.
#[cfg(feature = "server")]
#[test]
fn the_actix_example_answers_what_is_sent_again_as_the_first_time() {
    let directory = tempfile::TempDir::new().unwrap();
    for _ in 0..2 {
        let answers = actix_rt::System::new()
            .block_on(embed_actix::run(directory.path()))
            .unwrap();
        assert_eq!(answers[..2], ["200 OK: a cup of tea", "200 OK: a cup of tea"]);
        assert!(
            answers[2].starts_with("409 ") && answers[2].contains("order-1"),
            "{answers:?}"
        );
        assert!(
            answers[3].starts_with("422 ") && answers[3].contains("I am a teapot"),
            "{answers:?}"
        );
    }
}
