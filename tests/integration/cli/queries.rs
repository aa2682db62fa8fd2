//! `amends query`. Must not live here: queries of workflow code (`engine/messages`).

use super::{Cli, Participants, SHOP};

#[test]
fn a_run_of_a_definition_is_asked_without_an_engine() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    let order = r#"{"order_id": "o", "sku": "lamp", "card": "declined-4242"}"#;
    cli.run(&["run", "shop.toml", "--id", "o", "--input", order]).exits(1);
    cli.run(&["query", "o"]).exits(0).says("\"amended\"");
    let answer = cli.run(&["query", "o", "steps", "--json"]).exits(0).objects().remove(0);
    assert_eq!(answer["answer"]["reserve"], "undone");
    cli.run(&["query", "o", "step"])
        .exits(2)
        .says("error[E0026]: the run answers no query \"step\"; known: outputs status steps");
    cli.run(&["query", "nobody"]).exits(2).says("E0008");
}
