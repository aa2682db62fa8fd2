//! What is said about times. Lives here: the specification and its builder. Must not live here: computing times
//! (`times`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

use super::calendar::Calendar;
use super::cron;
use super::wire::micros_or_none;

/// When something is to happen: at all times of its calendars and intervals, but those of its exclusions. Temporal's `ScheduleSpec`.
///
/// ```
/// use amends::schedule::{Calendar, ScheduleSpec};
///
/// // At nine on work days in Berlin, but not on the first of January.
/// let spec = ScheduleSpec::new()
///     .cron("0 9 * * MON-FRI")?
///     .exclude(Calendar::new().hours(0..=23).days_of_month(1..=1).months(1..=1))
///     .time_zone("Europe/Berlin");
/// let times = spec.times()?;
/// let new_year_2026 = amends::Timestamp::from_micros(1_767_222_000_000_000);
/// assert_eq!(times.after(new_year_2026).unwrap().to_string(), "2026-01-02T08:00:00.000000Z");
/// # Ok::<(), amends::schedule::SpecError>(())
/// ```
///
/// A workflow that acts at each time:
///
/// ```
/// use amends::schedule::ScheduleSpec;
/// use amends::{Failure, WorkflowContext};
///
/// async fn reports(cx: WorkflowContext, spec: ScheduleSpec) -> Result<(), Failure> {
///     let times = spec.times().map_err(|error| Failure::non_retryable("WrongTimes", error.to_string()))?;
///     while let Some(next) = times.after(cx.now()) {
///         cx.sleep(next.since(cx.now())).await?;
///         cx.activity_by_name::<()>("report", &()).await?;
///     }
///     Ok(())
/// }
/// # let _ = amends::WorkflowDefinition::of(reports);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// Times by the calendar, in the time zone.
    pub calendars: Vec<Calendar>,
    /// Times at regular distances, whatever the calendar says.
    pub intervals: Vec<Interval>,
    /// Times at which nothing happens.
    pub exclude: Vec<Calendar>,
    /// Nothing happens before.
    #[serde(with = "micros_or_none")]
    pub start_at: Option<Timestamp>,
    /// Nothing happens after.
    #[serde(with = "micros_or_none")]
    pub end_at: Option<Timestamp>,
    /// Each action is late by some time up to this, and never as late as the next one.
    pub jitter: Duration,
    /// A name of the IANA database, `Europe/Berlin`; `None`: UTC.
    pub time_zone: Option<String>,
}

/// Times at regular distances: the phase after 1970, and then again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// From one to the next; at least a second.
    pub every: Duration,
    /// Less than that.
    pub phase: Duration,
}

/// What is wrong with a specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not a cron expression.
    #[error("cron expression {text:?}: {reason}")]
    Cron {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Values that no date has.
    #[error("calendar: {field} goes from {min} to {max}, not {start} to {end} in steps of {step}")]
    Range {
        /// Of what.
        field: &'static str,
        /// The smallest value.
        min: i16,
        /// The largest value.
        max: i16,
        /// What was given.
        start: i16,
        /// What was given.
        end: i16,
        /// What was given.
        step: i16,
    },
    /// An interval that is too short, or a phase that is too long.
    #[error("an interval is at least a second long, and its phase shorter than it: {every:?} with {phase:?}")]
    Interval {
        /// What was given.
        every: Duration,
        /// What was given.
        phase: Duration,
    },
    /// Not the name of a time zone.
    #[error("no time zone is called {0:?}: it is a name like \"Europe/Berlin\"")]
    TimeZone(String),
    /// A cron expression has a time zone of its own, and the specification another.
    #[error("two time zones, {0:?} and {1:?}: a schedule has one")]
    TimeZones(String, String),
}

impl ScheduleSpec {
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also at the times of a cron expression: five fields (minute, hour, day of month, month, day of week), six with a year
    /// behind, seven with seconds in front; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, `@every 90m`, `@every 1d/8h`
    /// (from eight o'clock UTC). `CRON_TZ=Europe/Berlin` in front is the time zone; behind `#` is a comment. Fields are read as
    /// Temporal reads them: days of the month *and* of the week must fit.
    ///
    /// # Errors
    /// When it is none, or has another time zone than the specification.
    pub fn cron(mut self, expression: &str) -> Result<Self, SpecError> {
        let parsed = cron::parse(expression)?;
        if let Some(zone) = parsed.time_zone {
            match self.time_zone {
                Some(other) if other != zone => return Err(SpecError::TimeZones(other, zone)),
                _ => self.time_zone = Some(zone),
            }
        }
        match parsed.times {
            cron::Times::Calendar(calendar) => self.calendars.push(calendar),
            cron::Times::Interval(interval) => self.intervals.push(interval),
        }
        Ok(self)
    }

    /// Also at the times of a calendar.
    #[must_use]
    pub fn calendar(mut self, calendar: Calendar) -> Self {
        self.calendars.push(calendar);
        self
    }

    /// Also at regular distances, counted from 1970 in UTC.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        self.every_from(every, Duration::ZERO)
    }

    /// Also at regular distances, each so much later: every day at eight o'clock UTC is a day with a phase of eight hours.
    #[must_use]
    pub fn every_from(mut self, every: Duration, phase: Duration) -> Self {
        self.intervals.push(Interval { every, phase });
        self
    }

    /// Not at these times.
    #[must_use]
    pub fn exclude(mut self, calendar: Calendar) -> Self {
        self.exclude.push(calendar);
        self
    }

    /// Not before.
    #[must_use]
    pub fn starting_at(mut self, time: Timestamp) -> Self {
        self.start_at = Some(time);
        self
    }

    /// Not after.
    #[must_use]
    pub fn ending_at(mut self, time: Timestamp) -> Self {
        self.end_at = Some(time);
        self
    }

    /// Each action by some time late, up to this: not everything at the full hour.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Calendars are of this time zone. A time that the clocks skip is skipped; one that they repeat happens twice.
    #[must_use]
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        self.time_zone = Some(name.into());
        self
    }
}
