//! Histories exchanged with Temporal: those of its server replay here, and ours are written for its SDK to replay
//! (`tests/temporal/run`). Must not live here: the runs whose histories they are (`runs`), every kind of event in that form (the
//! library's own tests).

mod runs;
mod workflows;

use std::path::{Path, PathBuf};

use amends::history::{from_temporal_json, to_temporal_json};
use amends::model::EventAttributes;
use amends::testing::{ReplayError, Replayer};
use amends::{Failure, Payload, WorkflowContext};

use crate::support::run;

/// Where `tests/temporal/run` gives histories of Temporal's, and wants ours.
#[expect(
    clippy::disallowed_methods,
    reason = "where histories are exchanged is for whoever starts the tests to say"
)]
fn exchange(of_whom: &str) -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("AMENDS_TEMPORAL_EXCHANGE")?).join(of_whom))
}

/// Those that were saved, and those that were just made.
fn of_temporal() -> Vec<PathBuf> {
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/temporal/histories");
    let directories = [Some(saved), exchange("temporal")];
    directories.into_iter().flatten().collect()
}

#[test]
fn histories_of_ours_are_read_again_and_replay() {
    let histories = run(runs::all());
    let replayer = workflows::replayer();
    let directory = exchange("amends");
    for (name, history) in &histories {
        let text = format!("{:#}", to_temporal_json(history));
        assert_eq!(&from_temporal_json(&text).unwrap(), history, "{name}");
        replayer.json(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(directory) = &directory {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::write(directory.join(format!("{name}.json")), text).unwrap();
        }
    }
}

#[test]
fn histories_of_temporals_server_replay() {
    for directory in of_temporal() {
        let replayed = workflows::replayer().directory(&directory);
        let replayed = replayed.unwrap_or_else(|error| panic!("{}\n{error}", directory.display()));
        assert!(replayed >= 18, "{replayed} in {}", directory.display());
    }
}

#[test]
fn what_the_server_recorded_is_what_is_read() {
    for directory in of_temporal() {
        let read = |name: &str| {
            let text = std::fs::read_to_string(directory.join(format!("{name}.json"))).unwrap();
            from_temporal_json(&text).unwrap()
        };
        let ends = |name: &str| read(name).pop().unwrap().attributes;
        let result = |of: &str| EventAttributes::WorkflowExecutionCompleted {
            result: Payload::json(of).unwrap(),
        };
        assert_eq!(ends("order"), result("lamp for 900 cents"));
        assert_eq!(ends("approved"), result("Ada"));
        assert_eq!(ends("too-late"), result("too late"));
        let EventAttributes::WorkflowExecutionFailed { failure, .. } = ends("order-undone") else {
            panic!("it was not paid");
        };
        let types: Vec<_> = failure.chain().map(Failure::type_name).collect();
        assert_eq!(types, [Some("NotPaid"), None, Some("CardDeclined")]);
        assert!(matches!(
            ends("holiday"),
            EventAttributes::WorkflowExecutionCanceled { .. }
        ));
        let EventAttributes::WorkflowExecutionContinuedAsNew(next) = ends("countdown-1") else {
            panic!("it goes on");
        };
        let EventAttributes::WorkflowExecutionStarted(last) = read("countdown-0").remove(0).attributes else {
            panic!("it begins somehow");
        };
        assert_eq!(next.new_run_id, last.run_id);
    }
}

/// The same order with another activity.
async fn place_order(cx: WorkflowContext, order: workflows::Order) -> Result<String, Failure> {
    cx.activity_by_name("charge", &order).await
}

/// The same children, one of which is another workflow's.
async fn double_each(cx: WorkflowContext, numbers: Vec<u64>) -> Result<u64, Failure> {
    let n = numbers.first().copied().unwrap_or_default();
    cx.child_by_name("treble")
        .id(format!("{}-{n}", cx.workflow_id()))
        .run(&n)
        .await
}

#[test]
fn code_that_decides_differently_is_found_by_a_history_of_temporals() {
    let changed = Replayer::new().workflow(place_order).workflow(double_each);
    for (name, differs) in [
        (
            "order",
            "nondeterminism at event 5: the code now asks for ScheduleActivityTask charge (id 1), but the history has \
             ActivityTaskScheduled reserve (id 1)",
        ),
        ("doubles", "nondeterminism at event 5: the code now asks for"),
    ] {
        for directory in of_temporal() {
            let told = changed.file(directory.join(format!("{name}.json"))).unwrap_err();
            assert!(matches!(told, ReplayError::Differs(_)), "{told}");
            assert!(told.to_string().starts_with(differs), "{told}");
        }
    }
}
