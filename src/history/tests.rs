//! What is written is read again, and histories of Temporal's own tools are understood.

mod left_messages;
mod temporal;

use serde_json::{Value, json};

use crate::model::*;
use crate::store::record::decode_turn;

use super::*;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/turn-v1.bin");

fn event(id: u64, attributes: EventAttributes) -> Event {
    let time = Timestamp::from_micros(1_700_000_000_123_456);
    let id = EventId(id);
    Event { id, time, attributes }
}

/// Every kind of event that the journal has, behind enough others for what they refer to.
fn every_kind() -> Vec<Event> {
    let mut kinds = decode_turn(GOLDEN).unwrap().events.into_iter();
    let mut history = vec![event(1, kinds.next().unwrap().attributes)];
    for id in 2..100 {
        let name = format!("filler {id}");
        let details = Payload::from_parts("binary/custom", vec![0, 255]);
        history.push(event(id, EventAttributes::MarkerRecorded { name, details }));
    }
    let mut next = 100;
    for kind in kinds {
        let ids = kind.attributes.ids();
        history.push(event(next, kind.attributes));
        next += ids;
    }
    history
}

#[test]
fn every_kind_of_event_survives() {
    let history = every_kind();
    let json = to_temporal_json(&history);
    let read = from_temporal_json(&json.to_string()).unwrap();
    for (read, written) in read.iter().zip(&history) {
        assert_eq!(read, written);
    }
    assert_eq!(read.len(), history.len());
    if let Some(directory) = exchange() {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("every-kind.json"), format!("{json:#}")).unwrap();
    }
}

/// Where `tests/temporal/run` wants histories of ours, for Temporal's SDK to read.
#[expect(
    clippy::disallowed_methods,
    reason = "where histories are wanted is for whoever starts the tests to say"
)]
fn exchange() -> Option<std::path::PathBuf> {
    Some(std::path::Path::new(&std::env::var_os("AMENDS_TEMPORAL_EXCHANGE")?).join("amends"))
}

/// No tool takes an event whose type is not one of Temporal's, or a field without a value.
#[test]
fn only_types_of_temporal_are_written_and_ids_are_dense() {
    let json = to_temporal_json(&every_kind());
    let events = json["events"].as_array().unwrap();
    for (place, event) in (1..).zip(events) {
        assert_eq!(event["eventId"], json!(format!("{place}")));
        let kind = event["eventType"]
            .as_str()
            .unwrap()
            .strip_prefix("EVENT_TYPE_")
            .unwrap();
        assert!(!kind.contains("SAGA") && !kind.contains("LOCAL"), "{kind}");
        let attributes = event
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| key.ends_with("EventAttributes"));
        assert_eq!(attributes.count(), 1, "{event}");
        assert!(!event.to_string().contains("null"), "{event}");
        assert!(!event["taskId"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_turn_is_three_events_that_refer_to_each_other() {
    let identity = "shop 1.2.3".to_owned();
    let history = [
        every_kind().remove(0),
        event(
            2,
            EventAttributes::WorkflowTask(WorkflowTask {
                identity,
                ..WorkflowTask::default()
            }),
        ),
        event(
            5,
            EventAttributes::TimerStarted {
                timer_id: TimerId::new("1").unwrap(),
                fire_at: Timestamp::from_micros(1_700_000_010_123_456),
            },
        ),
    ];
    let json = to_temporal_json(&history);
    let told = |at: usize, name: &str| json["events"][at][format!("{name}EventAttributes")].clone();
    // The run's own.
    let queue = told(0, "workflowExecutionStarted")["taskQueue"].clone();
    assert_eq!(queue, json!({"name": "orders", "kind": "TASK_QUEUE_KIND_NORMAL"}));
    assert_eq!(
        told(1, "workflowTaskScheduled"),
        json!({"taskQueue": queue, "startToCloseTimeout": "10s", "attempt": 1})
    );
    assert_eq!(
        told(2, "workflowTaskStarted"),
        json!({"scheduledEventId": "2", "identity": "shop 1.2.3"})
    );
    assert_eq!(
        told(3, "workflowTaskCompleted"),
        json!({"scheduledEventId": "2", "startedEventId": "3", "identity": "shop 1.2.3", "sdkMetadata": {"coreUsedFlags": [1]}})
    );
    assert_eq!(
        told(4, "timerStarted"),
        json!({"timerId": "1", "startToFireTimeout": "10s", "workflowTaskCompletedEventId": "4"})
    );
    assert_eq!(from_temporal_json(&json.to_string()).unwrap(), history);
}

/// What the core of Temporal's SDKs insists on, or stumbles over.
#[test]
fn what_sdks_read_has_what_they_need() {
    let json = to_temporal_json(&every_kind());
    let events = json["events"].as_array().unwrap();
    let of = |kind: &'static str| events.iter().filter(move |event| event["eventType"] == kind);
    for kind in [
        "EVENT_TYPE_WORKFLOW_EXECUTION_PAUSED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_UNPAUSED",
    ] {
        assert_eq!(of(kind).next().unwrap()["workerMayIgnore"], json!(true), "{kind}");
    }
    let mut markers = of("EVENT_TYPE_MARKER_RECORDED").map(|event| &event["markerRecordedEventAttributes"]);
    let local = markers
        .find(|marker| marker["markerName"] == "core_local_activity")
        .unwrap();
    let data = &local["details"]["data"]["payloads"][0]["data"];
    let data: Value = serde_json::from_slice(&radix64::decode(data.as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(
        [&data["attempt"], data.get("backoff").unwrap()],
        [&json!(1), &Value::Null]
    );
    let at = json!({"seconds": 1_700_000_000, "nanos": 123_456_000});
    assert_eq!([&data["complete_time"], &data["original_schedule_time"]], [&at, &at]);
    let tasks = of("EVENT_TYPE_WORKFLOW_TASK_COMPLETED").map(|event| &event["workflowTaskCompletedEventAttributes"]);
    let flags: Vec<_> = tasks.filter_map(|task| task.get("sdkMetadata")).collect();
    assert_eq!(flags, [&json!({"coreUsedFlags": [1]})], "in the first of them");
}

/// Their code hears of what stands in the marker as it is there.
#[test]
fn a_failed_local_activity_tells_sdks_what_it_failed_with_and_us_why_it_was_not_tried_again() {
    let lookup = ActivityType::from_trusted("lookup");
    let busy = || Failure::new("Busy", "later").caused_by(Failure::new("Down", ""));
    let recorded = |cause| LocalActivityEnded::recorded(1, lookup.clone(), RetryState::MaximumAttemptsReached, cause);
    let of_another = LocalActivityEnded::recorded(7, lookup.clone(), RetryState::Timeout, busy());
    for (failure, told) in [
        (recorded(busy()), busy()),
        // As an activity that hands on what another one failed with.
        (recorded(of_another.clone()), of_another.clone()),
        (recorded(recorded(busy())), recorded(busy())),
        // Not as it is recorded here.
        (busy(), busy()),
        (of_another.clone(), of_another),
        (recorded(Failure::canceled("")), Failure::canceled("")),
    ] {
        let ended = LocalActivityEnded {
            seq: 1,
            activity_type: lookup.clone(),
            outcome: Err(failure),
        };
        let ended = EventAttributes::LocalActivityEnded(Box::new(ended));
        let history = vec![every_kind().remove(0), event(2, ended)];
        let json = to_temporal_json(&history);
        assert_eq!(from_temporal_json(&json.to_string()).unwrap(), history);
        let mut expected = failure::failure(&told);
        value::without_nulls(&mut expected);
        assert_eq!(json["events"][1]["markerRecordedEventAttributes"]["failure"], expected);
    }
}

#[test]
fn a_failure_of_a_run_with_a_retry_policy_does_not_say_that_it_has_none() {
    let failure = Failure::non_retryable("Broken", "as told");
    let failed = event(
        2,
        EventAttributes::WorkflowExecutionFailed {
            failure,
            amended: false,
        },
    );
    let told = |chain: Option<RunChain>| {
        let mut history = vec![every_kind().remove(0), failed.clone()];
        if let EventAttributes::WorkflowExecutionStarted(started) = &mut history[0].attributes {
            std::sync::Arc::make_mut(started).chain = chain.map(Box::new);
        }
        let json = to_temporal_json(&history);
        json["events"][1]["workflowExecutionFailedEventAttributes"]["retryState"].clone()
    };
    assert_eq!(told(None), json!("RETRY_STATE_RETRY_POLICY_NOT_SET"));
    let retry = Some(RetryPolicy::default());
    let chain = RunChain {
        retry,
        ..RunChain::default()
    };
    assert_eq!(told(Some(chain)), Value::Null);
}

#[test]
fn an_end_says_which_run_follows() {
    let next = RunId::from_bytes([7; 16]);
    let failure = Failure::non_retryable("Broken", "as told");
    for (end, attributes) in [
        (
            "Completed",
            EventAttributes::WorkflowExecutionCompleted {
                result: Payload::null(),
            },
        ),
        (
            "Failed",
            EventAttributes::WorkflowExecutionFailed {
                failure,
                amended: false,
            },
        ),
        (
            "TimedOut",
            EventAttributes::WorkflowExecutionTimedOut { amended: false },
        ),
    ] {
        let history = [every_kind().remove(0), event(2, attributes)];
        let field = format!("workflowExecution{end}EventAttributes");
        let json = to_temporal_json_followed_by(&history, Some(next));
        assert_eq!(
            json["events"][1][&field]["newExecutionRunId"],
            json!(next.to_string()),
            "{end}"
        );
        assert_eq!(from_temporal_json(&json.to_string()).unwrap(), history, "{end}");
        assert_eq!(
            to_temporal_json(&history)["events"][1][&field]["newExecutionRunId"],
            Value::Null
        );
    }
}

#[test]
fn what_sagas_have_is_a_marker_and_a_header() {
    let json = to_temporal_json(&every_kind());
    let marker = |name: &str| -> Value {
        let is_it = |event: &&Value| event["markerRecordedEventAttributes"]["markerName"] == name;
        let found = json["events"].as_array().unwrap().iter().find(is_it).unwrap();
        let payload = &found["markerRecordedEventAttributes"]["details"]["amends"]["payloads"][0];
        assert_eq!(payload["metadata"]["encoding"], "anNvbi9wbGFpbg==", "json/plain");
        serde_json::from_slice(&radix64::decode(payload["data"].as_str().unwrap()).unwrap()).unwrap()
    };
    assert_eq!(
        marker("SagaDecided"),
        json!({"step": 5, "choice": "mark-done", "by": "ada", "reason": "refunded by hand", "requestId": "decision-1",
            "automatic": false, "data": {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "Mw=="}})
    );
    assert_eq!(marker("SagaLockRequested")["lock"], "order:42");
    let scheduled = "activityTaskScheduledEventAttributes";
    let events = json["events"].as_array().unwrap();
    let step = events.iter().find(|event| event.get(scheduled).is_some()).unwrap();
    assert!(step[scheduled]["header"]["fields"]["amends"].is_object(), "{step}");
    assert_eq!(step[scheduled]["retryPolicy"]["initialInterval"], "0.250s");
    let summary = |kind: &str| {
        let found = events.iter().find(|event| event["eventType"] == kind).unwrap();
        found["userMetadata"]["summary"]["data"].clone()
    };
    assert_eq!(
        summary("EVENT_TYPE_WORKFLOW_EXECUTION_FAILED"),
        json!(radix64::encode(b"\"amended\""))
    );
    assert_eq!(summary("EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT"), Value::Null);
}

#[test]
fn a_child_is_written_with_what_its_start_said() {
    let json = to_temporal_json(&every_kind());
    let of = |kind: &str, field: &str| -> Value {
        let mut events = json["events"].as_array().unwrap().iter();
        events.find(|event| event["eventType"] == kind).unwrap()[field].clone()
    };
    let asked = of(
        "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        "startChildWorkflowExecutionInitiatedEventAttributes",
    );
    for (field, expected) in [
        (
            "workflowIdReusePolicy",
            json!("WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY"),
        ),
        ("workflowExecutionTimeout", json!("86400s")),
        ("workflowRunTimeout", json!("3600s")),
        ("cronSchedule", json!("0 6 * * *")),
        (
            "taskQueue",
            json!({"name": "parcels", "kind": "TASK_QUEUE_KIND_NORMAL"}),
        ),
    ] {
        assert_eq!(asked[field], expected, "{field}");
    }
    assert_eq!(asked["retryPolicy"]["maximumAttempts"], 5);
    assert!(asked["memo"]["fields"]["title"].is_object(), "{asked}");
    assert!(
        asked["searchAttributes"]["indexedFields"]["customer"].is_object(),
        "{asked}"
    );
    let field = "childWorkflowExecutionFailedEventAttributes";
    let failed = |history: &[Event]| {
        let json = to_temporal_json(history);
        let events = json["events"].as_array().unwrap();
        events.iter().find_map(|event| event.get(field)).unwrap()["retryState"].clone()
    };
    let start = |retry| {
        ChildEvent::Initiated(std::sync::Arc::new(StartChild {
            retry,
            ..StartChild::new(
                WorkflowId::from_trusted("c"),
                WorkflowType::from_trusted("parcel"),
                Payload::null(),
            )
        }))
    };
    let ended = ChildEvent::Ended {
        initiated: EventId(2),
        started: EventId(3),
        end: ChildEnd::Failed(Failure::new("Lost", "in the post")),
    };
    let begun = ChildEvent::Started {
        initiated: EventId(2),
        run_id: RunId::from_bytes([5; 16]),
    };
    for (retry, expected) in [
        (None, json!("RETRY_STATE_RETRY_POLICY_NOT_SET")),
        (Some(RetryPolicy::default()), Value::Null),
    ] {
        let mut history = vec![every_kind().remove(0)];
        for (id, of) in (2..).zip([start(retry), begun.clone(), ended.clone()]) {
            history.push(event(id, EventAttributes::Child(Box::new(of))));
        }
        assert_eq!(failed(&history), expected);
    }
}
