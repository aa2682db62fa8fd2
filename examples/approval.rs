//! Human approval: an activity hands out a token and leaves its completion to a person; when nobody answers in time, the
//! question goes to somebody else. Who has no token may name the activity instead.
//!
//! Run it with `cargo run --example approval`. It answers its own questions; a real one would come by mail or chat.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::sync::Arc;
use std::time::Duration;

use amends::engine::Clock;
use amends::{ActivityContext, Amends, Failure, RetryPolicy, WorkflowContext, activity, workflow};
use serde::{Deserialize, Serialize};

/// What is to be approved, and by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Question {
    expense: String,
    approver: String,
}

/// Where questions go: here a channel, elsewhere a mailbox.
pub(crate) struct Inbox(pub(crate) std::sync::Mutex<std::sync::mpsc::Sender<(String, String)>>);

/// Asks somebody. The answer comes from outside, with the token; until then nothing runs, and a crash changes nothing.
#[activity]
async fn ask(cx: ActivityContext, question: Question) -> Result<bool, Failure> {
    let inbox = cx
        .state::<Inbox>()
        .ok_or_else(|| Failure::non_retryable("NoInbox", "give the engine an inbox"))?;
    let letter = (question.approver, cx.task_token().to_string());
    let sent = inbox.0.lock().map(|inbox| inbox.send(letter));
    match sent {
        Ok(Ok(())) => Err(cx.complete_later()),
        _ => Err(Failure::new("InboxClosed", "nobody reads the questions")),
    }
}

/// The manager has two days; then the director is asked.
#[workflow]
async fn approve_expense(cx: WorkflowContext, expense: String) -> Result<String, Failure> {
    for (approver, days) in [("manager", 2), ("director", 5)] {
        let question = Question {
            expense: expense.clone(),
            approver: approver.to_owned(),
        };
        let limit = Duration::from_secs(days * 86_400);
        let call = cx
            .activity(ask, &question)
            .id(approver)
            .start_to_close(limit)
            .retry(RetryPolicy::never());
        match call.await {
            Ok(true) => return Ok(format!("{expense}: approved by the {approver}")),
            Ok(false) => return Ok(format!("{expense}: declined by the {approver}")),
            Err(failure) if failure.root().timeout_kind().is_some() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::non_retryable(
        "NobodyAnswered",
        "neither the manager nor the director answered",
    ))
}

/// An engine with a clock of its choice, and the questions that it asks.
pub(crate) async fn engine(
    clock: Arc<dyn Clock>,
) -> Result<(Amends, std::sync::mpsc::Receiver<(String, String)>), amends::Error> {
    let (inbox, questions) = std::sync::mpsc::channel();
    let builder = Amends::builder()
        .memory()
        .clock(clock)
        .state(Inbox(std::sync::Mutex::new(inbox)));
    let amends = builder.activity(ask).workflow(approve_expense).start().await?;
    Ok((amends, questions))
}

pub(crate) async fn begin(amends: &Amends, expense: &str) -> Result<amends::RunHandle<String>, amends::Error> {
    amends
        .workflow(approve_expense)
        .id(expense)
        .start(&expense.to_owned())
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (amends, questions) = engine(Arc::new(amends::engine::SystemClock)).await?;
    let run = begin(&amends, "train to Lisbon").await?;
    let asked = tokio::task::spawn_blocking(move || (questions.recv(), questions));
    let (asked, questions) = asked.await?;
    let (approver, token) = asked?;
    println!("the {approver} is asked, with the token {token}");
    amends.client().complete_activity(&token, &true).await?;
    println!("{}", run.result().await?);

    // The same without the token: by the ids of the run and of the activity in it.
    let run = begin(&amends, "taxi to the station").await?;
    tokio::task::spawn_blocking(move || questions.recv()).await??;
    let question = amends.client().activity_by_id("taxi to the station", "manager")?;
    question.complete(&false).await?;
    println!("{}", run.result().await?);
    amends.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
