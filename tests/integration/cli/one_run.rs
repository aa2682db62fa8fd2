//! `--run-id`: commands about one very run of a workflow id. Must not live here: what the commands do.

use super::Cli;

const VISIT: &str = r#"
    name = "visit"
    run_timeout = "1h"

    [[step]]
    name = "bell"
    exec = { command = ["echo", "ding"], output = "text" }
    compensation = "none"
"#;

#[test]
fn a_command_for_an_older_run_does_not_reach_the_newest_one() {
    let cli = Cli::new();
    cli.write("visit.toml", VISIT);
    let run = ["run", "visit.toml", "--id", "v"];
    cli.run(&run).exits(0).says("bell  completed");
    let reset = [
        "reset",
        "v",
        "--to",
        "first-turn",
        "--by",
        "ada",
        "--reason",
        "r",
        "--force",
        "--json",
    ];
    let made = cli.run(&reset).exits(0).objects().remove(0);
    let [old, new] = ["base_run_id", "run_id"].map(|name| made[name].as_str().unwrap().to_owned());

    let messages: [&[&str]; 7] = [
        &["signal", "v", "ring"],
        &["cancel", "v"],
        &["terminate", "v"],
        &["terminate", "v", "--amend"],
        &["pause", "v", "--by", "ada"],
        &["unpause", "v", "--by", "ada"],
        &["decide", "v", "retry", "--by", "ada"],
    ];
    let events = cli.run(&["history", "v", "--json"]).exits(0).objects();
    let of = |command: &[&str], run_id: &str| cli.run(&[command, &["--run-id", run_id]].concat());
    for message in messages {
        of(message, &old)
            .exits(4)
            .says("error[E0009]: the run has already ended")
            .says("without --run-id the newest run of the workflow id is meant");
        let nobody = old.replace(&old[..4], "0000");
        of(message, &nobody)
            .exits(2)
            .says(&format!("error[E0008]: run {nobody} not found"));
        of(message, "the-first").exits(2).says("not a run id");
    }
    cli.run(&["signal", "other", "ring", "--run-id", &new])
        .exits(2)
        .says("error[E0008]");
    assert_eq!(cli.run(&["history", "v", "--json"]).exits(0).objects(), events);

    let ask = |query: &str, run_id: &str| of(&["query", "v", query], run_id).exits(0).out;
    assert_eq!(ask("status", &old), "\"completed\"\n");
    assert_eq!(ask("status", &new), "\"running\"\n");
    assert!(ask("outputs", &old).contains("ding") && !ask("outputs", &new).contains("ding"));
    of(&["signal", "v", "ring", "[1]", "--json"], &new).exits(0).says(&new);
    of(&["pause", "v", "--by", "ada"], &new).exits(0).says("v is paused");
    of(&["unpause", "v", "--by", "ada"], &new).exits(0).says("v is running");
    of(&["terminate", "v"], &new).exits(0).says("v is terminated");
}
