//! Messages that outlive the run that has sent them, and children of a run that another one was started in place of. Must not
//! live here: messages whose sender waits for them (`messages`).

use std::future::Future;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends::engine::Rejection;
use amends::model::{Reset, ResetPoint};
use amends::testing::VirtualClock;
use amends::{
    Amends, AmendsBuilder, Error, Failure, IdConflictPolicy, IdReusePolicy, Outcome, RetryPolicy, RunStatus,
    WorkflowContext, WorkflowDefinition, workflow as flow,
};
use futures_util::future::select_all;
use serde_json::json;

use super::retention::{is_there, look};
use crate::support::{Home, insist_on_finding, run, whichever_commit_fails, workflow};

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

/// Says something at its end, at that of the run before it, and before it fails: for now, and for good.
#[flow]
async fn teller(cx: WorkflowContext, year: u32) -> Result<(), Failure> {
    say(&cx, &format!("year {year}, try {}", cx.info().attempt)).await;
    match year {
        1 => cx.continue_as_new(teller, &2).await,
        2 => Ok(()),
        3 if cx.info().attempt == 1 => Err(Failure::new("Tired", "for now")),
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
    let twice = RetryPolicy {
        initial_interval: Duration::from_millis(1),
        maximum_attempts: 2,
        ..RetryPolicy::default()
    };
    let teller = || amends.workflow(teller).id(id).request_id(id);
    let start = || async { teller().retry_policy(twice.clone()).start(&year).await };
    insist_on_finding(start).await;
}

const HEARD: [&str; 4] = ["year 1, try 1", "year 2, try 1", "year 3, try 1", "year 3, try 2"];

/// Waits until the listener has so many signals: who waits for an end does not wait for what was said last.
async fn until_told(amends: &Amends, signals: usize) {
    let client = amends.client();
    loop {
        let history = insist_on_finding(|| client.history("listener")).await;
        let is_signal = |kind: &str| kind == "WorkflowExecutionSignaled";
        let told = history.iter().filter(|event| is_signal(event.attributes.kind()));
        if told.count() >= signals {
            return;
        }
        tokio::task::yield_now().await;
    }
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
    until_told(amends, 4).await;
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
            assert_eq!(tell_and_end(&amends).await, HEARD);
            amends.shutdown(Duration::from_secs(5)).await;
        });
        home.assert_sound();
    }
}

#[test]
fn whichever_commit_fails_a_message_that_outlives_its_sender_is_heard_once() {
    let heard = whichever_commit_fails(8..=40, registered, tell_and_end);
    assert_eq!(heard, HEARD);
}

/// A listener that blocks its shard's thread when it is asked to, says that it does, and goes on when it is told to.
fn blocking_listener() -> (WorkflowDefinition, Receiver<()>, Sender<()>) {
    let ((begun, begins), (go_on, told)) = (channel(), channel::<()>());
    let told = Arc::new(Mutex::new(told));
    let definition = workflow("blocking", move |cx, _| {
        let (begun, told) = (begun.clone(), Arc::clone(&told));
        async move {
            cx.on_query("block", move |(): ()| {
                begun.send(()).is_ok() && told.lock().unwrap().recv().is_ok()
            })?;
            let words = cx.signal::<String>("told");
            let mut heard = Vec::new();
            loop {
                match words.recv().await? {
                    word if word == "stop" => return Ok(json!(heard)),
                    word => heard.push(word),
                }
            }
        }
    });
    (definition, begins, go_on)
}

async fn as_time_passes<T>(clock: &VirtualClock, request: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = request => answer,
        () = passing => panic!("time does not end"),
    }
}

#[test]
fn nobody_waits_for_messages_that_cannot_be_brought_and_who_owes_them_is_kept_until_they_are() {
    const DAY: Duration = Duration::from_secs(86_400);
    for home in Home::each() {
        run(async {
            let (definition, begins, go_on) = blocking_listener();
            let clock = VirtualClock::new();
            let builder = home.builder().clock(Arc::new(clock.clone())).retention(DAY);
            let amends = registered(builder)
                .workflow_definition(definition)
                .start()
                .await
                .unwrap();
            let listener = amends.workflow_by_name("blocking").id("listener");
            let listener = listener.start(&json!(0)).await.unwrap();
            let asking = tokio::spawn({
                let client = amends.client().clone();
                async move { client.query::<_, bool>("listener", "block", &()).await.unwrap() }
            });
            while begins.try_recv().is_err() {
                tokio::task::yield_now().await;
            }

            // Those on the other shard end, those on this one do not even begin.
            let tellers = (0..8).map(|number| {
                let amends = amends.clone();
                let tell = async move {
                    let id = format!("teller {number}");
                    let teller = amends.workflow(teller).id(&id).start(&2).await.unwrap();
                    teller.result().await.unwrap();
                    // Whoever asks later hears of it as well.
                    amends.find(&id).await.unwrap().outcome().await.unwrap();
                    id
                };
                Box::pin(tokio::spawn(tell))
            });
            let (id, _, others) = select_all(tellers).await;
            let id = id.unwrap();
            clock.advance(DAY * 2);
            look(&clock).await;
            assert!(is_there(&amends, &id).await, "it has something to do");
            // Who begins another run under its id, or makes it anew, hears so before long.
            let again = amends.workflow(teller).id(&id);
            let again = again.id_reuse_policy(IdReusePolicy::AllowDuplicate);
            let refused = as_time_passes(&clock, again.start(&2)).await.map(drop);
            assert!(matches!(refused, Err(Error::Leaving { .. })), "{refused:?}");
            let reset = Reset::to(ResetPoint::LastTurn, "ada", "to say it again");
            let ended = amends.find(&id).await.unwrap();
            let refused = as_time_passes(&clock, ended.reset(&reset)).await.map(drop);
            assert!(matches!(refused, Err(Error::Leaving { .. })), "{refused:?}");
            if matches!(home, Home::Memory(_)) {
                home.assert_sound();
            }

            go_on.send(()).unwrap();
            assert!(asking.await.unwrap());
            for other in others {
                other.await.unwrap();
            }
            until_told(&amends, 8).await;
            while is_there(&amends, &id).await {
                clock.advance(DAY * 2);
                look(&clock).await;
            }
            listener.signal("told", &"stop").await.unwrap();
            assert_eq!(listener.result().await.unwrap(), json!(vec!["year 2, try 1"; 8]));
            amends.shutdown(Duration::from_secs(5)).await;
        });
        home.assert_sound();
    }
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
