//! `amends show`. Must not live here: anything that executes runs; what is stuck (`desk`), single steps (`steps`).

mod steps;

use clap::Args;

use crate::engine::{
    ActivityPurpose, ActivityView, ChildView, Clock, DecisionView, LockState, LockView, RunDescription, SystemClock,
};
use crate::model::{HoldReason, Outcome, ParkReason, Timestamp, UnwindCause};
use crate::server::commands::check::graph;
use crate::server::console::{BAD, Console, FAINT, GOOD, OutputArgs, STRONG, WARN, style_of};
use crate::server::desk::{Desk, painted};
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{DataArgs, GraphArgs};
use crate::server::text::{self, duration, table};

/// Show how one run stands, step by step: amends show order-42 --data DIR
///
/// What is stuck comes with the command line of every choice that is open. Reads the data directory and executes nothing.
/// An engine that is running has the directory to itself.
#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The workflow id (its newest run), or a run id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    graph: GraphArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn run(args: &ShowArgs, console: &Console) -> Result<Exit, Refusal> {
    let run = args.data.open()?.describe(&args.id)?;
    if let Some(format) = args.graph.format() {
        graph(run.workflow_id.as_str(), &run.drawing(), format, console);
        return Ok(Exit::Done);
    }
    console.object(&dto::description(&run));
    if !console.is_json() {
        print(&run, args, console);
    }
    Ok(Exit::Done)
}

fn print(run: &RunDescription, args: &ShowArgs, console: &Console) {
    let now = SystemClock.now();
    let status = console.paint(style_of(run.status), run.status.as_str());
    console.line(format!("{}  {status}", console.paint(STRONG, run.workflow_id.as_str())));
    facts(run, now, console);
    if let Some(pause) = &run.paused {
        console.line(console.paint(WARN, &pause.to_string()));
    }
    if let Some(reason) = &run.parked {
        parked(reason, console);
    }
    if !run.stuck.is_empty() {
        console.line("");
        let desk = Desk {
            run,
            data: Some(&args.data),
            now,
            with_inputs: true,
        };
        for line in desk.lines() {
            console.line(painted(&line, |style, text| console.paint(style, text)));
        }
    }
    if !run.steps.is_empty() {
        console.line("");
        for line in table(&steps::rows(run), console) {
            console.line(line);
        }
        for line in steps::details(run) {
            console.line(line);
        }
    }
    // What is stuck was told above.
    let due: Vec<&ActivityView> = run.pending.iter().filter(|activity| !activity.stuck).collect();
    if !run.decisions.is_empty() || !run.locks.is_empty() || !due.is_empty() || !run.children.is_empty() {
        console.line("");
    }
    run.decisions.iter().for_each(|decision| decided(decision, console));
    run.locks.iter().for_each(|held| lock(held, console));
    due.iter().for_each(|activity| pending(activity, console));
    run.children.iter().for_each(|of_run| child(of_run, console));
}

fn facts(run: &RunDescription, now: Timestamp, console: &Console) {
    let field =
        |name: &str, value: String| console.line(format!("{}{value}", console.paint(FAINT, &format!("{name:<12}"))));
    field("type", run.workflow_type.to_string());
    if let Some(digest) = run.definition {
        field("definition", digest.to_string());
    }
    field("run", run.run_id.to_string());
    if !run.task_queue.is_default() || run.waits_for_worker {
        let waits = if run.waits_for_worker {
            ", waits for a worker that serves it"
        } else {
            ""
        };
        field("task queue", format!("{}{waits}", run.task_queue));
    }
    if let Some(parent) = &run.parent {
        field("parent", format!("{} (run {})", parent.workflow_id, parent.run_id));
    }
    if let Some((run_id, why)) = &run.follows {
        field(
            "follows",
            format!("run {run_id} ({}, try {})", why.as_str(), run.attempt),
        );
    }
    if let Some(run_id) = &run.next_run_id {
        field("followed", format!("by run {run_id}"));
    }
    if let Some(at) = &run.begins_at {
        field("begins", at.to_string());
    }
    for (key, value) in &run.search_attributes {
        field("attribute", format!("{key} = {value}"));
    }
    for (name, value) in &run.memo {
        field("memo", format!("{name} = {value:?}"));
    }
    let until = match run.outcome {
        Some(_) => run.last_turn_at,
        None => now,
    };
    let took = duration(until.since(run.started_at));
    let verb = if run.outcome.is_some() { "took" } else { "open for" };
    field("started", format!("{}, {verb} {took}", run.started_at));
    field("events", run.events.to_string());
    field("input", format!("{:?}", run.input));
    if let Some(reason) = &run.cancel_requested {
        field("cancel", format!("requested: {reason}"));
    }
    if let Some(back) = &run.turned_back {
        let why = match &back.cause {
            UnwindCause::Failed(failure) | UnwindCause::Canceled(failure) => text::failure(failure),
            UnwindCause::TimedOut => "its time was up".to_owned(),
        };
        field("turned back", format!("{}: {why}", back.at));
    }
    match &run.outcome {
        Some(Outcome::Completed(result)) => field("result", format!("{result:?}")),
        Some(Outcome::Amended(failure) | Outcome::Failed(failure) | Outcome::Canceled(failure)) => {
            field("because", text::failure(failure));
        }
        Some(Outcome::Terminated { reason }) => field("because", reason.clone()),
        Some(Outcome::ContinuedAsNew { .. } | Outcome::TimedOut) | None => {}
    }
}

fn parked(reason: &ParkReason, console: &Console) {
    let ParkReason::Nondeterminism { at, expected, recorded } = reason else {
        console.line(format!("{} {reason}", console.paint(BAD, "waits:")));
        return;
    };
    console.line(console.paint(BAD, &format!("parked at event {at}: the code decides differently")));
    console.line(format!("  {} {recorded}", console.paint(GOOD, "history has ")));
    console.line(format!("  {} {expected}", console.paint(BAD, "code asks for")));
}

fn decided(decision: &DecisionView, console: &Console) {
    let step = decision.step.as_ref().map(|step| format!(" for step {step}"));
    let reason = match decision.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    let itself = if decision.automatic { " (automatic)" } else { "" };
    console.line(format!(
        "{} {}{} at {}, by {}{itself}{reason}",
        console.paint(STRONG, "decided:"),
        decision.choice.kind(),
        step.unwrap_or_default(),
        decision.at,
        decision.by,
    ));
}

fn lock(held: &LockView, console: &Console) {
    let stands = match &held.state {
        LockState::Held => "held".to_owned(),
        LockState::Waiting => {
            let until = held.until.map(|until| format!(", at the longest until {until}"));
            format!("waited for since {}{}", held.requested_at, until.unwrap_or_default())
        }
        LockState::Refused(failure) => format!("refused: {failure}"),
    };
    console.line(format!("{} {} {stands}", console.paint(STRONG, "lock:"), held.lock));
}

fn child(child: &ChildView, console: &Console) {
    let begun = match child.run_id {
        Some(run_id) => format!("run {run_id}"),
        None => "not begun".to_owned(),
    };
    console.line(format!(
        "{} {} ({}), {begun}, asked for {}; when this run ends: {}",
        console.paint(STRONG, "child:"),
        child.workflow_id,
        child.workflow_type,
        child.initiated_at,
        child.parent_close_policy.as_str(),
    ));
}

fn pending(activity: &ActivityView, console: &Console) {
    let failure = activity
        .last_failure
        .as_ref()
        .map(|failure| format!("; last failure: {failure}"));
    let no_worker = format!("waits for a worker of task queue {}, due", activity.task_queue);
    let state = match (activity.being_verified, activity.handed_over, activity.held) {
        (true, ..) => "has no answer and is being verified since",
        (_, true, _) => "is to be completed by somebody else, since",
        (_, _, Some(HoldReason::Breaker)) => "is parked by the circuit breaker of its type, due",
        (_, _, Some(HoldReason::NoWorker)) => &no_worker,
        _ => "due",
    };
    let asked = if activity.cancel_requested {
        "; asked to stop"
    } else {
        ""
    };
    let heartbeat = activity
        .heartbeat
        .as_ref()
        .map(|details| format!("; has come to {details:?}"));
    let purpose = match activity.purpose {
        ActivityPurpose::Verification => "verifies, ",
        ActivityPurpose::Escalation => "calls for help, ",
        ActivityPurpose::Plain | ActivityPurpose::Step | ActivityPurpose::Compensation => "",
    };
    console.line(format!(
        "{} {} ({}), {purpose}attempt {} {state} {}{asked}{}{}",
        console.paint(STRONG, "pending:"),
        activity.activity_id,
        activity.activity_type,
        activity.attempt,
        activity.due,
        heartbeat.unwrap_or_default(),
        failure.unwrap_or_default(),
    ));
}
