//! `--graph`: pictures of definitions and of runs, alone on standard output. Must not live here: what is in a picture (the
//! definition room's tests).

use super::{Cli, Participants, SHOP, sagas};

#[test]
fn check_draws_every_definition_that_can_be_used_and_nothing_else() {
    let cli = Cli::new();
    let shipped = sagas();
    let shipped = shipped.to_str().unwrap();
    let drawn = cli.run(&["check", shipped, "--graph"]).exits(0);
    let sagas = drawn.out.matches("flowchart TD").count();
    assert_eq!(drawn.out.matches("---\ntitle: ").count(), sagas);
    assert!(
        sagas >= 3 && drawn.out.starts_with("---\n") && drawn.err.contains("ok: place-order"),
        "{}",
        drawn.out
    );

    cli.write("bad.toml", "name = 1");
    let place_order = format!("{shipped}/place-order.toml");
    let drawn = cli
        .run(&["check", "bad.toml", &place_order, "--graph", "dot"])
        .exits(2)
        .says("bad.toml:1:8");
    assert!(
        drawn.out.starts_with("digraph \"place-order\" {\n") && drawn.out.ends_with("}\n"),
        "{}",
        drawn.out
    );

    let objects = cli
        .run(&["check", &place_order, "--graph", "dot", "--json"])
        .exits(0)
        .objects();
    let graph = objects.iter().find(|object| object["type"] == "graph").unwrap();
    assert_eq!(
        (graph["name"].as_str(), graph["format"].as_str()),
        (Some("place-order"), Some("dot"))
    );
    assert_eq!(graph["graph"].as_str(), Some(drawn.out.as_str()));

    cli.run(&["check", &place_order, "--graph", "svg"])
        .exits(2)
        .says("mermaid");
}

#[test]
fn show_draws_what_became_of_each_step() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    let order = r#"{"order_id": "o", "card": "declined-4242"}"#;
    cli.run(&["run", "shop.toml", "--id", "o", "--input", order]).exits(1);
    let drawn = cli.run(&["show", "o", "--graph"]).exits(0).out;
    let lines = [
        "title: \"shop o (amended)\"",
        "s0[\"reserve<br/>http\"]",
        "s1 -.-> u1",
        "u1 -.-> u0",
        "u0 -.-> amended",
        "class s0,u0 undone",
        "class s1 failed",
    ];
    for line in lines {
        assert!(drawn.contains(line), "{line:?} in\n{drawn}");
    }
    cli.run(&["show", "o", "--graph", "dot"])
        .exits(0)
        .says("digraph \"shop o (amended)\"");
}
