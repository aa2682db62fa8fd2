//! Runs found by queries: `amends list --query`, `--count`, `--page`, and what `amends show` says of search attributes. Must not
//! live here: the language.

use serde_json::json;

use super::Cli;

const SHIP: &str = "name = \"ship\"\n[search_attributes]\nCustomer = \"${ input.customer }\"\nKilos = \"${ input.kilos }\"\n\
                    [[step]]\nname = \"send\"\nexec = { command = [\"echo\", \"1\"] }\ncompensation = \"none\"\n";

/// Four runs that ended.
fn shipped() -> Cli {
    let cli = Cli::new();
    cli.write("ship.toml", SHIP);
    for (id, customer, kilos) in [
        ("a", "ada", 1.5),
        ("b", "bob", 20.0),
        ("c", "ada", 7.0),
        ("d", "bob", 0.5),
    ] {
        let input = json!({"customer": customer, "kilos": kilos}).to_string();
        cli.run(&["run", "ship.toml", "--id", id, "--input", &input]).exits(0);
    }
    cli
}

#[test]
fn a_query_lists_and_counts_and_pages() {
    let cli = shipped();
    let list = |query: &str, more: &[&str]| {
        let arguments = [&["list", "--json", "--query", query], more].concat();
        cli.run(&arguments).exits(0).objects()
    };
    let ids = |query: &str| -> Vec<String> {
        let ids = list(query, &[])
            .into_iter()
            .map(|run| run["workflow_id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    assert_eq!(ids("Customer = 'ada'"), ["c", "a"]);
    assert_eq!(
        ids("Kilos > 1 AND ExecutionStatus = 'Completed' ORDER BY Kilos DESC"),
        ["b", "c", "a"]
    );
    assert_eq!(
        list("Customer = 'ada'", &[])[0]["search_attributes"],
        json!({"Customer": "ada", "Kilos": 7.0})
    );

    let first = list("ORDER BY Kilos", &["--limit", "2"]);
    assert_eq!(
        (&first[0]["workflow_id"], &first[1]["workflow_id"]),
        (&json!("d"), &json!("a"))
    );
    assert!(first[0].get("next_page").is_none());
    let next = first[1]["next_page"].as_str().unwrap();
    let second = list("ORDER BY Kilos", &["--limit", "2", "--page", next]);
    assert_eq!(
        (&second[0]["workflow_id"], &second[1]["workflow_id"]),
        (&json!("c"), &json!("b"))
    );

    let count = list("Customer = 'bob'", &["--count"]);
    assert_eq!(count, [json!({"count": 2, "by_status": {"completed": 2}})]);
    cli.run(&["list", "--count"]).exits(0).says("4").says("completed  4");
    cli.run(&["list", "--query", "Customer = 'ada'"])
        .exits(0)
        .says("a  ")
        .says("c  ");
    cli.run(&["show", "b"])
        .exits(0)
        .says("Customer = \"bob\"")
        .says("Kilos = 20");
    cli.run(&["verify"]).exits(0).says("all well: 4 runs");
}

/// What is advised is typed as it stands, and shows the runs of the same question that follow.
#[cfg(unix)]
#[test]
fn the_next_page_that_is_advised_is_one_of_the_same_list() {
    let cli = shipped();
    let query = "Customer IN ('ada', 'bob') ORDER BY Kilos";
    let first = cli.run(&[
        "list",
        "--query",
        query,
        "--status",
        "completed,failed",
        "--type",
        "ship",
        "--limit",
        "3",
    ]);
    let first = first
        .exits(0)
        .says("--status completed,failed --type ship --limit 3 --page ");
    let advice = first.err.split("more: amends ").nth(1).unwrap().trim();
    let program = env!("CARGO_BIN_EXE_amends");
    let second = cli.shell(&format!("{program} {advice}")).output().unwrap();
    let second = String::from_utf8(second.stdout).unwrap();
    let ids: Vec<&str> = second
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(ids, ["b"], "{second}");
    cli.run(&["list", "--limit", "10001"]).exits(2);
}

#[test]
fn mistakes_in_a_query_exit_with_2_and_say_where() {
    let cli = shipped();
    cli.run(&["list", "--query", "Custmer = 'ada'"])
        .exits(2)
        .says("column 1: unknown attribute `Custmer`; did you mean `Customer`? known: Customer, Kilos, CloseTime");
    cli.run(&["list", "--query", "Kilos > "])
        .exits(2)
        .says("column 9: the query ends here; expected a value");
    cli.run(&["list", "--page", "two"]).exits(2).says("no token of a page");
}
