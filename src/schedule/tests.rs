//! The times of specifications as tables. Must not live here: starting runs.

use std::time::Duration;

use super::*;
use crate::model::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

/// A time as a person writes it.
fn at(text: &str) -> Timestamp {
    let time = text.parse::<jiff::Timestamp>().unwrap();
    Timestamp::from_micros(time.as_microsecond())
}

fn show(time: Timestamp) -> String {
    let text = time.to_string();
    text.replace(".000000Z", "Z")
}

fn next(spec: &ScheduleSpec, after: &str, count: usize) -> Vec<String> {
    let times = spec.times().unwrap();
    let times = std::iter::successors(times.after(at(after)), |time| times.after(*time));
    times.take(count).map(show).collect()
}

fn cron(expression: &str) -> ScheduleSpec {
    ScheduleSpec::new().cron(expression).unwrap()
}

#[test]
fn cron_expressions_mean_what_temporal_says() {
    let from = "2026-01-30T10:20:30Z"; // A Friday.
    for (expression, expected) in [
        ("0 12 * * *", &["2026-01-30T12:00:00Z", "2026-01-31T12:00:00Z"][..]),
        ("*/15 * * * *", &["2026-01-30T10:30:00Z", "2026-01-30T10:45:00Z"]),
        (
            "5/20 10 * * *",
            &["2026-01-30T10:25:00Z", "2026-01-30T10:45:00Z", "2026-01-31T10:05:00Z"],
        ),
        ("0 9 * * MON-FRI", &["2026-02-02T09:00:00Z", "2026-02-03T09:00:00Z"]),
        ("0 0 * * 7", &["2026-02-01T00:00:00Z", "2026-02-08T00:00:00Z"]),
        (
            "0 0 * * 6-7",
            &["2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-07T00:00:00Z"],
        ),
        ("0 0 29 feb *", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        // Both days must fit: a Friday that is a thirteenth.
        (
            "0 0 13 * fri",
            &["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"],
        ),
        ("30 6 1,15 * *", &["2026-02-01T06:30:00Z", "2026-02-15T06:30:00Z"]),
        ("0 0 1 1 * 2030", &["2030-01-01T00:00:00Z"]),
        ("*/30 * * * * * *", &["2026-01-30T10:21:00Z", "2026-01-30T10:21:30Z"]),
        ("@hourly", &["2026-01-30T11:00:00Z"]),
        ("@daily", &["2026-01-31T00:00:00Z"]),
        ("@weekly", &["2026-02-01T00:00:00Z"]),
        ("@monthly", &["2026-02-01T00:00:00Z"]),
        ("@yearly # a comment", &["2027-01-01T00:00:00Z"]),
        ("@every 90m", &["2026-01-30T10:30:00Z", "2026-01-30T12:00:00Z"]),
        ("@every 1d/8h", &["2026-01-31T08:00:00Z"]),
        ("CRON_TZ=America/New_York 0 9 * * *", &["2026-01-30T14:00:00Z"]),
    ] {
        assert_eq!(next(&cron(expression), from, expected.len()), expected, "{expression}");
    }
    assert!(next(&cron("0 0 1 1 * 2020"), from, 1).is_empty());
    assert!(next(&cron("0 0 31 feb *"), from, 1).is_empty());
}

#[test]
fn mistakes_are_named() {
    for (expression, expected) in [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("60 * * * *", "\"60\" is no minute: they go from 0 to 59"),
        ("0 24 * * *", "is no hour"),
        ("0 0 0 * *", "is no day of month"),
        ("0 0 * foo *", "\"foo\" is no month"),
        ("5-1 * * * *", "is no minute"),
        ("*/0 * * * *", "is no minute"),
        ("é * * * *", "is no minute"),
        ("@every 5x", "is no duration"),
        ("@every é", "is no duration"),
        ("@often", "1 fields"),
        ("TZ=Europe/Berlin", "no times behind it"),
    ] {
        let error = ScheduleSpec::new().cron(expression).unwrap_err().to_string();
        assert!(error.contains(expected), "{expression}: {error}");
    }
    let wrong = |spec: ScheduleSpec| spec.times().map(drop).unwrap_err().to_string();
    assert!(wrong(cron("0 0 * * *").time_zone("Berlin")).contains("Europe/Berlin"));
    assert!(wrong(ScheduleSpec::new().every(Duration::from_millis(10))).contains("at least a second"));
    assert!(wrong(ScheduleSpec::new().every_from(HOUR, HOUR)).contains("phase"));
    assert!(wrong(ScheduleSpec::new().calendar(Calendar::new().months(13))).contains("month goes from 1 to 12"));
    let two = cron("TZ=Europe/Berlin 0 0 * * *")
        .cron("TZ=Asia/Tokyo 0 0 * * *")
        .unwrap_err();
    assert_eq!(
        two,
        SpecError::TimeZones("Europe/Berlin".to_owned(), "Asia/Tokyo".to_owned())
    );
}

#[test]
fn clocks_that_are_put_forward_skip_and_clocks_that_are_put_back_do_not_repeat() {
    let berlin = |expression| cron(expression).time_zone("Europe/Berlin");
    // 29 March 2026: from 02:00 to 03:00. There is no half past two that day.
    assert_eq!(
        next(&berlin("30 2 * * *"), "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
    );
    // 25 October 2026: from 03:00 back to 02:00. Half past two comes twice, and counts once.
    assert_eq!(
        next(&berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // Asked for in the hour that is repeated, for the second time.
    assert_eq!(
        next(&berlin("30 2 * * *"), "2026-10-25T01:10:00Z", 1),
        ["2026-10-26T01:30:00Z"]
    );
    // Noon is noon, whatever the clocks do; an interval does not care.
    assert_eq!(
        next(&berlin("0 12 * * *"), "2026-03-28T00:00:00Z", 2),
        ["2026-03-28T11:00:00Z", "2026-03-29T10:00:00Z"]
    );
    assert_eq!(
        next(
            &ScheduleSpec::new().every(DAY).time_zone("Europe/Berlin"),
            "2026-03-28T01:00:00Z",
            2
        ),
        ["2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"]
    );
}

#[test]
fn several_times_exclusions_and_a_beginning_and_an_end() {
    let spec = ScheduleSpec::new()
        .calendar(Calendar::new().hours(9..=11))
        .every_from(DAY, HOUR * 10 + Duration::from_secs(1_800))
        .exclude(Calendar::new().hours(10))
        .exclude(
            Calendar::new()
                .hours(0..=23)
                .minutes(Range::new(0, 59, 1))
                .days_of_month(2),
        )
        .starting_at(at("2026-01-01T10:00:00Z"))
        .ending_at(at("2026-01-03T10:30:00Z"));
    assert_eq!(
        next(&spec, "2025-01-01T00:00:00Z", 10),
        [
            "2026-01-01T10:30:00Z",
            "2026-01-01T11:00:00Z",
            "2026-01-03T09:00:00Z",
            "2026-01-03T10:30:00Z"
        ]
    );
    // Both ends belong to it.
    let spec = ScheduleSpec::new().every(HOUR).starting_at(at("2026-01-01T10:00:00Z"));
    assert_eq!(next(&spec, "2025-01-01T00:00:00Z", 1), ["2026-01-01T10:00:00Z"]);
    // What excludes everything ends, too.
    let nothing = Calendar::new().hours(0..=23).minutes(0..=59).seconds(0..=59);
    let spec = ScheduleSpec::new().every(HOUR).exclude(nothing);
    assert!(next(&spec, "2026-01-01T00:00:00Z", 1).is_empty());
}

#[test]
fn jitter_is_always_the_same_and_never_reaches_the_next_time() {
    let spec = ScheduleSpec::new().every(HOUR).jitter(DAY);
    let times = spec.times().unwrap();
    let mut late = Vec::new();
    for hour in 0..200_u32 {
        let time = at("2026-01-01T00:00:00Z").after(HOUR * hour);
        let actual = times.with_jitter(time, "report");
        assert_eq!(actual, times.with_jitter(time, "report"));
        assert!(time <= actual && actual < time.after(HOUR), "{actual}");
        late.push(actual.since(time));
    }
    let early = late.iter().filter(|late| **late < HOUR / 2).count();
    assert!((60..140).contains(&early), "{early} of 200 in the first half");
    let other = times.with_jitter(at("2026-01-01T00:00:00Z"), "another");
    assert_ne!(other.since(at("2026-01-01T00:00:00Z")), late[0]);
    assert_eq!(
        cron("@hourly")
            .times()
            .unwrap()
            .with_jitter(at("2026-01-01T00:00:00Z"), "x"),
        at("2026-01-01T00:00:00Z")
    );
}

#[test]
fn a_month_of_work_days_and_a_specification_as_a_value() {
    let spec = cron("0 9 * * MON-FRI")
        .time_zone("Europe/Berlin")
        .ending_at(at("2026-01-31T00:00:00Z"));
    let days = next(&spec, "2026-01-01T00:00:00Z", 100);
    assert_eq!(days.len(), 22);
    assert_eq!(
        (&*days[0], &*days[21]),
        ("2026-01-01T08:00:00Z", "2026-01-30T08:00:00Z")
    );
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ScheduleSpec>(&text).unwrap(), spec);
}
