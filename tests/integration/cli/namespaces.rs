//! `--namespace` as scripts see it. Must not live here: what namespaces keep apart.

use super::{Cli, Participants, Running, SHOP};

#[test]
fn a_command_means_the_runs_of_its_namespace_only() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    let order = r#"{"order_id": "o", "card": "declined-4242"}"#;
    let run = ["run", "shop.toml", "--id", "o", "--input", order];
    let payments = ["--namespace", "payments"];
    cli.run(&run).exits(1);
    cli.run(&[&run[..], &payments].concat()).exits(1);
    let listed = |more: &[&str]| {
        let list = [&["list", "--json"], more].concat();
        let objects = cli.run(&list).exits(0).objects();
        let told = objects
            .iter()
            .map(|run| (run["namespace"].clone(), run["run_id"].clone()));
        told.collect::<Vec<_>>()
    };
    let (plain, paid) = (listed(&[]), listed(&payments));
    assert_eq!((plain.len(), paid.len()), (1, 1));
    assert_eq!((&plain[0].0, &paid[0].0), (&"default".into(), &"payments".into()));
    let paid_run = paid[0].1.as_str().unwrap();
    cli.run(&["show", paid_run]).exits(2).says("not found");
    cli.run(&["show", paid_run, "--namespace", "payments"]).exits(0);
    // The environment says it for a whole shell.
    let mut command = cli.command(&["show", paid_run]);
    command.env("AMENDS_NAMESPACE", "payments");
    assert!(command.output().unwrap().status.success());
    cli.run(&["prune", "--older-than", "0s", "--namespace", "payments"])
        .exits(0)
        .says("1 run deleted");
    assert_eq!((listed(&[]).len(), listed(&payments).len()), (1, 0));
    let wrong = "x".repeat(65);
    cli.run(&["list", "--namespace", &wrong])
        .exits(2)
        .says("at most 64 bytes");
}

#[test]
fn advice_says_the_namespace_too() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    let release = r#"release", body = "${ input }" }"#;
    let stubborn = SHOP.replace(release, &format!("{release}, retry = {{ maximum_attempts = 1 }}"));
    participants.saga(&cli, "shop.toml", &stubborn);
    let order = r#"{"order_id": "o", "sku": "flaky-lamp", "card": "declined-4242"}"#;
    cli.run(&["run", "shop.toml", "--id", "o", "--input", order, "--namespace", "shop"])
        .exits(3)
        .says("--data amends-data --namespace shop");
    cli.run(&["signal", "o", "hello", "--namespace", "shop"])
        .exits(0)
        .says("signal for o is recorded");
    cli.run(&["signal", "o", "hello"]).exits(2).says("not found");
}

/// Leaves a file, in the directory of the command that runs it.
const TOUCH: &str =
    "name = \"touch\"\n[[step]]\nname = \"a\"\nexec = { command = [\"touch\", \"done\"] }\ncompensation = \"none\"\n";

#[test]
fn an_engine_serves_the_namespaces_of_its_configuration() {
    let cli = Cli::new();
    cli.write("touch.toml", TOUCH);
    cli.write(
        "waits.toml",
        "name = \"waits\"\n[[step]]\nname = \"a\"\nsignal = { name = \"go\" }\n",
    );
    cli.write(
        "amends.toml",
        "data_directory = \"data\"\nsagas = [\"touch.toml\"]\n[namespaces.shop]\nmax_open_runs = 2\n",
    );
    let shop = ["--namespace", "shop", "--data", "data"];
    let schedule = |what: &[&str]| cli.run(&[&["schedule"], what, &shop].concat()).exits(0);
    schedule(&["create", "tick", "--type", "touch"]);
    schedule(&["trigger", "tick"]);
    let mut serving = Running::start(&cli, &["serve", "--config", "amends.toml"]);
    serving.until("serving data with 1 definition file");
    let mut wait = cli.shell("until test -e done; do sleep 0.02; done");
    assert!(wait.status().unwrap().success());
    let (code, said) = serving.interrupt();
    assert_eq!((code, said.contains("stopped")), (0, true), "{said}");
    let list = [&["list", "--json", "--query", "WorkflowType = 'touch'"], &shop[..]].concat();
    let touched = cli.run(&list).exits(0).objects();
    assert_eq!(touched.len(), 1);
    // The file is there before the run has ended, which the interruption may have left to the next engine.
    if touched[0]["status"] == "running" {
        let id = touched[0]["workflow_id"].as_str().unwrap();
        cli.run(&[&["terminate", id, "--reason", "its file is there"], &shop[..]].concat())
            .exits(0);
    }

    // Its limit: the schedule's own run, and one more.
    let waits = |id| {
        [
            "run",
            "waits.toml",
            "--config",
            "amends.toml",
            "--namespace",
            "shop",
            "--id",
            id,
        ]
    };
    let mut waiting = Running::start(&cli, &waits("first"));
    waiting.until("first started");
    waiting.interrupt();
    cli.run(&waits("second")).exits(4).says("error[E0061]");
    cli.write("amends.toml", "[namespaces.shop]\nretention = \"0s\"\n");
    cli.run(&["serve", "--config", "amends.toml"])
        .exits(2)
        .says("amends.toml:2:13: error: must be at least one second");
}
