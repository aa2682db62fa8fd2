//! `amends schedule`, from creating to deleting. Must not live here: what a schedule decides (`src/schedule`), or does in an engine
//! (`engine/schedules`).

use std::time::Duration;

use amends::engine::ScheduleAction;
use amends::schedule::{Schedule, ScheduleSpec};
use amends::{Amends, CodecContext, CodecError, Payload, PayloadCodec};
use serde_json::json;

use super::{Cli, Ended};
use crate::support::run;

const TOUCH: &str =
    "name = \"touch\"\n[[step]]\nname = \"a\"\nexec = { command = [\"touch\", \"done\"] }\ncompensation = \"none\"\n";

/// Ends when the other one has run, so that an engine is there for as long as that takes.
const HOST: &str = "name = \"host\"\n[[step]]\nname = \"a\"\n\
                    exec = { command = [\"sh\", \"-c\", \"until test -e done; do sleep 0.02; done\"] }\ncompensation = \"none\"\n";

const QUICK: &str =
    "name = \"quick\"\n[[step]]\nname = \"a\"\nexec = { command = [\"echo\", \"1\"] }\ncompensation = \"none\"\n";

/// A schedule that starts `touch`.
#[track_caller]
fn create(cli: &Cli, id: &str, options: &[&str]) -> Ended {
    cli.run(&[&["schedule", "create", id, "--type", "touch"], options].concat())
}

fn described(cli: &Cli, id: &str) -> serde_json::Value {
    let described = cli.run(&["schedule", "describe", id, "--json"]).exits(0);
    described.objects().remove(0)
}

#[test]
fn a_schedule_is_made_looked_at_paused_asked_for_runs_and_deleted() {
    let cli = Cli::new();
    let options = [
        "--interval",
        "12h/1h",
        "--calendar",
        r#"{"dayOfWeek": "Fri", "hour": "9"}"#,
        "--cron",
        "0 12 1 1 *",
        "--time-zone",
        "Europe/Berlin",
        "--input",
        "[1]",
        "--overlap-policy",
        "BufferOne",
        "--run-timeout",
        "1m",
        "--memo",
        "note=\"by night\"",
        "--notes",
        "as agreed",
    ];
    create(&cli, "tick", &options)
        .exits(0)
        .says("schedule tick is created; its next time is 20")
        .says("amends serve");
    create(&cli, "tick", &options)
        .exits(2)
        .says("there is a schedule \"tick\" already")
        .says("amends schedule delete tick");
    let tick = described(&cli, "tick");
    assert_eq!(tick["calendars"], json!(["0 12 1 1 *", "0 9 * * 5"]));
    assert_eq!(tick["intervals"], json!(["every 12h, 1h later"]));
    assert_eq!(
        (&tick["overlap_policy"], &tick["run_timeout_ms"]),
        (&json!("buffer-one"), &json!(60_000))
    );
    assert_eq!(tick["upcoming"].as_array().unwrap().len(), 10);
    cli.run(&["schedule", "describe", "tick"])
        .exits(0)
        .says("0 9 * * 5 (Europe/Berlin)")
        .says("run limit   1m")
        .says("as agreed");

    cli.run(&["schedule", "pause", "tick", "--reason", "holidays"])
        .exits(0)
        .says("tick is paused");
    cli.run(&["schedule", "list"]).exits(0).says("paused").says("holidays");
    cli.run(&["schedule", "unpause", "tick"]).exits(0);
    assert_eq!(described(&cli, "tick")["paused"], false);
    cli.run(&["schedule", "delete", "tick"])
        .exits(0)
        .says("tick is deleted");
    cli.run(&["schedule", "list"]).exits(0).says("no schedules");
    cli.run(&["schedule", "describe", "tick"])
        .exits(2)
        .says("there is no schedule \"tick\"");
    cli.run(&["schedule", "pause", "tick"])
        .exits(2)
        .says("amends schedule list");
}

#[test]
fn a_schedule_that_waits_for_an_engine_to_start_a_run_is_deleted_at_once() {
    let cli = Cli::new();
    for _ in 0..2 {
        create(&cli, "tick", &[]).exits(0);
        cli.run(&["schedule", "trigger", "tick"]).exits(0);
        cli.run(&["schedule", "delete", "tick"]).exits(0);
        cli.run(&["schedule", "list"]).exits(0).says("no schedules");
    }
    for (name, text) in [("touch.toml", TOUCH), ("quick.toml", QUICK)] {
        cli.write(name, text);
    }
    cli.run(&["run", "quick.toml", "--sagas", "touch.toml"]).exits(0);
    assert!(!cli.path("done").exists(), "what was deleted starts nothing");
    let runs = cli.run(&["list", "--json", "--query", "WorkflowType = 'touch'"]);
    assert_eq!(runs.exits(0).objects().len(), 0);
}

#[test]
fn times_that_have_passed_are_filled_up() {
    let cli = Cli::new();
    create(&cli, "tick", &["--interval", "12h/1h", "--cron", "0 11 1 1 *"]).exits(0);
    let backfill = |end: &str, more: &[&str]| {
        let begin = ["schedule", "backfill", "tick", "--start-time", "2026-01-01T00:00:00Z"];
        cli.run(&[&begin[..], &["--end-time", end], more].concat())
    };
    backfill("2026-01-01T13:00:00Z", &["--overlap-policy", "allow-all"]).exits(0);
    // At one, at eleven by the cron expression, and at thirteen.
    assert_eq!(described(&cli, "tick")["started"], 3, "all at once");
    backfill("2029-01-01T00:00:00Z", &[])
        .exits(2)
        .says("at most 1,000 times");
    backfill("2025-01-01T00:00:00Z", &[])
        .exits(2)
        .says("--end-time is before --start-time");
}

#[test]
fn a_run_that_was_asked_for_is_started_by_the_next_engine_that_knows_its_saga() {
    let cli = Cli::new();
    for (name, text) in [("touch.toml", TOUCH), ("host.toml", HOST), ("quick.toml", QUICK)] {
        cli.write(name, text);
    }
    let named = ["--workflow-id", "touched"];
    let found_by = ["--search-attribute", "Kind=\"tick\"", "--memo", "note=1"];
    create(&cli, "tick", &[named.as_slice(), &found_by].concat())
        .exits(0)
        .says("it has no times to come");
    cli.run(&["schedule", "trigger", "tick"])
        .exits(0)
        .says("tick is triggered");
    let asked = described(&cli, "tick");
    assert!(asked["running"].as_str().unwrap().starts_with("touched-"), "{asked}");
    // This one does not know the saga, and leaves the run to others.
    cli.run(&["run", "quick.toml"]).exits(0);
    cli.run(&["run", "host.toml", "--sagas", "touch.toml"]).exits(0);
    let found = cli
        .run(&["list", "--json", "--query", "Kind = 'tick'"])
        .exits(0)
        .objects();
    let id = found[0]["workflow_id"].as_str().unwrap();
    assert!(id.starts_with("touched-"), "{id}");
    let shown = cli.run(&["show", id, "--json"]).exits(0).objects().remove(0);
    assert_eq!(shown["memo"], json!({"note": 1}));
}

#[test]
fn mistakes_in_a_schedule_are_named_and_leave_nothing_behind() {
    let cli = Cli::new();
    for (option, value, message) in [
        ("--cron", "0 25 * * *", "error[E0046]: cron expression \"0 25 * * *\""),
        (
            "--calendar",
            "{\"weekday\": \"1\"}",
            "a calendar has no field \"weekday\"",
        ),
        ("--time-zone", "Berlin", "no time zone is called \"Berlin\""),
        ("--interval", "10ms", "an interval is at least a second long"),
        ("--overlap-policy", "queue", "expected one of skip, buffer-one"),
        ("--start-time", "tomorrow", "expected a time with its zone"),
        ("--search-attribute", "Kind=x", "x is not JSON"),
    ] {
        create(&cli, "s", &[option, value]).exits(2).says(message);
    }
    assert!(!cli.path("amends-data").exists());
    create(&cli, "s", &["--task-queue", ""]).exits(2).says("error[E0001]");
    cli.run(&["schedule", "list", "--data", "nowhere"])
        .exits(4)
        .says("does not exist");
}

/// Puts everything into an envelope that the command line cannot open.
struct Envelope;

impl PayloadCodec for Envelope {
    fn encoding(&self) -> &str {
        "binary/envelope"
    }

    fn encode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Option<Payload>, CodecError> {
        Ok(Some(Payload::from_parts(self.encoding(), payload.to_wire())))
    }

    fn decode(&self, _: &CodecContext<'_>, payload: &Payload) -> Result<Payload, CodecError> {
        Payload::from_wire(payload.data()).map_err(CodecError::new)
    }
}

#[test]
fn a_schedule_that_cannot_be_read_hides_no_other() {
    let cli = Cli::new();
    run(async {
        let builder = Amends::builder().sled(cli.path("amends-data")).codec(Envelope);
        let amends = builder.start().await.unwrap();
        let action = ScheduleAction::by_name("touch", "sealed", json!(1));
        let schedule = Schedule::new(ScheduleSpec::new());
        amends.schedules().create("sealed", action, schedule).await.unwrap();
        amends.shutdown(Duration::from_secs(1)).await;
    });
    cli.run(&["schedule", "create", "tick", "--type", "touch"]).exits(0);
    let listed = cli.run(&["schedule", "list", "--json"]).exits(0).objects();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["schedule_id"], "sealed");
    assert!(
        listed[0]["problem"].as_str().unwrap().contains("not at hand"),
        "{}",
        listed[0]
    );
    assert_eq!(listed[1]["workflow_type"], "touch");
    cli.run(&["schedule", "list"]).exits(0).says("unreadable").says("tick");
}
