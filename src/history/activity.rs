//! How an activity is run, and what it is for its saga: the parts of its scheduling event, both ways. Must not live here: the
//! event itself.
//!
//! What it is for the saga stands in its header, under a name of ours: Temporal's tools hand headers on unread.

use serde_json::{Value, json};

use crate::model::{
    ActivityOptions, ActivityRole, CompensationInput, CompensationSpec, InFlight, OnAmbiguous, RetryPolicy, StepKind,
    StepSpec,
};

use super::HistoryError;
use super::execution::read_task_queue;
use super::fields::Fields;
use super::refs::Refs;
use super::value::{self, put};

/// The field of a header, or of a marker's details, that holds what Temporal has no place for.
pub(super) const OURS: &str = "amends";

pub(super) const STEP_KINDS: [(&str, StepKind); 3] = [
    ("compensatable", StepKind::Compensatable),
    ("pivot", StepKind::Pivot),
    ("retriable", StepKind::Retriable),
];

const IN_FLIGHT: [(&str, InFlight); 2] = [("wait", InFlight::Wait), ("fence", InFlight::Fence)];

const INPUTS: [(&str, CompensationInput); 2] =
    [("undo", CompensationInput::Undo), ("mapped", CompensationInput::Mapped)];

/// The word for a meaning.
pub(super) fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    words
        .iter()
        .find(|(_, other)| *other == meaning)
        .map_or("", |(word, _)| word)
}

/// The fields that a scheduling event and a compensation share.
pub(super) fn options(options: &ActivityOptions) -> Value {
    let retry = &options.retry;
    json!({
        "scheduleToCloseTimeout": value::limit(options.schedule_to_close),
        "scheduleToStartTimeout": value::limit(options.schedule_to_start),
        "startToCloseTimeout": value::duration(options.start_to_close()),
        "heartbeatTimeout": value::limit(options.heartbeat),
        "retryPolicy": retry_policy(retry),
    })
}

pub(super) fn retry_policy(retry: &RetryPolicy) -> Value {
    json!({
        "initialInterval": value::duration(retry.initial_interval),
        "backoffCoefficient": retry.backoff_coefficient,
        "maximumInterval": retry.maximum_interval.map(value::duration),
        "maximumAttempts": retry.maximum_attempts,
        "nonRetryableErrorTypes": retry.non_retryable_types,
    })
}

pub(super) fn read_options(fields: &Fields<'_>) -> Result<ActivityOptions, HistoryError> {
    Ok(ActivityOptions {
        schedule_to_close: fields.limit("scheduleToCloseTimeout")?,
        schedule_to_start: fields.limit("scheduleToStartTimeout")?,
        start_to_close: fields.limit("startToCloseTimeout")?,
        heartbeat: fields.limit("heartbeatTimeout")?,
        task_queue: read_task_queue(fields)?,
        retry: match fields.object("retryPolicy")? {
            Some(policy) => read_retry_policy(&policy)?,
            None => RetryPolicy::default(),
        },
    })
}

pub(super) fn read_retry_policy(fields: &Fields<'_>) -> Result<RetryPolicy, HistoryError> {
    let default = RetryPolicy::default();
    let types = fields.list("nonRetryableErrorTypes")?.iter();
    Ok(RetryPolicy {
        initial_interval: fields.duration("initialInterval")?.unwrap_or(default.initial_interval),
        backoff_coefficient: fields
            .float("backoffCoefficient")?
            .unwrap_or(default.backoff_coefficient),
        maximum_interval: fields.limit("maximumInterval")?,
        maximum_attempts: fields.number_u32("maximumAttempts")?,
        non_retryable_types: types.filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

/// The header of an activity; nothing when it is of no saga.
pub(super) fn header(role: &ActivityRole) -> Value {
    let role = match role {
        ActivityRole::Plain => return Value::Null,
        ActivityRole::Step(spec) => json!({"step": step(spec)}),
        ActivityRole::Compensation(of) => json!({"compensates": of.0}),
        ActivityRole::Verification(of) => json!({"verifies": of.0}),
        ActivityRole::Escalation(of) => json!({"escalates": of.map_or(0, |of| of.0)}),
    };
    json!({"fields": {OURS: value::enclosed(role)}})
}

pub(super) fn read_header(fields: &Fields<'_>, refs: &Refs) -> Result<ActivityRole, HistoryError> {
    let Some(role) = ours(fields)? else {
        return Ok(ActivityRole::Plain);
    };
    let role = Fields::of(&role, fields.event())?;
    if let Some(spec) = role.object("step")? {
        return Ok(ActivityRole::Step(Box::new(read_step(&spec)?)));
    }
    if role.get("compensates").is_some() {
        return Ok(ActivityRole::Compensation(role.event_id("compensates", refs)?));
    }
    if role.get("verifies").is_some() {
        return Ok(ActivityRole::Verification(role.event_id("verifies", refs)?));
    }
    Ok(ActivityRole::Escalation(role.event_id_or_none("escalates", refs)?))
}

/// What stands under our name in a header.
pub(super) fn ours(fields: &Fields<'_>) -> Result<Option<Value>, HistoryError> {
    let map = fields
        .object("header")?
        .map(|header| header.object("fields"))
        .transpose()?
        .flatten();
    let ours = map.map(|map| map.payload(OURS)).transpose()?.flatten();
    ours.map(|payload| value::read_enclosed(fields, &payload)).transpose()
}

fn step(spec: &StepSpec) -> Value {
    let mut value = json!({
        "name": spec.name.as_str(),
        "kind": word(&STEP_KINDS, spec.kind),
        "after": spec.after.as_ref().map(|after| after.iter().map(|name| name.as_str()).collect::<Vec<_>>()),
        "compensation": spec.compensation.as_ref().map(compensation),
        "inFlight": word(&IN_FLIGHT, spec.in_flight),
    });
    match &spec.on_ambiguous {
        OnAmbiguous::Compensate => {}
        OnAmbiguous::Ask => put(&mut value, "ask", true),
        OnAmbiguous::Verify(verification) => put(&mut value, "verification", compensation(verification)),
    }
    value
}

fn read_step(fields: &Fields<'_>) -> Result<StepSpec, HistoryError> {
    let verification = fields.object("verification")?;
    let on_ambiguous = match verification {
        Some(verification) => OnAmbiguous::Verify(Box::new(read_compensation(&verification)?)),
        None if fields.flag("ask")? => OnAmbiguous::Ask,
        None => OnAmbiguous::Compensate,
    };
    Ok(StepSpec {
        name: fields.id("name")?,
        kind: fields.one_of("kind", &STEP_KINDS)?,
        after: fields.get("after").map(|_| fields.ids("after")).transpose()?,
        compensation: fields
            .object("compensation")?
            .map(|compensation| read_compensation(&compensation))
            .transpose()?,
        on_ambiguous,
        in_flight: fields.one_of("inFlight", &IN_FLIGHT)?,
    })
}

pub(super) fn compensation(spec: &CompensationSpec) -> Value {
    let mut value = options(&spec.options);
    put(&mut value, "activityType", spec.activity_type.as_str());
    put(&mut value, "input", word(&INPUTS, spec.input));
    value
}

pub(super) fn read_compensation(fields: &Fields<'_>) -> Result<CompensationSpec, HistoryError> {
    Ok(CompensationSpec {
        activity_type: fields.id("activityType")?,
        input: fields.one_of("input", &INPUTS)?,
        options: read_options(fields)?,
    })
}
