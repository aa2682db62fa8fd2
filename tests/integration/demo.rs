//! The demo as a test: few orders, real processes, real kills, and its audit. Must not live here: other commands.

use serde_json::{Value, json};

use crate::cli::Cli;

/// One of each kind: declined, sold out, undeliverable, flaky, losing an answer, and some luck.
fn orders() -> String {
    let order = |number: usize, sku: &str, card: &str, address: &str| json!({"order_id": format!("order-{number}"), "sku": sku, "card": card, "address": address});
    let mut orders = vec![
        order(1, "lamp", "declined-visa", "Porto"),
        order(2, "soldout-lamp", "visa", "Porto"),
        order(3, "lamp", "visa", "undeliverable-Porto"),
        order(4, "flaky-lamp", "flaky-visa", "flaky-Porto"),
        order(5, "drop-lamp", "drop-visa", "drop-Porto"),
        order(6, "drop-lamp", "declined-visa", "Porto"),
        order(7, "slow-lamp", "visa", "Porto"),
    ];
    orders.extend((8..=24).map(|number| order(number, "lamp", "visa", "Porto")));
    Value::from(orders).to_string()
}

#[test]
fn a_small_demo_survives_its_kills_with_a_clean_audit() {
    let cli = Cli::new();
    cli.write("orders.json", &orders());
    let mut command = cli.command(&["demo", "--orders", "orders.json", "--concurrency", "4", "--json"]);
    let output = command.env("TMPDIR", cli.directory.path()).output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    let said: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = said.last().unwrap();
    assert_eq!(
        (
            &summary["orders"],
            &summary["completed"],
            &summary["amended"],
            &summary["stuck"],
            &summary["clean"]
        ),
        (&json!(24), &json!(20), &json!(4), &json!(0), &json!(true)),
        "{out}"
    );
    let killed = said.iter().filter(|object| object["type"] == "killed").count();
    assert_eq!(summary["kills"], killed);
    assert!(killed >= 2, "killed in the middle and right after the restart: {out}");
    assert!(said.iter().any(|object| object["type"] == "recovered"), "{out}");
    let left: Vec<_> = std::fs::read_dir(cli.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["orders.json"], "the demo's own directory is removed");
}

#[test]
fn the_demo_refuses_what_it_cannot_play() {
    let cli = Cli::new();
    cli.write("twice.json", r#"[{"order_id": "a"}, {"order_id": "a"}]"#);
    cli.write("none.json", "[]");
    cli.write("bad.toml", "name = 1");
    cli.run(&["demo", "--orders", "no.json"])
        .exits(2)
        .says("cannot read no.json");
    cli.run(&["demo", "--orders", "twice.json"])
        .exits(2)
        .says("order id \"a\" occurs twice");
    cli.run(&["demo", "--orders", "none.json"])
        .exits(2)
        .says("no orders in it");
    cli.run(&["demo", "--orders", "bad.toml"])
        .exits(2)
        .says("expected a JSON array of orders");
    cli.run(&["demo", "--saga", "bad.toml"])
        .exits(2)
        .says("bad.toml:1:8: error");
}
