//! Children that ended long ago, or whose parent was reset, and that somebody still has to undo: they are kept for as long as that may
//! be, and found. Must not live here: other runs that are kept or deleted (`retention`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use amends::engine::Offline;
use amends::model::{Outcome, Reset, ResetPoint};
use amends::store::{MemoryStore, RunHead, Store};
use amends::testing::{CommitFault, StoreFaults, VirtualClock};
use amends::{Amends, Error, Failure, RunHandle, RunStatus, WorkflowContext, WorkflowDefinition, workflow as flow};
use serde_json::{Value, json};

use super::child_begun_once::{World, until_commits};
use super::child_workflows::{until, until_event};
use super::child_workflows_options::tick;
use super::children::{child, step};
use super::retention::{is_there, look};
use crate::support::{Gate, Home, Recorder, activity, run, until_status, workflow};

const DAY: Duration = Duration::from_secs(86_400);

/// Has a child, waits to be told to go on, and then fails.
fn parent() -> WorkflowDefinition {
    workflow("parent", |cx, input| async move {
        child(&cx, input.as_str().unwrap_or("child"), Value::Null).await?;
        cx.signal::<Value>("go").recv().await?;
        Err(Failure::non_retryable("Broken", "as told"))
    })
}

fn leaf() -> WorkflowDefinition {
    workflow("child", |cx, _| async move { step(&cx, "c").await })
}

/// Has a child of its own, before a step.
fn nesting() -> WorkflowDefinition {
    workflow("nesting", |cx, _| async move {
        child(&cx, "child", Value::Null).await?;
        step(&cx, "n").await
    })
}

/// Has a child of its own, and waits to be told to go on before its step.
fn waiting() -> WorkflowDefinition {
    workflow("waiting", |cx, _| async move {
        child(&cx, "child", Value::Null).await?;
        cx.signal::<Value>("go").recv().await?;
        step(&cx, "n").await
    })
}

/// A world in which undoing the step `n` waits for the gate.
struct Scene {
    home: Home,
    clock: VirtualClock,
    recorder: Recorder,
    gate: Gate,
}

impl Scene {
    fn new(home: Home) -> Self {
        Self {
            home,
            clock: VirtualClock::new(),
            recorder: Recorder::new(),
            gate: Gate::shut(),
        }
    }

    async fn engine(&self) -> Amends {
        let (undone, gate) = (self.recorder.clone(), self.gate.clone());
        let builder = self.home.builder().clock(Arc::new(self.clock.clone())).retention(DAY);
        let builder = builder
            .activity_definition(activity("do", |_, input| async move { Ok(input) }))
            .activity_definition(activity("undo", move |_, undo| {
                let (undone, gate) = (undone.clone(), gate.clone());
                async move {
                    let what = undo["input"].as_str().unwrap_or("?").to_owned();
                    undone.note(format!("undo {what}"));
                    if what == "n" {
                        gate.passed().await;
                    }
                    Ok(Value::Null)
                }
            }))
            .workflow_definition(parent())
            .workflow_definition(leaf())
            .workflow_definition(nesting())
            .workflow_definition(waiting());
        builder.start().await.unwrap()
    }

    /// An engine, and a parent whose child is of this kind.
    async fn begun(&self, kind: &str) -> (Amends, RunHandle<Value>) {
        let amends = self.engine().await;
        let starter = amends.workflow_by_name("parent").id("p");
        let parent = starter.start(&json!(kind)).await.unwrap();
        (amends, parent)
    }

    /// The same, when that child has ended.
    async fn with_ended_child(kind: &str, home: Home) -> (Self, Amends, RunHandle<Value>) {
        let scene = Self::new(home);
        let (amends, parent) = scene.begun(kind).await;
        until_event(&amends, "p", "ActivityTaskCompleted").await;
        (scene, amends, parent)
    }

    /// Retention looks at all runs when so much time has gone by.
    async fn looks_after(&self, time: Duration) {
        self.clock.advance(time);
        look(&self.clock).await;
    }
}

fn reset() -> Reset {
    Reset::to(ResetPoint::LastTurn, "ada", "to go on from there")
}

#[test]
fn a_child_stays_for_the_run_that_was_made_of_its_parent() {
    for home in Home::each() {
        run(async {
            let (scene, amends, parent) = Scene::with_ended_child("nesting", home).await;
            scene.clock.advance(DAY * 2);
            let made = parent.reset(&reset()).await.unwrap();
            assert_ne!(made.run_id(), parent.run_id());
            look(&scene.clock).await;
            assert!(is_there(&amends, "p/child").await && is_there(&amends, "p/child/child").await);
            // The parent itself goes when its time has come; what is left of it is still there to be undone.
            scene.looks_after(DAY * 2).await;
            assert!(matches!(
                amends.find_run(parent.run_id()).await.map(drop),
                Err(Error::RunNotFound(_))
            ));
            assert!(is_there(&amends, "p/child").await && is_there(&amends, "p/child/child").await);
            amends.shutdown(Duration::ZERO).await;
            scene.home.assert_sound();

            scene.gate.open();
            let amends = scene.engine().await;
            let made = amends.find("p").await.unwrap();
            made.signal("go", &json!(null)).await.unwrap();
            assert!(matches!(made.outcome().await.unwrap(), Outcome::Amended(_)));
            assert_eq!(scene.recorder.all(), ["undo n", "undo c"]);
            scene.looks_after(DAY).await;
            look(&scene.clock).await;
            assert_eq!(
                amends.client().count("").await.unwrap().runs,
                0,
                "nobody needs them now"
            );
            amends.shutdown(Duration::ZERO).await;
            scene.home.assert_sound();
        });
    }
}

#[test]
fn what_is_being_undone_stays_when_its_parent_has_ended() {
    run(async {
        let (scene, amends, parent) = Scene::with_ended_child("nesting", Home::memory()).await;
        parent.signal("go", &json!(null)).await.unwrap();
        scene.recorder.until("undo n", 1).await;
        parent.terminate("somebody has had enough").await.unwrap();
        until_status(&amends, "p", RunStatus::Terminated).await;
        scene.looks_after(DAY * 2).await;
        look(&scene.clock).await;
        assert!(!is_there(&amends, "p").await);
        scene.gate.open();
        // The run that undoes the child goes on, and finds the child's own child. What waited at the gate has run out of its
        // time, and is tried again when more has passed.
        while scene.recorder.count("undo c") == 0 {
            scene.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_parent_that_may_be_reset_has_its_children() {
    run(async {
        let (scene, amends, parent) = Scene::with_ended_child("child", Home::memory()).await;
        scene.clock.advance(DAY * 2);
        parent.terminate("by mistake").await.unwrap();
        until_status(&amends, "p", RunStatus::Terminated).await;
        look(&scene.clock).await;
        assert!(is_there(&amends, "p/child").await);
        let made = parent.reset(&reset()).await.unwrap();
        made.signal("go", &json!(null)).await.unwrap();
        assert!(matches!(made.outcome().await.unwrap(), Outcome::Amended(_)));
        assert_eq!(scene.recorder.all(), ["undo c"]);
        amends.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_child_that_is_gone_is_not_taken_for_one_that_was_never_there() {
    run(async {
        let (scene, amends, _) = Scene::with_ended_child("child", Home::memory()).await;
        amends.shutdown(Duration::ZERO).await;
        let Home::Memory(memory) = &scene.home else {
            panic!("a home in memory");
        };
        take_newest(memory, "p/child");

        let amends = scene.engine().await;
        amends.client().signal("p", "go", &json!(null)).await.unwrap();
        let stuck = until_status(&amends, "p", RunStatus::Stuck).await;
        let failure = stuck.stuck.first().map(|stuck| stuck.failure.to_string());
        assert!(failure.is_some_and(|failure| failure.contains("not in the store any more")));
        assert_eq!(scene.recorder.len(), 0);
        amends.shutdown(Duration::ZERO).await;
    });
}

/// Deletes a run, as amends would not: it would keep that.
pub(super) fn take_newest(memory: &MemoryStore, id: &str) {
    let gone = Offline::over(memory.clone()).find(id).unwrap().run_id;
    memory.delete(memory.claim().unwrap(), &[gone]).unwrap();
}

#[test]
fn what_a_reset_child_has_copied_is_undone_with_it() {
    run(async {
        let scene = Scene::new(Home::memory());
        scene.gate.open();
        let (amends, parent) = scene.begun("waiting").await;
        until_status(&amends, "p/child", RunStatus::Running).await;
        until_event(&amends, "p/child", "ActivityTaskCompleted").await;
        amends.client().reset("p/child", &reset()).await.unwrap();
        amends.client().signal("p/child", "go", &json!(null)).await.unwrap();
        parent.signal("go", &json!(null)).await.unwrap();
        assert!(matches!(parent.outcome().await.unwrap(), Outcome::Amended(_)));
        assert_eq!(scene.recorder.all(), ["undo n", "undo c"]);
        amends.shutdown(Duration::ZERO).await;
    });
}

/// Has a child on a schedule, and continues as new.
#[flow]
async fn keeper(cx: WorkflowContext, has_child: bool) -> Result<(), Failure> {
    cx.signal::<()>("go").recv().await?;
    if has_child {
        return Ok(());
    }
    cx.child(tick).id("c").cron_schedule("0 * * * *").start(&()).await?;
    cx.continue_as_new(keeper, &true).await
}

/// The parent hears of the child when that is in its third run, and goes on as another run for so long that none of these is left.
#[test]
fn a_child_is_ended_with_its_parent_s_chain_though_no_run_is_left_that_its_parent_has_known() {
    run(async {
        let (world, clock) = (World::new(), VirtualClock::new());
        let engine = |faults: &StoreFaults| {
            let builder = world.engine(faults, &clock).retention(DAY);
            builder.workflow(keeper).workflow(tick)
        };
        let faults = StoreFaults::new();
        let amends = engine(&faults).start().await.unwrap();
        amends.workflow(keeper).id("p").start(&false).await.unwrap();
        let commits = faults.commits();
        faults.fail_commit(2, CommitFault::Kept);
        amends.client().signal("p", "go", &()).await.unwrap();
        until_commits(&faults, commits + 2).await;
        amends.shutdown(Duration::ZERO).await;

        world.lock.decodes.store(false, Ordering::SeqCst);
        let amends = engine(&StoreFaults::new()).start().await.unwrap();
        // The clock must not run ahead of the child: retention would take its runs as soon as they have ended.
        let an_hour_later = async || {
            let newest = world.runs("c")[0].run_id;
            clock.advance(DAY / 24);
            until(|| async { world.runs("c")[0].run_id != newest }).await;
        };
        while world.runs("c").len() < 3 {
            an_hour_later().await;
        }
        amends.shutdown(Duration::ZERO).await;
        let known = world.runs("c");

        world.lock.decodes.store(true, Ordering::SeqCst);
        let amends = engine(&StoreFaults::new()).start().await.unwrap();
        until(|| async { world.runs("p").len() == 2 }).await;
        let is_left = |head: &RunHead| world.memory.head(head.run_id).unwrap().is_some();
        let mut hours = 0;
        while world.runs("p").len() > 1 || known.iter().any(is_left) {
            assert!(hours < 24 * 7, "they are not deleted");
            hours += 1;
            an_hour_later().await;
            look(&clock).await;
        }
        amends.client().signal("p", "go", &()).await.unwrap();
        let ended = amends.find("p").await.unwrap().outcome().await.unwrap();
        assert_eq!(ended.status(), RunStatus::Completed);
        let newest = amends.client().describe("c").await.unwrap();
        assert_eq!(newest.status, RunStatus::Terminated);
        amends.shutdown(Duration::ZERO).await;
        world.assert_sound();
    });
}
