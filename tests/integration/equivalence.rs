//! A saga in code and the same saga as a file do the same for the same failures, seen where it counts: at the activities.
//! Must not live here: what is right (each row of the table says it; the machine's tests say why).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends::engine::DrawingFormat;
use amends::model::StepKind;
use amends::testing::VirtualClock;
use amends::{
    ActivityContext, ActivityDefinition, ActivityOptions, Amends, Failure, RetryPolicy, RunStatus, SagaDefinition,
    WorkflowContext, WorkflowDefinition,
};
use futures_util::future::try_join;
use serde_json::{Value, json};

use crate::support::{Gate, Home, Recorder, activity, run, saga, until_status, workflow};

const FILE: &str = r#"
name = "file"
[defaults]
start_to_close = "10s"
retry = { maximum_attempts = 3 }
[[step]]
name = "a"
activity = "a"
compensation = { activity = "undo_a" }
[[step]]
name = "b1"
activity = "b1"
after = ["a"]
compensation = { activity = "undo_b1" }
[[step]]
name = "b2"
activity = "b2"
after = ["a"]
compensation = { activity = "undo_b2" }
[[step]]
name = "c"
activity = "c"
after = ["b1", "b2"]
compensation = { activity = "undo_c" }
[[step]]
name = "p"
activity = "p"
kind = "pivot"
compensation = { activity = "undo_p" }
[[step]]
name = "r"
activity = "r"
kind = "retriable"
[output]
"#;

fn file(bare_pivot: bool) -> SagaDefinition {
    let text = match bare_pivot {
        true => FILE.replace("{ activity = \"undo_p\" }", "\"none\""),
        false => FILE.to_owned(),
    };
    saga(&text)
}

fn options() -> ActivityOptions {
    ActivityOptions {
        start_to_close: Some(Duration::from_secs(10)),
        retry: RetryPolicy {
            maximum_attempts: 3,
            ..RetryPolicy::default()
        },
        ..ActivityOptions::default()
    }
}

fn code(bare_pivot: bool) -> WorkflowDefinition {
    workflow("code", move |cx: WorkflowContext, input| async move {
        let saga = cx.saga();
        let step = |name: &str| {
            let step = saga
                .step_by_name::<_, Value>(StepKind::Compensatable, name, &input)
                .options(options());
            step.compensate_by_name(format!("undo_{name}"))
        };
        step("a").await?;
        try_join(step("b1"), step("b2")).await?;
        step("c").await?;
        let pivot = saga
            .step_by_name::<_, Value>(StepKind::Pivot, "p", &input)
            .options(options());
        match bare_pivot {
            true => pivot.await?,
            false => pivot.compensate_by_name("undo_p").await?,
        };
        saga.step_by_name::<_, Value>(StepKind::Retriable, "r", &input)
            .options(options())
            .await?;
        Ok(json!({}))
    })
}

/// What an attempt does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Succeed,
    /// Fails; may be retried.
    Retry,
    /// Fails for good; nothing happened.
    NotApplied,
    /// Fails for good; nobody knows whether something happened.
    Unsure,
    /// Never answers.
    Hang,
    /// Succeeds once the run has been cancelled, whatever it was told.
    SucceedLate,
    /// Stops as it is told.
    Obey,
}
use Does::{Hang, NotApplied, Obey, Retry, Succeed, SucceedLate, Unsure};

struct Row {
    name: &'static str,
    /// What the attempts of an activity do, in order; whatever is not said succeeds.
    script: &'static [(&'static str, &'static [Does])],
    /// How the clock goes on, in seconds: each time somebody must be waiting for it.
    time: &'static [u64],
    expected: &'static str,
    status: RunStatus,
}

/// The attempts in the order of their ends, one of two parallel branches after the other: the activity, and what it did.
const TABLE: &[Row] = &[
    Row {
        name: "nothing fails",
        script: &[],
        time: &[],
        expected: "a, b1, b2, c, p, r",
        status: RunStatus::Completed,
    },
    Row {
        name: "the first step fails once",
        script: &[("a", &[Retry])],
        time: &[1],
        expected: "a Retry, a, b1, b2, c, p, r",
        status: RunStatus::Completed,
    },
    Row {
        name: "the first step was not applied",
        script: &[("a", &[NotApplied])],
        time: &[],
        expected: "a NotApplied",
        status: RunStatus::Amended,
    },
    Row {
        name: "a step was not applied",
        script: &[("c", &[NotApplied])],
        time: &[],
        expected: "a, b1, b2, c NotApplied, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "a step was not applied, but an earlier attempt may have been",
        script: &[("c", &[Retry, NotApplied])],
        time: &[1],
        expected: "a, b1, b2, c Retry, c NotApplied, undo_c, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "a step failed, and nobody knows how",
        script: &[("c", &[Unsure])],
        time: &[],
        expected: "a, b1, b2, c Unsure, undo_c, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "a step uses up its attempts",
        script: &[("c", &[Retry, Retry, Retry])],
        time: &[1, 2],
        expected: "a, b1, b2, c Retry, c Retry, c Retry, undo_c, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "a step times out, then answers",
        script: &[("c", &[Hang])],
        time: &[10, 1],
        expected: "a, b1, b2, c Hang, c, p, r",
        status: RunStatus::Completed,
    },
    Row {
        name: "a step times out until its attempts are used up",
        script: &[("c", &[Hang, Hang, Hang])],
        time: &[10, 1, 10, 2, 10],
        expected: "a, b1, b2, c Hang, c Hang, c Hang, undo_c, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "cancelled in a step that succeeds all the same",
        script: &[("c", &[SucceedLate])],
        time: &[],
        expected: "a, b1, b2, c SucceedLate, undo_c, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "cancelled in a step that obeys",
        script: &[("a", &[Obey])],
        time: &[],
        expected: "a Obey, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "one of two parallel steps was not applied",
        script: &[("b1", &[NotApplied])],
        time: &[],
        expected: "a, b1 NotApplied, b2, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "both parallel steps fail",
        script: &[("b1", &[Unsure]), ("b2", &[NotApplied])],
        time: &[],
        expected: "a, b1 Unsure, undo_b1, b2 NotApplied, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "one of two parallel steps is told to stop when the other fails",
        script: &[("b1", &[Unsure]), ("b2", &[Obey])],
        time: &[],
        expected: "a, b1 Unsure, undo_b1, b2 Obey, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "the pivot was not applied",
        script: &[("p", &[NotApplied])],
        time: &[],
        expected: "a, b1, b2, c, p NotApplied, undo_c, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "the pivot failed, and nobody knows how",
        script: &[("p", &[Unsure])],
        time: &[],
        expected: "a, b1, b2, c, p Unsure, undo_p, undo_c, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "the pivot fails once",
        script: &[("p", &[Retry])],
        time: &[1],
        expected: "a, b1, b2, c, p Retry, p, r",
        status: RunStatus::Completed,
    },
    Row {
        name: "a retriable step fails more often than others may",
        script: &[("r", &[Retry, Retry, Retry, Retry])],
        time: &[1, 2, 4, 8],
        expected: "a, b1, b2, c, p, r Retry, r Retry, r Retry, r Retry, r",
        status: RunStatus::Completed,
    },
    Row {
        name: "a retriable step fails for good",
        script: &[("r", &[Unsure])],
        time: &[],
        expected: "a, b1, b2, c, p, r Unsure",
        status: RunStatus::Stuck,
    },
    Row {
        name: "a compensation fails twice",
        script: &[("c", &[NotApplied]), ("undo_b1", &[Retry, Retry])],
        time: &[1, 2],
        expected: "a, b1, b2, c NotApplied, undo_b1 Retry, undo_b1 Retry, undo_b1, undo_b2, undo_a",
        status: RunStatus::Amended,
    },
    Row {
        name: "a compensation fails for good",
        script: &[("p", &[NotApplied]), ("undo_c", &[Unsure])],
        time: &[],
        expected: "a, b1, b2, c, p NotApplied, undo_c Unsure",
        status: RunStatus::Stuck,
    },
];

/// A pivot that cannot be undone: nobody may guess.
const BARE_PIVOT: Row = Row {
    name: "a pivot without compensation failed, and nobody knows how",
    script: &[("p", &[Unsure])],
    time: &[],
    expected: "a, b1, b2, c, p Unsure",
    status: RunStatus::Stuck,
};

type Script = Arc<Mutex<BTreeMap<&'static str, &'static [Does]>>>;

/// Every activity does what the script says for its attempt, and notes it when it ends.
fn scripted(name: &'static str, script: &Script, recorder: &Recorder, cancelled: &Gate) -> ActivityDefinition {
    let (script, recorder, cancelled) = (script.clone(), recorder.clone(), cancelled.clone());
    activity(name, move |cx, _| {
        let attempt = usize::try_from(cx.info().attempt).unwrap();
        let said = script
            .lock()
            .unwrap()
            .get(name)
            .and_then(|does| does.get(attempt - 1).copied());
        attempted(cx, name, said.unwrap_or(Succeed), recorder.clone(), cancelled.clone())
    })
}

async fn attempted(
    cx: ActivityContext,
    name: &'static str,
    does: Does,
    recorder: Recorder,
    cancelled: Gate,
) -> Result<Value, Failure> {
    let note = || match does {
        Succeed => recorder.note(name),
        does => recorder.note(format!("{name} {does:?}")),
    };
    match does {
        Hang => {
            note();
            return std::future::pending().await;
        }
        SucceedLate => {
            recorder.note("cancel me");
            cancelled.passed().await;
        }
        Obey => {
            recorder.note("cancel me");
            cx.canceled().await;
        }
        _ => {}
    }
    note();
    match does {
        Retry => Err(Failure::new("Busy", "try again")),
        NotApplied => Err(Failure::not_applied("Refused", "nothing happened")),
        Unsure => Err(Failure::non_retryable("Broken", "who knows")),
        Obey => Err(Failure::canceled("as told")),
        _ => Ok(json!(name)),
    }
}

const ACTIVITIES: [&str; 11] = [
    "a", "b1", "b2", "c", "p", "r", "undo_a", "undo_b1", "undo_b2", "undo_c", "undo_p",
];

/// What happened, with what is of the two parallel branches told one branch after the other.
fn in_order(recorder: &Recorder) -> String {
    let branch = |note: &str| {
        let name = note.split(' ').next().unwrap_or_default();
        name.trim_start_matches("undo_").strip_prefix('b').map(str::to_owned)
    };
    let mut notes: Vec<String> = recorder.all().into_iter().filter(|note| note != "cancel me").collect();
    for block in notes.chunk_by_mut(|one, other| branch(one).is_some() && branch(other).is_some()) {
        // Stable, so that what is of one branch stays in its order.
        block.sort_by_key(|note| branch(note));
    }
    notes.join(", ")
}

/// Plays a row; the run as a picture, below its title.
async fn play(
    amends: &Amends,
    clock: &VirtualClock,
    form: &str,
    row: &Row,
    recorder: &Recorder,
    cancelled: &Gate,
) -> String {
    let id = format!("{form}: {}", row.name);
    let run = amends.workflow_by_name(form).id(&id).start(&json!({})).await.unwrap();
    let stops = row.script.iter().flat_map(|(_, does)| does.iter());
    if stops.clone().any(|does| matches!(does, SucceedLate | Obey)) && row.script.len() == 1 {
        recorder.until("cancel me", 1).await;
        run.cancel("changed my mind").await.unwrap();
        cancelled.open();
    }
    for seconds in row.time {
        clock.pass(Duration::from_secs(*seconds)).await;
    }
    let description = until_status(amends, &id, row.status).await;
    assert_eq!(in_order(recorder), row.expected, "{id}: {description:?}");
    let drawn = description.drawing().render(DrawingFormat::Mermaid);
    drawn.split_once("flowchart").unwrap().1.to_owned()
}

async fn play_both(row: &Row, bare_pivot: bool) {
    let mut drawings = Vec::new();
    for form in ["code", "file"] {
        let (home, clock, recorder, cancelled) = (Home::memory(), VirtualClock::new(), Recorder::new(), Gate::shut());
        let script: Script = Arc::new(Mutex::new(row.script.iter().copied().collect()));
        let mut builder = home
            .builder()
            .shards(1)
            .clock(Arc::new(clock.clone()))
            .passivate_after(Duration::from_secs(3_600))
            .workflow_definition(code(bare_pivot))
            .saga(file(bare_pivot));
        for name in ACTIVITIES {
            builder = builder.activity_definition(scripted(name, &script, &recorder, &cancelled));
        }
        let amends = builder.start().await.unwrap();
        drawings.push(play(&amends, &clock, form, row, &recorder, &cancelled).await);
        amends.shutdown(Duration::ZERO).await;
    }
    assert_eq!(drawings[0], drawings[1], "{}", row.name);
}

#[test]
fn code_and_file_do_the_same() {
    run(async {
        for row in TABLE {
            play_both(row, false).await;
        }
        play_both(&BARE_PIVOT, true).await;
    });
}
