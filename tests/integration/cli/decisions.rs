//! Stuck sagas on the command line: what is shown of them, and decisions. Must not live here: what decisions do
//! (`engine/desk`), the story of a night (`walkthrough`).

use serde_json::json;

use super::{Cli, Participants, SHOP};

const ORDER: &str = r#"{"order_id": "o", "sku": "final-lamp", "card": "declined-4242"}"#;

/// A saga that is stuck: the card is declined, and the inventory does not take the goods back.
fn stuck(cli: &Cli) -> Participants {
    let participants = Participants::start(cli);
    participants.saga(cli, "shop.toml", SHOP);
    let run = ["run", "shop.toml", "--id", "o", "--input", ORDER];
    let ended = cli.run(&run).exits(3).says("o is stuck and waits for a person");
    let ended = ended
        .says("reserve  cannot be undone")
        .says("Final: HTTP 409 Conflict: inventory does not take back");
    ended.says("amends decide o --step reserve skip --by NAME --reason TEXT --data amends-data");
    participants
}

#[test]
fn a_stuck_run_is_shown_listed_and_decided() {
    let cli = Cli::new();
    let _participants = stuck(&cli);
    cli.run(&["list", "--status", "stuck"])
        .exits(0)
        .says(": step reserve: a compensation failed for good");
    let listed = cli.run(&["list", "--json"]).exits(0).objects();
    assert_eq!(listed[0]["stuck"][0]["reason"], "compensation-failed");
    assert_eq!(listed[0]["stuck"][0]["step"], "reserve");
    let shown = cli.run(&["show", "o", "--json"]).exits(0).objects().remove(0);
    let choices = json!(["retry", "retry-with", "skip", "mark-done", "abandon"]);
    assert_eq!(shown["stuck"][0]["choices"], choices);
    assert_eq!(shown["steps"][0]["undo"], "stuck");
    assert_eq!(shown["steps"][0]["undoing"]["attempts"], 1);
    assert_eq!(shown["turned_back"]["cause"], "failed");

    let again = ["decide", "o", "retry", "--by", "ada", "--request-id", "r1"];
    cli.run(&again)
        .exits(0)
        .says("retry is decided; o is unwinding now")
        .says("amends run FILE --id o");
    cli.run(&again).exits(0);
    cli.run(&["decide", "o", "skip", "--by", "ada", "--reason", "x"])
        .exits(4)
        .says("error[E0013]: the saga is not stuck: there is nothing to decide")
        .says("see: amends show o --data amends-data");
    cli.run(&["run", "shop.toml", "--id", "o"]).exits(3).says("attempts  2");
    let skip = [
        "decide",
        "o",
        "--step",
        "reserve",
        "skip",
        "--by",
        "ada",
        "--reason",
        "sold elsewhere",
        "--json",
    ];
    let decided = cli.run(&skip).exits(0).objects().remove(0);
    assert_eq!(
        (&decided["type"], &decided["status"]),
        (&json!("decided"), &json!("failed"))
    );
    let shown = cli.run(&["show", "o", "--json"]).exits(0).objects().remove(0);
    let decisions = shown["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 2);
    assert_eq!(
        (&decisions[1]["by"], &decisions[1]["reason"]),
        (&json!("ada"), &json!("sold elsewhere"))
    );
    assert_eq!(
        (&shown["steps"][0]["undo"], &shown["stuck"]),
        (&json!("skipped"), &json!([]))
    );
    cli.run(&["show", "o"])
        .exits(0)
        .says("decided: skip for step reserve at ")
        .says("by ada: sold elsewhere");
}

#[test]
fn decisions_that_cannot_be_made_say_what_to_do() {
    let cli = Cli::new();
    let _participants = stuck(&cli);
    let cases: [(&[&str], i32, &str, &str); 8] = [
        (&["retry"], 2, "required arguments", "--by <NAME>"),
        (
            &["undo", "--by", "ada"],
            2,
            "no such choice; there are retry, retry-with, skip",
            "--help",
        ),
        (
            &["skip", "--by", "ada"],
            2,
            "error[E0017]: skip leaves something undone: say why",
            "give --reason TEXT",
        ),
        (
            &["go-back", "--by", "ada"],
            2,
            "error[E0016]: go-back is not possible here; possible: retry",
            "amends show o",
        ),
        (
            &["retry", "--by", "ada", "--step", "charge"],
            2,
            "error[E0014]",
            "stuck: reserve",
        ),
        (
            &["retry", "--by", "ada", "--input", "1"],
            2,
            "--input goes with retry-with, not with retry",
            "help: ",
        ),
        (
            &["retry-with", "--by", "ada"],
            2,
            "retry-with needs the input",
            "give --input JSON",
        ),
        (
            &["retry-with", "--by", "ada", "--input", "{"],
            2,
            "--input is not JSON",
            "@order.json",
        ),
    ];
    for (arguments, code, message, advice) in cases {
        let arguments: Vec<&str> = ["decide", "o"].iter().chain(arguments).copied().collect();
        cli.run(&arguments).exits(code).says(message).says(advice);
    }
    cli.run(&["decide", "nobody", "retry", "--by", "ada"])
        .exits(2)
        .says("error[E0008]");
    let shown = cli.run(&["show", "o", "--json"]).exits(0).objects().remove(0);
    assert_eq!(shown["decisions"], json!([]), "nothing was decided");
    let _service = amends::engine::Offline::open(cli.path("amends-data")).unwrap();
    cli.run(&["decide", "o", "retry", "--by", "ada"])
        .exits(4)
        .says("error[E0020]")
        .says("decide in the program that has it, with Client::decide");
}

#[test]
fn a_terminated_run_can_make_amends_unless_it_only_goes_forward() {
    let cli = Cli::new();
    let participants = Participants::start(&cli);
    let nobody = SHOP
        .replace("{payment}/charge", "http://127.0.0.1:1/charge")
        .replace(r#""1ms""#, r#""1h""#);
    participants.saga(&cli, "slow.toml", &nobody);
    let slow = ["run", "slow.toml", "--id", "slow", "--input", r#"{"order_id": "slow"}"#];
    let mut running = super::Running::start(&cli, &slow);
    running.until("reserve  completed");
    running.interrupt();
    cli.run(&["terminate", "slow", "--amend", "--reason", "no more"])
        .exits(0)
        .says("cancel request for slow is recorded");
    cli.run(&slow).exits(1).says("reserve  undone").says("no more");

    let pivot = SHOP.replace("name = \"charge\"", "name = \"charge\"\nkind = \"pivot\"");
    let receipt = "[[step]]\nname = \"receipt\"\nkind = \"retriable\"\nhttp = { url = \"{payment}/receipt\", body = \"${ input }\" }\n";
    participants.saga(&cli, "forward.toml", &format!("{pivot}{receipt}"));
    let order = r#"{"order_id": "f", "card": "noreceipt-4242"}"#;
    let forward = ["run", "forward.toml", "--id", "f", "--input", order];
    cli.run(&forward)
        .exits(3)
        .says("step receipt: a retriable step failed for good");
    cli.run(&["terminate", "f", "--amend"])
        .exits(4)
        .says("error[E0009]: the saga has reached its pivot and only goes forward")
        .says("what can be decided about it says: amends show f --data amends-data");
    cli.run(&["terminate", "f", "--reason", "enough"])
        .exits(0)
        .says("nothing was undone");
}
