//! What is refused, where, and what the message says to do.

use super::*;
use crate::model::limits;

fn error(text: &str) -> String {
    match Query::parse(text, &known()) {
        Ok(query) => panic!("{text} was read as {query:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn messages_name_the_place_and_say_what_to_do() {
    for (text, expected) in [
        (
            "WorkflowTyp = 'x'",
            "column 1: unknown attribute `WorkflowTyp`; did you mean `WorkflowType`? known: Amount, ",
        ),
        (
            "Amount > 1 AND starttime > '2026-01-01'",
            "column 16: unknown attribute `starttime`; did you mean `StartTime`? ",
        ),
        (
            "Whatever = 1",
            "column 1: unknown attribute `Whatever`; known: Amount, Customer, ",
        ),
        (
            "Amount > '100'",
            "column 10: Amount is a number: write it without quotes",
        ),
        ("Customer = 7", "column 12: Customer is a text: write it in quotes"),
        (
            "Customer = ada",
            "column 12: found `ada`; texts are put in quotes: 'ada'",
        ),
        (
            "Express = 'true'",
            "column 11: Express is true or false: write it without quotes",
        ),
        (
            "Express > true",
            "column 9: Express has no order: compare it with =, != or IN",
        ),
        (
            "Tags BETWEEN 'a' AND 'b'",
            "column 14: Tags has no order: compare it with =, != or IN",
        ),
        (
            "StartTime > 'yesterday'",
            "column 13: StartTime is a time such as '2026-01-31T12:00:00Z' or '2026-01-31'",
        ),
        ("StartTime > 2026-01-31", "column 13: `2026` is not"),
        (
            "ExecutionStatus = 'Done'",
            "column 19: there is no status 'Done'; there are running, unwinding, ",
        ),
        ("RunId = 'mine'", "column 9: RunId is a run id such as '"),
        (
            "ExecutionDuration > 'long'",
            "column 21: ExecutionDuration is a duration such as '1h 30m'",
        ),
        (
            "Amount STARTS_WITH '1'",
            "column 20: STARTS_WITH is for keywords; Amount is none",
        ),
        (
            "Customer LIKE 'a%'",
            "column 10: found `LIKE`; LIKE is not a part of the language; use STARTS_WITH",
        ),
        (
            "Customer = NULL",
            "column 12: found `NULL`; write IS NULL or IS NOT NULL",
        ),
        ("Customer", "column 9: the query ends here; expected =, !=, >,"),
        ("Customer ==  'ada'", "column 11: found `=`; expected a value"),
        (
            "Customer = 'ada",
            "column 12: the text that begins here has no end; close it with '",
        ),
        ("(Customer = 'ada'", "column 18: the query ends here; expected `)`"),
        (
            "Customer = 'ada' Amount > 1",
            "column 18: found `Amount`; the query could end here, or go on with AND, OR",
        ),
        ("Customer IN 'ada'", "column 13: found the text 'ada'; expected `(`"),
        ("Amount BETWEEN 1 OR 2", "column 18: found `OR`; expected AND"),
        (
            "Customer NOT = 'ada'",
            "column 14: found `=`; expected IN, BETWEEN or STARTS_WITH after NOT",
        ),
        ("AND = 1", "column 1: found `AND`; expected the name of an attribute"),
        (
            "Customer = 'ada' ORDER StartTime",
            "column 24: found `StartTime`; expected BY",
        ),
        (
            "Customer = 'ada' GROUP BY Customer",
            "column 27: only GROUP BY ExecutionStatus is possible",
        ),
        ("Customer % 1", "column 10: `%` has no meaning here"),
        ("Ärger = 'ö' AND Amount = 'x'", "column 1: unknown attribute `Ärger`"),
        ("Customer = 'ö' AND Amount = 'x'", "column 29: Amount is a number"),
    ] {
        let error = error(text);
        let told = match expected {
            // Numbers with signs in them are read as far as they go.
            "column 13: `2026` is not" => error.starts_with("column 17: ") || error.starts_with("column 13: "),
            expected => error.starts_with(expected),
        };
        assert!(told, "{text}: {error}");
    }
}

#[test]
fn long_and_deep_queries_are_refused() {
    let deep = format!("{}Amount = 1{}", "(".repeat(1_000), ")".repeat(1_000));
    assert!(error(&deep).contains("levels of parentheses"));
    let nots = format!("{} Amount = 1", "NOT ".repeat(1_000));
    assert!(error(&nots).contains("levels of parentheses"));
    let long = format!("Customer = '{}'", "x".repeat(limits::QUERY_BYTES_MAX));
    assert!(error(&long).contains("bytes, more than"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn nothing_that_is_typed_makes_it_panic(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "Customer", "Amount", "=", "!=", "(", ")", ",", "'a'", "'", "1", "-", "1e", "AND", "OR", "NOT", "IN",
            "BETWEEN", "IS", "NULL", "ORDER", "BY", "GROUP", "`", "ö", ";", "true",
        ]), 0..12),
        noise in "\\PC{0,12}",
    ) {
        let text = words.join(" ");
        let _ = Query::parse(&text, &known());
        let _ = Query::parse(&format!("{text}{noise}"), &known());
    }
}
