//! One table of failures: what goes wrong in the innermost place, and what everybody hears of it on its way out, from an attempt
//! through a workflow, its parent and that one's parent to the client. Must not live here: what is retried (`time`), the
//! journal's form of a failure (`failures`).

use std::sync::Arc;
use std::time::Duration;

use amends::model::{FailureKind, TimeoutKind};
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, Amends, Failure, Payload, ResultError, RetryPolicy, RunStatus, WorkflowContext, activity, workflow,
};

use super::heartbeats::until_pending;
use crate::support::{Home, run, until_status};

const SECOND: Duration = Duration::from_secs(1);

/// The place where it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Place {
    /// The workflow's own code.
    Code,
    Activity,
    LocalActivity,
    /// In a process of its own.
    Isolated,
    /// Completed by somebody else.
    Outside,
    /// A saga's step.
    Step,
}

/// What goes wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Wrong {
    /// A failure of a type, with details, that is tried again in vain.
    Fails,
    /// One that is not retried, with a chain of causes.
    Refuses,
    Panics,
    /// It takes too long, after a heartbeat.
    Hangs,
    /// It takes too long, all in all.
    HangsForEver,
    /// It says that it was cancelled, though nobody has asked for that.
    SaysCanceled,
    /// Somebody cancels the innermost run.
    IsCanceled,
    /// Somebody terminates it.
    IsTerminated,
    /// Its time is up.
    TimesOut,
}

use Place::{Activity, Code, Isolated, LocalActivity, Outside, Step};
use Wrong::{Fails, Hangs, HangsForEver, IsCanceled, IsTerminated, Panics, Refuses, SaysCanceled, TimesOut};

/// The place, what goes wrong, and what is heard of it, from the innermost workflow's own view of it to the root of all.
type Row = (Place, Wrong, &'static [&'static str]);

const TRIED: &str = "activity MaximumAttemptsReached";
const REFUSED: &str = "activity NonRetryable";
const FAILS: &str = "Busy: later [\"row 7\"]";
const REFUSES: [&str; 3] = ["Outer!: 1", "Declined!: no money [4711]", "Inner: 3"];
const PANIC: &str = "Panic: it slipped";

const TABLE: &[Row] = &[
    (Code, Fails, &[FAILS]),
    (Code, Refuses, &REFUSES),
    (Code, SaysCanceled, &["canceled: by itself [\"page 3\"]"]),
    (Activity, Fails, &[TRIED, FAILS]),
    (Activity, Refuses, &[REFUSED, REFUSES[0], REFUSES[1], REFUSES[2]]),
    (Activity, Panics, &[TRIED, PANIC]),
    (Activity, Hangs, &[TRIED, "timeout: heartbeat [\"page 3\"]"]),
    (
        Activity,
        HangsForEver,
        &["activity Timeout", "timeout: schedule-to-close"],
    ),
    (LocalActivity, Fails, &[TRIED, FAILS]),
    (LocalActivity, Refuses, &[REFUSED, REFUSES[0], REFUSES[1], REFUSES[2]]),
    (LocalActivity, Panics, &[TRIED, PANIC]),
    (Isolated, Fails, &[TRIED, FAILS]),
    (Isolated, Refuses, &[REFUSED, REFUSES[0], REFUSES[1], REFUSES[2]]),
    (Isolated, Panics, &[TRIED, PANIC]),
    (Outside, Fails, &[TRIED, FAILS]),
    (Outside, Refuses, &[REFUSED, REFUSES[0], REFUSES[1], REFUSES[2]]),
    (Step, Fails, &[TRIED, FAILS]),
    (Step, Refuses, &[REFUSED, REFUSES[0], REFUSES[1], REFUSES[2]]),
    (Step, Panics, &[TRIED, PANIC]),
    (Code, IsCanceled, &["canceled: the workflow was asked to end"]),
    (Code, IsTerminated, &["terminated: the run was terminated"]),
    (Code, TimesOut, &["timeout: the run's time was up"]),
];

/// The failure, with everything that one can say.
fn of(wrong: Wrong) -> Result<Failure, Failure> {
    Ok(match wrong {
        Refuses => Failure::non_retryable("Outer", "1").caused_by(
            Failure::not_applied("Declined", "no money")
                .with_details(Payload::json(&4711)?)
                .caused_by(Failure::new("Inner", "3")),
        ),
        SaysCanceled => Failure::canceled("by itself").with_details(Payload::json("page 3")?),
        _ => Failure::new("Busy", "later").with_details(Payload::json("row 7")?),
    })
}

fn go_wrong(wrong: Wrong) -> Result<(), Failure> {
    match wrong {
        Panics => panic!("it slipped"),
        wrong => Err(of(wrong)?),
    }
}

#[activity]
async fn here(cx: ActivityContext, wrong: Wrong) -> Result<(), Failure> {
    if matches!(wrong, Hangs | HangsForEver) {
        cx.heartbeat("page 3")?;
        std::future::pending::<()>().await;
    }
    go_wrong(wrong)
}

#[activity(isolated)]
fn apart(_cx: ActivityContext, wrong: Wrong) -> Result<(), Failure> {
    go_wrong(wrong)
}

#[activity]
async fn outside(cx: ActivityContext, _wrong: Wrong) -> Result<(), Failure> {
    Err(cx.complete_later())
}

/// Where it goes wrong.
#[workflow]
async fn inner(cx: WorkflowContext, (place, wrong): (Place, Wrong)) -> Result<(), Failure> {
    let once = RetryPolicy {
        maximum_attempts: 1,
        ..RetryPolicy::default()
    };
    match place {
        Code if matches!(wrong, IsCanceled | IsTerminated | TimesOut) => cx.signal::<()>("never").recv().await,
        Code => Err(of(wrong)?),
        Activity if wrong == Hangs => cx.activity(here, &wrong).heartbeat(SECOND * 5).retry(once).await,
        Activity if wrong == HangsForEver => {
            let call = cx.activity(here, &wrong).schedule_to_close(SECOND * 5);
            call.start_to_close(SECOND * 60).await
        }
        Activity => cx.activity(here, &wrong).retry(once).await,
        LocalActivity => cx.local_activity(here, &wrong).retry(once).await,
        Isolated => cx.activity(apart, &wrong).retry(once).await,
        Outside => cx.activity(outside, &wrong).id("question").retry(once).await,
        Step => cx.saga().run(here, &wrong).retry(once).await,
    }
}

/// Its parent, which only hands on what it hears.
#[workflow]
async fn middle(cx: WorkflowContext, row: (Place, Wrong)) -> Result<(), Failure> {
    let child = cx.child(inner).id(format!("{}/inner", cx.workflow_id()));
    match row.1 {
        TimesOut => child.run_timeout(SECOND * 5).run(&row).await,
        _ => child.run(&row).await,
    }
}

/// Its parent's parent, which makes it the cause of a failure of its own.
#[workflow]
async fn outer(cx: WorkflowContext, row: (Place, Wrong)) -> Result<(), Failure> {
    let child = cx.child(middle).id(format!("{}/middle", cx.workflow_id()));
    let heard = child.run(&row).await;
    heard.map_err(|heard| Failure::new("Lost", "nobody helped").caused_by(heard))
}

/// A failure and its causes, as lines: what kind each is of, what it says, and its details.
fn told(failure: &Failure) -> Vec<String> {
    let details = |details: &Option<Payload>| {
        let value = details
            .as_ref()
            .map(|details| details.to::<serde_json::Value>().unwrap());
        value.map_or(String::new(), |value| format!(" [{value}]"))
    };
    let line = |part: &Failure| match &part.kind {
        FailureKind::Application(application) => {
            let mark = if application.non_retryable { "!" } else { "" };
            let details = details(&application.details);
            format!("{}{mark}: {}{details}", application.type_name, part.message)
        }
        FailureKind::Timeout { kind, last_heartbeat } if *kind == TimeoutKind::Heartbeat => {
            format!("timeout: {kind}{}", details(last_heartbeat))
        }
        FailureKind::Timeout { kind, .. } if part.message == format!("{kind} timeout") => format!("timeout: {kind}"),
        FailureKind::Timeout { .. } => format!("timeout: {}", part.message),
        FailureKind::Canceled { details: said } => format!("canceled: {}{}", part.message, details(said)),
        FailureKind::Terminated => format!("terminated: {}", part.message),
        FailureKind::WorkerLost => "worker lost".to_owned(),
        FailureKind::Activity { retry_state, .. } => format!("activity {retry_state:?}"),
        FailureKind::ChildWorkflow(child) => format!("child {} {}", child.workflow_type, child.workflow_id),
    };
    failure.chain().map(line).collect()
}

async fn failed(amends: &Amends, id: &str) -> Failure {
    let run = amends.find(id).await.unwrap();
    match run.result().await {
        Err(ResultError::Failed(failure) | ResultError::Amended(failure) | ResultError::Canceled(failure)) => *failure,
        other => panic!("{id}: {other:?}"),
    }
}

/// Brings about what somebody outside of the innermost run has to do.
async fn help(amends: &Amends, clock: &VirtualClock, inner: &str, (place, wrong): (Place, Wrong)) {
    match (place, wrong) {
        (Outside, wrong) => {
            until_pending(amends, inner, |pending| pending.handed_over).await;
            let question = amends.client().activity_by_id(inner, "question").unwrap();
            question.fail(of(wrong).unwrap()).await.unwrap();
        }
        (Activity, Hangs | HangsForEver) => {
            until_pending(amends, inner, |pending| pending.heartbeat.is_some()).await;
            clock.pass(SECOND * 5).await;
        }
        (_, TimesOut) => {
            until_status(amends, inner, RunStatus::Running).await;
            clock.pass(SECOND * 5).await;
        }
        (_, IsCanceled | IsTerminated) => {
            until_status(amends, inner, RunStatus::Running).await;
            let client = amends.client();
            match wrong {
                IsCanceled => client.cancel(inner, "enough").await.unwrap(),
                _ => client.terminate(inner, "enough").await.unwrap(),
            }
        }
        _ => {}
    }
}

#[test]
fn whatever_goes_wrong_everybody_on_the_way_out_hears_all_of_it() {
    run(async {
        for home in Home::each() {
            let clock = VirtualClock::new();
            let start = || {
                let builder = home.builder().clock(Arc::new(clock.clone()));
                // The process in which isolated attempts are made begins with that test.
                let builder = builder.worker_arguments(["isolated::worker_process", "--exact", "--nocapture"]);
                let builder = builder.worker_processes(1).passivate_after(SECOND * 3_600);
                let builder = builder.activity(here).activity(apart).activity(outside);
                builder.workflow(inner).workflow(middle).workflow(outer).start()
            };
            let amends = start().await.unwrap();
            let mut heard = Vec::new();
            for (number, (place, wrong, expected)) in TABLE.iter().enumerate() {
                let id = number.to_string();
                amends.workflow(outer).id(&id).start(&(*place, *wrong)).await.unwrap();
                help(&amends, &clock, &format!("{id}/middle/inner"), (*place, *wrong)).await;
                let failure = failed(&amends, &id).await;
                let around = [
                    "Lost: nobody helped".to_owned(),
                    format!("child middle {id}/middle"),
                    format!("child inner {id}/middle/inner"),
                ];
                let expected: Vec<String> = around
                    .into_iter()
                    .chain(expected.iter().map(ToString::to_string))
                    .collect();
                assert_eq!(told(&failure), expected, "{place:?} {wrong:?}");
                // What the one in the middle has handed on, it has ended with.
                let between = failed(&amends, &format!("{id}/middle")).await;
                assert_eq!(told(&between), expected[2..], "{place:?} {wrong:?}");
                heard.push((id, failure));
            }
            amends.shutdown(SECOND).await;
            // The same by the journal.
            let amends = start().await.unwrap();
            for (id, failure) in heard {
                assert_eq!(failed(&amends, &id).await, failure, "{id}");
            }
            amends.shutdown(SECOND).await;
        }
    });
}
