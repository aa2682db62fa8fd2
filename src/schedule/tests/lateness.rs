//! Times whose actions are late by jitter, in schedules that something happens to in between. Must not live here: how late they are
//! (`tests`).

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn jittered(overlap: OverlapPolicy) -> Schedule {
    Schedule {
        overlap,
        ..Schedule::new(cron("@hourly").jitter(HOUR / 2))
    }
}

fn actual(nominal: Timestamp) -> Timestamp {
    let times = jittered(OverlapPolicy::Skip).spec.times().unwrap();
    times.with_jitter(nominal, "report")
}

/// A full hour, whose action comes more than ten minutes later.
fn late_hour() -> Timestamp {
    let mut hours = (9..24_u32).map(|hour| at("2026-01-01T00:00:00Z").after(HOUR * hour));
    hours.find(|hour| actual(*hour).since(*hour) > MINUTE * 10).unwrap()
}

fn before(time: Timestamp, duration: Duration) -> Timestamp {
    Timestamp::from_micros(time.as_micros() - i64::try_from(duration.as_micros()).unwrap())
}

/// A schedule whose run of the hour before the late one has been started.
fn running(overlap: OverlapPolicy) -> (ScheduleState, String) {
    let created = before(late_hour(), HOUR + MINUTE);
    let mut state = ScheduleState::new("report", jittered(overlap), created).unwrap();
    let wake = state.wake().unwrap();
    assert_eq!(wake, actual(before(late_hour(), HOUR)));
    assert_eq!(state.advance(wake).unwrap().len(), 1);
    let running = state.running().unwrap_or_default().to_owned();
    (state, running)
}

#[test]
fn the_end_of_a_run_takes_nothing_from_a_time_whose_action_is_still_to_come() {
    let (late, meanwhile) = (late_hour(), late_hour().after(MINUTE));
    let (mut skips, run) = running(OverlapPolicy::Skip);
    assert_eq!(skips.wake(), None);
    assert_eq!(skips.ended(&run, Ended::Well, meanwhile).unwrap(), []);
    assert_eq!(skips.wake(), Some(actual(late)));
    assert_eq!(skips.advance(actual(late)).unwrap().len(), 1);
    assert_eq!(skips.counts(), (2, 0, 0));

    let (mut buffers, run) = running(OverlapPolicy::BufferOne);
    assert_eq!(buffers.trigger(None, meanwhile), []);
    assert_eq!(buffers.ended(&run, Ended::Well, meanwhile).unwrap().len(), 1);
    assert_eq!(buffers.wake(), Some(actual(late)));

    // Whose action was due while the other one was running is left out.
    let (mut late_end, run) = running(OverlapPolicy::Skip);
    let end = actual(late).after(Duration::from_secs(1));
    assert_eq!(late_end.ended(&run, Ended::Well, end).unwrap(), []);
    assert_eq!(late_end.counts(), (1, 1, 0));
    assert_eq!(late_end.wake(), Some(actual(late.after(HOUR))));
}

#[test]
fn what_people_change_takes_nothing_from_a_time_whose_action_is_still_to_come_and_repeats_none() {
    let (late, meanwhile) = (late_hour(), late_hour().after(MINUTE));
    let all = || jittered(OverlapPolicy::AllowAll);
    let next = actual(late.after(HOUR));
    for change in ["unpause", "update", "rename"] {
        let make = |state: &mut ScheduleState, now| match change {
            "unpause" => {
                state.pause("holidays");
                state.unpause("back", now);
            }
            "update" => state.update(None, all(), now).unwrap(),
            _ => state.update(Some("other".to_owned()), all(), now).unwrap(),
        };
        let (mut state, _) = running(OverlapPolicy::AllowAll);
        if change != "rename" {
            make(&mut state, meanwhile);
            assert_eq!(state.wake(), Some(actual(late)), "{change}");
            assert_eq!(state.upcoming(meanwhile, 2), [actual(late), next], "{change}");
        }
        assert_eq!(state.advance(actual(late)).unwrap().len(), 1);
        // Done is done, however late it would be by another name.
        make(&mut state, actual(late));
        assert_eq!(state.advance(before(late.after(HOUR), MINUTE)).unwrap(), [], "{change}");
        assert!(state.wake() >= Some(late.after(HOUR)), "{change}");
    }
    // What was due during a pause is over.
    let (mut state, _) = running(OverlapPolicy::AllowAll);
    state.pause("holidays");
    state.unpause("back", actual(late).after(MINUTE));
    assert_eq!(state.wake(), Some(next));
}

#[test]
fn many_times_within_a_long_jitter_are_not_walked_through() {
    let spec = ScheduleSpec::new().every(Duration::from_secs(1)).jitter(DAY * 3_650);
    let (now, times) = (at("2036-01-01T00:00:00.000001Z"), spec.times().unwrap());
    let mut state = state(Schedule::new(spec), "2026-01-01T00:00:00Z");
    state.pause("holidays");
    state.unpause("back", now);
    let coming = times.with_jitter(at("2036-01-01T00:00:00Z"), "report");
    assert!(coming > now, "{coming}");
    assert_eq!(state.wake(), Some(coming));
}
