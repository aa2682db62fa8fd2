//! A crash in any turn changes nothing: the same story is told again and again, each time with another one of its commits lost,
//! or kept without anybody's knowing, and all memory of it gone. What it tells is always the same.

use std::time::Duration;

use amends::model::{Reset, ResetPoint};
use amends::store::MemoryStore;
use amends::testing::{CommitFault, StoreFaults};
use amends::{
    ActivityContext, Amends, DEFAULT_VERSION, Error, Failure, RetryPolicy, UpdateError, UpdateOptions, WorkflowContext,
    activity, workflow,
};

use super::{SECOND, Told, look};

/// Copies three rows. Its first attempt stops after the second one.
#[activity]
async fn copy(cx: ActivityContext, _what: String) -> Result<u32, Failure> {
    let done = cx.heartbeat_details::<u32>()?.unwrap_or(0);
    if done == 0 {
        cx.heartbeat(&2)?;
        return Err(Failure::new("ConnectionLost", "after two rows"));
    }
    Ok(done + 1)
}

/// Waits until it is stopped.
#[activity]
async fn wait(cx: ActivityContext) -> Result<(), Failure> {
    cx.canceled().await;
    Err(Failure::canceled("as it was asked to"))
}

/// Tidies up.
#[activity]
async fn tidy(_cx: ActivityContext) -> Result<String, Failure> {
    Ok("tidied up".to_owned())
}

/// Waits for one word.
#[workflow]
async fn child(cx: WorkflowContext) -> Result<String, Failure> {
    cx.signal::<String>("word").recv().await
}

/// Signals and an update, in the order in which they come.
#[workflow]
async fn messages(cx: WorkflowContext) -> Result<Vec<String>, Failure> {
    let heard = cx.state(Vec::<String>::new());
    heard.on_signal("say", |heard, word: String| heard.push(word))?;
    heard.on_update("ask", |heard, word: String| {
        heard.push(word);
        Ok::<usize, Failure>(heard.len())
    })?;
    heard.wait_until(|heard| heard.len() == 3).await?;
    Ok(heard.get())
}

/// A chain of runs, which hands on what it counts.
#[workflow]
async fn chain(cx: WorkflowContext, runs: u32) -> Result<u32, Failure> {
    cx.signal::<()>("next").recv().await?;
    match runs {
        3 => Ok(runs),
        _ => cx.continue_as_new(chain, &(runs + 1)).await,
    }
}

/// A child that is told something by its parent.
#[workflow]
async fn parent(cx: WorkflowContext) -> Result<String, Failure> {
    let begun = cx.child(child).id("the child").start(&()).await?;
    begun.signal("word", &"hello".to_owned()).await?;
    begun.result().await
}

/// A scope that is cancelled, and a shield in which that is tidied up after.
#[workflow]
async fn scopes(cx: WorkflowContext) -> Result<String, Failure> {
    let scope = cx.scope();
    let stopped = scope.run_for(Duration::from_millis(1), cx.activity(wait, &())).await;
    let tidied = cx.shield(cx.activity(tidy, &())).await?;
    let is_canceled = stopped.is_err_and(|failure| failure.is_canceled());
    Ok(format!("stopped: {is_canceled}, {tidied}"))
}

/// Heartbeats of one attempt for the next one.
#[workflow]
async fn heartbeats(cx: WorkflowContext) -> Result<u32, Failure> {
    let retry = RetryPolicy {
        initial_interval: Duration::ZERO,
        ..RetryPolicy::default()
    };
    cx.activity(copy, &"the book".to_owned()).retry(retry).await
}

/// A version of a change, a local activity, and what the run is found by.
#[workflow]
async fn markers(cx: WorkflowContext) -> Result<String, Failure> {
    let version = cx.version("shape", DEFAULT_VERSION, 2);
    cx.upsert_search_attributes([("Stage", "begun")])?;
    let tidied = cx.local_activity(tidy, &()).await?;
    cx.upsert_search_attributes([("Stage", "done")])?;
    Ok(format!("version {version}, {tidied}, patched: {}", cx.patched("late")))
}

/// Asks again, a moment later, as long as it is the store that does not answer, as a careful caller does; or until what is meant
/// is there.
async fn insist<T, E: Into<UpdateError>>(mut request: impl AsyncFnMut() -> Result<T, E>) -> Result<T, UpdateError> {
    look(async || match request().await.map_err(Into::into) {
        Err(UpdateError::Engine(Error::Interrupted | Error::Store(_) | Error::NotFound(_))) => None,
        answer => Some(answer),
    })
    .await
}

async fn signal(amends: &Amends, id: &str, name: &str, request: &str, word: &str) -> Result<(), UpdateError> {
    let options = amends::engine::SignalOptions {
        request_id: Some(request.to_owned()),
        ..Default::default()
    };
    let client = amends.client();
    let sent = insist(async || match name {
        "next" => client.signal_with(id, name, &(), options.clone()).await,
        _ => client.signal_with(id, name, word, options.clone()).await,
    });
    match sent.await {
        // It had come already, and has ended its run.
        Err(UpdateError::Engine(Error::Rejected(amends::engine::Rejection::Closed))) => Ok(()),
        sent => sent,
    }
}

/// The result of a run, whatever fails meanwhile.
async fn result(amends: &Amends, id: &str) -> Result<String, Box<dyn std::error::Error>> {
    let run = insist(async || amends.find(id).await).await?;
    match insist(async || run.outcome().await).await? {
        amends::Outcome::Completed(result) => Ok(format!("{id}: {}", result.to::<serde_json::Value>()?)),
        other => Ok(format!("{id}: {other:?}")),
    }
}

/// The whole story.
async fn story(amends: &Amends) -> Told {
    for kind in ["messages", "parent", "scopes", "heartbeats", "markers"] {
        let start = || amends.workflow_by_name(kind).id(kind).request_id(kind);
        insist(async || start().start(&serde_json::Value::Null).await.map(drop)).await?;
    }
    insist(async || {
        amends
            .workflow(chain)
            .id("chain")
            .request_id("chain")
            .start(&1)
            .await
            .map(drop)
    })
    .await?;
    signal(amends, "messages", "say", "1", "one").await?;
    let asked = || UpdateOptions {
        update_id: Some("two".to_owned()),
    };
    let asked = async || {
        let client = amends.client();
        client
            .start_update::<_, usize>("messages", "ask", "two", asked())
            .await?
            .result()
            .await
    };
    let number = insist(asked).await?;
    signal(amends, "messages", "say", "3", "three").await?;
    for request in ["1", "2", "3"] {
        signal(amends, "chain", "next", request, "").await?;
    }
    let mut told = vec![format!("the update was answered with {number}")];
    for id in [
        "messages",
        "chain",
        "parent",
        "the child",
        "scopes",
        "heartbeats",
        "markers",
    ] {
        told.push(result(amends, id).await?);
    }
    // Once more, from its first turn: the messages come again.
    let wanted = Reset::to(ResetPoint::FirstTurn, "ada", "to see whether it is the same");
    let wanted = Reset {
        request_id: Some("again".parse()?),
        ..wanted
    };
    insist(async || amends.client().reset("messages", &wanted).await).await?;
    told.push(format!("after a reset: {}", result(amends, "messages").await?));
    let found = insist(async || amends.client().count("Stage = 'done'").await).await?;
    told.push(format!("found by their stage: {}", found.runs));
    Ok(told)
}

/// Tells it on a store of which a commit may fail; and says whether it did.
async fn tell(fault: Option<(u64, CommitFault)>) -> Result<(Vec<String>, bool), Box<dyn std::error::Error>> {
    let (memory, faults) = (MemoryStore::new(), StoreFaults::new());
    let opened = faults.clone();
    let builder = Amends::builder()
        .shards(2)
        .store(move || opened.wrap(Box::new(memory.clone())));
    let builder = builder.activity(copy).activity(wait).activity(tidy);
    let builder = builder
        .workflow(child)
        .workflow(messages)
        .workflow(chain)
        .workflow(parent);
    let builder = builder.workflow(scopes).workflow(heartbeats).workflow(markers);
    let amends = builder.start().await?;
    if let Some((nth, fault)) = fault {
        faults.fail_commit(nth, fault);
    }
    let told = story(&amends).await?;
    amends.shutdown(SECOND).await;
    Ok((told, faults.opens() > 1))
}

pub(crate) async fn visit() -> Told {
    let (peace, _) = tell(None).await?;
    let mut crashes = 0;
    for nth in 1.. {
        let mut came = false;
        for fault in [CommitFault::Lost, CommitFault::Kept] {
            let (told, failed) = tell(Some((nth, fault))).await?;
            if told != peace {
                return Err(format!("commit {nth} {fault:?}: {told:#?} instead of {peace:#?}").into());
            }
            came |= failed;
        }
        if !came {
            break;
        }
        crashes = nth;
    }
    let mut told = peace;
    told.push(format!("the same whichever commit failed: {}", crashes > 10));
    Ok(told)
}
