//! Messages that outlive the run that has sent them, and children of a run that another one was started in place of. Must not
//! live here: messages whose sender waits for them (`messages`).

use std::future::Future;
use std::time::Duration;

use amends::engine::Rejection;
use amends::{
    Amends, AmendsBuilder, Error, Failure, IdConflictPolicy, IdReusePolicy, Outcome, RunStatus, WorkflowContext,
    workflow as flow,
};

use crate::support::{Home, insist_on_finding, run, whichever_commit_fails};

/// Counts what it is told, until it is told to stop.
#[flow]
async fn listener(cx: WorkflowContext) -> Result<Vec<String>, Failure> {
    let mut heard = Vec::new();
    let told = cx.signal::<String>("told");
    loop {
        match told.recv().await? {
            word if word == "stop" => return Ok(heard),
            word => heard.push(word),
        }
    }
}

async fn told(amends: &Amends, word: &str) {
    let options = amends::engine::SignalOptions {
        request_id: Some(word.to_owned()),
        ..Default::default()
    };
    let client = amends.client();
    let signal = || async {
        match client.signal_with("listener", "told", &word, options.clone()).await {
            Err(Error::Rejected(Rejection::Closed)) => Ok(()),
            told => told,
        }
    };
    insist_on_finding(signal).await;
}

/// Begins to say it, and does not wait until it is said.
async fn say(cx: &WorkflowContext, word: &str) {
    let listener = cx.external("listener");
    let word = word.to_owned();
    let mut said = Box::pin(listener.signal("told", &word));
    std::future::poll_fn(|cx| std::task::Poll::Ready(said.as_mut().poll(cx).is_ready())).await;
}

/// Says something at its end, at that of the run before it, and before it fails.
#[flow]
async fn teller(cx: WorkflowContext, year: u32) -> Result<(), Failure> {
    say(&cx, &format!("year {year}")).await;
    match year {
        1 => cx.continue_as_new(teller, &2).await,
        2 => Ok(()),
        _ => Err(Failure::non_retryable("Broken", "for good")),
    }
}

fn registered(builder: AmendsBuilder) -> AmendsBuilder {
    builder
        .workflow(listener)
        .workflow(teller)
        .workflow(guest)
        .workflow(host)
}

async fn ended(amends: &Amends, id: &str) -> RunStatus {
    let run = insist_on_finding(|| amends.find(id)).await;
    insist_on_finding(|| run.outcome()).await.status()
}

async fn begin_teller(amends: &Amends, id: &str, year: u32) {
    let start = || async { amends.workflow(teller).id(id).request_id(id).start(&year).await };
    insist_on_finding(start).await;
}

async fn tell_and_end(amends: &Amends) -> Vec<String> {
    let start = || async {
        amends
            .workflow(listener)
            .id("listener")
            .request_id("l")
            .start(&())
            .await
    };
    insist_on_finding(start).await;
    begin_teller(amends, "long", 1).await;
    begin_teller(amends, "failing", 3).await;
    assert_eq!(ended(amends, "long").await, RunStatus::Completed);
    assert_eq!(ended(amends, "failing").await, RunStatus::Failed);
    told(amends, "stop").await;
    let run = insist_on_finding(|| amends.find("listener")).await;
    let Outcome::Completed(heard) = insist_on_finding(|| run.outcome()).await else {
        panic!("the listener was told to stop");
    };
    let mut heard: Vec<String> = heard.to_json().unwrap();
    heard.sort_unstable();
    heard
}

#[test]
fn what_a_run_says_last_is_heard_although_it_has_ended() {
    for home in Home::each() {
        run(async {
            let amends = registered(home.builder()).start().await.unwrap();
            assert_eq!(tell_and_end(&amends).await, ["year 1", "year 2", "year 3"]);
            amends.shutdown(Duration::from_secs(5)).await;
        });
        home.assert_sound();
    }
}

#[test]
fn whichever_commit_fails_a_message_that_outlives_its_sender_is_heard_once() {
    let heard = whichever_commit_fails(8..=40, registered, tell_and_end);
    assert_eq!(heard, ["year 1", "year 2", "year 3"]);
}

/// Waits until it is ended.
#[flow]
async fn guest(cx: WorkflowContext) -> Result<(), Failure> {
    cx.signal::<()>("leave").recv().await
}

/// Has a guest of this name, and waits.
#[flow]
async fn host(cx: WorkflowContext, name: String) -> Result<(), Failure> {
    cx.child(guest).id(&name).start(&()).await?;
    cx.signal::<()>("close").recv().await
}

async fn begin_host(amends: &Amends, name: &str) {
    let start = || async {
        let host = amends.workflow(host).id("host").request_id(name);
        let host = host.id_conflict_policy(IdConflictPolicy::TerminateExisting);
        let host = host.id_reuse_policy(IdReusePolicy::AllowDuplicate);
        host.start(&name.to_owned()).await
    };
    insist_on_finding(start).await;
    while amends.find(name).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn whichever_commit_fails_the_children_of_a_run_that_gave_way_are_let_go_of() {
    whichever_commit_fails(5..=40, registered, async |amends| {
        begin_host(amends, "first").await;
        begin_host(amends, "second").await;
        assert_eq!(ended(amends, "first").await, RunStatus::Terminated);
        let client = amends.client();
        let second = insist_on_finding(|| client.describe("second")).await;
        assert_eq!(second.status, RunStatus::Running, "it has another parent");
    });
}
