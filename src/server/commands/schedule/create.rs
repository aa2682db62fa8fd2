//! `amends schedule create`: times, policies and what is started, out of options. Must not live here: creating it.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{moment, next_engine, overlap_policy, refused};
use crate::engine::{Calendar, Interval, Offline, OverlapPolicy, Schedule, ScheduleAction, ScheduleSpec};
use crate::model::Timestamp;
use crate::server::commands::start::{RunOptionArgs, duration};
use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{self, DataArgs};

/// Begin a schedule:
/// amends schedule create nightly --type settlement --cron "0 2 * * MON-FRI" --time-zone Europe/Berlin --input '{"bank": 7}'
///
/// Its runs are named after the workflow id and the time that they stand for: nightly-2026-01-05T01:00:00Z. Times may come from
/// several options, which add up: every six hours, from two o'clock on, but not on Christmas:
/// amends schedule create sweep --type sweep --interval 6h/2h --exclude-calendar '{"dayOfMonth": "25", "month": "dec",
/// "hour": "*", "minute": "*", "second": "*"}'
#[derive(Args)]
pub(crate) struct CreateArgs {
    /// The schedule's id
    #[arg(value_name = "ID")]
    id: String,
    /// What it starts: a saga's name, or a workflow's
    #[arg(long = "type", alias = "workflow-type", value_name = "NAME")]
    workflow_type: String,
    /// What the runs' workflow ids begin with; the schedule's id when not said
    #[arg(long, value_name = "ID")]
    workflow_id: Option<String>,
    /// The runs' input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    #[command(flatten)]
    times: TimeArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    #[command(flatten)]
    options: RunOptionArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Times")]
struct TimeArgs {
    /// At the times of a cron expression: "0 9 * * MON-FRI", "@daily". Days of the month and of the week must both fit. May be
    /// repeated
    #[arg(long, value_name = "CRON")]
    cron: Vec<String>,
    /// At regular distances, 90m, or so much later each time: 6h/2h. May be repeated
    #[arg(long, value_name = "EVERY[/PHASE]", value_parser = interval)]
    interval: Vec<Interval>,
    /// At the times of a calendar, whose fields are written as in a cron expression: '{"dayOfWeek": "FRI", "hour": "3"}'. May be
    /// repeated
    #[arg(long, value_name = "JSON", value_parser = calendar)]
    calendar: Vec<Calendar>,
    /// Not at the times of this calendar. May be repeated
    #[arg(long, value_name = "JSON", value_parser = calendar)]
    exclude_calendar: Vec<Calendar>,
    /// Of the calendars and cron expressions; UTC when not said
    #[arg(long, value_name = "NAME")]
    time_zone: Option<String>,
    /// Not before: 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start_time: Option<Timestamp>,
    /// Not after
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end_time: Option<Timestamp>,
    /// Each run late by some time up to this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    jitter: Option<Duration>,
}

#[derive(Args)]
#[command(next_help_heading = "Policies")]
struct PolicyArgs {
    /// What a run does that is due while another one is running: skip (when not said), buffer-one, buffer-all, cancel-other,
    /// terminate-other, allow-all
    #[arg(long, value_name = "POLICY", value_parser = overlap_policy)]
    overlap_policy: Option<OverlapPolicy>,
    /// How late a run may be started after an outage (a year when not said)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    catchup_window: Option<Duration>,
    /// Pause when a run has failed
    #[arg(long)]
    pause_on_failure: bool,
    /// Begin paused
    #[arg(long)]
    paused: bool,
    /// Shown with the schedule
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    notes: String,
    /// Start only so many runs
    #[arg(long, value_name = "NUMBER")]
    remaining_actions: Option<u64>,
}

pub(super) fn run(args: &CreateArgs, console: &Console) -> Result<Exit, Refusal> {
    let input = match &args.input {
        Some(text) => input::payload("--input", text)?
            .to()
            .map_err(crate::engine::Error::from)?,
        None => Value::Null,
    };
    let workflow_id = args.workflow_id.as_deref().unwrap_or(&args.id);
    let action = ScheduleAction::by_name(&args.workflow_type, workflow_id, input);
    let action = args.options.of_schedule(action);
    let schedule = args.policies.schedule(args.times.spec()?);
    // Before there is a directory for it.
    schedule.spec.times().map_err(crate::engine::Error::from)?;
    let offline = Offline::open_or_make(&args.data.data)?.in_namespace(args.data.namespace.clone());
    let schedules = offline.schedules();
    schedules
        .create(&args.id, action, schedule)
        .map_err(|error| refused(&args.id, &args.data, error))?;
    let described = schedules.describe(&args.id)?;
    let next = described.upcoming().next();
    console.object(&json!({
        "type": "created", "schedule_id": args.id, "next": next.map(|time| time.to_string()),
    }));
    console.line(match next {
        Some(time) => format!("schedule {} is created; its next time is {time}", args.id),
        None => format!(
            "schedule {} is created; it has no times to come, and starts runs when it is triggered",
            args.id
        ),
    });
    console.note(next_engine(&args.data));
    Ok(Exit::Done)
}

impl TimeArgs {
    fn spec(&self) -> Result<ScheduleSpec, Refusal> {
        let mut spec = ScheduleSpec::new();
        spec.time_zone.clone_from(&self.time_zone);
        for cron in &self.cron {
            spec = spec.cron(cron).map_err(crate::engine::Error::from)?;
        }
        spec.calendars.extend(self.calendar.iter().cloned());
        spec.intervals.extend(self.interval.iter().copied());
        spec.exclude.extend(self.exclude_calendar.iter().cloned());
        spec.start_at = self.start_time;
        spec.end_at = self.end_time;
        spec.jitter = self.jitter.unwrap_or_default();
        Ok(spec)
    }
}

impl PolicyArgs {
    fn schedule(&self, spec: ScheduleSpec) -> Schedule {
        let usual = Schedule::new(spec);
        Schedule {
            overlap: self.overlap_policy.unwrap_or(usual.overlap),
            catchup_window: self.catchup_window.unwrap_or(usual.catchup_window),
            pause_on_failure: self.pause_on_failure,
            paused: self.paused,
            note: self.notes.clone(),
            remaining: self.remaining_actions,
            ..usual
        }
    }
}

fn interval(text: &str) -> Result<Interval, String> {
    let (every, phase) = match text.split_once('/') {
        Some((every, phase)) => (duration(every)?, duration(phase)?),
        None => (duration(text)?, Duration::ZERO),
    };
    Ok(Interval { every, phase })
}

fn calendar(text: &str) -> Result<Calendar, String> {
    const EXPECTED: &str = r#"expected an object, such as {"dayOfWeek": "FRI", "hour": "3", "minute": "30"}"#;
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err(EXPECTED.to_owned());
    };
    fields.iter().try_fold(Calendar::new(), |calendar, (name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(EXPECTED.to_owned()),
        };
        match name.as_str() {
            "comment" => Ok(calendar),
            name => calendar.field(name, &text).map_err(|error| error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendars_and_intervals_are_read_as_temporal_s_tools_write_them() {
        let friday = calendar(r#"{"dayOfWeek": "Fri", "hour": 3, "minute": "*/30", "comment": "payday"}"#).unwrap();
        let expected = Calendar::new().days_of_week(5).hours(3);
        assert_eq!(
            (&friday.day_of_week, &friday.hour),
            (&expected.day_of_week, &expected.hour)
        );
        assert!(calendar("{\"weekday\": \"1\"}").unwrap_err().contains("dayOfWeek"));
        assert!(calendar("[1]").unwrap_err().contains("an object"));
        let six_hours = interval("6h/2h").unwrap();
        assert_eq!((six_hours.every.as_secs(), six_hours.phase.as_secs()), (21_600, 7_200));
        assert!(interval("6").is_err());
    }
}
