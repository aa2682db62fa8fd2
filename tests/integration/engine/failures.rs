//! Failures with all that they say (types, details, causes, what kind each is) through every boundary between user code and
//! whoever hears of them. Must not live here: which failures are retried, or what they undo.

use std::time::Duration;

use amends::model::{ActivityId, ActivityType, FailureKind, RetryState, TimeoutKind};
use amends::{
    ActivityContext, Amends, Encryption, EncryptionKey, Failure, Payload, Raw, ResultError, RetryPolicy, UpdateError,
    WorkflowContext,
};

use crate::support::{Home, run};

const SECOND: Duration = Duration::from_secs(1);

/// Failures of all kinds, as causes of what user code may fail with.
fn table() -> Vec<Failure> {
    let json = |text: &str| Payload::json(text).expect("a text has a form in JSON");
    let timeout = Failure {
        kind: FailureKind::Timeout {
            kind: TimeoutKind::Heartbeat,
            last_heartbeat: Some(json("row 7")),
        },
        ..Failure::timeout(TimeoutKind::Heartbeat)
    };
    let of_activity = Failure::of_activity(
        ActivityId::new("charge").expect("it is short"),
        ActivityType::new("charge_card").expect("it is short"),
        RetryState::MaximumAttemptsReached,
        Failure::worker_lost(),
    );
    let raw = Payload::of(&Raw::from(vec![0, 255])).expect("it is small");
    vec![
        Failure::new("Busy", "later").retry_after(Duration::from_millis(1_500)),
        Failure::non_retryable("CardDeclined", "insufficient funds").with_details(json("cents: 4711")),
        Failure::not_applied("OutOfStock", "").with_details(raw),
        Failure::new("", "of no type, \u{1F980}").caused_by(Failure::canceled("somebody asked")),
        Failure::new("Late", "too late").caused_by(timeout.caused_by(of_activity)),
        Failure::new("Outer", "1").caused_by(Failure::new("Middle", "2").caused_by(Failure::new("Inner", "3"))),
    ]
}

fn of_table(number: usize) -> Failure {
    table().swap_remove(number)
}

async fn fail(_cx: ActivityContext, number: usize) -> Result<(), Failure> {
    Err(of_table(number))
}

async fn child(_cx: WorkflowContext, number: usize) -> Result<(), Failure> {
    Err(of_table(number))
}

/// Where a failure comes from, before the workflow lets it out.
async fn passes(cx: WorkflowContext, (from, number): (String, usize)) -> Result<(), Failure> {
    let seen = match from.as_str() {
        "itself" => Err(of_table(number)),
        "an activity" => cx.activity(fail, &number).retry(RetryPolicy::never()).await,
        "a local activity" => cx.local_activity(fail, &number).retry(RetryPolicy::never()).await,
        "a step" => cx.saga().run(fail, &number).retry(RetryPolicy::never()).await,
        "a child" => cx.saga().child_workflow(child, &number).await,
        other => Err(Failure::non_retryable("Unknown", other)),
    };
    // As the code sees it.
    match seen {
        Err(failure) if holds(&failure, number) => Err(failure),
        other => Err(Failure::non_retryable("Changed", format!("{other:?}"))),
    }
}

/// Answers an update with a failure, and goes on until told.
async fn refuses(cx: WorkflowContext) -> Result<(), Failure> {
    cx.on_update("fail", async |number: usize| Err::<(), _>(of_table(number)))?;
    cx.signal::<()>("end").recv().await
}

/// Whether the failure of this number is in the chain as it was, with all of its own causes.
fn holds(failure: &Failure, number: usize) -> bool {
    failure.chain().any(|part| *part == of_table(number))
}

async fn start(home: &Home) -> Amends {
    let encryption = Encryption::new(EncryptionKey::new("k", &[7; 32]));
    let builder = home.builder().codec(encryption).encode_failure_messages();
    let builder = builder
        .activity(fail)
        .workflow(child)
        .workflow(passes)
        .workflow(refuses);
    builder.start().await.unwrap()
}

async fn ended_with(amends: &Amends, id: &str) -> Failure {
    match amends.find(id).await.unwrap().result().await {
        Err(ResultError::Failed(failure) | ResultError::Amended(failure)) => *failure,
        other => panic!("{id}: {other:?}"),
    }
}

#[test]
fn nothing_of_a_failure_is_lost_on_its_way() {
    run(async {
        for home in Home::each() {
            let amends = start(&home).await;
            let mut ids = Vec::new();
            for from in ["itself", "an activity", "a local activity", "a step", "a child"] {
                for number in 0..table().len() {
                    let id = format!("{from} {number}");
                    let starter = amends.workflow(passes).id(id.clone());
                    starter.start(&(from.to_owned(), number)).await.unwrap();
                    let failure = ended_with(&amends, &id).await;
                    assert!(holds(&failure, number), "{id}: {failure:#?}");
                    ids.push((id, failure));
                }
            }
            let asked = amends.workflow(refuses).id("asked").start(&()).await.unwrap();
            for number in 0..table().len() {
                let id = amends::UpdateOptions {
                    update_id: Some(number.to_string()),
                };
                let update = asked.start_update::<_, ()>("fail", &number, id).await.unwrap();
                let Err(UpdateError::Failed(failure)) = update.result().await else {
                    panic!("update {number}");
                };
                assert_eq!(*failure, of_table(number));
            }
            amends.shutdown(SECOND).await;

            // As another process reads it.
            let amends = start(&home).await;
            for (id, failure) in ids {
                assert_eq!(ended_with(&amends, &id).await, failure, "{id}");
            }
            for number in 0..table().len() {
                let asked = amends.find("asked").await.unwrap();
                let update = asked.update_handle::<()>(&number.to_string()).unwrap();
                let Err(UpdateError::Failed(failure)) = update.result().await else {
                    panic!("update {number}");
                };
                assert_eq!(*failure, of_table(number));
            }
            amends.shutdown(SECOND).await;
        }
    });
}
