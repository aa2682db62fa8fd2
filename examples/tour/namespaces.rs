//! Namespaces: one engine on one store for several teams that do not see each other's runs, each with limits of its own.

use std::time::Duration;

use amends::config::EngineConfig;
use amends::model::limits::RETENTION_REST;
use amends::store::MemoryStore;
use amends::testing::VirtualClock;
use amends::{Amends, AmendsBuilder, Failure, Namespace, ResultError, TaskQueueOptions, WorkflowContext, workflow};

use super::{DAY, SECOND, Told, on, until_run};

/// Ends when it is told to.
#[workflow]
async fn order(cx: WorkflowContext, what: String) -> Result<String, Failure> {
    cx.signal::<()>("end").recv().await?;
    Ok(what)
}

/// Has a child, signals it by its id, and goes on as a new run, which says where it is.
#[workflow]
async fn family(cx: WorkflowContext, second: bool) -> Result<String, Failure> {
    if second {
        return Ok(cx.info().workflow_id.namespace().to_owned());
    }
    let child = cx.child(order).id("order-1").start(&"a child".to_owned()).await?;
    cx.external("order-1").signal("end", &()).await?;
    child.result().await?;
    cx.continue_as_new(family, &true).await
}

/// On a queue of its own.
#[workflow(task_queue = "cards")]
async fn card(_cx: WorkflowContext) -> Result<String, Failure> {
    Ok("charged".to_owned())
}

/// Says more than it may.
#[workflow]
async fn talker(cx: WorkflowContext, bytes: usize) -> Result<usize, Failure> {
    let long = "x".repeat(bytes);
    let told: String = cx.child(echo).run(&long).await?;
    Ok(told.len())
}

/// Never comes to an end.
#[workflow]
async fn restless(cx: WorkflowContext) -> Result<(), Failure> {
    loop {
        cx.sleep(Duration::ZERO).await?;
    }
}

#[workflow]
async fn echo(_cx: WorkflowContext, text: String) -> Result<String, Failure> {
    Ok(text)
}

fn described(builder: AmendsBuilder) -> AmendsBuilder {
    builder
        .workflow(order)
        .workflow(family)
        .workflow(card)
        .workflow(talker)
        .workflow(echo)
        .workflow(restless)
}

/// How many runs there are in a namespace.
async fn runs(amends: &Amends) -> Result<u64, amends::Error> {
    Ok(amends.client().count("").await?.runs)
}

/// The same id in two namespaces is two workflows.
async fn ids() -> Told {
    let builder = described(Amends::builder().memory()).namespace(Namespace::new("payments"));
    let amends = builder.start().await?;
    let payments = amends.in_namespace("payments")?;
    let plain = amends.workflow(order).id("order-1").start(&"plain".to_owned()).await?;
    let paid = payments.workflow(order).id("order-1").start(&"paid".to_owned()).await?;
    payments.client().signal("order-1", "end", &()).await?;
    let result = paid.result().await?;
    let told = vec![
        format!(
            "order-1 of payments is {result}, order-1 of default {}",
            plain.describe().await?.status
        ),
        format!("runs: {} and {}", runs(&amends).await?, runs(&payments).await?),
        format!(
            "seen from default, its run is not there: {}",
            amends.find_run(paid.run_id()).await.is_err()
        ),
    ];
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// Whatever a run starts, tells and becomes stays in its namespace.
async fn inside() -> Told {
    let builder = described(Amends::builder().memory()).namespace(Namespace::new("payments"));
    let amends = builder.start().await?;
    let payments = amends.in_namespace("payments")?;
    let place = payments
        .workflow(family)
        .id("family")
        .start(&false)
        .await?
        .result()
        .await?;
    let told = format!(
        "a child, a message and a chain in {place}; runs there: {}, elsewhere: {}",
        runs(&payments).await?,
        runs(&amends).await?
    );
    amends.shutdown(SECOND).await;
    Ok(vec![told])
}

/// A queue of one namespace is another one than that of the same name elsewhere.
async fn queues() -> Told {
    let memory = MemoryStore::new();
    let engine = |payments: Namespace| {
        let memory = memory.clone();
        let builder = Amends::builder().store(move || Ok(Box::new(memory.clone())));
        described(builder)
            .task_queue("cards", TaskQueueOptions::new())
            .namespace(payments)
            .start()
    };
    let amends = engine(Namespace::new("payments")).await?;
    let plain = amends.workflow(card).id("card").start(&()).await?.result().await?;
    let payments = amends.in_namespace("payments")?;
    payments.workflow(card).id("card").start(&()).await?;
    let waits = until_run(&payments, "card", |seen| seen.waits_for_worker)
        .await
        .waits_for_worker;
    let mut told = vec![format!("default: {plain}; payments waits for a worker: {waits}")];
    amends.shutdown(SECOND).await;
    let cards = TaskQueueOptions::new().max_concurrent_activities(8);
    let amends = engine(Namespace::new("payments").task_queue("cards", cards)).await?;
    let found = amends.in_namespace("payments")?.find("card").await?;
    told.push(format!("with a queue of its own: {}", found.result().await?));
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// Each keeps what ended for as long as it says.
async fn retention() -> Told {
    let clock = VirtualClock::new();
    let builder = described(on(&clock))
        .retention(DAY * 3)
        .namespace(Namespace::new("short").retention(DAY));
    let amends = builder.namespace(Namespace::new("for-ever")).start().await?;
    let of = |name: &str| amends.in_namespace(name);
    for name in ["default", "short", "for-ever"] {
        of(name)?
            .workflow(echo)
            .id("echo")
            .start(&String::new())
            .await?
            .result()
            .await?;
    }
    let mut told = Vec::new();
    for day in [1, 3] {
        clock.advance(DAY * if day == 1 { 1 } else { 2 });
        clock.pass(RETENTION_REST).await;
        clock.until_asleep(RETENTION_REST).await;
        let left = [
            runs(&of("default")?).await?,
            runs(&of("short")?).await?,
            runs(&of("for-ever")?).await?,
        ];
        told.push(format!(
            "after {day} days of default, short and for-ever are left: {left:?}"
        ));
    }
    amends.shutdown(SECOND).await;
    Ok(told)
}

/// A full namespace refuses starts; no other does.
async fn open_runs() -> Told {
    let builder = described(Amends::builder().memory()).namespace(Namespace::new("small").max_open_runs(1));
    let amends = builder.start().await?;
    let small = amends.in_namespace("small")?;
    small.workflow(order).id("a").start(&String::new()).await?;
    let refused = small.workflow(order).id("b").start(&String::new()).await;
    let elsewhere = amends.workflow(order).id("b").start(&String::new()).await.is_ok();
    let refused = refused
        .err()
        .map_or("it was started".to_owned(), |error| error.to_string());
    amends.shutdown(SECOND).await;
    Ok(vec![refused, format!("elsewhere it begins: {elsewhere}")])
}

/// Values and histories of a namespace may be smaller than elsewhere.
async fn sizes() -> Told {
    let tight = Namespace::new("tight").max_payload_bytes(1_000).max_history_events(100);
    let amends = described(Amends::builder().memory()).namespace(tight).start().await?;
    let tight = amends.in_namespace("tight")?;
    let start = tight.workflow(echo).start(&"x".repeat(2_000)).await;
    let start = start.err().map_or("it was taken".to_owned(), |error| error.to_string());
    let code = match tight.workflow(talker).start(&2_000).await?.result().await {
        Err(ResultError::Failed(failure)) => failure.to_string(),
        other => format!("{other:?}"),
    };
    let elsewhere = amends.workflow(talker).start(&2_000).await?.result().await?;
    let long = match tight.workflow(restless).start(&()).await?.result().await {
        Err(ResultError::Failed(failure)) => failure.to_string(),
        other => format!("{other:?}"),
    };
    amends.shutdown(SECOND).await;
    Ok(vec![start, code, format!("elsewhere: {elsewhere} bytes"), long])
}

/// The same from the configuration of an engine.
async fn configuration() -> Told {
    let file = "[namespaces.payments]\nretention = \"90d\"\nmax_open_runs = 1\n";
    let builder = Amends::builder()
        .config(EngineConfig::parse("amends.toml", file)?)
        .memory();
    let amends = described(builder).start().await?;
    let payments = amends.in_namespace("payments")?;
    payments.workflow(order).id("a").start(&String::new()).await?;
    let refused = payments.workflow(order).id("b").start(&String::new()).await;
    amends.shutdown(SECOND).await;
    Ok(vec![format!(
        "from the configuration: {}",
        refused.err().map_or(String::new(), |error| error.code().to_string())
    )])
}

pub(crate) async fn visit() -> Told {
    let mut told = ids().await?;
    told.extend(inside().await?);
    told.extend(queues().await?);
    told.extend(retention().await?);
    told.extend(open_runs().await?);
    told.extend(sizes().await?);
    told.extend(configuration().await?);
    Ok(told)
}
