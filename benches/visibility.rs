//! How long it takes to find runs among many closed ones: a million, or as many as `AMENDS_VISIBILITY_RUNS` says. Prints a table.
//! Must not live here: engines; the store alone is asked.
//!
//!     cargo bench --all-features --bench visibility

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock, and is told how much to measure"
)]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use amends::model::{NamespaceName, RunId, RunStatus, SearchAttributeTypes, Timestamp, WorkflowId, WorkflowType};
use amends::store::sled::{SledOptions, SledStore};
use amends::store::{CommitBatch, FoundBy, ListQuery, NewRun, Store, TurnRecord};
use amends::visibility::{Known, Query};

/// Bytes of a run's turns: those of a small saga.
const TURN_BYTES: usize = 1_200;

const COMMIT: u64 = 1_000;

fn main() {
    let runs = std::env::var("AMENDS_VISIBILITY_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok());
    let runs = runs.unwrap_or(1_000_000);
    let directory = tempfile::tempdir().expect("a directory");
    for with_attributes in [false, true] {
        let path = directory.path().join(with_attributes.to_string());
        let filled = fill(&path, runs, with_attributes);
        let began = Instant::now();
        let store = open(&path);
        println!(
            "{runs} runs, search attributes: {with_attributes}; written in {filled:.1?}, opened in {:.1?}, {} MB",
            began.elapsed(),
            store.stats().bytes_on_disk / 1_000_000
        );
        let queries: &[&str] = match with_attributes {
            false => &[
                "",
                "WorkflowId = 'order-0500000'",
                "WorkflowType = 'refund'",
                "ExecutionStatus = 'Stuck'",
            ],
            true => &[
                "Customer = 'customer-777'",
                "Customer = 'customer-777' AND Amount > 500 AND ExecutionStatus = 'Failed'",
                "Amount BETWEEN 100 AND 100.01",
                "Stage = 'sent'",
                "Customer STARTS_WITH 'customer-77'",
                "Customer = 'customer-777' AND Stage = 'sent'",
                "Stage = 'nothing'",
                "ExecutionStatus = 'TimedOut'",
            ],
        };
        queries.iter().for_each(|query| ask(&store, query));
    }
}

fn open(path: &Path) -> SledStore {
    SledStore::open(path, SledOptions::default()).expect("it can be opened")
}

fn fill(path: &Path, runs: u64, with_attributes: bool) -> Duration {
    let began = Instant::now();
    let store = open(path);
    let epoch = store.claim().expect("claimed");
    for first in (0..runs).step_by(usize::try_from(COMMIT).expect("small")) {
        let turns = (first..(first + COMMIT).min(runs)).map(|number| turn(number, with_attributes));
        let batch = CommitBatch {
            turns: turns.collect(),
            definitions: Vec::new(),
        };
        store.commit(epoch, &batch).expect("committed");
    }
    drop(store);
    // What closing left for the next one.
    drop(open(path));
    began.elapsed()
}

fn turn(number: u64, with_attributes: bool) -> TurnRecord {
    // Scattered, so that neighbours have nothing in common.
    let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let amount = (scattered % 100_000) as f64 / 100.0;
    let status = if scattered.is_multiple_of(50) {
        RunStatus::Failed
    } else {
        RunStatus::Completed
    };
    TurnRecord {
        run_id: RunId::from_parts(1_700_000_000_000 + number, &[7; 10]),
        seq: 1,
        time: Timestamp::from_micros(i64::try_from(1_700_000_000_000_000 + number * 1_000).expect("a time")),
        bytes: vec![0x5a; TURN_BYTES].into(),
        status,
        next_event: 20,
        wake: None,
        opens: Some(NewRun {
            workflow_id: WorkflowId::from_trusted(format!("order-{number:07}")),
            workflow_type: WorkflowType::from_trusted("place_order"),
        }),
        found_by: with_attributes.then(|| {
            let stage = if scattered.is_multiple_of(3) { "sent" } else { "packed" };
            let attributes = [
                ("Customer", format!("customer-{}", scattered % 10_000).into()),
                ("Amount", amount.into()),
                ("Stage", stage.into()),
            ];
            Arc::new(FoundBy {
                parent: None,
                search_attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
            })
        }),
    }
}

/// The first page of a hundred runs, and a count of all.
fn ask(store: &dyn Store, text: &str) {
    let known = Known {
        types: SearchAttributeTypes::default(),
        others: store.search_attribute_names().expect("readable"),
    };
    let query = Query::parse(text, &known).expect("a query");
    let query = ListQuery {
        // As engines ask; a workflow id is only one of a namespace.
        namespace: Some(NamespaceName::default()),
        filter: Some(query.filter),
        ..ListQuery::default()
    };
    let began = Instant::now();
    let page = store.list(&query).expect("readable").len();
    let listed = began.elapsed();
    let began = Instant::now();
    let mut count = 0_u64;
    let visited = store.visit(&query, &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    });
    visited.expect("readable");
    let counted = began.elapsed();
    println!("  {page:>3} of {count:>7} runs  page {listed:>10.2?}  count {counted:>10.2?}  {text}");
}
