//! Runs that left memory, which only the store knows of: whoever asks for one finds it, and however many are due at once
//! come back. Must not live here: timers and passivation as such (`time`), crashes.

use std::sync::Arc;
use std::time::Duration;

use amends::engine::Offline;
use amends::testing::VirtualClock;
use amends::{Amends, Error, RunHandle, RunStatus};
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::support::{Home, Recorder, activity, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Notes when the code of a run is dropped: its memory has been returned.
struct InMemory(Recorder);

impl Drop for InMemory {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

/// Waits for two signals, and says what came.
fn waiting(recorder: &Recorder) -> amends::WorkflowDefinition {
    let recorder = recorder.clone();
    workflow("waiting", move |cx, _| {
        recorder.note("brought to memory");
        let memory = InMemory(recorder.clone());
        async move {
            let _memory = memory;
            let first = cx.signal::<Value>("go").recv().await?;
            let second = cx.signal::<Value>("go").recv().await?;
            Ok(json!([first, second]))
        }
    })
}

async fn start(amends: &Amends, request: &str) -> Result<RunHandle<Value>, Error> {
    let start = amends.workflow_by_name("waiting").id("w").request_id(request);
    start.start(&json!(0)).await
}

#[test]
fn whoever_asks_for_a_run_that_left_memory_finds_it() {
    for home in Home::each() {
        run(async {
            let (clock, recorder) = (VirtualClock::new(), Recorder::new());
            let builder = home.builder().clock(Arc::new(clock.clone())).passivate_after(SECOND);
            let amends = builder.workflow_definition(waiting(&recorder)).start().await.unwrap();
            let mut times = 0;
            // Nobody holds on to it, and it leaves.
            let mut until_gone = async || {
                times += 1;
                while recorder.count("dropped") < times {
                    clock.pass(SECOND).await;
                    tokio::task::yield_now().await;
                }
            };
            let run_id = start(&amends, "first").await.unwrap().run_id();
            until_gone().await;
            let again = start(&amends, "first").await.unwrap();
            assert_eq!(again.run_id(), run_id, "the same request is the same run");
            drop(again);
            until_gone().await;
            let other = start(&amends, "other").await;
            assert!(
                matches!(
                    other,
                    Err(Error::AlreadyStarted {
                        status: RunStatus::Running,
                        ..
                    })
                ),
                "one id is one run"
            );
            until_gone().await;
            amends.client().signal("w", "go", &1).await.unwrap();
            until_gone().await;
            // Nothing brings it back to memory: who waits for its end is only remembered. The clock does not move any more,
            // so nobody could look again after a while either.
            let waiter = amends.find("w").await.unwrap();
            let mut waiting = std::pin::pin!(waiter.result());
            assert!(waiting.as_mut().now_or_never().is_none(), "it is open");
            let brought = recorder.count("brought to memory");
            amends.client().signal("w", "go", &2).await.unwrap();
            assert_eq!(waiting.await.unwrap(), json!([1, 2]));
            assert_eq!(recorder.count("brought to memory"), brought + 1);
            let late = amends.client().signal("w", "go", &3).await;
            assert!(matches!(late, Err(Error::Rejected(_))), "{late:?}");
            amends.shutdown(Duration::ZERO).await;
        });
        home.assert_sound();
    }
}

/// More than may be under way to the disk, or wait for a thread, at once: what waits for less of either is not forgotten,
/// and neither is a new run in between.
#[test]
fn however_many_runs_are_due_at_once_all_are_woken() {
    const RUNS: usize = 1_500;
    for home in Home::each() {
        run(async {
            let (clock, recorder) = (VirtualClock::new(), Recorder::new());
            let builder = home.builder().clock(Arc::new(clock.clone())).passivate_after(HOUR / 10);
            let noted = recorder.clone();
            let builder = builder.activity_definition(activity("note", move |_, input: Value| {
                let noted = noted.clone();
                async move {
                    noted.note("noted");
                    Ok(input)
                }
            }));
            let builder = builder.workflow_definition(workflow("nap", |cx, input| async move {
                cx.sleep(HOUR).await?;
                cx.activity_by_name::<Value>("note", &input).await
            }));
            let amends = builder.shards(1).start().await.unwrap();
            let starts = (0..RUNS).map(|number| {
                let amends = amends.clone();
                async move {
                    let id = format!("nap-{number}");
                    let nap = amends.workflow_by_name("nap").id(&id);
                    drop(nap.start(&json!(number)).await.unwrap());
                }
            });
            futures_util::future::join_all(starts).await;
            clock.advance(HOUR);
            until_status(&amends, "nap-700", RunStatus::Completed).await;
            let new = amends.workflow_by_name("nap").id("new").start(&json!(0)).await.unwrap();
            recorder.until("noted", RUNS).await;
            until_status(&amends, "nap-1499", RunStatus::Completed).await;
            clock.advance(HOUR);
            assert_eq!(new.result().await.unwrap(), json!(0));
            amends.shutdown(SECOND).await;
        });
        home.assert_sound();
    }
}

/// The parent is woken by an engine whose attempts' threads are held up, so that it leaves memory before anybody has looked
/// out for its child; and that has ended already: nothing of it is still to come.
#[test]
fn a_parent_that_left_memory_too_early_hears_that_its_child_has_ended() {
    let home = Home::memory();
    let recorder = Recorder::new();
    let parent = || {
        let recorder = recorder.clone();
        workflow("parent", move |cx, _| {
            let memory = InMemory(recorder.clone());
            async move {
                let _memory = memory;
                let child = cx.child_by_name::<_, Value>("waiting").id("child").run(&json!(0)).await;
                Ok(json!(child.is_err()))
            }
        })
    };
    let quiet = Recorder::new();
    run(async {
        let builder = home.builder().workflow_definition(waiting(&quiet));
        let amends = builder.workflow_definition(parent()).start().await.unwrap();
        let starter = amends.workflow_by_name("parent").id("p");
        starter.start(&json!(0)).await.unwrap();
        super::child_workflows::until_event(&amends, "p", "ChildWorkflowExecutionStarted").await;
        amends.shutdown(SECOND).await;
    });
    let Home::Memory(memory) = &home else {
        panic!("it is in memory");
    };
    Offline::over(memory.clone()).terminate("child", "enough").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let (holds, begun) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            holds.send(()).unwrap();
            let _ = held.recv();
        });
        begun.await.unwrap();
        let clock = VirtualClock::new();
        let builder = home.builder().clock(Arc::new(clock.clone())).passivate_after(SECOND);
        let builder = builder
            .workflow_definition(waiting(&quiet))
            .workflow_definition(parent());
        let amends = builder.start().await.unwrap();
        let before = recorder.count("dropped");
        while recorder.count("dropped") == before {
            clock.pass(SECOND).await;
            tokio::task::yield_now().await;
        }
        let_go.send(()).unwrap();
        let parent = amends.find("p").await.unwrap();
        assert_eq!(parent.result().await.unwrap(), json!(true));
        amends.shutdown(SECOND).await;
    });
    runtime.shutdown_background();
}
