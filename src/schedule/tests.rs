//! The times of specifications as tables, and schedules through whole months. Must not live here: starting runs.

mod clocks;
mod exclusions;
mod lateness;
mod left_out;

use std::time::Duration;

use super::*;
use crate::model::{Timestamp, limits};

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
    // Steps of years count from 2000, and so do leap years.
    assert_eq!(next(&cron("0 0 29 2 * */4"), from, 1), ["2028-02-29T00:00:00Z"]);
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

fn state(schedule: Schedule, now: &str) -> ScheduleState {
    ScheduleState::new("report", schedule, at(now)).unwrap()
}

/// What is to be done, in short: `+id` start and watch, `*id` only start, `~id` cancel, `!id` terminate.
fn short(steps: Vec<Step>) -> String {
    let name = |id: &str| {
        // `time-number` without the schedule's beginning.
        let (time, extra) = id
            .split_once("Z-")
            .map_or((id, None), |(time, extra)| (time, extra.split_once('-')));
        let number = extra.map(|(_, number)| format!("Z-{number}")).unwrap_or_default();
        format!("{time}{number}")
            .replace("report-", "")
            .replace("2026-01-", "")
            .replace(":00:00Z", "")
    };
    let steps = steps.into_iter().map(|step| match step {
        Step::Start { due, watched: true } => format!("+{}", name(&due.workflow_id)),
        Step::Start { due, watched: false } => format!("*{}", name(&due.workflow_id)),
        Step::Cancel(id) => format!("~{}", name(&id)),
        Step::Terminate(id) => format!("!{}", name(&id)),
    });
    steps.collect::<Vec<_>>().join(" ")
}

/// Three times, of which the first run ends only after the third; then each run that was begun ends.
#[test]
fn the_overlap_policies() {
    use OverlapPolicy as P;
    for (overlap, expected, skipped) in [
        (P::Skip, ["+01T01", "", "", ""], 2),
        (P::BufferOne, ["+01T01", "", "", "+01T02"], 1),
        (P::BufferAll, ["+01T01", "", "", "+01T02 +01T03"], 0),
        (P::CancelOther, ["+01T01", "~01T01", "", "+01T03"], 1),
        (P::TerminateOther, ["+01T01", "!01T01", "", "+01T03"], 1),
        (P::AllowAll, ["*01T01", "*01T02", "*01T03", ""], 0),
    ] {
        let schedule = Schedule {
            overlap,
            ..Schedule::new(cron("@hourly"))
        };
        let mut state = state(schedule, "2026-01-01T00:10:00Z");
        let mut seen = Vec::new();
        for hour in ["01", "02", "03"] {
            let now = at(&format!("2026-01-01T{hour}:00:00Z"));
            assert!(state.wake().is_none_or(|wake| wake == now), "{overlap:?}");
            seen.push(short(state.advance(now).unwrap()));
        }
        let mut ends = Vec::new();
        while let Some(running) = state.running().map(str::to_owned) {
            ends.extend(state.ended(&running, Ended::Well, at("2026-01-01T03:30:00Z")).unwrap());
        }
        seen.push(short(ends));
        assert_eq!(seen, expected, "{overlap:?}");
        assert_eq!(state.counts().1, skipped, "{overlap:?}");
    }
}

#[test]
fn a_month_of_work_days_starts_each_run_once() {
    let spec = cron("0 9 * * MON-FRI").time_zone("Europe/Berlin");
    let mut state = state(Schedule::new(spec), "2026-01-01T00:00:00Z");
    let mut started = Vec::new();
    while let Some(wake) = state.wake().filter(|wake| *wake < at("2026-02-01T00:00:00Z")) {
        for step in state.advance(wake).unwrap() {
            let Step::Start { due, watched: true } = step else {
                panic!("{step:?}");
            };
            assert_eq!(due.nominal, wake);
            state.ended(&due.workflow_id, Ended::Well, wake.after(HOUR)).unwrap();
            started.push(due.workflow_id);
        }
        // Written down and read again, as between two runs of its workflow.
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<ScheduleState>(&text).unwrap(), state);
    }
    assert_eq!(started.len(), 22);
    assert_eq!(
        (&*started[0], &*started[21]),
        ("report-2026-01-01T08:00:00Z", "report-2026-01-30T08:00:00Z")
    );
    assert_eq!(state.recent().count(), limits::SCHEDULE_RECENT_MAX);
    assert_eq!(state.counts(), (22, 0, 0));
}

#[test]
fn after_an_outage_what_is_not_too_old_is_caught_up_with() {
    let schedule = |overlap| Schedule {
        overlap,
        catchup_window: HOUR * 3,
        ..Schedule::new(cron("@hourly"))
    };
    let mut late = state(schedule(OverlapPolicy::AllowAll), "2026-01-01T00:10:00Z");
    let steps = late.advance(at("2026-01-01T09:30:00Z")).unwrap();
    assert_eq!(short(steps), "*01T07 *01T08 *01T09");
    assert_eq!(late.counts(), (3, 0, 6));
    let mut late = state(schedule(OverlapPolicy::BufferOne), "2026-01-01T00:10:00Z");
    assert_eq!(short(late.advance(at("2026-01-01T09:30:00Z")).unwrap()), "+01T07");
    assert_eq!((late.waiting(), late.counts()), (1, (1, 1, 6)));

    // Very long: in several bites.
    let often = Schedule::new(ScheduleSpec::new().every(Duration::from_secs(1)));
    let mut late = state(often, "2026-01-01T00:00:00Z");
    let now = at("2026-01-01T01:00:00Z");
    let mut bites = 0;
    while let Some(wake) = late.wake().filter(|wake| *wake <= now) {
        late.advance(now).unwrap();
        assert!(late.wake().is_none_or(|next| next > wake));
        bites += 1;
        if bites == 1 {
            // Nobody has to look at the others while the first one runs.
            assert_eq!(late.wake(), None);
        }
    }
    assert_eq!(
        (bites, late.counts()),
        (1, (1, limits::SCHEDULE_TIMES_AT_ONCE as u64 - 1, 0))
    );
    let running = late.running().unwrap().to_owned();
    assert_eq!(late.ended(&running, Ended::Well, now).unwrap(), []);
    assert_eq!(late.wake(), Some(now.after(Duration::from_secs(1))));
}

#[test]
fn pausing_a_failure_a_limit_and_what_people_ask_for() {
    let schedule = Schedule {
        pause_on_failure: true,
        remaining: Some(3),
        ..Schedule::new(cron("@hourly"))
    };
    let mut state = state(schedule, "2026-01-01T00:10:00Z");
    assert_eq!(short(state.advance(at("2026-01-01T01:00:00Z")).unwrap()), "+01T01");
    let failed = state.ended("report-2026-01-01T01:00:00Z", Ended::Failed, at("2026-01-01T01:10:00Z"));
    assert_eq!(failed.unwrap(), []);
    assert!(state.schedule().paused && state.schedule().note.contains("T01:00:00Z\" failed"));
    assert_eq!(state.wake(), None);
    // Paused or not, people may ask; the same time may be asked for twice.
    let now = at("2026-01-01T05:20:00Z");
    let wanted = (at("2026-01-01T02:00:00Z"), at("2026-01-01T04:00:00Z"));
    let all = Some(OverlapPolicy::AllowAll);
    assert_eq!(
        short(state.backfill(wanted, all, now).unwrap().unwrap()),
        "*01T02-2 *01T03-3 *01T04-4"
    );
    assert_eq!(
        short(state.backfill(wanted, all, now).unwrap().unwrap()),
        "*01T02-5 *01T03-6 *01T04-7"
    );
    assert_eq!(short(state.trigger(None, now)), "+01T05:20:00Z-8");
    assert_eq!(short(state.trigger(None, now)), "", "the other one is running");
    let running = state.running().unwrap().to_owned();
    assert_eq!(state.ended(&running, Ended::Well, now).unwrap(), []);
    let too_many = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    assert_eq!(state.backfill(too_many, all, now).unwrap(), None);

    // What passed while it was paused is not caught up with.
    state.unpause("mended", now);
    assert_eq!(state.wake(), Some(at("2026-01-01T06:00:00Z")));
    assert_eq!(
        state.upcoming(now, 2),
        [at("2026-01-01T06:00:00Z"), at("2026-01-01T07:00:00Z")]
    );
    assert_eq!(short(state.advance(at("2026-01-01T06:00:00Z")).unwrap()), "+01T06");
    let ended = state.ended("report-2026-01-01T06:00:00Z", Ended::Well, at("2026-01-01T06:30:00Z"));
    assert_eq!(ended.unwrap(), []);
    assert_eq!(short(state.advance(at("2026-01-01T07:00:00Z")).unwrap()), "+01T07");
    assert_eq!(state.wake(), None, "three by the times, and no more");
    let daily = Schedule::new(cron("@daily"));
    let ended = state.ended("report-2026-01-01T07:00:00Z", Ended::Well, at("2026-01-01T07:20:00Z"));
    assert_eq!((ended.unwrap(), state.wake()), (Vec::new(), None));
    state.update(None, daily, at("2026-01-01T07:30:00Z")).unwrap();
    assert_eq!(state.wake(), Some(at("2026-01-02T00:00:00Z")));
}

/// What waits was asked for by the times, too: a pause and a limit hold for it as for what comes later.
#[test]
fn what_waits_is_not_started_when_the_schedule_is_paused_or_through() {
    let schedule = |remaining| Schedule {
        overlap: OverlapPolicy::BufferAll,
        remaining,
        ..Schedule::new(cron("@hourly"))
    };
    let mut limited = state(schedule(Some(2)), "2026-01-01T00:10:00Z");
    let late = at("2026-01-01T05:00:00Z");
    assert_eq!(short(limited.advance(late).unwrap()), "+01T01");
    assert_eq!((limited.waiting(), limited.schedule().remaining), (4, Some(1)));
    let first = limited.ended("report-2026-01-01T01:00:00Z", Ended::Well, late);
    assert_eq!(short(first.unwrap()), "+01T02");
    let second = limited.ended("report-2026-01-01T02:00:00Z", Ended::Well, late);
    assert_eq!(second.unwrap(), []);
    assert_eq!((limited.waiting(), limited.counts()), (0, (2, 3, 0)));

    let mut paused = state(schedule(None), "2026-01-01T00:10:00Z");
    paused.advance(late).unwrap();
    assert_eq!(paused.trigger(None, late), []);
    paused.pause("holidays");
    let next = paused.ended("report-2026-01-01T01:00:00Z", Ended::Well, late);
    assert_eq!(
        short(next.unwrap()),
        "+01T05-6",
        "what a person asked for is started all the same"
    );
    assert_eq!((paused.waiting(), paused.counts()), (0, (2, 4, 0)));
}

#[test]
fn a_timer_that_is_a_little_late_misses_nothing_and_times_within_a_second_have_names_of_their_own() {
    let spec = ScheduleSpec::new()
        .every(Duration::from_millis(1_500))
        .every(Duration::from_secs(1));
    let schedule = Schedule {
        overlap: OverlapPolicy::AllowAll,
        catchup_window: Duration::ZERO,
        ..Schedule::new(spec)
    };
    let mut state = state(schedule, "2026-01-01T00:00:00Z");
    let steps = state.advance(at("2026-01-01T00:00:02.25Z")).unwrap();
    let started = steps.iter().map(|step| match step {
        Step::Start { due, .. } => due.workflow_id.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        started.collect::<Vec<_>>(),
        [
            "report-2026-01-01T00:00:01Z",
            "report-2026-01-01T00:00:01.500000Z",
            "report-2026-01-01T00:00:02Z"
        ]
    );
}
