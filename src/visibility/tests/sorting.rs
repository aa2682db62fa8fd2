//! The order of lists, and their places in tokens.

use super::*;

fn sorted(text: &str) -> Vec<u8> {
    let order = query(text).order;
    let runs = runs();
    let mut keys: Vec<(SortKey, u8)> = runs
        .iter()
        .map(|run| (Order::key(&order, &run.subject()), run.number))
        .collect();
    keys.sort_by(|one, other| one.0.cmp(&other.0));
    keys.into_iter().map(|(_, number)| number).collect()
}

#[test]
fn what_is_missing_comes_last_and_equals_are_newest_first() {
    assert_eq!(sorted("ORDER BY Amount"), [1, 2, 3]);
    assert_eq!(sorted("ORDER BY Amount DESC"), [2, 1, 3]);
    assert_eq!(sorted("ORDER BY CloseTime ASC"), [2, 3, 1]);
    assert_eq!(sorted("ORDER BY CloseTime DESC"), [3, 2, 1]);
    assert_eq!(sorted("ORDER BY StartTime DESC"), [3, 2, 1]);
    assert_eq!(sorted("ORDER BY WorkflowType, WorkflowId DESC"), [2, 1, 3]);
    assert_eq!(sorted("ORDER BY Loose"), [2, 1, 3], "a number is before a text");
}

#[test]
fn values_come_back_from_json() {
    let order = query("ORDER BY Express, Items, Amount, Due, Customer, Tags, ExecutionStatus, RunId").order;
    for run in runs() {
        let key = Order::key(&order, &run.subject());
        for (value, _) in &key.values {
            assert_eq!(SortValue::from_json(&value.to_json()).as_ref(), Some(value));
        }
    }
    assert_eq!(SortValue::from_json(&serde_json::json!({"x": 1})), None);
}
