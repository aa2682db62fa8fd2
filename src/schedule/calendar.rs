//! Times by the calendar. Lives here: which dates and times of day a calendar has, as fields of a clock on a wall. Must not live
//! here: time zones (`times`).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::model::cron::{CronField, CronValues, DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, SECOND, YEAR};

use super::cron::ranges;
use super::spec::SpecError;

/// Some values of a field: from one to another, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first value.
    pub start: i16,
    /// The last value that may be.
    pub end: i16,
    /// From one value to the next; at least 1.
    pub step: i16,
}

/// Dates and times of day at which every field has one of its values. Temporal's `StructuredCalendarSpec`: when nothing is said,
/// at midnight, every day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// 0 to 59.
    pub second: Vec<Range>,
    /// 0 to 59.
    pub minute: Vec<Range>,
    /// 0 to 23.
    pub hour: Vec<Range>,
    /// 1 to 31.
    pub day_of_month: Vec<Range>,
    /// 1 to 12.
    pub month: Vec<Range>,
    /// Any when empty.
    pub year: Vec<Range>,
    /// 0 to 6, Sunday is 0.
    pub day_of_week: Vec<Range>,
}

/// What is before and behind it belongs to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
    All,
}

impl Range {
    /// From `start` to `end`, in steps.
    #[must_use]
    pub fn new(start: i16, end: i16, step: i16) -> Self {
        Self { start, end, step }
    }

    fn has(self, value: i16) -> bool {
        (self.start..=self.end).contains(&value) && (value - self.start) % self.step.max(1) == 0
    }

    fn check(self, (field, min, max): CronField) -> Result<(), SpecError> {
        match self.start >= min && self.start <= self.end && self.end <= max && self.step >= 1 {
            true => Ok(()),
            false => Err(SpecError::Range {
                field,
                min,
                max,
                start: self.start,
                end: self.end,
                step: self.step,
            }),
        }
    }
}

impl From<RangeInclusive<i16>> for Range {
    fn from(range: RangeInclusive<i16>) -> Self {
        Self::new(*range.start(), *range.end(), 1)
    }
}

impl From<i16> for Range {
    fn from(value: i16) -> Self {
        Self::new(value, value, 1)
    }
}

impl Default for Calendar {
    fn default() -> Self {
        let all = |(_, min, max): CronField| vec![Range::new(min, max, 1)];
        Self {
            second: vec![Range::from(0)],
            minute: vec![Range::from(0)],
            hour: vec![Range::from(0)],
            day_of_month: all(DAY_OF_MONTH),
            month: all(MONTH),
            year: Vec::new(),
            day_of_week: all(DAY_OF_WEEK),
        }
    }
}

impl Calendar {
    /// Midnight, every day.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At these seconds of the minute.
    #[must_use]
    pub fn seconds(mut self, range: impl Into<Range>) -> Self {
        self.second = vec![range.into()];
        self
    }

    /// At these minutes of the hour.
    #[must_use]
    pub fn minutes(mut self, range: impl Into<Range>) -> Self {
        self.minute = vec![range.into()];
        self
    }

    /// At these hours of the day.
    #[must_use]
    pub fn hours(mut self, range: impl Into<Range>) -> Self {
        self.hour = vec![range.into()];
        self
    }

    /// On these days of the month.
    #[must_use]
    pub fn days_of_month(mut self, range: impl Into<Range>) -> Self {
        self.day_of_month = vec![range.into()];
        self
    }

    /// In these months, 1 is January.
    #[must_use]
    pub fn months(mut self, range: impl Into<Range>) -> Self {
        self.month = vec![range.into()];
        self
    }

    /// In these years.
    #[must_use]
    pub fn years(mut self, range: impl Into<Range>) -> Self {
        self.year = vec![range.into()];
        self
    }

    /// On these days of the week, 0 is Sunday.
    #[must_use]
    pub fn days_of_week(mut self, range: impl Into<Range>) -> Self {
        self.day_of_week = vec![range.into()];
        self
    }

    /// A field by its name, as a cron expression writes it: `"9-17/2"`, `"MON-FRI"`, `"*"`. Temporal's names (`dayOfWeek`) do, too.
    ///
    /// ```
    /// use amends::schedule::Calendar;
    ///
    /// let work_days_at_nine = Calendar::new().field("hour", "9")?.field("dayOfWeek", "MON-FRI")?;
    /// assert_eq!(work_days_at_nine, Calendar::new().hours(9).days_of_week(1..=5));
    /// # Ok::<(), amends::schedule::SpecError>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such field, or the text is none.
    pub fn field(mut self, name: &str, text: &str) -> Result<Self, SpecError> {
        let wrong = |reason: String| SpecError::Cron {
            text: text.to_owned(),
            reason,
        };
        let (field, place) = match name {
            "second" => (SECOND, &mut self.second),
            "minute" => (MINUTE, &mut self.minute),
            "hour" => (HOUR, &mut self.hour),
            "day_of_month" | "dayOfMonth" => (DAY_OF_MONTH, &mut self.day_of_month),
            "month" => (MONTH, &mut self.month),
            "year" => (YEAR, &mut self.year),
            "day_of_week" | "dayOfWeek" => (DAY_OF_WEEK, &mut self.day_of_week),
            other => {
                return Err(wrong(format!(
                    "a calendar has no field {other:?}; it has second, minute, hour, dayOfMonth, month, year, dayOfWeek"
                )));
            }
        };
        let values = CronValues::read(text, field).map_err(wrong)?;
        // Any year is none in particular.
        *place = match field == YEAR && values.is_any {
            true => Vec::new(),
            false => ranges(values),
        };
        Ok(self)
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        let fields = [
            (&self.second, SECOND),
            (&self.minute, MINUTE),
            (&self.hour, HOUR),
            (&self.day_of_month, DAY_OF_MONTH),
            (&self.month, MONTH),
            (&self.year, YEAR),
            (&self.day_of_week, DAY_OF_WEEK),
        ];
        let mut ranges = fields
            .into_iter()
            .flat_map(|(ranges, field)| ranges.iter().map(move |range| (range, field)));
        ranges.try_for_each(|(range, field)| range.check(field))
    }

    pub(super) fn has_year(&self, year: i16) -> bool {
        self.year.is_empty() || has(&self.year, year)
    }

    pub(super) fn has_month(&self, month: i8) -> bool {
        has(&self.month, month.into())
    }

    pub(super) fn has_day(&self, day_of_month: i8, day_of_week: i8) -> bool {
        has(&self.day_of_month, day_of_month.into()) && has(&self.day_of_week, day_of_week.into())
    }

    pub(super) fn has_time(&self, (hour, minute, second): (i8, i8, i8)) -> bool {
        has(&self.hour, hour.into()) && has(&self.minute, minute.into()) && has(&self.second, second.into())
    }

    /// What it has as a whole, when it has a second of it.
    pub(super) fn stretch(&self) -> Stretch {
        let is_whole = |ranges: &[Range], (_, min, max): CronField| (min..=max).all(|value| has(ranges, value));
        let parts = [
            (is_whole(&self.second, SECOND), Stretch::Second),
            (is_whole(&self.minute, MINUTE), Stretch::Minute),
            (is_whole(&self.hour, HOUR), Stretch::Hour),
            (is_whole(&self.day_of_month, DAY_OF_MONTH), Stretch::Day),
            (is_whole(&self.day_of_week, DAY_OF_WEEK), Stretch::Day),
            (is_whole(&self.month, MONTH), Stretch::Month),
            (self.year.is_empty(), Stretch::Year),
        ];
        let first = parts.into_iter().find(|(is_whole, _)| !is_whole);
        first.map_or(Stretch::All, |(_, stretch)| stretch)
    }

    /// The first time of day (hour, minute, second) that is not before this one.
    pub(super) fn time_from(&self, (hour, minute, second): (i8, i8, i8)) -> Option<(i8, i8, i8)> {
        let values = |ranges, from: i8, to: i8| (from..=to).filter(move |value| has(ranges, (*value).into()));
        for h in values(&self.hour, hour, 23) {
            let first_minute = if h == hour { minute } else { 0 };
            for m in values(&self.minute, first_minute, 59) {
                let first_second = if (h, m) == (hour, minute) { second } else { 0 };
                if let Some(s) = values(&self.second, first_second, 59).next() {
                    return Some((h, m, s));
                }
            }
        }
        None
    }
}

fn has(ranges: &[Range], value: i16) -> bool {
    ranges.iter().any(|range| range.has(value))
}
