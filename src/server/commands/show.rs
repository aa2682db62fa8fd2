//! `amends show`. Must not live here: anything that executes runs.

use clap::Args;

use crate::engine::{ActivityView, Clock, Offline, RunDescription, StepState, StepView, SystemClock};
use crate::model::{Outcome, ParkReason};
use crate::server::commands::check::graph;
use crate::server::console::{BAD, Console, FAINT, GOOD, OutputArgs, STRONG, WARN, style_of};
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{DataArgs, GraphArgs};
use crate::server::text::{self, Cell, duration, table};

/// Show how one run stands, step by step: amends show order-42 --data DIR
///
/// Reads the data directory and executes nothing. An engine that is running has the directory to itself.
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
    let run = Offline::open(&args.data.data)?.describe(&args.id)?;
    if let Some(format) = args.graph.format() {
        graph(run.workflow_id.as_str(), &run.drawing(), format, console);
        return Ok(Exit::Done);
    }
    console.object(&dto::description(&run));
    if !console.is_json() {
        print(&run, console);
    }
    Ok(Exit::Done)
}

fn print(run: &RunDescription, console: &Console) {
    let status = console.paint(style_of(run.status), run.status.as_str());
    console.line(format!("{}  {status}", console.paint(STRONG, run.workflow_id.as_str())));
    let field =
        |name: &str, value: String| console.line(format!("{}{value}", console.paint(FAINT, &format!("{name:<11}"))));
    field("type", run.workflow_type.to_string());
    if let Some(digest) = run.definition {
        field("definition", digest.to_string());
    }
    field("run", run.run_id.to_string());
    let until = match run.outcome {
        Some(_) => run.last_turn_at,
        None => SystemClock.now(),
    };
    let took = duration(until.since(run.started_at));
    let verb = if run.outcome.is_some() { "took" } else { "open for" };
    field("started", format!("{}, {verb} {took}", run.started_at));
    field("events", run.events.to_string());
    field("input", format!("{:?}", run.input));
    if let Some(reason) = &run.cancel_requested {
        field("cancel", format!("requested: {reason}"));
    }
    match &run.outcome {
        Some(Outcome::Completed(result)) => field("result", format!("{result:?}")),
        Some(Outcome::Amended(failure) | Outcome::Failed(failure) | Outcome::Canceled(failure)) => {
            field("because", text::failure(failure));
        }
        Some(Outcome::Terminated { reason }) => field("because", reason.clone()),
        Some(Outcome::TimedOut) | None => {}
    }
    if let Some(ParkReason::Nondeterminism { at, expected, recorded }) = &run.parked {
        console.line(console.paint(BAD, &format!("parked at event {at}: the code decides differently")));
        console.line(format!("  {} {recorded}", console.paint(GOOD, "history has ")));
        console.line(format!("  {} {expected}", console.paint(BAD, "code asks for")));
    } else {
        for what in run.waits_for() {
            console.line(format!("{} {what}", console.paint(BAD, "waits:")));
        }
    }
    if !run.steps.is_empty() {
        console.line("");
        table(&steps(run), console).iter().for_each(|line| console.line(line));
    }
    for activity in &run.pending {
        pending(activity, console);
    }
}

fn steps(run: &RunDescription) -> Vec<[Cell; 6]> {
    let heading = ["step", "kind", "state", "attempts", "undo", "last failure"];
    let heading = heading.map(|title| Cell::styled(title, FAINT));
    let row = |step: &StepView| {
        let (style, failure) = match &step.state {
            StepState::Pending => (STRONG, last_failure(run, step)),
            StepState::Skipped => (FAINT, None),
            StepState::Completed { .. } => (GOOD, None),
            StepState::Failed { failure, .. } => (WARN, Some(failure.to_string())),
        };
        let undo = match step.undo_attempts {
            0 | 1 => dto::undo_text(step).to_owned(),
            attempts => format!("{}, attempt {attempts}", dto::undo_text(step)),
        };
        [
            step.name.to_string().into(),
            dto::kind_text(step).into(),
            Cell::styled(dto::state_text(step), style),
            step.attempts.to_string().into(),
            undo.into(),
            failure.unwrap_or_default().into(),
        ]
    };
    std::iter::once(heading).chain(run.steps.iter().map(row)).collect()
}

/// How the last attempt of a step that is still being tried failed.
fn last_failure(run: &RunDescription, step: &StepView) -> Option<String> {
    let is_forward = |activity: &&ActivityView| !activity.is_compensation && activity.step.as_ref() == Some(&step.name);
    let activity = run.pending.iter().find(is_forward)?;
    activity.last_failure.as_ref().map(ToString::to_string)
}

fn pending(activity: &ActivityView, console: &Console) {
    let failure = activity
        .last_failure
        .as_ref()
        .map(|failure| format!("; last failure: {failure}"));
    let state = if activity.stuck { "stuck" } else { "due" };
    console.line(format!(
        "{} {} ({}), attempt {} {state} {}{}",
        console.paint(STRONG, "pending:"),
        activity.activity_id,
        activity.activity_type,
        activity.attempt,
        activity.due,
        failure.unwrap_or_default(),
    ));
}
