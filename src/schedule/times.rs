//! The times of a specification, one after the other. The only place that names jiff, for time zones. Must not live here: what
//! time it is.
//!
//! Names and rules of time zones are those of the database that jiff brings along, not the machine's: all machines compute the
//! same times.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::model::{Timestamp, limits};

use super::calendar::{Calendar, Stretch};
use super::spec::{Interval, ScheduleSpec, SpecError};

const SECOND: i64 = 1_000_000;

/// Not jiff's own choice: that is the machine's database when another crate of the program asks jiff for it.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A specification that was checked, with its time zone.
#[derive(Clone, Debug)]
pub struct Times {
    spec: ScheduleSpec,
    zone: TimeZone,
}

impl ScheduleSpec {
    /// The times that it stands for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn times(&self) -> Result<Times, SpecError> {
        self.calendars
            .iter()
            .chain(&self.exclude)
            .try_for_each(Calendar::check)?;
        for &Interval { every, phase } in &self.intervals {
            if every < Duration::from_secs(1) || phase >= every {
                return Err(SpecError::Interval { every, phase });
            }
        }
        let zone = match &self.time_zone {
            None => TimeZone::UTC,
            Some(name) => ZONES.get(name).map_err(|_| SpecError::TimeZone(name.clone()))?,
        };
        let spec = self.clone();
        Ok(Times { spec, zone })
    }
}

impl Times {
    /// The first time after this one, without jitter. `None`: never again (as far as amends looks: some 60 years).
    #[must_use]
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let mut time = self.spec.start_at.map_or(time, |start| time.max(just_before(start)));
        for _ in 0..limits::SCHEDULE_EXCLUSIONS_MAX {
            let calendars = self
                .spec
                .calendars
                .iter()
                .filter_map(|calendar| self.of_calendar(calendar, time));
            let intervals = self
                .spec
                .intervals
                .iter()
                .filter_map(|interval| of_interval(interval, time));
            let next = calendars.chain(intervals).min()?;
            if self.spec.end_at.is_some_and(|end| next > end) {
                return None;
            }
            match self.exclusion(next) {
                None => return Some(next),
                // What shares the stretch is not looked at: a weekend of seconds would be more than anybody waits for.
                Some(end) => time = next.max(just_before(end?)),
            }
        }
        None
    }

    /// When the action of this time really happens: the same for the same schedule (`seed`) and time, always.
    #[must_use]
    pub fn with_jitter(&self, time: Timestamp, seed: &str) -> Timestamp {
        let jitter = match self.after(time) {
            Some(next) => self.spec.jitter.min(next.since(time)),
            None => self.spec.jitter,
        };
        let micros = u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX);
        if micros == 0 {
            return time;
        }
        time.after(Duration::from_micros(mixed(seed, time) % micros))
    }

    /// The time, if there is one, that has come before now (and after `after`) and whose action is still to come, by its jitter. There
    /// is at most one, the last: jitter never reaches the next time.
    pub(super) fn on_its_way(&self, (after, now): (Timestamp, Timestamp), seed: &str) -> Option<Timestamp> {
        let jitter = i64::try_from(self.spec.jitter.as_micros()).unwrap_or(i64::MAX);
        // Of what is later than `before` nothing has come; of what is later than `from`, something has. Halved, not walked through:
        // there may be many times in a long jitter.
        let mut from = after.as_micros().max(now.as_micros().saturating_sub(jitter));
        let mut before = now.as_micros();
        let has_come = |micros: i64| {
            let next = self.after(Timestamp::from_micros(micros));
            next.is_some_and(|next| next <= now)
        };
        if jitter == 0 || from >= before || !has_come(from) {
            return None;
        }
        while before - from > 1 {
            let middle = from + (before - from) / 2;
            match has_come(middle) {
                true => from = middle,
                false => before = middle,
            }
        }
        let last = Timestamp::from_micros(before);
        Some(last).filter(|last| self.with_jitter(*last, seed) > now)
    }

    /// When the stretch ends that this time is excluded with (`None` inside: never), if it is excluded. What the clock on the wall
    /// shows counts, to the second: also when it shows it twice. A stretch ends at the latest where the clock is changed, since it may
    /// show a time again there, before it shows the end.
    fn exclusion(&self, time: Timestamp) -> Option<Option<Timestamp>> {
        let local = self.local(time)?;
        let has_it = |calendar: &&Calendar| {
            let (date, day_of_week) = (local.date(), local.weekday().to_sunday_zero_offset());
            calendar.has_year(date.year())
                && calendar.has_month(date.month())
                && calendar.has_day(date.day(), day_of_week)
                && calendar.has_time((local.hour(), local.minute(), local.second()))
        };
        let calendar = self.spec.exclude.iter().find(has_it)?;
        let end = end_of_stretch(calendar.stretch(), local);
        let end = end.and_then(|end| self.zone.to_ambiguous_timestamp(end).compatible().ok());
        let moment = jiff::Timestamp::from_microsecond(time.as_micros()).ok()?;
        let change = self.zone.following(moment).next().map(|change| change.timestamp());
        let end = end.map(|end| change.map_or(end, |change| end.min(change)));
        Some(end.map(|end| Timestamp::from_micros(end.as_microsecond())))
    }

    /// What a clock on the wall shows, to the second.
    fn local(&self, time: Timestamp) -> Option<DateTime> {
        let whole = time.as_micros().div_euclid(SECOND);
        Some(self.zone.to_datetime(jiff::Timestamp::from_second(whole).ok()?))
    }

    /// Between two changes of its offset from UTC, the clock on the wall goes evenly: one such stretch is looked at after the
    /// other. What the clock skips is in none of them, what it shows twice in two: Temporal's rules.
    fn of_calendar(&self, calendar: &Calendar, after: Timestamp) -> Option<Timestamp> {
        let first = after.as_micros().div_euclid(SECOND).checked_add(1)?;
        let mut begin = jiff::Timestamp::from_second(first).ok()?;
        let last_year = self.zone.to_datetime(begin).year();
        let last_year = last_year.saturating_add(limits::SCHEDULE_YEARS_AHEAD);
        loop {
            let offset = self.zone.to_offset(begin);
            let change = self.zone.following(begin).next().map(|change| change.timestamp());
            let stretch = (
                offset.to_datetime(begin),
                change.map(|change| offset.to_datetime(change)),
            );
            if let Some(found) = next_on_the_wall(calendar, stretch, last_year) {
                let found = offset.to_timestamp(found).ok()?;
                return Some(Timestamp::from_micros(found.as_microsecond()));
            }
            begin = change.filter(|change| self.zone.to_datetime(*change).year() <= last_year)?;
        }
    }
}

pub(super) fn just_before(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros().saturating_sub(1))
}

/// When the second, the day or whatever it is ends that this time belongs to.
fn end_of_stretch(stretch: Stretch, local: DateTime) -> Option<DateTime> {
    let date = local.date();
    let later = |seconds: i64| local.checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
    let (minute, second) = (i64::from(local.minute()), i64::from(local.second()));
    match stretch {
        Stretch::Second => later(1),
        Stretch::Minute => later(60 - second),
        Stretch::Hour => later(3_600 - minute * 60 - second),
        Stretch::Day => Some(date.tomorrow().ok()?.at(0, 0, 0, 0)),
        Stretch::Month => Some(date.last_of_month().tomorrow().ok()?.at(0, 0, 0, 0)),
        Stretch::Year => Some(date.last_of_year().tomorrow().ok()?.at(0, 0, 0, 0)),
        Stretch::All => None,
    }
}

/// The first date and time of the calendar from one on, and before another.
fn next_on_the_wall(
    calendar: &Calendar,
    (from, until): (DateTime, Option<DateTime>),
    last_year: i16,
) -> Option<DateTime> {
    let mut date = from.date();
    let mut time = (from.hour(), from.minute(), from.second());
    while date.year() <= last_year && until.is_none_or(|until| date <= until.date()) {
        let next_date = if !calendar.has_year(date.year()) {
            Date::new(date.year().checked_add(1)?, 1, 1).ok()?
        } else if !calendar.has_month(date.month()) {
            date.last_of_month().tomorrow().ok()?
        } else {
            let day_of_week = date.weekday().to_sunday_zero_offset();
            if calendar.has_day(date.day(), day_of_week)
                && let Some((hour, minute, second)) = calendar.time_from(time)
            {
                let found = date.at(hour, minute, second, 0);
                return Some(found).filter(|found| until.is_none_or(|until| *found < until));
            }
            date.tomorrow().ok()?
        };
        date = next_date;
        time = (0, 0, 0);
    }
    None
}

fn of_interval(interval: &Interval, after: Timestamp) -> Option<Timestamp> {
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).ok();
    let (every, phase) = (micros(interval.every)?, micros(interval.phase)?);
    let passed = after.as_micros().checked_sub(phase)?.div_euclid(every);
    let next = passed.checked_add(1)?.checked_mul(every)?.checked_add(phase)?;
    Some(Timestamp::from_micros(next))
}

/// A number that looks like any other, and is always the same (FNV-1a, mixed once more).
fn mixed(seed: &str, time: Timestamp) -> u64 {
    let bytes = seed.bytes().chain(time.as_micros().to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}
