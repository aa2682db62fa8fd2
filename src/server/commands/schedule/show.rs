//! `amends schedule list` and `describe`. Must not live here: what programs get (that is `dto`).

use serde_json::json;

use super::{Target, refused};
use crate::engine::ScheduleDescription;
use crate::model::Timestamp;
use crate::server::console::{BAD, Console, FAINT, GOOD, STRONG, WARN};
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input::DataArgs;
use crate::server::text::{Cell, policy, table};

pub(super) fn list(data: &DataArgs, console: &Console) -> Result<Exit, Refusal> {
    let offline = data.open()?;
    let schedules = offline.schedules();
    let heading = ["schedule", "starts", "state", "next", "note"].map(|title| Cell::styled(title, FAINT));
    let mut rows = vec![heading];
    for id in schedules.list()? {
        let described = match schedules.describe(&id) {
            Ok(described) => described,
            // The others are shown all the same.
            Err(error) => {
                console.object(&json!({"schedule_id": id, "problem": error.to_string()}));
                let unknown = Cell::styled("unreadable", BAD);
                rows.push([id.into(), "".into(), unknown, "".into(), error.to_string().into()]);
                continue;
            }
        };
        console.object(&dto::schedule(&id, &described));
        let next = described.upcoming().next().map(seconds);
        rows.push([
            id.into(),
            described.action.workflow_type.clone().into(),
            state(&described),
            next.filter(|_| !described.state.schedule().paused)
                .unwrap_or_default()
                .into(),
            described
                .problem
                .clone()
                .unwrap_or(described.state.schedule().note.clone())
                .into(),
        ]);
    }
    match rows.len() {
        1 => console.note("no schedules"),
        _ => table(&rows, console).iter().for_each(|line| console.line(line)),
    }
    Ok(Exit::Done)
}

pub(super) fn describe(target: &Target, console: &Console) -> Result<Exit, Refusal> {
    let offline = target.data.open()?;
    let described = offline.schedules().describe(&target.id);
    let described = described.map_err(|error| refused(&target.id, &target.data, error))?;
    console.object(&dto::schedule(&target.id, &described));
    if console.is_json() {
        return Ok(Exit::Done);
    }
    let field = |name: &str, value: String| {
        if !value.is_empty() {
            console.line(format!("{} {value}", console.paint(FAINT, &format!("{name:<11}"))));
        }
    };
    let (action, state) = (&described.action, &described.state);
    let schedule = state.schedule();
    let paused = if schedule.paused {
        console.paint(WARN, "  paused")
    } else {
        String::new()
    };
    console.line(format!("{}{paused}", console.paint(STRONG, &target.id)));
    field("note", schedule.note.clone());
    field(
        "starts",
        format!("{} as {}-<time>", action.workflow_type, action.workflow_id),
    );
    field("input", action.input.to_string());
    action_options(&described).for_each(|(name, value)| field(name, value));
    let spec = &schedule.spec;
    let zone = spec.time_zone.as_deref().unwrap_or("UTC");
    spec.calendars
        .iter()
        .for_each(|calendar| field("at", format!("{} ({zone})", dto::calendar_text(calendar))));
    spec.intervals
        .iter()
        .for_each(|interval| field("at", dto::interval_text(interval)));
    spec.exclude
        .iter()
        .for_each(|calendar| field("not at", format!("{} ({zone})", dto::calendar_text(calendar))));
    field("from", spec.start_at.map(seconds).unwrap_or_default());
    field("until", spec.end_at.map(seconds).unwrap_or_default());
    field("overlap", policy(schedule.overlap).to_owned());
    field(
        "catch-up",
        humantime::format_duration(schedule.catchup_window).to_string(),
    );
    field(
        "remaining",
        schedule.remaining.map(|runs| runs.to_string()).unwrap_or_default(),
    );
    let (started, skipped, missed) = state.counts();
    field(
        "runs",
        format!("{started} started, {skipped} left out, {missed} missed"),
    );
    field("running", state.running().unwrap_or_default().to_owned());
    field(
        "waiting",
        Some(state.waiting())
            .filter(|runs| *runs > 0)
            .map(|runs| runs.to_string())
            .unwrap_or_default(),
    );
    field("problem", described.problem.clone().unwrap_or_default());
    described
        .recent()
        .for_each(|run| field("started", format!("{} at {}", run.workflow_id, seconds(run.started_at))));
    if !schedule.paused {
        described.upcoming().for_each(|time| field("next", seconds(time)));
    }
    Ok(Exit::Done)
}

/// What each run is started with beside its input.
fn action_options(described: &ScheduleDescription) -> impl Iterator<Item = (&'static str, String)> {
    let action = &described.action;
    let limit = |limit: Option<std::time::Duration>| limit.map(|limit| humantime::format_duration(limit).to_string());
    let retry = action
        .retry_policy
        .as_ref()
        .map(|policy| match policy.maximum_attempts {
            0 => "until it does not fail".to_owned(),
            attempts => format!("at most {attempts} in all"),
        });
    let some =
        |map: &std::collections::BTreeMap<String, serde_json::Value>| (!map.is_empty()).then(|| json!(map).to_string());
    [
        ("chain limit", limit(action.execution_timeout)),
        ("run limit", limit(action.run_timeout)),
        ("task queue", action.task_queue.clone()),
        ("tries", retry),
        ("memo", some(&action.memo)),
        ("attributes", some(&action.search_attributes)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

fn state(described: &ScheduleDescription) -> Cell {
    let state = &described.state;
    match (state.schedule().paused, state.running()) {
        (true, _) => Cell::styled("paused", WARN),
        (false, Some(_)) => Cell::styled("running", STRONG),
        (false, None) => Cell::styled("waiting", GOOD),
    }
}

/// `2026-01-31T12:00:00Z`, with fractions only where there are some.
fn seconds(time: Timestamp) -> String {
    time.to_string().replace(".000000Z", "Z")
}
