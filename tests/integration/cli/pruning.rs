//! `amends prune` as scripts see it. Must not live here: which runs may go.

use super::{Cli, Participants, SHOP};

#[test]
fn prune_deletes_what_ended_so_long_ago_and_says_how_many() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    participants.saga(&cli, "shop.toml", SHOP);
    let order = r#"{"order_id": "o", "card": "declined-4242"}"#;
    cli.run(&["run", "shop.toml", "--id", "o", "--input", order]).exits(1);
    cli.run(&["prune", "--older-than", "1h"])
        .exits(0)
        .says("0 runs deleted");
    cli.run(&["show", "o"]).exits(0);
    let pruned = cli.run(&["prune", "--older-than", "0s", "--json"]).exits(0).objects();
    assert_eq!(pruned[0], serde_json::json!({"type": "pruned", "runs": 1}));
    cli.run(&["show", "o"]).exits(2).says("not found");
    cli.run(&["verify"]).exits(0).says("all well: 0 runs");
    cli.run(&["prune"]).exits(2).says("--older-than");
    cli.run(&["prune", "--older-than", "soon"])
        .exits(2)
        .says("--older-than");
}
