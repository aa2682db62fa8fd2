//! What an engine does at once, and for whom: limits of concurrency and rate, breakers, task queues; from code, from the
//! configuration, from definition files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use amends::config::EngineConfig;
use amends::definition::ParseOptions;
use amends::model::HoldReason;
use amends::store::MemoryStore;
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, ActivityLimits, Amends, AmendsBuilder, Breaker, Failure, RetryPolicy, SagaDefinition,
    TaskQueueOptions, WorkflowContext, activity, workflow,
};

use super::{Notes, SECOND, Told, moment, note, on, until, until_run};

/// Counts how many of it are at work.
#[derive(Clone, Default)]
struct Busy {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

#[activity]
async fn work(cx: ActivityContext, number: u32) -> Result<u32, Failure> {
    if let Some(busy) = cx.state::<Busy>() {
        let now = busy.now.fetch_add(1, Ordering::SeqCst) + 1;
        busy.most.fetch_max(now, Ordering::SeqCst);
        moment().await;
        busy.now.fetch_sub(1, Ordering::SeqCst);
    }
    Ok(number)
}

/// Blocks its thread: it is no async function.
#[activity]
#[expect(clippy::needless_pass_by_value, reason = "an activity owns what it is given")]
fn grind(cx: ActivityContext, number: u32) -> Result<u32, Failure> {
    if let Some(busy) = cx.state::<Busy>() {
        let now = busy.now.fetch_add(1, Ordering::SeqCst) + 1;
        busy.most.fetch_max(now, Ordering::SeqCst);
        std::thread::yield_now();
        busy.now.fetch_sub(1, Ordering::SeqCst);
    }
    Ok(number)
}

#[activity]
async fn mail(cx: ActivityContext, number: u32) -> Result<u32, Failure> {
    note(&cx, format!("mail {number}"));
    Ok(number)
}

/// A participant that is down, until it is up.
#[activity]
async fn charge(cx: ActivityContext) -> Result<u32, Failure> {
    let is_up = cx
        .state::<Arc<AtomicBool>>()
        .is_some_and(|up| up.load(Ordering::SeqCst));
    note(&cx, "asked");
    match is_up {
        true => Ok(cx.info().attempt),
        false => Err(Failure::new("Down", "nobody answers")),
    }
}

#[activity(task_queue = "gpu")]
async fn render(_cx: ActivityContext, film: String) -> Result<String, Failure> {
    Ok(format!("{film} is rendered"))
}

#[workflow]
async fn works(cx: WorkflowContext, times: u32) -> Result<usize, Failure> {
    Ok(cx
        .try_map_concurrent(0..times, 100, |number| cx.activity(work, &number))
        .await?
        .len())
}

#[workflow]
async fn grinds(cx: WorkflowContext, times: u32) -> Result<usize, Failure> {
    Ok(cx
        .try_map_concurrent(0..times, 100, |number| cx.activity(grind, &number))
        .await?
        .len())
}

#[workflow]
async fn mails(cx: WorkflowContext, times: u32) -> Result<usize, Failure> {
    Ok(cx
        .try_map_concurrent(0..times, 100, |number| cx.activity(mail, &number))
        .await?
        .len())
}

#[workflow]
async fn charges(cx: WorkflowContext) -> Result<u32, Failure> {
    let retry = RetryPolicy {
        maximum_attempts: 3,
        backoff_coefficient: 1.0,
        ..RetryPolicy::default()
    };
    cx.activity(charge, &()).retry(retry).await
}

#[workflow]
async fn renders(cx: WorkflowContext, film: String) -> Result<String, Failure> {
    cx.activity(render, &film).await
}

/// How many were at work at once, of twenty.
async fn most_at_once(builder: AmendsBuilder) -> Result<usize, Box<dyn std::error::Error>> {
    let busy = Busy::default();
    let builder = builder.memory().state(busy.clone()).activity(work).workflow(works);
    let amends = builder.start().await?;
    amends.workflow(works).start(&20).await?.result().await?;
    amends.shutdown(SECOND).await;
    Ok(busy.most.load(Ordering::SeqCst))
}

/// A type has at most so many attempts at once.
async fn at_once() -> Told {
    let builder = Amends::builder().activity_limits("work", ActivityLimits::new().max_concurrent(1));
    Ok(vec![format!("from code: {} at once", most_at_once(builder).await?)])
}

/// The same from an engine's configuration file.
async fn configuration() -> Told {
    let config = EngineConfig::parse("amends.toml", "[activities.work]\nmax_concurrent = 1\n")?;
    let builder = Amends::builder().config(config);
    let mistake = EngineConfig::parse("amends.toml", "[activities.work]\nmax_concurent = 1\n");
    let mistake = mistake.err().map_or(String::new(), |error| error.to_string());
    Ok(vec![
        format!("from the configuration: {} at once", most_at_once(builder).await?),
        mistake.trim().to_owned(),
    ])
}

/// The same from the definition of a saga, which says what its activities bear.
async fn definition() -> Told {
    let file = r#"
        name = "pair"
        [activity_limits.work]
        max_concurrent = 1
        [[step]]
        name = "one"
        activity = "work"
        input = 1
        compensation = "none"
    "#;
    let (saga, _) = SagaDefinition::parse("pair.toml", file, &ParseOptions::default())?;
    let builder = Amends::builder().saga(saga);
    Ok(vec![format!(
        "from a definition: {} at once",
        most_at_once(builder).await?
    )])
}

/// Two in twenty seconds: what comes after them waits for its time.
async fn rate() -> Told {
    let (clock, notes) = (VirtualClock::new(), Notes::default());
    let limits = ActivityLimits::new().rate(2, SECOND * 20);
    let builder = on(&clock)
        .state(notes.clone())
        .activity_limits("mail", limits)
        .activity(mail);
    let amends = builder.workflow(mails).start().await?;
    let run = amends.workflow(mails).start(&4).await?;
    let mut sent = Vec::new();
    for mails in [2, 3] {
        notes.until(mails).await;
        sent.push(notes.all().len().to_string());
        clock.pass(SECOND * 10).await;
    }
    sent.push(run.result().await?.to_string());
    amends.shutdown(SECOND).await;
    Ok(vec![format!("mails after 0, 10 and 20 seconds: {}", sent.join(", "))])
}

/// The same for all that is on a task queue, of whatever type.
async fn queue_rate() -> Told {
    let (clock, notes) = (VirtualClock::new(), Notes::default());
    let builder = on(&clock).state(notes.clone()).activity(mail).workflow(mails);
    let paced = TaskQueueOptions::new().activity_rate(1, SECOND * 10);
    let amends = builder.task_queue("mail", paced).start().await?;
    let run = amends.workflow(mails).task_queue("mail").start(&3).await?;
    let mut sent = Vec::new();
    for mails in [1, 2] {
        notes.until(mails).await;
        sent.push(notes.all().len().to_string());
        clock.pass(SECOND * 10).await;
    }
    sent.push(run.result().await?.to_string());
    amends.shutdown(SECOND).await;
    Ok(vec![format!(
        "of a queue after 0, 10 and 20 seconds: {}",
        sent.join(", ")
    )])
}

/// Blocking attempts take a thread each, so many at once.
async fn blocking() -> Told {
    let busy = Busy::default();
    let builder = Amends::builder()
        .memory()
        .max_blocking_activities(1)
        .state(busy.clone())
        .activity(grind)
        .workflow(grinds);
    let amends = builder.start().await?;
    amends.workflow(grinds).start(&20).await?.result().await?;
    amends.shutdown(SECOND).await;
    Ok(vec![format!("{} blocks at a time", busy.most.load(Ordering::SeqCst))])
}

/// After two failures in a row nobody asks any more, until the participant has answered a probe.
async fn breaker() -> Told {
    let (clock, notes, up) = (VirtualClock::new(), Notes::default(), Arc::new(AtomicBool::new(false)));
    let limits = ActivityLimits::new().breaker(Breaker::after(2).open_for(SECOND * 30));
    let builder = on(&clock).state(notes.clone()).state(Arc::clone(&up)).activity(charge);
    let amends = builder
        .activity_limits("charge", limits)
        .workflow(charges)
        .start()
        .await?;
    let run = amends.workflow(charges).id("c").start(&()).await?;
    notes.until(1).await;
    clock.pass(SECOND).await;
    notes.until(2).await;
    until_run(&amends, "c", |seen| {
        seen.pending.iter().any(|pending| pending.attempt == 3)
    })
    .await;
    clock.pass(SECOND).await;
    let seen = until_run(&amends, "c", |seen| {
        seen.pending
            .iter()
            .any(|pending| pending.held == Some(HoldReason::Breaker))
    });
    let attempt = seen.await.pending.first().map_or(0, |pending| pending.attempt);
    until(async || amends.client().activity_types().iter().any(|charge| charge.parked == 1)).await;
    let asked = notes.all().len();
    up.store(true, Ordering::SeqCst);
    clock.pass(SECOND * 29).await;
    let told = format!(
        "asked {asked} times, attempt {attempt} is parked; answered at attempt {}",
        run.result().await?
    );
    amends.shutdown(SECOND).await;
    Ok(vec![told])
}

/// What is on a queue that nobody serves waits, and goes on with an engine that serves it.
async fn queues() -> Told {
    let memory = MemoryStore::new();
    let engine = || {
        let memory = memory.clone();
        let builder = Amends::builder().store(move || Ok(Box::new(memory.clone())));
        builder.activity(render).workflow(renders)
    };
    let amends = engine().start().await?;
    amends
        .workflow(renders)
        .id("film")
        .start(&"the film".to_owned())
        .await?;
    let seen = until_run(&amends, "film", |seen| {
        seen.pending.iter().any(|pending| pending.held.is_some())
    })
    .await;
    let waits = seen.pending.first().map_or(String::new(), |pending| {
        format!("waits for a worker of {}", pending.task_queue)
    });
    amends.shutdown(SECOND).await;
    let gpu = TaskQueueOptions::new().max_concurrent_activities(2);
    let amends = engine().task_queue("gpu", gpu).start().await?;
    let result: serde_json::Value = amends.find("film").await?.result().await?;
    let served: Vec<String> = amends
        .client()
        .task_queues()
        .iter()
        .map(|queue| queue.task_queue.to_string())
        .collect();
    amends.shutdown(SECOND).await;
    Ok(vec![
        format!("render {waits}"),
        format!("served are {}: {result}", served.join(" and ")),
    ])
}

pub(crate) async fn visit() -> Told {
    let mut told = at_once().await?;
    told.extend(configuration().await?);
    told.extend(definition().await?);
    told.extend(rate().await?);
    told.extend(queue_rate().await?);
    told.extend(blocking().await?);
    told.extend(breaker().await?);
    told.extend(queues().await?);
    Ok(told)
}
