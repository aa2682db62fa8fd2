//! What the times have asked for, and is not to be started any more. Must not live here: what waits for another run (`tests`).

use super::*;

fn leave_out(state: &mut ScheduleState, steps: Vec<Step>, now: Timestamp) -> Vec<Step> {
    let next = steps.into_iter().flat_map(|step| match step {
        Step::Start { due, watched } => state.leave_out(&due, watched, now).unwrap(),
        other => panic!("{other:?}"),
    });
    next.collect()
}

#[test]
fn starts_that_are_left_out_were_not_made_and_use_up_no_limit() {
    let schedule = |overlap| Schedule {
        overlap,
        remaining: Some(5),
        ..Schedule::new(cron("@hourly"))
    };
    let now = at("2026-01-01T05:00:00Z");
    let mut all = state(schedule(OverlapPolicy::AllowAll), "2026-01-01T00:10:00Z");
    let mut steps = all.advance(now).unwrap();
    assert_eq!((steps.len(), all.schedule().remaining), (5, Some(0)));
    all.pause("holidays");
    assert_eq!(leave_out(&mut all, steps.split_off(2), now), []);
    assert_eq!((all.counts(), all.schedule().remaining), ((2, 3, 0), Some(3)));
    let recent: Vec<_> = all.recent().map(|recent| recent.nominal).collect();
    assert_eq!(recent, [at("2026-01-01T01:00:00Z"), at("2026-01-01T02:00:00Z")]);
    // Numbers go on from where they were.
    assert_eq!(short(all.trigger(None, now)), "*01T05-6");

    // What others wait for has not begun: they need not wait, if a person wants them.
    let mut one = state(schedule(OverlapPolicy::BufferAll), "2026-01-01T00:10:00Z");
    let steps = one.advance(now).unwrap();
    assert_eq!(one.trigger(None, now), []);
    one.pause("holidays");
    assert_eq!(short(leave_out(&mut one, steps, now)), "+01T05-6");
    assert_eq!((one.waiting(), one.counts()), (0, (1, 5, 0)));
    assert_eq!(one.schedule().remaining, Some(5));
}
