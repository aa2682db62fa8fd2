//! Points in time as data. Lives here: arithmetic and text form. Must not live here: reading any clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, as recorded in the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z, also used for "as soon as possible".
    pub const EPOCH: Timestamp = Timestamp(0);
    /// Later than everything; saturating arithmetic ends here.
    pub const FOREVER: Timestamp = Timestamp(i64::MAX);

    /// The point so many microseconds after 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The system's notion of time, converted; times before 1970 become 1970.
    #[must_use]
    pub fn from_system(time: SystemTime) -> Self {
        let micros = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        Self(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339 with its zone: `2026-01-31T12:00:00Z`, `2026-01-31T14:00:00.5+02:00`. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: toml::value::Datetime = text.parse().ok()?;
        let (date, time) = (parsed.date?, parsed.time?);
        let offset_minutes = match parsed.offset? {
            toml::value::Offset::Z => 0,
            toml::value::Offset::Custom { minutes } => i64::from(minutes),
        };
        let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
        let minutes = (days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - offset_minutes;
        let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
        Some(Self(
            seconds * 1_000_000 + i64::from(time.nanosecond.unwrap_or(0)) / 1_000,
        ))
    }

    /// This much later; ends at [`Timestamp::FOREVER`] instead of overflowing.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The time from `earlier` to here; zero if `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// Days of the Gregorian calendar, counted in 400-year eras that begin in March, so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds: `2026-01-31T12:00:00.000000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // humantime can write years up to 9999; a later "time" is a saturated deadline, not a date.
        const YEAR_9999_END: i64 = 253_402_300_799_999_999;
        let micros = u64::try_from(self.0.clamp(0, YEAR_9999_END)).unwrap_or(0);
        let time = UNIX_EPOCH + Duration::from_micros(micros);
        humantime::format_rfc3339_micros(time).fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_zones_count() {
        let t = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(Timestamp::parse(&t.to_string()), Some(t));
        let read = |text: &str| Timestamp::parse(text).map(|time| time.to_string());
        let utc = Some("2026-01-31T12:00:00.500000Z".to_owned());
        assert_eq!(read("2026-01-31T14:00:00.5+02:00"), utc);
        assert_eq!(
            (read("2026-01-31"), read("2026-01-31T12:00:00"), read("noon")),
            (None, None, None)
        );
    }

    #[test]
    fn arithmetic_saturates_and_text_is_rfc_3339() {
        let t = Timestamp::from_micros(1_700_000_000_000_000);
        assert_eq!(t.to_string(), "2023-11-14T22:13:20.000000Z");
        assert_eq!(t.after(Duration::MAX), Timestamp::FOREVER);
        assert_eq!(t.since(t.after(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(t.after(Duration::from_millis(5)).since(t), Duration::from_millis(5));
        assert_eq!(Timestamp::FOREVER.to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
