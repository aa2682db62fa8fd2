//! Clocks that are put forward and back. Must not live here: other times (`tests`), times at which nothing happens (`exclusions`).

use super::*;

#[test]
fn what_clocks_skip_does_not_happen_and_what_they_repeat_happens_twice() {
    let berlin = |expression| cron(expression).time_zone("Europe/Berlin");
    // 29 March 2026: from 02:00 to 03:00. There is no half past two that day.
    assert_eq!(
        next(&berlin("30 2 * * *"), "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
    );
    // 25 October 2026: from 03:00 back to 02:00. Half past two comes twice.
    assert_eq!(
        next(&berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 3),
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // Asked for in the hour that is repeated, for the first time, for the second time, and at its very end.
    for (from, expected) in [
        ("2026-10-25T00:59:59Z", "2026-10-25T01:30:00Z"),
        ("2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        ("2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"),
        ("2026-10-25T01:59:59Z", "2026-10-26T01:30:00Z"),
    ] {
        assert_eq!(next(&berlin("30 2 * * *"), from, 1), [expected], "{from}");
    }
    // What is due every half hour is due every half hour.
    assert_eq!(
        next(&berlin("*/30 * * * *"), "2026-10-24T23:59:00Z", 5),
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z"
        ]
    );
    // The clocks of Lord Howe are put back by half an hour, those of Beirut at midnight, to the day before.
    assert_eq!(
        next(
            &cron("45 1 * * *").time_zone("Australia/Lord_Howe"),
            "2026-04-04T12:00:00Z",
            2
        ),
        ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"]
    );
    assert_eq!(
        next(
            &cron("30 23 24 10 *").time_zone("Asia/Beirut"),
            "2026-10-24T12:00:00Z",
            2
        ),
        ["2026-10-24T20:30:00Z", "2026-10-24T21:30:00Z"]
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
