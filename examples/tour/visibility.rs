//! Finding runs: search attributes and memos, and the language in which runs are listed and counted.

use amends::engine::RunQuery;
use amends::testing::VirtualClock;
use amends::{Amends, Failure, RunStatus, SearchAttributeType, WorkflowContext, workflow};

use super::{HOUR, SECOND, Told, on};

/// Says how far it is, and waits to be sent.
#[workflow]
async fn order(cx: WorkflowContext, cents: i64) -> Result<(), Failure> {
    cx.upsert_search_attributes([("Stage", "packed")])?;
    cx.upsert_memo("parcels", &2)?;
    cx.signal::<()>("send").recv().await?;
    cx.upsert_search_attributes([("Stage", "sent")])?;
    if cents == 0 {
        return Err(Failure::non_retryable("Free", "nothing is for nothing"));
    }
    cx.remove_memo(["parcels"])
}

/// Four orders, an hour apart; two are sent.
async fn orders(clock: &VirtualClock, amends: &Amends) -> Result<(), Box<dyn std::error::Error>> {
    for (id, customer, amount) in [
        ("o-1", "ada", 12.5),
        ("o-2", "bob", 99.0),
        ("o-3", "ada", 250.0),
        ("o-4", "cy", 0.0),
    ] {
        let starter = amends.workflow(order).id(id).search_attribute("Customer", customer)?;
        let starter = starter
            .search_attribute("Amount", amount)?
            .memo("title", &format!("for {customer}"))?;
        #[expect(clippy::cast_possible_truncation, reason = "these are whole cents")]
        let run = starter.start(&((amount * 100.0) as i64)).await?;
        if matches!(id, "o-2" | "o-4") {
            run.signal("send", &()).await?;
            run.outcome().await?;
        } else {
            super::until_run(amends, id, |seen| seen.memo.contains_key("parcels")).await;
        }
        clock.advance(HOUR);
    }
    Ok(())
}

async fn ids(amends: &Amends, query: impl Into<RunQuery>) -> Result<String, amends::Error> {
    let page = amends.client().list(query).await?;
    Ok(page
        .iter()
        .map(|run| run.workflow_id.to_string())
        .collect::<Vec<_>>()
        .join(" "))
}

/// A registered type counts: what loses nothing by it becomes one of it, anything else is refused.
async fn types(amends: &Amends) -> Told {
    let wrong = amends.workflow(order).id("o-5").search_attribute("Amount", "lots");
    let wrong = wrong.err().map_or("it was taken".to_owned(), |error| error.to_string());
    let whole = amends
        .workflow(order)
        .id("o-6")
        .search_attribute("Amount", 7)?
        .start(&0)
        .await?;
    let amount = whole.describe().await?.search_attributes.remove("Amount");
    whole.terminate("it was only to show").await?;
    whole.outcome().await?;
    Ok(vec![
        wrong,
        amount.map_or(String::new(), |amount| format!("{amount:?}")),
    ])
}

/// What the start said, as the code has changed it since.
async fn upserts(amends: &Amends) -> Told {
    let mut told = Vec::new();
    for id in ["o-1", "o-2"] {
        let seen = amends.client().describe(id).await?;
        let stage = seen
            .search_attributes
            .get("Stage")
            .map_or(String::new(), |stage| format!("{stage:?}"));
        let memo: Vec<&str> = seen.memo.keys().map(String::as_str).collect();
        told.push(format!("{id}: {stage}, memo {}", memo.join(" and ")));
    }
    Ok(told)
}

/// The language: operators, every run's own attributes, and mistakes with their place.
async fn filters(amends: &Amends) -> Told {
    let mut told = Vec::new();
    for query in [
        "Customer = 'ada' AND Amount > 100",
        "Customer IN ('bob', 'cy') AND NOT Stage = 'packed'",
        "Amount BETWEEN 10 AND 100 OR Customer IS NULL",
        "WorkflowId STARTS_WITH 'o-' AND ExecutionStatus != 'Running'",
        "StartTime < '2026-01-01T01:30:00Z' AND CloseTime IS NULL",
        "Custmer = 'ada'",
    ] {
        let found = ids(amends, query).await.unwrap_or_else(|error| error.to_string());
        let found = found.split(" known: ").next().unwrap_or_default();
        told.push(format!("{query}: {found}"));
    }
    Ok(told)
}

/// Sorted, page by page, and counted.
async fn pages_and_counts(amends: &Amends) -> Told {
    let query = RunQuery::new("Customer IS NOT NULL ORDER BY Amount DESC").limit(2);
    let mut told = Vec::new();
    let mut page = amends.client().list(query.clone()).await?;
    while !page.is_empty() {
        let ids: Vec<String> = page.iter().map(|run| run.workflow_id.to_string()).collect();
        told.push(format!("a page: {}", ids.join(" ")));
        let Some(next) = page.next else { break };
        page = amends.client().list(query.clone().page(next)).await?;
    }
    let count = amends
        .client()
        .count("Customer IS NOT NULL GROUP BY ExecutionStatus")
        .await?;
    let of = |status: RunStatus| count.by_status.get(&status).copied().unwrap_or_default();
    let (open, done, failed) = (of(RunStatus::Running), of(RunStatus::Completed), of(RunStatus::Failed));
    told.push(format!(
        "{} runs: {open} running, {done} completed, {failed} failed",
        count.runs
    ));
    Ok(told)
}

pub(crate) async fn visit() -> Told {
    let clock = VirtualClock::new();
    let builder = on(&clock)
        .workflow(order)
        .search_attribute("Amount", SearchAttributeType::Double);
    let amends = builder.start().await?;
    orders(&clock, &amends).await?;
    let mut told = types(&amends).await?;
    told.extend(upserts(&amends).await?);
    told.extend(filters(&amends).await?);
    told.extend(pages_and_counts(&amends).await?);
    amends.shutdown(SECOND).await;
    Ok(told)
}
