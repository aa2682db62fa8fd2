//! Times at which nothing happens: long stretches of them, and clocks that are put forward and back. Must not live here: other times
//! (`tests`).

use super::*;

fn whole_days() -> Calendar {
    Calendar::new().hours(0..=23).minutes(0..=59).seconds(0..=59)
}

#[test]
fn exclusions_may_be_long() {
    let from = "2026-01-30T23:59:45Z"; // A Friday.
    let often = |exclude| ScheduleSpec::new().every(Duration::from_secs(10)).exclude(exclude);
    let berlin = |exclude| often(exclude).time_zone("Europe/Berlin");
    let weekends = || whole_days().days_of_week(Range::new(0, 6, 6));
    let may = Calendar {
        month: vec![Range::new(1, 4, 1), Range::new(6, 12, 1)],
        ..whole_days()
    };
    for (spec, expected) in [
        (often(weekends()), ["2026-01-30T23:59:50Z", "2026-02-02T00:00:00Z"]),
        (berlin(weekends()), ["2026-02-01T23:00:00Z", "2026-02-01T23:00:10Z"]),
        (often(may), ["2026-05-01T00:00:00Z", "2026-05-01T00:00:10Z"]),
        (
            often(whole_days().years(2026..=2030)),
            ["2031-01-01T00:00:00Z", "2031-01-01T00:00:10Z"],
        ),
        (
            often(Calendar::new().hours(0..=9).minutes(0..=59).seconds(0..=59)),
            ["2026-01-30T23:59:50Z", "2026-01-31T10:00:00Z"],
        ),
        (
            often(
                Calendar::new()
                    .hours(0..=23)
                    .minutes(Range::new(1, 59, 2))
                    .seconds(5..=59),
            ),
            ["2026-01-31T00:00:00Z", "2026-01-31T00:00:10Z"],
        ),
    ] {
        assert_eq!(next(&spec, from, 2), expected, "{:?}", spec.exclude);
    }
    let always = often(whole_days());
    assert!(next(&always, from, 1).is_empty());
}

#[test]
fn an_exclusion_is_what_the_clock_on_the_wall_shows() {
    // 25 October 2026: from 03:00 back to 02:00, in Berlin.
    let hour = Calendar::new().hours(2).minutes(0..=59);
    let spec = ScheduleSpec::new().every(HOUR).exclude(hour).time_zone("Europe/Berlin");
    assert_eq!(
        next(&spec, "2026-10-24T22:30:00Z", 2),
        ["2026-10-24T23:00:00Z", "2026-10-25T02:00:00Z"]
    );
    // The clocks do not come by the beginning of the hour that is excluded in spring.
    assert_eq!(
        next(&spec, "2026-03-28T23:30:00Z", 2),
        ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"]
    );
    // A part of a second belongs to it.
    let half = Duration::from_millis(500);
    let spec = ScheduleSpec::new()
        .every_from(HOUR, half)
        .exclude(Calendar::new().hours(11));
    assert_eq!(next(&spec, "2026-01-01T10:30:00Z", 1), ["2026-01-01T12:00:00.500000Z"]);
}

#[test]
fn a_minute_of_the_hour_that_is_shown_twice_takes_no_other_minute_away() {
    // 25 October 2026: from 03:00 back to 02:00, in Berlin.
    let minute = Calendar::new().hours(0..=23).minutes(59).seconds(0..=59);
    let often = ScheduleSpec::new().every(Duration::from_secs(60)).exclude(minute);
    let spec = often.time_zone("Europe/Berlin");
    for (from, expected) in [
        ("2026-10-24T23:57:30Z", ["2026-10-24T23:58:00Z", "2026-10-25T00:00:00Z"]),
        ("2026-10-25T00:57:30Z", ["2026-10-25T00:58:00Z", "2026-10-25T01:00:00Z"]),
        ("2026-10-25T01:57:30Z", ["2026-10-25T01:58:00Z", "2026-10-25T02:00:00Z"]),
    ] {
        assert_eq!(next(&spec, from, 2), expected);
    }
}
