//! Making amends comes first: it waits behind no forward work, an engine that stops goes on with it, and results that come
//! too late change nothing. Must not live here: what is undone when (the machine's own tests).

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use amends::model::StepKind;
use amends::model::limits::BLOCKING_ATTEMPTS_DEFAULT;
use amends::testing::VirtualClock;
use amends::{ActivityDefinition, Amends, Error, Failure, ResultError, RetryPolicy, RunStatus, WorkflowDefinition};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Gate, Home, Recorder, activity, blocking_activity, run, until_status, workflow};

const SECOND: Duration = Duration::from_secs(1);

/// Blocks threads until it is opened.
#[derive(Clone, Default)]
struct Barrier(Arc<(Mutex<bool>, Condvar)>);

impl Barrier {
    fn pass(&self) {
        let (open, opened) = &*self.0;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Steps `a` and `b`, then it turns back.
fn turning_back() -> WorkflowDefinition {
    workflow("turns-back", |cx, _| async move {
        for name in ["a", "b"] {
            let step = cx
                .saga()
                .step_by_name::<_, Value>(StepKind::Compensatable, "do", &json!(name));
            step.step(name).compensate_by_name("undo").await?;
        }
        Err(Failure::non_retryable("Enough", "it turns back"))
    })
}

/// An activity that notes its name and the step's input, and passes a gate before it ends.
fn gated(name: &'static str, recorder: &Recorder, gate: &Gate) -> ActivityDefinition {
    let (recorder, gate) = (recorder.clone(), gate.clone());
    activity(name, move |_, input| {
        let (recorder, gate) = (recorder.clone(), gate.clone());
        async move {
            let step = input.get("input").cloned().unwrap_or_else(|| input.clone());
            recorder.note(format!("{name} {}", step.as_str().unwrap_or("?")));
            gate.passed().await;
            Ok(input)
        }
    })
}

async fn until_it_drains(amends: &Amends) {
    while !matches!(
        amends.client().signal("nobody", "x", &0).await,
        Err(Error::ShuttingDown)
    ) {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_saga_that_is_going_back_goes_on_while_the_engine_stops() {
    for home in Home::each() {
        let (recorder, open, gate) = (Recorder::new(), Gate::shut(), Gate::shut());
        open.open();
        let builder = || {
            home.builder()
                .activity_definition(gated("do", &recorder, &open))
                .activity_definition(gated("undo", &recorder, &gate))
                .workflow_definition(turning_back())
        };
        run(async {
            let amends = builder().start().await.unwrap();
            amends
                .workflow_by_name("turns-back")
                .id("t")
                .start(&json!(0))
                .await
                .unwrap();
            recorder.until("undo b", 1).await;
            let stopping = tokio::spawn({
                let amends = amends.clone();
                async move { amends.shutdown(SECOND * 60).await }
            });
            until_it_drains(&amends).await;
            gate.open();
            stopping.await.unwrap();
        });
        assert_eq!(recorder.all(), ["do a", "do b", "undo b", "undo a"]);
        run(async {
            let amends = builder().start().await.unwrap();
            let description = amends.client().describe("t").await.unwrap();
            assert_eq!(
                description.status,
                RunStatus::Amended,
                "it had ended before the engine did"
            );
            amends.shutdown(SECOND).await;
        });
        assert_eq!(recorder.len(), 4);
    }
}

/// All places for blocking work that goes forward are taken, by attempts that do not end.
#[test]
fn undoing_does_not_wait_behind_forward_work() {
    run(async {
        let (home, recorder, barrier) = (Home::memory(), Recorder::new(), Barrier::default());
        let (noted, blocked, undone) = (recorder.clone(), barrier.clone(), recorder.clone());
        let amends = home
            .builder()
            .activity_definition(blocking_activity("do", |_, input| Ok(input)))
            .activity_definition(blocking_activity("undo", move |_, _| {
                undone.note("undone");
                Ok(Value::Null)
            }))
            .activity_definition(blocking_activity("block", move |_, input| {
                noted.note("blocked");
                blocked.pass();
                Ok(input)
            }))
            .workflow_definition(workflow("fills", |cx, _| async move {
                let calls = (0..BLOCKING_ATTEMPTS_DEFAULT).map(|_| cx.activity_by_name::<Value>("block", &()));
                join_all(calls).await.into_iter().collect::<Result<Value, _>>()
            }))
            .workflow_definition(workflow("waits", |cx, _| async move {
                let step = cx
                    .saga()
                    .step_by_name::<_, Value>(StepKind::Compensatable, "do", &json!("a"));
                step.compensate_by_name("undo").await?;
                cx.signal::<Value>("go").recv().await?;
                Err(Failure::non_retryable("Enough", "it turns back"))
            }))
            .start()
            .await
            .unwrap();
        let waiting = amends.workflow_by_name("waits").id("w").start(&json!(0)).await.unwrap();
        while amends.client().describe("w").await.unwrap().pending.len() + recorder.len() > 0 {
            tokio::task::yield_now().await;
        }
        let filling = amends.workflow_by_name("fills").start(&json!(0)).await.unwrap();
        recorder.until("blocked", BLOCKING_ATTEMPTS_DEFAULT).await;
        waiting.signal("go", &json!(1)).await.unwrap();
        assert!(matches!(waiting.result().await, Err(ResultError::Amended(_))));
        assert_eq!(recorder.count("undone"), 1);
        barrier.open();
        filling.result().await.unwrap();
        amends.shutdown(SECOND).await;
    });
}

/// The thread of a step that timed out goes on. What it returns in the end is refused, and noted: the run is still there,
/// although it has left memory meanwhile.
#[test]
fn a_result_that_comes_too_late_is_refused_and_noted() {
    run(async {
        let (home, clock, recorder, barrier) = (Home::sled(), VirtualClock::new(), Recorder::new(), Barrier::default());
        let (noted, blocked) = (recorder.clone(), barrier.clone());
        let amends = home
            .builder()
            .clock(Arc::new(clock.clone()))
            .passivate_after(SECOND * 100)
            .activity_definition(blocking_activity("slow", move |_, _| {
                noted.note("began");
                blocked.pass();
                Ok(json!("too late"))
            }))
            .activity_definition(activity("undo", |_, _| async { Ok(Value::Null) }))
            .workflow_definition(workflow("w", |cx, _| async move {
                let step = cx.saga().step_by_name::<_, Value>(StepKind::Compensatable, "slow", &());
                let step = step.compensate_by_name("undo").retry(RetryPolicy::never());
                let failed = step.start_to_close(SECOND * 10).await.is_err();
                cx.signal::<Value>("go").recv().await?;
                Ok(json!(failed))
            }))
            .start()
            .await
            .unwrap();
        let run = amends.workflow_by_name("w").id("w").start(&json!(0)).await.unwrap();
        recorder.until("began", 1).await;
        clock.pass(SECOND * 10).await;
        while !amends.client().describe("w").await.unwrap().pending.is_empty() {
            tokio::task::yield_now().await;
        }
        // Two rounds of the sweep: it is not in memory any more.
        clock.pass(SECOND * 90).await;
        clock.pass(SECOND * 100).await;
        assert_eq!(late_results(&amends).await, 0);
        barrier.open();
        while late_results(&amends).await == 0 {
            tokio::task::yield_now().await;
        }
        run.signal("go", &json!(1)).await.unwrap();
        assert_eq!(run.result().await.unwrap(), json!(true));
        assert_eq!(late_results(&amends).await, 1);
        until_status(&amends, "w", RunStatus::Completed).await;
        amends.shutdown(SECOND).await;
    });
}

async fn late_results(amends: &Amends) -> u32 {
    let description = amends.client().describe("w").await.unwrap();
    description.steps.iter().map(|step| step.late_results).sum()
}
