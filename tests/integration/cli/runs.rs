//! Runs from their start to their end, and the commands that look at them. Must not live here: mistakes.

use serde_json::json;

use super::{Cli, Participants, Running, SHOP, run_into_closed_pipe, sagas};

#[test]
fn a_completed_run_exits_with_0_and_its_result_is_all_there_is_on_standard_output() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    let set = |service: &str| format!("{service}=http://127.0.0.1:{}/{service}", participants.port);
    let saga = sagas().join("place-order.toml");
    let order = r#"{"order_id": "order-1", "sku": "lamp", "card": "visa-4242"}"#;
    let (inventory, payment, shipping) = (set("inventory"), set("payment"), set("shipping"));
    let saga = saga.to_str().unwrap();
    let run = [
        "run", saga, "--id", "order-1", "--input", order, "--set", &inventory, "--set", &payment, "--set", &shipping,
    ];
    let ended = cli.run(&run).exits(0).says("reserve  completed");
    let result: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(result["parcel"], "parcel-order-1");
    // The same command again finds the same run.
    let again = cli.run(&run).exits(0).says("order-1 was started before");
    assert_eq!(again.out, ended.out);
    cli.run(&["show", "order-1"]).exits(0).says("receipt  retriable");
    cli.run(&["verify"]).exits(0).says("all well: 1 run");
}

#[test]
fn an_amended_run_exits_with_1_and_says_why() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    cli.write("order.json", r#"{"order_id": "o", "card": "declined-4242"}"#);
    let ended = cli
        .run(&["run", "shop.toml", "--memory", "--input", "@order.json", "--json"])
        .exits(1);
    let told: Vec<_> = ended
        .objects()
        .iter()
        .map(|object| (object["step"].clone(), object["event"].clone()))
        .collect();
    assert_eq!(told[1], (json!("reserve"), json!("completed")));
    assert_eq!(told[2], (json!("charge"), json!("failed")));
    assert_eq!(told[3], (json!("reserve"), json!("undone")));
    let last = ended.objects().pop().unwrap();
    assert_eq!((&last["type"], &last["status"]), (&json!("ended"), &json!("amended")));
    assert_eq!(last["failure"]["cause"]["type"], "CardDeclined");
}

#[test]
fn a_stuck_run_exits_with_3_instead_of_hanging_and_says_what_it_waits_for() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    // The inventory turns every key away twice, and the release is tried only once.
    let release = r#"release", body = "${ input }" }"#;
    let stubborn = SHOP.replace(release, &format!("{release}, retry = {{ maximum_attempts = 1 }}"));
    participants.saga(&cli, "shop.toml", &stubborn);
    let order = r#"{"order_id": "o", "sku": "flaky-lamp", "card": "declined-4242"}"#;
    let run = ["run", "shop.toml", "--id", "o", "--input", order];
    let waits = "step reserve: a compensation failed for good";
    cli.run(&run).exits(3).says(waits).says("amends show o");
    cli.run(&run).exits(3).says(waits);
    cli.run(&["show", "o"]).exits(0).says(waits);
    let listed = cli
        .run(&["list", "--status", "stuck,parked", "--json"])
        .exits(0)
        .objects();
    assert_eq!(listed[0]["workflow_id"], "o");
    cli.run(&["list", "--status", "completed"]).exits(0).says("no runs");
    // Messages for a run whose engine does not run.
    cli.run(&["signal", "o", "hello", "[1]"])
        .exits(0)
        .says("signal for o is recorded");
    cli.run(&["history", "o"])
        .exits(0)
        .says("WorkflowExecutionSignaled         hello [1]");
    cli.run(&["terminate", "o", "--reason", "given up"])
        .exits(0)
        .says("nothing was undone");
    cli.run(&run).exits(4).says("o terminated").says("given up");
    cli.run(&["cancel", "o"])
        .exits(4)
        .says("error[E0009]: the run has already ended");
}

/// A saga that waits for an hour before its second step is tried again.
fn slow_saga(participants: &Participants, cli: &Cli) {
    let slow = SHOP
        .replace("1ms", "1h")
        .replace("{payment}/charge", "http://127.0.0.1:1/charge");
    participants.saga(cli, "shop.toml", &slow);
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_can_be_cancelled_meanwhile() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    slow_saga(&participants, &cli);
    let run = ["run", "shop.toml", "--id", "o", "--input", r#"{"order_id": "o"}"#];
    let mut running = Running::start(&cli, &run);
    running.until("reserve  completed");
    // Nobody else may have the directory meanwhile, to look at it neither; and nothing is lost by trying.
    let message = "is in use by another process; stop it, or choose another directory";
    cli.run(&["list"]).exits(4).says("error[E0020]").says(message);
    cli.run(&run).exits(4).says("error[E0020]");
    let (code, said) = running.interrupt();
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("o goes on with: amends run shop.toml --id o --data amends-data"),
        "{said}"
    );
    cli.run(&["list"]).exits(0).says("running");
    cli.run(&["cancel", "o", "--reason", "changed my mind"])
        .exits(0)
        .says("recorded");
    cli.run(&run).exits(1).says("reserve  undone").says("changed my mind");
    let events = cli.run(&["history", "o", "--json"]).exits(0).objects();
    assert_eq!(events[0]["type"], "WorkflowExecutionStarted");
    assert!(
        events
            .iter()
            .any(|event| event["type"] == "WorkflowExecutionCancelRequested")
    );
}

#[test]
fn lists_have_pages_and_a_reader_may_go_away() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    for id in ["a", "b", "c"] {
        let order = format!(r#"{{"order_id": "{id}"}}"#);
        cli.run(&["run", "shop.toml", "--id", id, "--input", &order]).exits(0);
    }
    let ids = |arguments: &[&str]| -> Vec<String> {
        let listed = cli.run(arguments).exits(0).objects();
        listed
            .iter()
            .map(|run| run["workflow_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&["list", "--json", "--limit", "2"]), ["c", "b"]);
    let last = cli.run(&["list", "--json"]).objects()[1]["run_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(ids(&["list", "--json", "--before", &last]), ["a"]);
    assert_eq!(ids(&["list", "--json", "--type", "shop"]).len(), 3);
    assert!(ids(&["list", "--json", "--type", "nope"]).is_empty());
    cli.run(&["show", &last]).exits(0).says("b  completed");
    for arguments in [&["list"][..], &["history", "a"], &["check", "shop.toml"], &["--help"]] {
        let (code, err) = run_into_closed_pipe(&cli, arguments);
        assert_eq!((code, err.contains("panicked")), (0, false), "{arguments:?}: {err}");
    }
}

#[test]
fn a_saga_with_a_child_is_run_with_the_child_s_file() {
    let cli = Cli::new();
    let step = |name: &str| {
        format!(
            "[[step]]\nname = \"{name}\"\nexec = {{ command = [\"echo\", \"\\\"{name}\\\"\"] }}\ncompensation = \"none\"\n"
        )
    };
    let wraps = "[[step]]\nname = \"wrap\"\nsaga = { name = \"wrapping\" }\n";
    cli.write("gift.toml", &format!("name = \"gift\"\n{wraps}{}", step("send")));
    cli.write("wrapping.toml", &format!("name = \"wrapping\"\n{}", step("paper")));
    cli.run(&["run", "gift.toml", "--memory"])
        .exits(2)
        .says("step wrap: no saga or workflow \"wrapping\" is known")
        .says("--sagas PATH");
    let ended = cli.run(&["run", "gift.toml", "--memory", "--sagas", "."]).exits(0);
    let result: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(result, json!({"wrap": {"paper": "paper"}, "send": "send"}));
}
