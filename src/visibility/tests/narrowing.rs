//! What an index is asked: never less than what the query means.

use super::*;

#[test]
fn what_all_runs_have_in_common_is_found() {
    let narrow = |text: &str| query(text).filter.narrow();
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        narrow("WorkflowId = 'a' AND Amount != 1"),
        [Narrow::WorkflowIds(ids(&["a"]))]
    );
    assert_eq!(
        narrow("WorkflowId = 'a' OR WorkflowId IN ('b', 'c')"),
        [Narrow::WorkflowIds(ids(&["a", "b", "c"]))]
    );
    assert_eq!(narrow("WorkflowId = 'a' OR Amount = 1"), []);
    assert_eq!(narrow("NOT WorkflowId = 'a'"), []);
    assert_eq!(narrow("Customer != 'a'"), []);
    assert_eq!(narrow("ExecutionStatus IN ('Running', 'Stuck')"), [Narrow::Open]);
    assert_eq!(narrow("ExecutionStatus IN ('Running', 'Failed')"), []);
    assert_eq!(narrow("CloseTime IS NULL"), [Narrow::Open]);
    let amount = |lower, upper| Narrow::Attribute {
        name: "Amount".to_owned(),
        ranges: vec![Range::Numbers(lower, upper)],
    };
    assert_eq!(narrow("Amount > 100"), [amount(Some(100.0), None)]);
    assert_eq!(narrow("Amount BETWEEN 1 AND 2.5"), [amount(Some(1.0), Some(2.5))]);
    assert_eq!(narrow("(Amount <= 7) AND Express = true").len(), 2);
}

/// Whether a value that an index has is in a range that it is asked for.
fn is_in(value: &Range, asked: &Range) -> bool {
    fn within<T: PartialOrd>(value: &Option<T>, lower: &Option<T>, upper: &Option<T>) -> bool {
        let value = value.as_ref().unwrap();
        lower.as_ref().is_none_or(|lower| value >= lower) && upper.as_ref().is_none_or(|upper| value <= upper)
    }
    match (value, asked) {
        (Range::Numbers(value, _), Range::Numbers(lower, upper)) => within(value, lower, upper),
        (Range::Times(value, _), Range::Times(lower, upper)) => within(value, lower, upper),
        (Range::Texts(value, _), Range::Texts(lower, upper)) => within(value, lower, upper),
        (Range::Texts(Some(value), _), Range::TextsWith(start)) => value.starts_with(start),
        (value, asked) => value == asked,
    }
}

#[test]
fn no_run_that_is_meant_is_missed() {
    let comparisons = [
        "= 'ada'",
        "= 7",
        "> 6",
        "<= 99.5",
        "BETWEEN 1 AND 100",
        "IN ('x', 'bob')",
        "IN (7, 'a')",
        "STARTS_WITH 'b'",
        "= 'please'",
        "= true",
        "> 'a'",
        "< '2027-01-01T00:00:00Z'",
        "= '2026-03-01'",
        "IS NOT NULL",
        "= 'b c'",
    ];
    let mut others = known();
    others
        .others
        .extend(others.types.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>());
    others.types = SearchAttributeTypes::default();
    let mut met = 0;
    for known in [known(), others] {
        for name in ["Customer", "Note", "Items", "Amount", "Express", "Due", "Tags", "Loose"] {
            for comparison in comparisons {
                let Ok(query) = Query::parse(&format!("{name} {comparison}"), &known) else {
                    continue;
                };
                for run in runs().iter().filter(|run| query.filter.matches(&run.subject())) {
                    met += 1;
                    for narrow in query.filter.narrow() {
                        let Narrow::Attribute { name, ranges } = narrow else {
                            panic!("{narrow:?}")
                        };
                        let values = indexed(&run.attributes[&name]);
                        let found = values
                            .iter()
                            .any(|value| ranges.iter().any(|asked| is_in(value, asked)));
                        assert!(found, "{name} {comparison}: {values:?} is not in {ranges:?}");
                    }
                }
            }
        }
    }
    assert!(met > 30, "{met} runs were found at all");
}
