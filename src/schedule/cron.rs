//! Cron expressions, read as Temporal reads them: into calendars and intervals. Must not live here: computing times.

use std::time::Duration;

use super::calendar::{Calendar, DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MINUTE, MONTH, Range, SECOND, YEAR};
use super::spec::{Interval, SpecError};

/// What an expression says.
pub(super) struct Cron {
    pub(super) times: Times,
    pub(super) time_zone: Option<String>,
}

pub(super) enum Times {
    Calendar(Calendar),
    Interval(Interval),
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

pub(super) fn parse(expression: &str) -> Result<Cron, SpecError> {
    let wrong = |reason: String| SpecError::Cron {
        text: expression.to_owned(),
        reason,
    };
    let text = expression.split('#').next().unwrap_or_default().trim();
    let zone = ["CRON_TZ=", "TZ="]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    let (time_zone, text) = match zone.map(|rest| rest.split_once(char::is_whitespace)) {
        Some(Some((zone, rest))) => (Some(zone.to_owned()), rest.trim()),
        Some(None) => return Err(wrong("a time zone, and no times behind it".to_owned())),
        None => (None, text),
    };
    let times = match text.strip_prefix("@every") {
        Some(interval) => Times::Interval(every(interval.trim()).map_err(wrong)?),
        None => Times::Calendar(fields(text).map_err(wrong)?),
    };
    Ok(Cron { times, time_zone })
}

fn fields(text: &str) -> Result<Calendar, String> {
    let text = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => other,
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let (second, rest, year) = match fields.as_slice() {
        rest @ [_, _, _, _, _] => ("0", rest, "*"),
        [rest @ .., year] if rest.len() == 5 => ("0", rest, *year),
        [second, rest @ .., year] if rest.len() == 5 => (*second, rest, *year),
        other => return Err(format!("it has {} fields; 5, 6 or 7 are read", other.len())),
    };
    let [minute, hour, day_of_month, month, day_of_week] = rest else {
        return Err("it has too few fields".to_owned());
    };
    let year = match year {
        "*" => Vec::new(),
        year => ranges(year, YEAR, &[])?,
    };
    Ok(Calendar {
        second: ranges(second, SECOND, &[])?,
        minute: ranges(minute, MINUTE, &[])?,
        hour: ranges(hour, HOUR, &[])?,
        day_of_month: ranges(day_of_month, DAY_OF_MONTH, &[])?,
        month: ranges(month, MONTH, &MONTHS)?,
        year,
        day_of_week: ranges(day_of_week, DAY_OF_WEEK, &DAYS)?,
    })
}

/// `*`, `5`, `MON-FRI`, `*/15`, `10-50/20`, `5/10` (from 5 to the end), separated by commas.
fn ranges(text: &str, field: Field, names: &[&str]) -> Result<Vec<Range>, String> {
    let parts = text.split(',').map(|part| range(part, field, names));
    Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn range(part: &str, field: Field, names: &[&str]) -> Result<Vec<Range>, String> {
    let (name, min, max) = field;
    let (values, step) = match part.split_once('/') {
        Some((values, step)) => (values, Some(number(step, name)?)),
        None => (part, None),
    };
    let value = |text: &str| match names.iter().position(|known| text.eq_ignore_ascii_case(known)) {
        Some(place) => Ok(min.saturating_add(i16::try_from(place).unwrap_or(0))),
        None => number(text, name),
    };
    let (start, end) = match values.split_once('-') {
        _ if values == "*" || values == "?" => (min, max),
        Some((start, end)) => (value(start)?, value(end)?),
        None if step.is_some() => (value(values)?, max),
        None => (value(values)?, value(values)?),
    };
    let step = step.unwrap_or(1);
    let sunday_is_seven = name == DAY_OF_WEEK.0 && end == 7;
    let last = if sunday_is_seven { 7 } else { max };
    if step < 1 || start < min || end < start || end > last {
        return Err(format!("{part:?} is no {name}: they go from {min} to {max}"));
    }
    if !sunday_is_seven {
        return Ok(vec![Range::new(start, end, step)]);
    }
    // `5-7` is Friday, Saturday and Sunday, which is 0.
    let mut ranges = Vec::new();
    if start <= max {
        ranges.push(Range::new(start, max, step));
    }
    if (end - start) % step == 0 {
        ranges.push(Range::from(0));
    }
    Ok(ranges)
}

fn number(text: &str, field: &str) -> Result<i16, String> {
    text.parse().map_err(|_| format!("{text:?} is no {field}"))
}

fn every(text: &str) -> Result<Interval, String> {
    let (interval, phase) = match text.split_once('/') {
        Some((interval, phase)) => (duration(interval)?, duration(phase)?),
        None => (duration(text)?, Duration::ZERO),
    };
    Ok(Interval { every: interval, phase })
}

/// `90s`, `15m`, `2h`, `1d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write a number with s, m, h or d");
    let (number, unit) = text
        .char_indices()
        .last()
        .map(|(at, unit)| (&text[..at], unit))
        .ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(number.checked_mul(seconds).ok_or_else(wrong)?))
}
