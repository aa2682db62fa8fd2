//! `amends reset`. Must not live here: what is copied and what is refused (the library's own tests).

use super::{Cli, Participants, SHOP};

#[test]
fn an_amended_run_is_made_anew_and_goes_on_with_the_next_engine() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    let order = r#"{"order_id": "o", "sku": "lamp", "card": "declined-4242"}"#;
    let run = ["run", "shop.toml", "--id", "o", "--input", order];
    cli.run(&run).exits(1);
    let reset = |to: &str, more: &[&str]| {
        let all = ["reset", "o", "--to", to, "--by", "ada", "--reason", "the bank is up"];
        cli.run(&[&all[..], more].concat())
    };
    reset("last-turn", &[])
        .exits(2)
        .says("reserve of before that turn has been undone since")
        .says("amends history o");
    reset("turn:99", &[])
        .exits(2)
        .says("there is no turn 99; the run has decided");
    reset("event:1", &[])
        .exits(2)
        .says("event 1 is not of a turn; the turns are at 2");
    reset("yesterday", &[])
        .exits(2)
        .says("say first-turn, last-turn, turn:N, or event:N");

    let made = reset("first-workflow-task", &["--request-id", "r", "--json"])
        .exits(0)
        .objects();
    assert_eq!(
        (&made[0]["type"], &made[0]["workflow_id"]),
        (&"reset".into(), &"o".into())
    );
    assert_ne!(made[0]["run_id"], made[0]["base_run_id"]);
    let again = reset("first-turn", &["--request-id", "r", "--json"]).exits(0).objects();
    assert_eq!(
        again[0]["run_id"], made[0]["run_id"],
        "the same request makes no second run"
    );
    let base = made[0]["base_run_id"].as_str().unwrap();
    cli.run(&["show", "o"]).exits(0).says(&format!("of run {base}"));
    cli.run(&["history", "o"])
        .exits(0)
        .says("WorkflowExecutionReset")
        .says("the bank is up (by ada)");
    let written = cli.run(&["history", "o", "--output", "temporal-json"]).exits(0);
    assert!(written.out.contains("WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"));

    // The card is declined again.
    cli.run(&run).exits(1).says("o was started before");
    let runs = cli.run(&["list", "--json"]).exits(0).objects();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["status"], "amended");
    cli.run(&["verify"]).exits(0).says("all well: 2 runs");
}

#[test]
fn what_is_not_there_is_not_reset() {
    let cli = Cli::new();
    let reset = ["reset", "nobody", "--to", "first-turn", "--by", "ada"];
    cli.run(&reset).exits(2).says("--reason");
    cli.run(&[&reset[..], &["--reason", "r", "--data", "none"]].concat())
        .exits(4)
        .says("does not exist");
}
