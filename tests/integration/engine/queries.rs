//! Lists and counts of runs by queries: of runs in memory and on disk, page by page, with and without registered types.
//! Must not live here: the language itself.

use std::collections::BTreeSet;
use std::time::Duration;

use amends::engine::{PageToken, RunQuery};
use amends::{Amends, Error, RunStatus, SearchAttributeType};
use serde_json::{Value, json};

use crate::support::{Home, run, workflow};

const RUNS: usize = 30;

/// Even runs end at once; the others wait.
async fn thirty(home: &Home) -> Amends {
    let code = workflow("order", |cx, input| async move {
        if input.as_u64().is_some_and(|number| number % 2 == 1) {
            let _: Value = cx.signal("go").recv().await?;
        }
        Ok(input)
    });
    let builder = home.builder().workflow_definition(code);
    let amends = builder
        .search_attribute("Amount", SearchAttributeType::Double)
        .start()
        .await
        .unwrap();
    for number in 0..RUNS {
        let starter = amends.workflow_by_name("order").id(format!("o-{number:02}"));
        let starter = starter
            .search_attribute("Amount", i64::try_from(number % 10).unwrap())
            .unwrap();
        let starter = starter
            .search_attribute("Customer", ["ada", "bob", "cy"][number % 3])
            .unwrap();
        let run = starter.start(&json!(number)).await.unwrap();
        if number % 2 == 0 {
            run.result().await.unwrap();
        }
    }
    amends
}

async fn ids(amends: &Amends, query: impl Into<RunQuery>) -> Vec<String> {
    let page = amends.client().list(query).await.unwrap();
    page.iter().map(|head| head.workflow_id.to_string()).collect()
}

/// All pages of a list, by the numbers of the runs.
async fn all(amends: &Amends, query: &str, limit: usize) -> Vec<usize> {
    let query = RunQuery::new(query).limit(limit);
    let mut page = amends.client().list(query.clone()).await.unwrap();
    let mut seen = Vec::new();
    loop {
        assert!(page.runs.len() <= limit);
        seen.extend(
            page.runs
                .iter()
                .map(|head| head.workflow_id.as_str()[2..].parse::<usize>().unwrap()),
        );
        let Some(next) = page.next else { return seen };
        // A token is a text that goes anywhere and comes back.
        let next: PageToken = next.to_string().parse().unwrap();
        page = amends.client().list(query.clone().page(next)).await.unwrap();
    }
}

#[test]
fn lists_and_counts_are_the_same_before_and_after_a_restart() {
    for home in Home::each() {
        for life in 0..2 {
            run(async {
                let amends = match life {
                    0 => thirty(&home).await,
                    _ => home
                        .builder()
                        .search_attribute("Amount", SearchAttributeType::Double)
                        .start()
                        .await
                        .unwrap(),
                };
                // Of runs that began in the same millisecond the ids say which is the newer.
                let newest = all(&amends, "", 100).await;
                assert_eq!(newest.iter().collect::<BTreeSet<_>>().len(), RUNS);
                let newest_first = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
                    newest.iter().copied().filter(|number| wanted(*number)).collect()
                };
                assert_eq!(all(&amends, "", 7).await, newest_first(&|_| true));
                assert_eq!(
                    all(&amends, "Customer = 'ada'", 3).await,
                    newest_first(&|number| number % 3 == 0)
                );
                let cheap = "Customer = 'bob' AND Amount < 4 AND ExecutionStatus = 'Completed'";
                let is_cheap = |number: usize| number % 3 == 1 && number % 10 < 4 && number.is_multiple_of(2);
                assert_eq!(all(&amends, cheap, 100).await, newest_first(&is_cheap));
                let mut by_amount = newest.clone();
                by_amount.sort_by_key(|number| std::cmp::Reverse(number % 10));
                assert_eq!(all(&amends, "ORDER BY Amount DESC", 4).await, by_amount);
                let mut by_both: Vec<usize> = newest_first(&|number| number % 2 == 0);
                by_both.sort_by_key(|number| (number % 3, std::cmp::Reverse(number % 10)));
                let sorted = "CloseTime IS NOT NULL ORDER BY Customer, Amount DESC";
                assert_eq!(all(&amends, sorted, 4).await, by_both);

                let count = amends
                    .client()
                    .count("Customer != 'cy' GROUP BY ExecutionStatus")
                    .await
                    .unwrap();
                assert_eq!((count.runs, count.is_grouped), (20, true));
                // Without the code those that wait are parked after a restart.
                let open = if life == 0 {
                    RunStatus::Running
                } else {
                    RunStatus::Parked
                };
                let closed = count.by_status[&RunStatus::Completed];
                let waiting: u64 = count
                    .by_status
                    .iter()
                    .filter(|(status, _)| !status.is_closed())
                    .map(|(_, runs)| runs)
                    .sum();
                assert_eq!((closed, waiting), (10, 10), "{open} {count:?}");
                amends.shutdown(Duration::from_secs(5)).await;
            });
        }
        home.assert_sound();
    }
}

#[test]
fn pages_stay_where_they_are_when_runs_begin_and_end() {
    run(async {
        let home = Home::sled();
        let amends = thirty(&home).await;
        for query in ["", "ORDER BY WorkflowId DESC"] {
            let asked = RunQuery::new(query).limit(10);
            let first = amends.client().list(asked.clone()).await.unwrap();
            let next = first.next.clone().unwrap();
            let before = ids(&amends, asked.clone().page(next.clone())).await;
            amends
                .workflow_by_name("order")
                .id(format!("z{}", query.len()))
                .start(&json!(0))
                .await
                .unwrap();
            let last = first.runs.last().unwrap().workflow_id.to_string();
            let _ = amends.client().signal(&last, "go", &1).await;
            assert_eq!(ids(&amends, asked.page(next)).await, before);
        }
        amends.shutdown(Duration::from_secs(5)).await;
    });
}

#[test]
fn mistakes_say_where_they_are_and_what_was_meant() {
    run(async {
        let home = Home::memory();
        let amends = thirty(&home).await;
        let client = amends.client();
        let error = client.list("Custmer = 'ada'").await.unwrap_err();
        assert_eq!(error.code().to_string(), "E0040");
        let expected = "the query cannot be read: column 1: unknown attribute `Custmer`; did you mean `Customer`? known: Amount, Customer, CloseTime";
        assert!(error.to_string().starts_with(expected), "{error}");
        let error = client.count("Amount = 'much'").await.unwrap_err().to_string();
        assert!(error.contains("column 10: Amount is a number"), "{error}");
        let error = client.list("GROUP BY ExecutionStatus").await.unwrap_err().to_string();
        assert!(error.contains("for counting"), "{error}");
        let token = client.list(RunQuery::new("").limit(1)).await.unwrap().next.unwrap();
        let other = RunQuery::new("ORDER BY Amount").page(token);
        assert!(matches!(client.list(other).await, Err(Error::PageToken)));
        amends.shutdown(Duration::from_secs(5)).await;
    });
}
