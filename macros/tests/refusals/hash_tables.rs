//! The order of hash tables.

use std::collections::{HashMap, HashSet};

use amends_macros::workflow;

struct WorkflowContext;

#[workflow]
async fn in_no_order(_cx: WorkflowContext, prices: HashMap<String, u32>) -> Result<Vec<String>, ()> {
    let seen = HashSet::from([1, 2]);
    for number in &seen {
        drop(number);
    }
    Ok(prices.into_keys().collect::<Vec<_>>())
}

fn main() {}
