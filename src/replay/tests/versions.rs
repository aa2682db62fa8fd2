//! Changing workflow code under open runs: patches, their deprecation and removal, and versions. The table is Temporal's.

use std::time::Duration;

use crate::model::{ChangeId, DEFAULT_VERSION, EventAttributes, Failure, ParkReason, VersionMarker, limits};
use crate::sdk::{WorkflowContext, WorkflowFunction};

use super::mini_machine::{Mini, told};
use super::{double, half, replays};

/// Before the change.
async fn old(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let n = cx.signal("go").recv().await.map(|more: u32| n + more)?;
    cx.activity(double, &n).await
}

async fn patched(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let n = cx.signal("go").recv().await.map(|more: u32| n + more)?;
    match cx.patched("halve") {
        true => cx.activity(half, &n).await,
        false => cx.activity(double, &n).await,
    }
}

/// Nobody needs the old branch any more.
async fn deprecated(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let n = cx.signal("go").recv().await.map(|more: u32| n + more)?;
    cx.deprecate_patch("halve");
    cx.activity(half, &n).await
}

/// Nobody needs to know of the change any more.
async fn plain(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let n = cx.signal("go").recv().await.map(|more: u32| n + more)?;
    cx.activity(half, &n).await
}

/// A run of this code up to its activity.
fn past_the_change<M>(function: impl WorkflowFunction<M>) -> Mini {
    let mut mini = Mini::start(function, &1);
    mini.signal("go", 1);
    mini.decide();
    mini
}

fn difference(result: Result<(), ParkReason>) -> String {
    match result {
        Ok(()) => "goes on".to_owned(),
        Err(ParkReason::Nondeterminism { at, expected, recorded }) => format!("{at}: {expected} <> {recorded}"),
        Err(reason) => reason.to_string(),
    }
}

#[test]
fn a_run_that_comes_to_a_patch_takes_the_new_branch_and_remembers() {
    let mut mini = Mini::start(patched, &1);
    mini.signal("go", 1);
    assert_eq!(told(&mini.decide()), ["mark core_patch \"halve\"", "run half as 1"]);
    mini.crash();
    assert_eq!(told(&mini.complete("half", 1)), ["complete 1"]);
    replays(&mini, patched).unwrap();
}

#[test]
fn a_run_that_had_passed_it_takes_the_old_branch() {
    let mut mini = past_the_change(old);
    mini.workflow = patched.into_workflow();
    mini.crash();
    assert_eq!(told(&mini.complete("double", 4)), ["complete 4"]);
    replays(&mini, patched).unwrap();
}

#[test]
fn a_run_that_had_not_come_to_it_yet_takes_the_new_branch() {
    let mut mini = Mini::start(old, &1);
    mini.workflow = patched.into_workflow();
    mini.crash();
    mini.signal("go", 1);
    assert_eq!(told(&mini.decide()), ["mark core_patch \"halve\"", "run half as 1"]);
    mini.crash();
}

/// Each history under each later code: what Temporal's SDKs accept and what they refuse.
#[test]
fn the_life_of_a_patch() {
    let marked = || past_the_change(patched);
    let marked_deprecated = || past_the_change(deprecated);
    let unmarked = || past_the_change(plain);
    replays(&marked(), patched).unwrap();
    replays(&marked(), deprecated).unwrap();
    let refused = "9: ScheduleActivityTask half (id 1) <> MarkerRecorded core_patch \"halve\" (ask for it with `patched` or \
                   `deprecate_patch`)";
    assert_eq!(difference(replays(&marked(), plain)), refused);
    assert_eq!(
        difference(replays(&marked(), old)),
        refused.replacen("half", "double", 1),
        "going back to the code before is no way either"
    );
    replays(&marked_deprecated(), patched).unwrap();
    replays(&marked_deprecated(), deprecated).unwrap();
    replays(&marked_deprecated(), plain).unwrap();
    replays(&unmarked(), deprecated).unwrap();
    replays(&unmarked(), plain).unwrap();
    assert_eq!(
        difference(replays(&unmarked(), patched)),
        "9: ScheduleActivityTask double (id 1) <> ActivityTaskScheduled half (id 1)"
    );
}

/// The answer is given once: a loop does not change its ways halfway.
#[test]
fn an_answer_stays_the_same_for_the_rest_of_the_run() {
    async fn old(cx: WorkflowContext) -> Result<u32, Failure> {
        let go = cx.signal::<u32>("go");
        loop {
            let n = go.recv().await?;
            cx.activity(double, &n).await?;
        }
    }
    async fn new(cx: WorkflowContext) -> Result<u32, Failure> {
        let go = cx.signal::<u32>("go");
        loop {
            let n = go.recv().await?;
            match cx.patched("halve") {
                true => cx.activity(half, &n).await?,
                false => cx.activity(double, &n).await?,
            };
        }
    }
    let mut mini = Mini::start(old, &());
    let turn = |mini: &mut Mini, activity: &str| {
        mini.signal("go", 1);
        let asked = told(&mini.decide());
        mini.complete(activity, 1);
        asked
    };
    assert_eq!(turn(&mut mini, "double"), ["run double as 1"]);
    mini.workflow = new.into_workflow();
    for number in 2..5 {
        mini.crash();
        assert_eq!(turn(&mut mini, "double"), [format!("run double as {number}")]);
    }
    let mut fresh = Mini::start(new, &());
    assert_eq!(turn(&mut fresh, "half"), ["mark core_patch \"halve\"", "run half as 1"]);
    for number in 2..5 {
        fresh.crash();
        assert_eq!(turn(&mut fresh, "half"), [format!("run half as {number}")]);
    }
    replays(&fresh, new).unwrap();
}

/// Where it was asked among the commands of its turn does not matter.
#[test]
fn markers_are_matched_by_their_id() {
    async fn before(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let (a, b) = (cx.patched("a"), cx.patched("b"));
        let timer = cx.sleep(Duration::from_secs(1));
        assert!(a && b);
        timer.await?;
        cx.activity(double, &n).await
    }
    async fn after(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let timer = futures_util::future::join(cx.sleep(Duration::from_secs(1)), async {
            assert!(cx.patched("b") && cx.patched("a") && cx.patched("b"));
        });
        timer.await.0?;
        cx.activity(double, &n).await
    }
    let mut mini = Mini::start(before, &1);
    mini.fire();
    mini.decide();
    replays(&mini, after).unwrap();
}

/// A history has the last word: the code that wrote it asked later than the code of today.
#[test]
fn asking_earlier_than_before_is_possible() {
    async fn later(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        cx.sleep(Duration::from_secs(1)).await?;
        assert!(cx.patched("halve"));
        cx.activity(half, &n).await
    }
    async fn earlier(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let seconds = if cx.patched("halve") { 2 } else { 1 };
        cx.sleep(Duration::from_secs(seconds)).await?;
        match cx.patched("halve") {
            true => cx.activity(half, &n).await,
            false => cx.activity(double, &n).await,
        }
    }
    let mut mini = Mini::start(later, &1);
    mini.fire();
    mini.decide();
    replays(&mini, earlier).unwrap();
}

async fn shipping_1(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let n = cx.signal("go").recv().await.map(|more: u32| n + more)?;
    match cx.version("shipping", DEFAULT_VERSION, 1) {
        DEFAULT_VERSION => cx.activity(double, &n).await,
        _ => cx.activity(half, &n).await,
    }
}

async fn shipping_2(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
    let n = cx.signal("go").recv().await.map(|more: u32| n + more)?;
    match cx.version("shipping", 1, 2) {
        1 => cx.activity(half, &n).await,
        _ => cx.activity(half, &n).id("second").await,
    }
}

#[test]
fn versions_are_recorded_when_met_and_kept() {
    let mut first = Mini::start(shipping_1, &1);
    first.signal("go", 1);
    assert_eq!(
        told(&first.decide()),
        ["mark Version \"shipping\" = 1", "run half as 1"]
    );
    replays(&first, shipping_1).unwrap();
    first.workflow = shipping_2.into_workflow();
    first.crash();
    assert_eq!(told(&first.complete("half", 1)), ["complete 1"]);

    let mut older = past_the_change(old);
    older.workflow = shipping_1.into_workflow();
    older.crash();
    assert_eq!(told(&older.complete("double", 4)), ["complete 4"]);

    let mut second = Mini::start(shipping_2, &1);
    second.signal("go", 1);
    assert_eq!(
        told(&second.decide()),
        ["mark Version \"shipping\" = 2", "run half as second"]
    );
}

#[test]
fn a_version_that_the_code_has_no_branch_for_parks_the_run() {
    assert_eq!(
        difference(replays(&past_the_change(old), shipping_2)),
        "9: a version from 1 to 2 of change \"shipping\" <> no version of it, which counts as -1"
    );
    assert_eq!(
        difference(replays(&past_the_change(shipping_2), shipping_1)),
        "9: a version from -1 to 1 of change \"shipping\" <> Version \"shipping\" = 2",
        "the older code came back"
    );
    let mut mini = past_the_change(shipping_2);
    mini.workflow = shipping_1.into_workflow();
    let parked = crate::replay::CodeDecider::replay(mini.workflow.clone(), &mini.history);
    assert!(matches!(parked, Err(ParkReason::Nondeterminism { at: 9, .. })));
    mini.workflow = shipping_2.into_workflow();
    mini.crash();
    assert_eq!(told(&mini.complete("second", 1)), ["complete 1"], "and left again");
}

/// A change that looks like a version of the workflow would be taken for it, so it is not recorded; where it is, it stays.
#[test]
fn what_looks_like_a_version_of_the_workflow_is_no_change_of_the_code() {
    async fn ask(cx: WorkflowContext, how: String) -> Result<(), Failure> {
        match how.as_str() {
            "patched" => drop(cx.patched("w@2")),
            "deprecated" => cx.deprecate_patch("w@2"),
            "version" => drop(cx.version("w@2", 1, 2)),
            other => assert!(cx.patched(other)),
        }
        cx.wait_condition(|| false).await
    }
    for how in ["patched", "deprecated", "version"] {
        let mut mini = Mini::started(ask, &how);
        let parked = mini.try_decide().unwrap_err();
        assert!(
            matches!(&parked, ParkReason::BadCommand { message } if message.starts_with(
                "the change \"w@2\" would be taken for version \"2\" of the workflow \"w\": give it an id"
            )),
            "{how}: {parked}"
        );
    }
    for good in ["v@2", "w", "w2@2", "W@2"] {
        assert_eq!(
            told(&Mini::started(ask, &good).decide()),
            [format!("mark core_patch {good:?}")]
        );
    }

    async fn patched_like_that(cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        let n = cx.signal("go").recv().await.map(|more: u32| n + more)?;
        assert!(cx.patched("w@halve"));
        cx.activity(half, &n).await
    }
    let mut recorded = past_the_change(patched);
    for event in &mut recorded.history {
        if let EventAttributes::VersionMarkerRecorded(VersionMarker::Patch { id, .. }) = &mut event.attributes {
            *id = ChangeId::from_trusted("w@halve");
        }
    }
    replays(&recorded, patched_like_that).unwrap();
}

/// As in Temporal's Go SDK: a change that all runs have is history, and its question may go.
#[test]
fn a_version_may_stop_being_asked_for() {
    replays(&past_the_change(shipping_1), plain).unwrap();
}

#[test]
fn patches_and_versions_of_one_name_are_two_changes() {
    async fn both(cx: WorkflowContext) -> Result<i32, Failure> {
        let patched = cx.patched("x");
        Ok(if patched { cx.version("x", 0, 7) } else { -7 })
    }
    let mini = Mini::start(both, &());
    let markers: Vec<_> = mini
        .history
        .iter()
        .filter(|event| event.attributes.kind() == "MarkerRecorded")
        .collect();
    assert_eq!(markers.len(), 2);
    let version = EventAttributes::VersionMarkerRecorded(VersionMarker::Version {
        id: ChangeId::from_trusted("x"),
        version: 7,
    });
    assert_eq!(markers[1].attributes, version);
    replays(&mini, both).unwrap();
}

#[test]
fn questions_without_sense_park_the_run() {
    fn refusal<M>(function: impl WorkflowFunction<M>) -> String {
        match Mini::started(function, &()).try_decide() {
            Err(reason @ ParkReason::BadCommand { .. }) => reason.to_string(),
            other => unreachable!("{other:?}"),
        }
    }
    async fn empty(cx: WorkflowContext) -> Result<bool, Failure> {
        Ok(cx.patched(""))
    }
    async fn none(cx: WorkflowContext) -> Result<i32, Failure> {
        Ok(cx.version("x", 3, 2))
    }
    async fn many(cx: WorkflowContext) -> Result<usize, Failure> {
        Ok((0..=limits::CHANGES_PER_RUN_MAX)
            .filter(|n| cx.patched(n.to_string()))
            .count())
    }
    async fn panics_after(cx: WorkflowContext) -> Result<i32, Failure> {
        let version = cx.version("", 1, 2);
        std::panic::panic_any(format!("a branch for {version} that should not be taken"))
    }
    assert!(refusal(empty).contains("a change id must not be empty"));
    assert!(refusal(none).contains("no version of change \"x\" lies between 3 and 2"));
    assert!(refusal(many).contains("name them in the code"));
    assert!(
        refusal(panics_after).contains("must not be empty"),
        "what is wrong first is told"
    );
}

#[test]
fn notes_cannot_pass_for_markers_of_versions() {
    async fn notes(cx: WorkflowContext) -> Result<Vec<Option<String>>, Failure> {
        let notes = ["core_patch", "Version", "version"].map(|name| cx.record_marker(name, &()));
        Ok(notes
            .map(|noted| noted.err().and_then(|failure| failure.type_name().map(str::to_owned)))
            .to_vec())
    }
    let mini = Mini::start(notes, &());
    let last = mini.history.last().unwrap();
    let EventAttributes::WorkflowExecutionCompleted { result } = &last.attributes else {
        unreachable!("{last:?}")
    };
    assert_eq!(format!("{result:?}"), r#"["InvalidInput","InvalidInput",null]"#);
}

#[test]
fn code_can_tell_whether_it_is_replayed() {
    thread_local!(static LIVE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    async fn counting(cx: WorkflowContext) -> Result<(), Failure> {
        for _ in 0..3 {
            if !cx.is_replaying() {
                LIVE.set(LIVE.get() + 1);
            }
            cx.sleep(Duration::from_secs(1)).await?;
        }
        Ok(())
    }
    let mut mini = Mini::start(counting, &());
    for _ in 0..3 {
        mini.crash();
        mini.fire();
        mini.crash();
        mini.decide();
    }
    assert_eq!(LIVE.get(), 3, "each turn is live once");
}
