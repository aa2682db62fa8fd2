//! What `amends run` takes beside the definition and its input: policies for ids, time limits, retries, cron, what a run is shown
//! with and found by. Must not live here: what these do inside an engine (`engine/several_runs`).

use serde_json::json;

use super::{Cli, Running};

const QUICK: &str =
    "name = \"quick\"\n[[step]]\nname = \"a\"\nexec = { command = [\"echo\", \"1\"] }\ncompensation = \"none\"\n";

const WAITS: &str = "name = \"waits\"\n[[step]]\nname = \"a\"\nsignal = { name = \"go\" }\n";

const FAILS: &str = "name = \"fails\"\n[[step]]\nname = \"a\"\nexec = { command = [\"sh\", \"-c\", \"exit 75\"] }\n\
                     retry = { maximum_attempts = 1 }\ncompensation = \"none\"\n";

fn cli() -> Cli {
    let cli = Cli::new();
    cli.write("quick.toml", QUICK);
    cli.write("waits.toml", WAITS);
    cli.write("fails.toml", FAILS);
    cli
}

/// The statuses of all runs, newest first.
fn statuses(cli: &Cli) -> Vec<String> {
    let runs = cli.run(&["list", "--json"]).exits(0).objects();
    runs.iter()
        .map(|run| run["status"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_id_is_used_again_when_its_policy_says_so() {
    let cli = cli();
    let run = |more: &[&str]| cli.run(&[&["run", "quick.toml", "--id", "q"], more].concat());
    run(&[]).exits(0).says("q started");
    run(&[]).exits(0).says("q was started before");
    for refused in ["reject-duplicate", "AllowDuplicateFailedOnly"] {
        run(&["--id-reuse-policy", refused])
            .exits(2)
            .says("error[E0007]")
            .says("--id-reuse-policy allow-duplicate");
    }
    run(&["--id-reuse-policy", "allow-duplicate", "--request-id", "second"])
        .exits(0)
        .says("q started");
    // The same request again is the same run.
    run(&["--id-reuse-policy", "allow-duplicate", "--request-id", "second"])
        .exits(0)
        .says("q was started before");
    assert_eq!(statuses(&cli), ["completed", "completed"]);
    run(&["--id-reuse-policy", "always"])
        .exits(2)
        .says("expected one of reject-duplicate, allow-duplicate-failed-only, allow-duplicate");
    cli.run(&["run", "quick.toml", "--id-conflict-policy", "fail"])
        .exits(2)
        .says("give one with --id");
}

#[test]
fn a_start_meets_an_open_run_as_its_policy_says() {
    let cli = cli();
    let waits = |more: &[&'static str]| [&["run", "waits.toml", "--id", "w"], more].concat();
    let begin = |more: &[&'static str], says: &str| {
        let mut running = Running::start(&cli, &waits(more));
        running.until(says);
        assert_eq!(running.interrupt().0, 4);
    };
    begin(&[], "w started");
    begin(&["--id-conflict-policy", "use-existing"], "w was started before");
    cli.run(&waits(&["--id-conflict-policy", "fail"]))
        .exits(2)
        .says("error[E0007]")
        .says("--id-conflict-policy use-existing");
    assert_eq!(statuses(&cli), ["running"]);
    begin(&["--id-conflict-policy", "TerminateExisting"], "w started");
    assert_eq!(statuses(&cli), ["running", "terminated"]);
    cli.run(&["signal", "w", "go"]).exits(0);
    cli.run(&waits(&[])).exits(0).says("w was started before");
}

#[test]
fn a_run_is_limited_delayed_and_tried_again() {
    let cli = cli();
    for limit in ["--run-timeout", "--execution-timeout"] {
        cli.run(&["run", "waits.toml", "--memory", limit, "20ms"])
            .exits(1)
            .says("the run's time was up");
    }
    let delayed = ["run", "quick.toml", "--id", "later", "--start-delay", "1h"];
    let mut running = Running::start(&cli, &delayed);
    running.until("later started");
    running.interrupt();
    cli.run(&["cancel", "later"]).exits(0);
    cli.run(&delayed).exits(1).says("canceled before it had begun");
    let tried = cli
        .run(&[
            "run",
            "fails.toml",
            "--id",
            "f",
            "--retry-maximum-attempts",
            "2",
            "--retry-initial-interval",
            "1ms",
            "--json",
        ])
        .exits(1);
    assert!(tried.objects().iter().any(|object| object["type"] == "followed"));
    assert_eq!(statuses(&cli)[..2], ["amended", "amended"]);
    cli.run(&["run", "quick.toml", "--memory", "--run-timeout", "soon"])
        .exits(2)
        .says("expected a number with a unit, such as 30s, 90m");
}

#[test]
fn a_run_is_found_by_what_its_start_says_and_follows_its_schedule() {
    let cli = cli();
    let start = [
        "run",
        "quick.toml",
        "--id",
        "q",
        "--search-attribute",
        "Customer=\"ada\"",
        "--search-attribute",
        "Kilos=1.5",
        "--memo",
        "note={\"by\": \"phone\"}",
        "--task-queue",
        "bulk",
    ];
    cli.run(&start).exits(0);
    let found = cli
        .run(&["list", "--json", "--query", "Customer = 'ada' AND Kilos > 1"])
        .exits(0)
        .objects();
    assert_eq!(found[0]["workflow_id"], "q");
    let shown = cli.run(&["show", "q", "--json"]).exits(0).objects().remove(0);
    assert_eq!(shown["memo"], json!({"note": {"by": "phone"}}));
    cli.run(&["show", "q"]).exits(0).says("bulk");
    cli.run(&["run", "quick.toml", "--memory", "--memo", "note=hello"])
        .exits(2)
        .says("hello is not JSON; a text is written with quotes: 'note=\"hello\"'");

    let yearly = ["run", "quick.toml", "--id", "y", "--cron", "0 0 29 2 *"];
    let mut running = Running::start(&cli, &yearly);
    running.until("y started");
    running.interrupt();
    let events = cli.run(&["history", "y", "--json"]).exits(0).objects();
    assert_eq!(events[0]["chain"]["cron"], "0 0 29 2 *");
    cli.run(&["run", "quick.toml", "--memory", "--cron", "0 6 * *"])
        .exits(2)
        .says("error[E0045]")
        .says("is no cron schedule");
    cli.run(&[
        "run",
        "quick.toml",
        "--memory",
        "--cron",
        "@daily",
        "--start-delay",
        "1s",
    ])
    .exits(2)
    .says("cannot be used with");
}
