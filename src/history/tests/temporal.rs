//! Histories as Temporal's tools write them, made by hand from the documented form.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::*;

use super::super::*;

/// `json/plain`, and what it encloses.
fn plain(value: &Value) -> Value {
    let data = radix64::encode(value.to_string().as_bytes());
    json!({"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": data})
}

fn history(events: &[Value]) -> String {
    let numbered = (1..).zip(events).map(|(id, event)| {
        let mut event = event.clone();
        event["eventId"] = json!(format!("{id}"));
        event["taskId"] = json!(format!("{}", 1_048_576 + id));
        if event.get("eventTime").is_none() {
            event["eventTime"] = json!(format!("2026-01-31T12:00:{id:02}.123456789Z"));
        }
        event
    });
    json!({"events": numbered.collect::<Vec<_>>()}).to_string()
}

fn started() -> Value {
    json!({"eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "workflowExecutionStartedEventAttributes": {
        "workflowType": {"name": "PlaceOrder"}, "taskQueue": {"name": "orders", "kind": "TASK_QUEUE_KIND_NORMAL"},
        "input": {"payloads": [plain(&json!("order-42")), plain(&json!(3))]},
        "workflowExecutionTimeout": "0s", "workflowRunTimeout": "3600s", "workflowTaskTimeout": "10s",
        "originalExecutionRunId": "01a21d55-a9e2-76c5-a4e1-e08dbee5237a", "identity": "1@client",
        "firstExecutionRunId": "01a21d55-a9e2-76c5-a4e1-e08dbee5237a", "attempt": 1,
        "firstWorkflowTaskBackoff": "0s", "header": {}, "workflowId": "order-42",
    }})
}

fn task_scheduled() -> Value {
    json!({"eventType": "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED", "workflowTaskScheduledEventAttributes": {
        "taskQueue": {"name": "orders", "kind": "TASK_QUEUE_KIND_NORMAL"}, "startToCloseTimeout": "10s", "attempt": 1,
    }})
}

fn task_started(scheduled: u64) -> Value {
    json!({"eventType": "EVENT_TYPE_WORKFLOW_TASK_STARTED", "workflowTaskStartedEventAttributes": {
        "scheduledEventId": scheduled.to_string(), "identity": "2@worker", "requestId": "r", "historySizeBytes": "521",
    }})
}

fn task_completed(scheduled: u64) -> Value {
    json!({"eventType": "EVENT_TYPE_WORKFLOW_TASK_COMPLETED", "workflowTaskCompletedEventAttributes": {
        "scheduledEventId": scheduled.to_string(), "startedEventId": (scheduled + 1).to_string(),
        "identity": "2@worker", "workerVersion": {"buildId": "b1"}, "sdkMetadata": {"coreUsedFlags": [1, 2]},
    }})
}

fn activity_scheduled(task: u64) -> Value {
    json!({"eventType": "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED", "activityTaskScheduledEventAttributes": {
        "activityId": "1", "activityType": {"name": "charge"},
        "taskQueue": {"name": "orders", "kind": "TASK_QUEUE_KIND_NORMAL"}, "header": {},
        "input": {"payloads": [plain(&json!({"amount": 7}))]},
        "scheduleToCloseTimeout": "0s", "scheduleToStartTimeout": "0s", "startToCloseTimeout": "5s",
        "heartbeatTimeout": "0s", "workflowTaskCompletedEventId": task.to_string(),
        "retryPolicy": {"initialInterval": "1s", "backoffCoefficient": 2, "maximumInterval": "100s"},
    }})
}

fn activity_started(scheduled: u64) -> Value {
    json!({"eventType": "EVENT_TYPE_ACTIVITY_TASK_STARTED", "activityTaskStartedEventAttributes": {
        "scheduledEventId": scheduled.to_string(), "identity": "2@worker", "requestId": "r", "attempt": 2,
        "lastFailure": {"message": "busy", "source": "GoSDK", "stackTrace": "...",
            "applicationFailureInfo": {"type": "Busy"}},
    }})
}

fn activity_completed(scheduled: u64) -> Value {
    json!({"eventType": "EVENT_TYPE_ACTIVITY_TASK_COMPLETED", "activityTaskCompletedEventAttributes": {
        "result": {"payloads": [plain(&json!("paid"))]}, "scheduledEventId": scheduled.to_string(),
        "startedEventId": (scheduled + 1).to_string(), "identity": "2@worker",
    }})
}

fn completed(task: u64) -> Value {
    json!({"eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", "workflowExecutionCompletedEventAttributes": {
        "result": {"payloads": [plain(&json!("paid"))]}, "workflowTaskCompletedEventId": task.to_string(),
    }})
}

fn kinds(history: &[Event]) -> Vec<(u64, &'static str)> {
    history
        .iter()
        .map(|event| (event.id.0, event.attributes.kind()))
        .collect()
}

#[test]
fn an_ordinary_history_keeps_its_ids() {
    let text = history(&[
        started(),
        task_scheduled(),
        task_started(2),
        task_completed(2),
        activity_scheduled(4),
        activity_started(5),
        activity_completed(5),
        task_scheduled(),
        task_started(8),
        task_completed(8),
        completed(10),
    ]);
    let read = from_temporal_json(&text).unwrap();
    assert_eq!(
        kinds(&read),
        [
            (1, "WorkflowExecutionStarted"),
            (2, "WorkflowTaskCompleted"),
            (5, "ActivityTaskScheduled"),
            (6, "ActivityTaskStarted"),
            (7, "ActivityTaskCompleted"),
            (8, "WorkflowTaskCompleted"),
            (11, "WorkflowExecutionCompleted"),
        ]
    );
    let EventAttributes::WorkflowExecutionStarted(started) = &read[0].attributes else {
        panic!("another event");
    };
    assert_eq!(
        started.input.to::<(String, u32)>().unwrap(),
        ("order-42".to_owned(), 3),
        "two arguments are a tuple"
    );
    assert_eq!(started.run_timeout, Some(std::time::Duration::from_secs(3_600)));
    let EventAttributes::ActivityTaskScheduled(scheduled) = &read[2].attributes else {
        panic!("another event");
    };
    assert_eq!(
        (scheduled.options.schedule_to_close, scheduled.options.heartbeat),
        (None, None)
    );
    assert_eq!(scheduled.options.start_to_close(), std::time::Duration::from_secs(5));
    assert_eq!(scheduled.role, ActivityRole::Plain);
    let EventAttributes::ActivityTaskStarted {
        last_failure, attempt, ..
    } = &read[3].attributes
    else {
        panic!("another event");
    };
    assert_eq!(
        (last_failure.as_ref().unwrap().type_name(), *attempt),
        (Some("Busy"), 2)
    );
    assert_eq!(
        read[1].time.to_string(),
        "2026-01-31T12:00:03.123456Z",
        "when the worker began with the task"
    );
}

/// A signal that came while a task waited, and a task that failed: ids are given anew, and what refers to them follows.
#[test]
fn what_is_no_turn_of_ours_is_put_in_order() {
    let signal = json!({"eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
        "workflowExecutionSignaledEventAttributes": {"signalName": "hurry", "identity": "1@client"}});
    let failed = json!({"eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED", "workflowTaskFailedEventAttributes": {
        "scheduledEventId": "2", "startedEventId": "4", "cause": "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE"}});
    let text = history(&[
        started(),
        task_scheduled(),
        signal,
        task_started(2),
        failed,
        task_scheduled(),
        task_started(6),
        task_completed(6),
        activity_scheduled(8),
        activity_started(9),
        activity_completed(9),
    ]);
    let read = from_temporal_json(&text).unwrap();
    assert_eq!(
        kinds(&read),
        [
            (1, "WorkflowExecutionStarted"),
            (2, "WorkflowExecutionSignaled"),
            (3, "WorkflowTaskCompleted"),
            (6, "ActivityTaskScheduled"),
            (7, "ActivityTaskStarted"),
            (8, "ActivityTaskCompleted"),
        ]
    );
    let EventAttributes::ActivityTaskCompleted { scheduled, started, .. } = &read[5].attributes else {
        panic!("another event");
    };
    assert_eq!((*scheduled, *started), (EventId(6), EventId(7)));
}

#[test]
fn older_spellings_are_read() {
    let text = r#"{"events": [
        {"event_id": 1, "event_time": "2026-01-31T12:00:00Z", "event_type": "WorkflowExecutionStarted",
         "workflow_execution_started_event_attributes": {"workflow_type": {"name": "hello"}}},
        {"eventId": "2", "eventType": "TimerStarted",
         "timerStartedEventAttributes": {"timerId": "1", "startToFireTimeout": "5s"}}]}"#;
    let read = from_temporal_json(text).unwrap();
    assert_eq!(kinds(&read), [(1, "WorkflowExecutionStarted"), (2, "TimerStarted")]);
}

#[test]
fn markers_of_temporals_sdks_are_read() {
    let marker = |name: &str, details: Value| {
        json!({"eventType": "EVENT_TYPE_MARKER_RECORDED", "markerRecordedEventAttributes": {
            "markerName": name, "details": details, "workflowTaskCompletedEventId": "4"}})
    };
    let one = |value: Value| json!({"payloads": [plain(&value)]});
    let text = history(&[
        started(),
        marker(
            "core_patch",
            json!({"patch-data": one(json!({"id": "fraud", "deprecated": false}))}),
        ),
        marker(
            "Version",
            json!({"change-id": one(json!("ship")), "version": one(json!(2))}),
        ),
        marker(
            "SideEffect",
            json!({"data": one(json!(9)), "side-effect-id": one(json!(1))}),
        ),
    ]);
    let read = from_temporal_json(&text).unwrap();
    let patch = VersionMarker::Patch {
        id: ChangeId::new("fraud").unwrap(),
        deprecated: false,
    };
    assert_eq!(read[1].attributes, EventAttributes::VersionMarkerRecorded(patch));
    let version = VersionMarker::Version {
        id: ChangeId::new("ship").unwrap(),
        version: 2,
    };
    assert_eq!(read[2].attributes, EventAttributes::VersionMarkerRecorded(version));
    let EventAttributes::MarkerRecorded { name, details } = &read[3].attributes else {
        panic!("another event");
    };
    assert_eq!(name, "SideEffect");
    assert!(
        details.to::<Value>().unwrap()["side-effect-id"].is_object(),
        "kept as it is"
    );
}

/// Temporal's SDKs list the patches of a run in a search attribute, which no code has asked for.
#[test]
fn the_list_of_patches_is_no_wish_of_the_code() {
    let upsert = |attributes: &[&str]| {
        let fields = attributes.iter().map(|name| (*name, plain(&json!(["fraud"]))));
        let fields: std::collections::BTreeMap<_, _> = fields.collect();
        json!({"eventType": "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
            "upsertWorkflowSearchAttributesEventAttributes": {"searchAttributes": {"indexedFields": fields}}})
    };
    let patch = json!({"eventType": "EVENT_TYPE_MARKER_RECORDED", "markerRecordedEventAttributes": {
        "markerName": "core_patch", "workflowTaskCompletedEventId": "4",
        "details": {"patch-data": {"payloads": [plain(&json!({"id": "fraud"}))]}}}});
    let read = from_temporal_json(&history(&[
        started(),
        patch.clone(),
        upsert(&["TemporalChangeVersion"]),
        patch,
        upsert(&["Customer", "TemporalChangeVersion"]),
        upsert(&["TemporalChangeVersion"]),
    ]));
    let (marker, by_code) = ("MarkerRecorded", "UpsertWorkflowSearchAttributes");
    let expected = [
        (1, "WorkflowExecutionStarted"),
        (2, marker),
        (3, marker),
        (4, by_code),
        (5, by_code),
    ];
    assert_eq!(kinds(&read.unwrap()), expected);
}

/// Temporal's SDKs record a local activity among the commands of the turn that asked for it, and number it together with others.
#[test]
fn a_local_activity_of_an_sdk_is_heard_of_in_a_turn_of_its_own() {
    let local = |seq: u32| {
        let data = json!({"seq": seq, "attempt": 1, "activity_id": seq.to_string(), "activity_type": "look_up",
            "complete_time": {"seconds": 1_795_832_648, "nanos": 0}, "backoff": null,
            "original_schedule_time": {"seconds": 1_795_832_648, "nanos": 0}});
        let one = |value: Value| json!({"payloads": [plain(&value)]});
        json!({"eventType": "EVENT_TYPE_MARKER_RECORDED", "markerRecordedEventAttributes": {
            "markerName": "core_local_activity", "details": {"data": one(data), "result": one(json!("found"))},
            "workflowTaskCompletedEventId": "4"}})
    };
    let text = history(&[
        started(),
        task_scheduled(),
        task_started(2),
        task_completed(2),
        activity_scheduled(4),
        local(3),
        local(2),
        activity_scheduled(4),
        activity_started(8),
        activity_completed(8),
    ]);
    let read = from_temporal_json(&text).unwrap();
    assert_eq!(
        kinds(&read),
        [
            (1, "WorkflowExecutionStarted"),
            (2, "WorkflowTaskCompleted"),
            (5, "ActivityTaskScheduled"),
            (6, "LocalActivityEnded"),
            (7, "WorkflowTaskCompleted"),
            (10, "LocalActivityEnded"),
            (11, "WorkflowTaskCompleted"),
            (14, "ActivityTaskScheduled"),
            (15, "ActivityTaskStarted"),
            (16, "ActivityTaskCompleted"),
        ]
    );
    let ended = |at: usize| match &read[at].attributes {
        EventAttributes::LocalActivityEnded(ended) => (ended.seq, ended.outcome.clone().unwrap()),
        other => panic!("{other:?}"),
    };
    let found = Payload::json("found").unwrap();
    assert_eq!([ended(3), ended(5)], [(2, found.clone()), (1, found)]);
    assert_eq!(read[4].attributes, read[1].attributes, "by the same worker");
}

#[test]
fn what_a_child_was_to_be_is_read() {
    let child = |more: Value| {
        let mut attributes = json!({
            "namespace": "default", "workflowId": "parcel-1", "workflowType": {"name": "parcel"},
            "taskQueue": {"name": "parcels", "kind": "TASK_QUEUE_KIND_NORMAL"}, "workflowTaskTimeout": "10s",
            "workflowExecutionTimeout": "0s", "workflowRunTimeout": "0s", "workflowTaskCompletedEventId": "4",
        });
        for (name, value) in more.as_object().unwrap() {
            attributes[name] = value.clone();
        }
        let event = json!({"eventType": "EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED",
            "startChildWorkflowExecutionInitiatedEventAttributes": attributes});
        let text = history(&[started(), task_scheduled(), task_started(2), task_completed(2), event]);
        let read = from_temporal_json(&text).unwrap();
        let EventAttributes::Child(read) = &read[2].attributes else {
            panic!("{read:?}");
        };
        let ChildEvent::Initiated(start) = &**read else {
            panic!("{read:?}");
        };
        StartChild::clone(start)
    };
    let plainly = StartChild {
        task_queue: Some(TaskQueue::from_trusted("parcels")),
        ..StartChild::new(
            WorkflowId::from_trusted("parcel-1"),
            WorkflowType::from_trusted("parcel"),
            Payload::null(),
        )
    };
    assert_eq!(child(json!({})), plainly);
    assert_eq!(plainly.id_reuse_policy, IdReusePolicy::AllowDuplicate, "as in Temporal");
    let keyword = |text: &str| {
        let mut payload = plain(&json!(text));
        payload["metadata"]["type"] = json!(radix64::encode(b"Keyword"));
        payload
    };
    let whole = child(json!({
        "workflowExecutionTimeout": "86400s", "workflowRunTimeout": "3600s", "cronSchedule": "0 6 * * *",
        "parentClosePolicy": "PARENT_CLOSE_POLICY_ABANDON",
        "workflowIdReusePolicy": "WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE",
        "retryPolicy": {"initialInterval": "1s", "backoffCoefficient": 2, "maximumInterval": "100s", "maximumAttempts": 4},
        "memo": {"fields": {"note": plain(&json!("fragile"))}},
        "searchAttributes": {"indexedFields": {"City": keyword("Rome")}},
    }));
    let expected = StartChild {
        execution_timeout: Some(Duration::from_secs(86_400)),
        run_timeout: Some(Duration::from_secs(3_600)),
        cron: Some("0 6 * * *".to_owned()),
        parent_close_policy: ParentClosePolicy::Abandon,
        id_reuse_policy: IdReusePolicy::RejectDuplicate,
        retry: Some(RetryPolicy {
            maximum_attempts: 4,
            maximum_interval: Some(Duration::from_secs(100)),
            ..RetryPolicy::default()
        }),
        memo: [("note".to_owned(), Payload::json("fragile").unwrap())].into(),
        search_attributes: [("City".to_owned(), "Rome".into())].into(),
        ..plainly.clone()
    };
    assert_eq!(whole, expected);
    let older = child(json!({"workflowIdReusePolicy": "TerminateIfRunning"}));
    assert_eq!(older, plainly, "it is read as the nearest there is");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let nexus = json!({"eventType": "EVENT_TYPE_NEXUS_OPERATION_SCHEDULED",
        "nexusOperationScheduledEventAttributes": {"endpoint": "e"}});
    let mut ignorable = nexus.clone();
    ignorable["workerMayIgnore"] = json!(true);
    let mut decoded = started();
    decoded["workflowExecutionStartedEventAttributes"]["input"] = json!({"payloads": [{"data": "{order}"}]});
    let refused = |text: &str| from_temporal_json(text).unwrap_err().to_string();
    for (text, expected) in [
        ("events:".to_owned(), "not JSON: "),
        (
            "[]".to_owned(),
            "not a history as `temporal workflow show --output json` writes it: it has no list of \"events\"",
        ),
        (history(&[]), "its first event is not WorkflowExecutionStarted"),
        (
            history(&[started(), nexus]),
            "event 2: NEXUS_OPERATION_SCHEDULED is nothing that a run of amends can have",
        ),
        (
            history(&[started(), completed(4), started(), activity_completed(9)]),
            "event 4: scheduledEventId refers to event 9",
        ),
        (
            history(&[started(), task_completed(2)]),
            "event 2: WorkflowTaskCompleted without WorkflowTaskScheduled",
        ),
        (
            history(&[decoded]),
            "event 1: a payload is not base64; export the history with its payloads encoded",
        ),
        (
            r#"{"events": [{"eventId": "1", "eventTime": 5, "eventType": "TimerFired"}]}"#.to_owned(),
            "event 1: eventTime must be a time such as \"2026-01-31T12:00:00Z\", found 5",
        ),
    ] {
        let told = refused(&text);
        assert!(told.contains(expected), "{told}\n{expected}");
    }
    assert_eq!(from_temporal_json(&history(&[started(), ignorable])).unwrap().len(), 1);
}
