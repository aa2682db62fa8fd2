//! A row played by an engine on sled, with real actors, a virtual clock, and activities that do as the row says. Must not
//! live here: what is right.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends::testing::VirtualClock;
use amends::{ActivityContext, ActivityDefinition, Amends, Failure, RunStatus};
use serde_json::{Value, json};

use super::pure::{self, Move, Played};
use super::table::{Deed, Does, Row};
use crate::support::{Home, Recorder, activity};

/// Plays every row, each on an engine of its own; tells which went wrong, and how.
pub(super) async fn play_all(rows: &[Row]) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        let (log, ends) = play(row).await;
        wrong.extend(row.misses(&log, &ends));
    }
    wrong
}

async fn play(row: &Row) -> (Vec<String>, String) {
    let Played { moves, ends, log } = pure::play(row);
    let (home, clock, recorder) = (Home::sled(), VirtualClock::new(), Recorder::new());
    let mut builder = home
        .builder()
        // Nothing sleeps but what the row makes sleep.
        .passivate_after(Duration::from_secs(365 * 86_400))
        .clock(Arc::new(clock.clone()))
        .saga(row.definition("row"));
    for name in participants(row) {
        builder = builder.activity_definition(participant(row, name, &recorder));
    }
    let amends = builder.start().await.unwrap();
    let run = amends
        .workflow_by_name("row")
        .id("row")
        .start(&json!({}))
        .await
        .unwrap();
    for next in moves {
        match next {
            Move::Pass(time, begun) => {
                recorder.until_len(begun).await;
                clock.pass(time).await;
            }
            Move::Deed(attempt, deed) => {
                recorder.until(&attempt, 1).await;
                match deed {
                    Deed::Cancel => run.cancel("by the table").await.unwrap(),
                    Deed::Terminate => run.terminate("by the table").await.unwrap(),
                }
            }
            Move::Decision(step, choice) => decide(&amends, &step, &choice).await,
        }
    }
    // What never begins, nobody can wait for: the run's end, or its standstill, comes after everything that does.
    recorder.until_len(log.len()).await;
    let found = until(&amends, &ends).await;
    amends.shutdown(Duration::ZERO).await;
    home.assert_sound();
    (recorder.all(), found)
}

async fn until(amends: &Amends, ends: &str) -> String {
    loop {
        let status = amends.client().describe("row").await.unwrap().status;
        if status.as_str() == ends || status.is_closed() {
            return status.to_string();
        }
        tokio::task::yield_now().await;
    }
}

async fn decide(amends: &Amends, step: &str, choice: &str) {
    loop {
        let run = amends.client().describe("row").await.unwrap();
        let is_stuck = run
            .stuck
            .iter()
            .any(|stuck| stuck.step.as_ref().map_or("", |step| step.as_str()) == step);
        if run.status == RunStatus::Stuck && is_stuck {
            break;
        }
        tokio::task::yield_now().await;
    }
    let choice = super::table::choice_of(choice).unwrap();
    let mut decision = amends::engine::Decision::new(choice).by("ada").because("by the table");
    if !step.is_empty() {
        decision = decision.step(step);
    }
    amends.client().decide("row", decision).await.unwrap();
}

/// What the row's activities are called in the log, by their types.
fn participants(row: &Row) -> BTreeMap<String, String> {
    let names = row.names().into_iter().flat_map(|step| {
        [
            (step.clone(), step.clone()),
            (format!("undo_{step}"), format!("undo:{step}")),
            (format!("find_{step}"), format!("find:{step}")),
        ]
    });
    names.chain([("page".to_owned(), "page".to_owned())]).collect()
}

fn participant(row: &Row, (activity_type, who): (String, String), recorder: &Recorder) -> ActivityDefinition {
    let (row, recorder) = (row.clone(), recorder.clone());
    let begun = Arc::new(Mutex::new(0_usize));
    activity(&activity_type, move |cx: ActivityContext, _: Value| {
        let number = {
            let mut begun = begun.lock().unwrap();
            *begun += 1;
            *begun
        };
        recorder.note(&who);
        attempt(row.does(&who, number), cx)
    })
}

async fn attempt(does: Does, cx: ActivityContext) -> Result<Value, Failure> {
    let outcome = match does.at_once() {
        Some(outcome) => outcome,
        None => {
            cx.canceled().await;
            match does.when_asked() {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        }
    };
    match outcome {
        Ok(payload) if payload.is_null() => Ok(Value::Null),
        Ok(payload) => Ok(payload.to()?),
        Err(failure) => Err(failure),
    }
}
