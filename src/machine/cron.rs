//! Cron schedules of starts: when one is due next, in UTC. Must not live here: reading the text (`model::cron`), what happens then
//! (`chain`), time zones.

use crate::model::Timestamp;
use crate::model::cron::{Cron, CronTimes, CronValues};

/// Why a text is no cron schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{schedule:?} is no cron schedule: {reason}; say minute, hour, day of month, month and day of week, as in \
     \"0 6 * * 1-5\""
)]
pub struct CronError {
    /// The text.
    pub schedule: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A cron schedule of five fields: minute, hour, day of month, month, day of week. Each is `*`, a number, a range, a list of
/// those, and may have a step (`*/5`, `8-18/2`); months and days of week have English names, too. When both days are
/// restricted, either will do, as Temporal's server and classic cron have it (`*/2` is restricted, `*` is not). `@hourly`,
/// `@daily`, `@weekly`, `@monthly` and `@yearly` stand for the beginning of each; `@every 90m` counts from when a run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronSchedule(Times);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Times {
    Fields(Fields),
    /// At this distance, in microseconds.
    Every(i64),
}

/// The values of each field as a set of bits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of days are restricted.
    either_day: bool,
}

/// The longest time between two 29ths of February (around 1900 and 2100), and a year more.
const DAYS_MAX: i64 = 9 * 366;

const SECOND_MICROS: i64 = 1_000_000;
const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
const DAY_MINUTES: i64 = 24 * 60;

impl CronSchedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// When the text is none, or one that is never due (the 30th of February).
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let error = |reason: String| CronError {
            schedule: text.to_owned(),
            reason,
        };
        let schedule = Self::read(text).map_err(error)?;
        match schedule.next(Timestamp::EPOCH, Timestamp::EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(error("it is never due".to_owned())),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let Cron { times, time_zone } = Cron::read(text)?;
        if let Some(zone) = time_zone.filter(|zone| !["UTC", "Etc/UTC"].contains(&zone.as_str())) {
            return Err(format!(
                "it is read in UTC, not in {zone}: a schedule (`Amends::schedules`) has a time zone"
            ));
        }
        let fields = match times {
            CronTimes::Fields(fields) if fields.written == 5 => fields,
            CronTimes::Fields(fields) => return Err(format!("it has {} fields instead of five", fields.written)),
            CronTimes::Every { interval, phase } => {
                // Whole seconds, as in Temporal.
                let seconds = i64::try_from(interval.as_secs()).ok();
                let micros = seconds.and_then(|seconds| seconds.checked_mul(SECOND_MICROS));
                return match micros.filter(|micros| *micros > 0) {
                    Some(_) if !phase.is_zero() => {
                        Err("an interval of runs has no phase: it counts from when one began".to_owned())
                    }
                    Some(micros) => Ok(Self(Times::Every(micros))),
                    None => Err("an interval has at least a second".to_owned()),
                };
            }
        };
        Ok(Self(Times::Fields(Fields {
            minutes: bits(&fields.minute),
            hours: bits(&fields.hour),
            days: bits(&fields.day_of_month),
            months: bits(&fields.month),
            weekdays: bits(&fields.day_of_week),
            either_day: !fields.day_of_month.is_any && !fields.day_of_week.is_any,
        })))
    }

    /// When the run is due that follows one which began at `begun` and has ended at `ended`: the first time after its beginning
    /// that did not pass while it was open; `None` when the schedule is never due again. Of a start, both are now.
    #[must_use]
    pub fn next(&self, begun: Timestamp, ended: Timestamp) -> Option<Timestamp> {
        // Times are in microseconds: after one before the end is at the end, or after it.
        let after = Timestamp::from_micros(ended.as_micros().saturating_sub(1)).max(begun);
        match &self.0 {
            Times::Fields(fields) => fields.next_after(after),
            Times::Every(micros) => {
                let passed = after.as_micros().checked_sub(begun.as_micros())?;
                let next = passed.checked_div(*micros)?.checked_add(1)?.checked_mul(*micros)?;
                begun.as_micros().checked_add(next).map(Timestamp::from_micros)
            }
        }
    }
}

impl Fields {
    fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let first = after.as_micros().div_euclid(MINUTE_MICROS).checked_add(1)?;
        let (today, mut from) = (first.div_euclid(DAY_MINUTES), first.rem_euclid(DAY_MINUTES));
        for day in today..today.checked_add(DAYS_MAX)? {
            if self.is_day(day)
                && let Some(minute) = (from..DAY_MINUTES).find(|minute| self.is_minute(*minute))
            {
                let minutes = day.checked_mul(DAY_MINUTES)?.checked_add(minute)?;
                return minutes.checked_mul(MINUTE_MICROS).map(Timestamp::from_micros);
            }
            from = 0;
        }
        None
    }

    fn is_minute(&self, of_day: i64) -> bool {
        has(self.hours, of_day / 60) && has(self.minutes, of_day % 60)
    }

    fn is_day(&self, day: i64) -> bool {
        let (month, of_month) = month_and_day(day);
        // The first day of 1970 was a Thursday.
        let (by_month, by_week) = (has(self.days, of_month), has(self.weekdays, (day + 4).rem_euclid(7)));
        let fits = match self.either_day {
            true => by_month || by_week,
            false => by_month && by_week,
        };
        fits && has(self.months, month)
    }
}

/// The month (1 to 12) and the day of the month of a day since 1970. Years are counted from March on, so that the day that not
/// all of them have is their last; four centuries have 146,097 days.
fn month_and_day(day: i64) -> (i64, i64) {
    // From the first of March of the year 0 to 1970.
    let day = (day + 719_468).rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    // Five months have 153 days, from March on as from August on.
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, of_month)
}

fn has(set: u64, number: i64) -> bool {
    u32::try_from(number).is_ok_and(|number| set.checked_shr(number).is_some_and(|bits| bits & 1 == 1))
}

/// The numbers that a field allows, as a set of bits.
fn bits(values: &CronValues) -> u64 {
    let mut set = 0;
    for range in &values.ranges {
        let steps = usize::try_from(range.step).unwrap_or(usize::MAX);
        (range.start..=range.end)
            .step_by(steps)
            .for_each(|number| set |= 1 << number);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes since 1970 of a day and a time.
    fn minutes(days: i64, hour: i64, minute: i64) -> Timestamp {
        Timestamp::from_micros((days * DAY_MINUTES + hour * 60 + minute) * MINUTE_MICROS)
    }

    fn next(schedule: &str, after: Timestamp) -> Timestamp {
        CronSchedule::parse(schedule).unwrap().next(after, after).unwrap()
    }

    // 2026-11-27, a Friday.
    const FRIDAY: i64 = 20_784;

    #[test]
    fn a_schedule_is_due_at_the_next_minute_that_fits() {
        let now = Timestamp::from_micros(minutes(FRIDAY, 6, 0).as_micros() + 1);
        assert_eq!(minutes(FRIDAY, 0, 0).to_string().split('T').next(), Some("2026-11-27"));
        for (schedule, due) in [
            ("* * * * *", minutes(FRIDAY, 6, 1)),
            ("*/5 * * * *", minutes(FRIDAY, 6, 5)),
            ("3/20 * * * *", minutes(FRIDAY, 6, 3)),
            ("0 6 * * 1-5", minutes(FRIDAY + 3, 6, 0)),
            ("0 6 * * MON,sat", minutes(FRIDAY + 1, 6, 0)),
            ("30 5,7-9/2 * * *", minutes(FRIDAY, 7, 30)),
            ("0 0 * * 7", minutes(FRIDAY + 2, 0, 0)),
            ("@hourly", minutes(FRIDAY, 7, 0)),
            ("@daily", minutes(FRIDAY + 1, 0, 0)),
            ("@monthly", minutes(FRIDAY + 4, 0, 0)),
            ("@yearly", minutes(FRIDAY + 35, 0, 0)),
            ("0 0 1 dec *", minutes(FRIDAY + 4, 0, 0)),
            // Either day will do: a Saturday, or the first.
            ("0 0 1 * 6", minutes(FRIDAY + 1, 0, 0)),
            // With a step, the days of the month are restricted: odd ones, or a Saturday.
            ("0 0 */2 * sat", minutes(FRIDAY + 1, 0, 0)),
            ("0 0 */2 * tue", minutes(FRIDAY + 2, 0, 0)),
            // Without, they are not: the day of the week alone counts.
            ("0 0 */1 * tue", minutes(FRIDAY + 4, 0, 0)),
            ("0 0 ? * tue", minutes(FRIDAY + 4, 0, 0)),
            ("CRON_TZ=UTC 0 7 * * * # in the morning", minutes(FRIDAY, 7, 0)),
            (
                "@every 1h30m",
                Timestamp::from_micros(minutes(FRIDAY, 7, 30).as_micros() + 1),
            ),
            // The next leap year.
            ("0 0 29 2 *", minutes(FRIDAY + 459, 0, 0)),
        ] {
            assert_eq!(next(schedule, now), due, "{schedule}");
        }
        assert_eq!(
            next("0 6 * * *", minutes(FRIDAY, 6, 0)),
            minutes(FRIDAY + 1, 6, 0),
            "after, not at"
        );
    }

    #[test]
    fn an_interval_counts_from_when_the_run_began() {
        let hourly = CronSchedule::parse("@every 1h").unwrap();
        let begun = minutes(FRIDAY, 6, 10);
        for (ended, due) in [
            (minutes(FRIDAY, 6, 10), minutes(FRIDAY, 7, 10)),
            (minutes(FRIDAY, 6, 40), minutes(FRIDAY, 7, 10)),
            // Times that pass while the run is open are missed, but for one at which it ends.
            (minutes(FRIDAY, 9, 0), minutes(FRIDAY, 9, 10)),
            (minutes(FRIDAY, 9, 10), minutes(FRIDAY, 9, 10)),
        ] {
            assert_eq!(hourly.next(begun, ended), Some(due));
        }
        let seconds = CronSchedule::parse("@every 2500ms").unwrap();
        let in_two_seconds = Timestamp::from_micros(begun.as_micros() + 2_000_000);
        assert_eq!(seconds.next(begun, begun), Some(in_two_seconds));
    }

    #[test]
    fn a_run_that_ends_when_the_next_is_due_is_followed_at_once() {
        let hourly = CronSchedule::parse("0 * * * *").unwrap();
        let (six, seven) = (minutes(FRIDAY, 6, 0), minutes(FRIDAY, 7, 0));
        assert_eq!(
            hourly.next(six, six),
            Some(seven),
            "not the time at which it began itself"
        );
        assert_eq!(hourly.next(six, seven), Some(seven));
        let late = Timestamp::from_micros(seven.as_micros() + 1);
        assert_eq!(hourly.next(six, late), Some(minutes(FRIDAY, 8, 0)));
        // It is told of an end before its beginning, by a clock that was put back.
        assert_eq!(hourly.next(seven, six), Some(minutes(FRIDAY, 8, 0)));
    }

    #[test]
    fn the_calendar_is_that_of_the_clock() {
        // Over a leap day, the turn of a century that has one, and one that has none.
        for first in [0, 10_990, 20_000, 47_500] {
            for day in first..first + 800 {
                let told = Timestamp::from_micros(day * DAY_MINUTES * MINUTE_MICROS).to_string();
                let (month, of_month) = month_and_day(day);
                let date = told.split('T').next().unwrap().rsplitn(3, '-').collect::<Vec<_>>();
                assert_eq!(
                    date[..2],
                    [format!("{of_month:02}"), format!("{month:02}")],
                    "day {day}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_one_looks_like() {
        for schedule in [
            "",
            "soon",
            "61 * * * *",
            "* * * *",
            "* * * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "* * 0 * *",
            "* * * 13 *",
            "+1 * * * *",
            "* * * * mon-",
            "0 0 30 2 *",
            "@never",
            "@every 0s",
            "@every 900ms",
            "@every 1h/5m",
            "CRON_TZ=Europe/Berlin 0 6 * * *",
        ] {
            let error = CronSchedule::parse(schedule).unwrap_err();
            assert!(error.to_string().contains("0 6 * * 1-5"), "{error}");
        }
    }
}
