//! Each operator, each attribute, and what the words bind: which of three runs are found.

use super::*;

/// The numbers of the runs that a query finds.
fn found(text: &str) -> Vec<u8> {
    let query = query(text);
    let runs = runs();
    let found = runs.iter().filter(|run| query.filter.matches(&run.subject()));
    found.map(|run| run.number).collect()
}

#[test]
fn each_query_finds_its_runs() {
    for (text, expected) in [
        ("", vec![1, 2, 3]),
        ("ORDER BY StartTime DESC", vec![1, 2, 3]),
        // What every run has.
        ("WorkflowId = 'order-1'", vec![1]),
        ("WorkflowId != 'order-1'", vec![2, 3]),
        ("WorkflowId <> 'order-1'", vec![2, 3]),
        ("WorkflowId STARTS_WITH 'order-'", vec![1, 2]),
        ("WorkflowId NOT STARTS_WITH 'order-'", vec![3]),
        ("WorkflowId IN ('order-2', 'child', 'nobody')", vec![2, 3]),
        ("WorkflowId NOT IN ('order-2', 'child')", vec![1]),
        ("WorkflowId > 'order'", vec![1, 2]),
        ("RunId = '02020202-0202-0202-0202-020202020202'", vec![2]),
        ("RunId STARTS_WITH '0202'", vec![2]),
        ("WorkflowType = 'order'", vec![1, 2, 3]),
        ("WorkflowType = 'Order'", vec![]),
        ("ExecutionStatus = 'Running'", vec![1]),
        ("ExecutionStatus = 'timed-out'", vec![3]),
        ("ExecutionStatus IN ('TimedOut', 'Amended')", vec![2, 3]),
        ("ExecutionStatus != 'Running'", vec![2, 3]),
        ("StartTime = '2026-01-31T12:00:00Z'", vec![1, 2, 3]),
        ("StartTime > '2026-01-31'", vec![1, 2, 3]),
        ("StartTime < '2026-01-31T14:00:00+02:00'", vec![]),
        (
            "StartTime BETWEEN '2026-01-31T11:00:00Z' AND '2026-01-31T12:00:00Z'",
            vec![1, 2, 3],
        ),
        (
            "StartTime NOT BETWEEN '2026-01-31T11:00:00Z' AND '2026-01-31T12:00:00Z'",
            vec![],
        ),
        ("ExecutionTime >= '2026-01-31T12:00:00Z'", vec![1, 2, 3]),
        ("CloseTime IS NULL", vec![1]),
        ("CloseTime IS NOT NULL", vec![2, 3]),
        ("CloseTime <= '2026-01-31T12:00:01.5Z'", vec![2]),
        ("ExecutionDuration > '1h'", vec![3]),
        ("ExecutionDuration <= 1500000000", vec![2]),
        ("HistoryLength >= 17 AND HistorySizeBytes < 1000", vec![1, 2, 3]),
        ("ParentWorkflowId = 'basket-7'", vec![3]),
        ("ParentRunId IS NULL", vec![1, 2]),
        // What some have.
        ("Customer = 'ada'", vec![1]),
        ("Customer IN ('ada', 'bob')", vec![1, 2]),
        ("Customer STARTS_WITH 'b'", vec![2]),
        ("Customer = \"ada\"", vec![1]),
        ("`Customer` = 'ada'", vec![1]),
        ("Amount > 99.5", vec![2]),
        ("Amount >= 99.5 AND Amount < 1e2", vec![1]),
        ("Amount = 100", vec![2]),
        ("Amount BETWEEN -1 AND 99.5", vec![1]),
        ("Items = 3", vec![1]),
        ("Items > 2.5", vec![1]),
        ("Express = true", vec![2]),
        ("Express != TRUE", vec![]),
        ("Due > '2026-02-28T23:59:59Z'", vec![2]),
        ("Note = 'please'", vec![2]),
        ("Note = 'BACK call'", vec![2]),
        ("Note = 'please hurry'", vec![]),
        ("Note != 'hurry'", vec![2]),
        ("Tags = 'b c'", vec![2]),
        ("Tags IN ('x', 'a')", vec![2]),
        ("Tags STARTS_WITH 'b'", vec![2]),
        ("Tags = 'b'", vec![]),
        ("Express IS NULL", vec![1, 3]),
        // Without a registered type the values' own count.
        ("Loose = 'x'", vec![1]),
        ("Loose = 7", vec![2]),
        ("Loose IS NOT NULL", vec![1, 2]),
        // What a run does not have is neither this nor anything else.
        ("Customer != 'ada'", vec![2]),
        ("NOT Customer = 'ada'", vec![2]),
        ("Customer NOT IN ('ada')", vec![2]),
        ("NOT (Customer = 'ada' AND Amount > 0)", vec![2]),
        ("NOT (Customer = 'zoe' AND WorkflowId = 'child')", vec![1, 2]),
        ("Customer = 'ada' OR Customer IS NULL", vec![1, 3]),
        // What binds.
        ("Customer = 'ada' OR Customer = 'bob' AND Amount > 100", vec![1]),
        ("(Customer = 'ada' OR Customer = 'bob') AND Amount >= 100", vec![2]),
        ("NOT Customer = 'ada' AND Amount > 0", vec![2]),
        (
            "not (customer_x is null) or CloseTime is null"
                .replace("customer_x", "Customer")
                .as_str(),
            vec![1, 2],
        ),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn a_quote_in_a_text_is_written_twice() {
    let run = Run::new("it's", 1);
    assert!(query("WorkflowId = 'it''s'").filter.matches(&run.subject()));
    assert!(query("WorkflowId = \"it's\"").filter.matches(&run.subject()));
}

#[test]
fn counting_by_status_is_a_part_of_the_language() {
    assert!(query("GROUP BY ExecutionStatus").by_status);
    assert!(query("Customer = 'ada' GROUP BY ExecutionStatus").by_status);
    assert!(!query("Customer = 'ada'").by_status);
}
