//! A schedule for programs, and its times for people. Must not live here: printing.

use std::time::Duration;

use serde_json::{Value, json};

use super::time;
use crate::engine::ScheduleDescription;
use crate::engine::{Calendar, CalendarRange as Range, Interval};
use crate::server::text::policy;

/// How a schedule stands.
pub(in crate::server) fn schedule(id: &str, described: &ScheduleDescription) -> Value {
    let (action, state) = (&described.action, &described.state);
    let (schedule, spec) = (state.schedule(), &state.schedule().spec);
    let (started, skipped, missed) = state.counts();
    json!({
        "schedule_id": id,
        "workflow_type": action.workflow_type,
        "workflow_id": action.workflow_id,
        "input": action.input,
        "execution_timeout_ms": action.execution_timeout.map(millis),
        "run_timeout_ms": action.run_timeout.map(millis),
        "task_queue": action.task_queue,
        "maximum_attempts": action.retry_policy.as_ref().map(|policy| policy.maximum_attempts),
        "memo": action.memo,
        "search_attributes": action.search_attributes,
        "calendars": spec.calendars.iter().map(calendar_text).collect::<Vec<_>>(),
        "intervals": spec.intervals.iter().map(interval_text).collect::<Vec<_>>(),
        "exclude": spec.exclude.iter().map(calendar_text).collect::<Vec<_>>(),
        "time_zone": spec.time_zone,
        "start_at": spec.start_at.map(time),
        "end_at": spec.end_at.map(time),
        "jitter_ms": millis(spec.jitter),
        "overlap_policy": policy(schedule.overlap),
        "catchup_window_ms": millis(schedule.catchup_window),
        "pause_on_failure": schedule.pause_on_failure,
        "paused": schedule.paused,
        "note": schedule.note,
        "remaining": schedule.remaining,
        "running": state.running(),
        "waiting": state.waiting(),
        "started": started,
        "skipped": skipped,
        "missed": missed,
        "problem": described.problem,
        "upcoming": described.upcoming().map(time).collect::<Vec<_>>(),
        "recent": described.recent().map(|run| json!({
            "workflow_id": run.workflow_id, "nominal": time(run.nominal), "started_at": time(run.started_at),
        })).collect::<Vec<_>>(),
    })
}

/// JSON has no larger numbers.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A calendar as a cron expression: with seconds and a year only when they are said.
pub(in crate::server) fn calendar_text(calendar: &Calendar) -> String {
    let plain = [
        field(&calendar.minute, 0, 59),
        field(&calendar.hour, 0, 23),
        field(&calendar.day_of_month, 1, 31),
        field(&calendar.month, 1, 12),
        field(&calendar.day_of_week, 0, 6),
    ]
    .join(" ");
    let second = field(&calendar.second, 0, 59);
    let year = match calendar.year.is_empty() {
        true => "*".to_owned(),
        false => field(&calendar.year, 2000, 9999),
    };
    match (second.as_str(), year.as_str()) {
        ("0", "*") => plain,
        ("0", year) => format!("{plain} {year}"),
        (second, year) => format!("{second} {plain} {year}"),
    }
}

/// `every 1h`, `every 1day from 8h on`.
pub(in crate::server) fn interval_text(interval: &Interval) -> String {
    let every = humantime::format_duration(interval.every);
    match interval.phase.is_zero() {
        true => format!("every {every}"),
        false => format!("every {every}, {} later", humantime::format_duration(interval.phase)),
    }
}

fn field(ranges: &[Range], min: i16, max: i16) -> String {
    let text = |range: &Range| {
        let values = match (range.start, range.end) {
            (start, end) if (start, end) == (min, max) => "*".to_owned(),
            (start, end) if start == end => start.to_string(),
            (start, end) => format!("{start}-{end}"),
        };
        match range.step {
            1 => values,
            step => format!("{values}/{step}"),
        }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ScheduleSpec;

    #[test]
    fn calendars_are_told_as_cron_expressions() {
        for expression in [
            "0 9 * * 1-5",
            "*/15 8-18/2 1,15 * *",
            "0 0 1 1 * 2030",
            "30 0 0 * * * *",
            "30 0 0 * * * 2030-2040/2",
            "0 0 1 1 * */4",
        ] {
            let spec = ScheduleSpec::new().cron(expression).unwrap();
            assert_eq!(calendar_text(&spec.calendars[0]), expression);
        }
        assert_eq!(
            calendar_text(&ScheduleSpec::new().cron("@weekly").unwrap().calendars[0]),
            "0 0 * * 0"
        );
    }
}
