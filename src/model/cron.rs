//! The one reader of cron expressions. Lives here: what an expression says, field by field. Must not live here: what the fields
//! mean together, which differs (a start's schedule takes either kind of days, a calendar both: `machine::cron`, `schedule`), or
//! computing times.
//!
//! It reads what Temporal's server reads: the fields of its schedules, which are those of robfig's cron and more.

use std::time::Duration;

/// A field with its name, its smallest and its largest value.
pub(crate) type CronField = (&'static str, i16, i16);

pub(crate) const SECOND: CronField = ("second", 0, 59);
pub(crate) const MINUTE: CronField = ("minute", 0, 59);
pub(crate) const HOUR: CronField = ("hour", 0, 23);
pub(crate) const DAY_OF_MONTH: CronField = ("day of month", 1, 31);
pub(crate) const MONTH: CronField = ("month", 1, 12);
/// From the year on from which Temporal counts steps.
pub(crate) const YEAR: CronField = ("year", 2000, 9999);
pub(crate) const DAY_OF_WEEK: CronField = ("day of week", 0, 6);

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// From one value to another, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CronRange {
    pub(crate) start: i16,
    pub(crate) end: i16,
    pub(crate) step: i16,
}

/// The values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CronValues {
    pub(crate) ranges: Vec<CronRange>,
    /// It is `*` or `?`: nobody has restricted it. With a step (`*/2`) it is restricted.
    pub(crate) is_any: bool,
}

/// What the fields of an expression say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CronFields {
    /// How many were written: five, six with a year, seven with seconds, too.
    pub(crate) written: usize,
    pub(crate) second: CronValues,
    pub(crate) minute: CronValues,
    pub(crate) hour: CronValues,
    pub(crate) day_of_month: CronValues,
    pub(crate) month: CronValues,
    pub(crate) year: CronValues,
    pub(crate) day_of_week: CronValues,
}

/// When an expression is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CronTimes {
    /// By the calendar.
    Fields(Box<CronFields>),
    /// At regular distances.
    Every { interval: Duration, phase: Duration },
}

/// What an expression says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    pub(crate) times: CronTimes,
    pub(crate) time_zone: Option<String>,
}

impl Cron {
    /// Reads an expression: `CRON_TZ=Europe/Berlin 0 9 * * MON-FRI # work days`, `@daily`, `@every 90m/15m`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(expression: &str) -> Result<Self, String> {
        let text = expression.split('#').next().unwrap_or_default().trim();
        let mut prefixes = ["CRON_TZ=", "TZ="].into_iter();
        let zone = prefixes.find_map(|prefix| text.strip_prefix(prefix));
        let (time_zone, text) = match zone.map(|rest| rest.split_once(char::is_whitespace)) {
            Some(Some((zone, rest))) => (Some(zone.to_owned()), rest.trim()),
            Some(None) => return Err("a time zone, and no times behind it".to_owned()),
            None => (None, text),
        };
        let times = match text.strip_prefix("@every") {
            Some(interval) => every(interval.trim())?,
            None => CronTimes::Fields(Box::new(fields(text)?)),
        };
        Ok(Self { times, time_zone })
    }
}

fn fields(text: &str) -> Result<CronFields, String> {
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
    Ok(CronFields {
        written: fields.len(),
        second: CronValues::read(second, SECOND)?,
        minute: CronValues::read(minute, MINUTE)?,
        hour: CronValues::read(hour, HOUR)?,
        day_of_month: CronValues::read(day_of_month, DAY_OF_MONTH)?,
        month: CronValues::read(month, MONTH)?,
        year: CronValues::read(year, YEAR)?,
        day_of_week: CronValues::read(day_of_week, DAY_OF_WEEK)?,
    })
}

impl CronValues {
    /// Reads a field: `*`, `5`, `MON-FRI`, `*/15`, `10-50/20`, `5/10` (from 5 to the end), separated by commas.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str, field: CronField) -> Result<Self, String> {
        // The names of its values, and how many of their letters are enough.
        let names: (&[&str], usize) = match field.0 {
            name if name == MONTH.0 => (&MONTHS, 3),
            name if name == DAY_OF_WEEK.0 => (&DAYS, 2),
            _ => (&[], 0),
        };
        let mut values = Self {
            ranges: Vec::new(),
            is_any: false,
        };
        for part in text.split(',') {
            let (ranges, is_any) = range(part.trim(), field, names)?;
            values.ranges.extend(ranges);
            values.is_any |= is_any;
        }
        Ok(values)
    }
}

/// The values of one part, and whether that is all of them.
fn range(part: &str, field: CronField, (names, shortest): (&[&str], usize)) -> Result<(Vec<CronRange>, bool), String> {
    let (name, min, max) = field;
    let (values, step) = match part.split_once('/') {
        Some((values, step)) => (values, Some(number(step, name)?)),
        None => (part, None),
    };
    let is_star = values == "*" || values == "?";
    let value = |text: &str| match names.iter().position(|known| is_name(text, known, shortest)) {
        Some(place) => Ok(min.saturating_add(i16::try_from(place).unwrap_or(0))),
        None => number(text, name),
    };
    let (start, end) = match values.split_once('-') {
        _ if is_star => (min, max),
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
    let mut ranges = Vec::new();
    if start <= max {
        let end = end.min(max);
        ranges.push(CronRange { start, end, step });
    }
    // `5-7` is Friday, Saturday and Sunday, which is 0.
    if sunday_is_seven && (end - start) % step == 0 {
        ranges.push(CronRange {
            start: 0,
            end: 0,
            step: 1,
        });
    }
    Ok((ranges, is_star && step == 1))
}

/// `MAR`, `sept` and `march`, `tu` and `Tues`: so many letters say which, and there may be more of them.
fn is_name(text: &str, known: &str, shortest: usize) -> bool {
    let text = text.to_ascii_lowercase();
    text.len() >= shortest && known.starts_with(&text)
}

/// Digits only: no sign.
fn number(text: &str, field: &str) -> Result<i16, String> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("{text:?} is no {field}"))
}

fn every(text: &str) -> Result<CronTimes, String> {
    let (interval, phase) = match text.split_once('/') {
        Some((interval, phase)) => (cron_duration(interval)?, cron_duration(phase)?),
        None => (cron_duration(text)?, Duration::ZERO),
    };
    Ok(CronTimes::Every { interval, phase })
}

/// `90s`, `15m`, `1h30m`, `1.5h`, `1d`: as Go writes durations, and days.
///
/// # Errors
/// When it is none.
pub(crate) fn cron_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write a number with s, m, h or d");
    let mut micros = 0_u128;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at_checked(unit_at).ok_or_else(wrong)?;
        let next_at = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(next_at).ok_or_else(wrong)?;
        let unit = match unit {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return Err(wrong()),
        };
        micros = micros
            .checked_add(so_many(number, unit).ok_or_else(wrong)?)
            .ok_or_else(wrong)?;
        rest = after;
    }
    u64::try_from(micros).map(Duration::from_micros).map_err(|_| wrong())
}

/// A number, perhaps with a fraction, of a unit of so many microseconds.
fn so_many(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| match text {
        "" => Some(0),
        text => text.parse::<u128>().ok(),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let places = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = digits(fraction)?.checked_mul(unit)?.checked_div(places)?;
    digits(whole)?.checked_mul(unit)?.checked_add(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of a field, one by one.
    fn values(text: &str, field: CronField) -> Vec<i16> {
        let read = CronValues::read(text, field).unwrap();
        let all = |range: &CronRange| {
            let step = usize::try_from(range.step).unwrap();
            (range.start..=range.end).step_by(step).collect::<Vec<_>>()
        };
        read.ranges.iter().flat_map(all).collect()
    }

    #[test]
    fn fields_are_read_with_names_ranges_lists_and_steps() {
        for (text, field, expected) in [
            ("5", MINUTE, vec![5]),
            ("*/20", MINUTE, vec![0, 20, 40]),
            ("10-50/20", MINUTE, vec![10, 30, 50]),
            ("50/5", MINUTE, vec![50, 55]),
            ("1,3-4", HOUR, vec![1, 3, 4]),
            ("?", DAY_OF_WEEK, vec![0, 1, 2, 3, 4, 5, 6]),
            ("MON-wednesday", DAY_OF_WEEK, vec![1, 2, 3]),
            ("7", DAY_OF_WEEK, vec![0]),
            ("5-7", DAY_OF_WEEK, vec![5, 6, 0]),
            ("feb,June,SEPT", MONTH, vec![2, 6, 9]),
            ("tu,Thurs-sat", DAY_OF_WEEK, vec![2, 4, 5, 6]),
        ] {
            assert_eq!(values(text, field), expected, "{text}");
        }
        for text in ["", "+1", "-1", "60", "5-1", "*/0", "1/x", "é"] {
            assert!(CronValues::read(text, MINUTE).is_err(), "{text}");
        }
        for text in ["ju", "mayo", "junes", ""] {
            assert!(CronValues::read(text, MONTH).is_err(), "{text}");
        }
        assert!(CronValues::read("s", DAY_OF_WEEK).is_err() && CronValues::read("sunn", DAY_OF_WEEK).is_err());
    }

    #[test]
    fn a_field_is_restricted_unless_it_is_a_star_without_a_step() {
        let is_any = |text: &str| CronValues::read(text, DAY_OF_MONTH).unwrap().is_any;
        assert!(is_any("*") && is_any("?") && is_any("*/1") && is_any("1,*"));
        assert!(!is_any("*/2") && !is_any("1-31") && !is_any("1"));
    }

    #[test]
    fn durations_have_units() {
        let millis = |text: &str| cron_duration(text).map(|duration| duration.as_millis()).ok();
        for (text, expected) in [
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1.5h", 5_400_000),
            (".5m", 30_000),
            ("1500ms", 1_500),
            ("1m500ms", 60_500),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        let long = "99999999999999999999s";
        for text in ["", "5", "5x", "h", "1h30", "é", ".h", "1.2.3h", "1 h", "-1h", long] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
