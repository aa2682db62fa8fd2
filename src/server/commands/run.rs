//! `amends run`: one run of a definition file, from its start to its end. Must not live here: decisions about it.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::engine::{
    Amends, Clock, Error, HTTP_ACTIVITY, RunDescription, RunHandle, StepState, StepView, SystemClock, UndoState,
    activities_of, check_saga,
};
use crate::model::{Outcome, Payload, RunId, Timestamp};
use crate::server::advice;
use crate::server::commands::start::StartArgs;
use crate::server::console::{BAD, Console, FAINT, GOOD, OutputArgs, STRONG, WARN, style_of};
use crate::server::desk::{Desk, painted};
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input;
use crate::server::place::{Place, PlaceArgs};
use crate::server::text::{self, duration};
use crate::server::waiting::{End, interrupted, until_it_ends};

/// Run a saga and wait for its end: amends run sagas/place-order.toml --input @order.json --id order-1
///
/// The result is printed on standard output, everything else on standard error. The run is kept in the data directory:
/// killed, or interrupted with Ctrl-C, it goes on when the same command is given again. Other runs in the directory that
/// have not ended go on meanwhile.
///
/// Every working day at six, each run within an hour, until somebody cancels it:
/// amends run sagas/nightly-settlement.toml --id nightly --cron "0 6 * * 1-5" --run-timeout 1h
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The saga definition
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The saga's input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// The workflow id, under which the saga is started once: with the id of a run that exists, that run is waited for
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Keep the run in memory only: for trying a definition out
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How long attempts that are running get to end when the command does.
const GRACE: Duration = Duration::from_secs(10);

/// Programs get two seconds to end when they are asked to.
const PROGRAMS_END_WITHIN: Duration = Duration::from_secs(3);

type Handle = RunHandle<serde_json::Value>;

/// The options, with what the configuration file says.
struct Asked<'a> {
    args: &'a RunArgs,
    place: Place,
}

impl Deref for Asked<'_> {
    type Target = RunArgs;

    fn deref(&self) -> &RunArgs {
        self.args
    }
}

pub(crate) fn run(args: &RunArgs, console: &Console) -> Result<Exit, Refusal> {
    let input = match &args.input {
        Some(text) => input::payload("--input", text)?,
        None => Payload::null(),
    };
    args.start.check(args.id.as_deref())?;
    if args.file.is_dir() {
        return Err(Refusal::usage(format!("{} is a directory", args.file.display())).hint("name one definition file"));
    }
    let asked = Asked {
        place: args.place.settle(Some(&args.file))?,
        args,
    };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let tokio = tokio.map_err(|error| Refusal::failed(format!("no threads to run on: {error}")))?;
    let outcome = tokio.block_on(start_and_wait(&asked, input, console));
    // Long enough for programs that are being ended to be gone.
    tokio.shutdown_timeout(PROGRAMS_END_WITHIN);
    outcome
}

async fn start_and_wait(args: &Asked<'_>, input: Payload, console: &Console) -> Result<Exit, Refusal> {
    let amends = engine(args).await?;
    let ended = drive(&amends, args, input, console).await;
    tokio::select! {
        () = amends.shutdown(GRACE) => {}
        // Asked twice: nothing is lost, attempts that are running are made again.
        () = interrupted() => {}
    }
    ended
}

async fn engine(args: &Asked<'_>) -> Result<Amends, Refusal> {
    let builder = args.place.engine("run").sagas(&args.file);
    let builder = match args.memory {
        true => builder.memory(),
        false => builder.sled(&args.place.data.data),
    };
    let started = builder.start().await.map_err(|error| match calls_rust(args) {
        true => Refusal::from(error).hint(
            "this binary has no activities of its own; a saga that calls Rust activities runs in the program that registers \
             them",
        ),
        false => error.into(),
    })?;
    Ok(started.in_namespace(args.place.data.namespace.as_str())?)
}

/// Whether the definition calls activities that only a program of the user's can have.
fn calls_rust(args: &Asked<'_>) -> bool {
    let checked = check_saga(&args.file, &args.place.settings);
    let saga = checked.ok().and_then(|(saga, _)| saga);
    saga.is_some_and(|saga| activities_of(&saga).iter().any(|name| name != HTTP_ACTIVITY))
}

async fn drive(amends: &Amends, args: &Asked<'_>, input: Payload, console: &Console) -> Result<Exit, Refusal> {
    let (definition, _) = check_saga(&args.file, &args.place.settings)?;
    let Some(definition) = definition else {
        return Err(Refusal::usage("the file has no saga"));
    };
    let saga = definition.name().to_string();
    let mut starter = amends.workflow_by_name(&definition.versioned_name());
    if let Some(id) = &args.id {
        starter = starter.id(id);
    }
    let interrupt = interrupted();
    let begun = SystemClock.now();
    let (run, again) = match args.start.apply(starter)?.start_payload(input.clone()).await {
        Ok(run) => {
            // One that was there is what was asked for, by its request id or by the policy.
            let again = args.id.is_some() && run.describe().await?.started_at < begun;
            (run, again)
        }
        Err(Error::AlreadyStarted {
            workflow_id, status, ..
        }) if args.start.takes_existing(status.is_closed()) => (amends.find(workflow_id.as_str()).await?, true),
        Err(error @ Error::AlreadyStarted { .. }) => {
            return Err(Refusal::from(error).hint(
                "choose another --id; or say --id-reuse-policy allow-duplicate when it has ended, --id-conflict-policy \
                 use-existing or terminate-existing when it is open",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let found = match again {
        true => Some(run.describe().await?),
        false => None,
    };
    if let Some(found) = &found {
        must_be_of(&saga, found)?;
    }
    announce(&run, &saga, again, args, console);
    if let Some(found) = found.filter(|_| args.input.is_some()) {
        compare_inputs(&input, &found, console);
    }
    let mut steps = StepLog::of(run.run_id());
    let end = tokio::select! {
        end = until_it_ends(&run, |now| steps.show(now, console)) => end?,
        () = interrupt => return Ok(leave(&run, args, console)),
    };
    match end {
        End::Closed(outcome) => {
            steps.show(&run.describe().await?, console);
            conclude(&run, &outcome, begun, console);
            Ok(Exit::of(outcome.status()))
        }
        End::Waits(description) => Ok(stuck(&description, args, console)),
    }
}

/// A run that exists is waited for, if it can be the one that is meant.
fn must_be_of(saga: &str, run: &RunDescription) -> Result<(), Refusal> {
    if run.workflow_type.as_str() == saga {
        return Ok(());
    }
    let (id, other) = (&run.workflow_id, &run.workflow_type);
    let message = format!("{id} is a run of {other:?}, not of {saga:?}");
    Err(Refusal::usage(message).hint("choose another --id"))
}

fn compare_inputs(input: &Payload, run: &RunDescription, console: &Console) {
    if dto::payload(input) != dto::payload(&run.input) {
        let note = console.paint_error(WARN, "note:");
        let kept = &run.input;
        console.note(format!("{note} it keeps the input that it was started with: {kept:?}"));
    }
}

fn announce(run: &Handle, saga: &str, again: bool, args: &Asked<'_>, console: &Console) {
    let (id, run_id) = (run.workflow_id(), run.run_id());
    let kept = match args.memory {
        true => "in memory".to_owned(),
        false => format!("in {}", args.place.data.data.display()),
    };
    let event = if again { "found" } else { "started" };
    console.object(&json!({
        "type": event, "workflow_id": id.as_str(), "run_id": run_id.to_string(), "workflow_type": saga,
    }));
    let id = console.paint_error(STRONG, id.as_str());
    console.note(match again {
        true => format!("{id} was started before (run {run_id} of {saga}, kept {kept})"),
        false => format!("{id} started (run {run_id} of {saga}, kept {kept})"),
    });
}

fn conclude(run: &Handle, outcome: &Outcome, begun: Timestamp, console: &Console) {
    let status = outcome.status();
    let mut object = dto::outcome(outcome);
    dto::put(&mut object, "type", "ended");
    dto::put(&mut object, "workflow_id", run.workflow_id().as_str());
    console.object(&object);
    let word = console.paint_error(style_of(status), status.as_str());
    let because = match outcome {
        Outcome::Completed(_) | Outcome::TimedOut => String::new(),
        Outcome::Amended(failure) | Outcome::Failed(failure) | Outcome::Canceled(failure) => {
            format!(": {}", text::failure(failure))
        }
        Outcome::Terminated { reason } => format!(": {reason}"),
        Outcome::ContinuedAsNew { new_run_id } => format!(": run {new_run_id}"),
    };
    let took = duration(SystemClock.now().since(begun));
    console.note(format!("{} {word} after {took}{because}", run.workflow_id()));
    if let Outcome::Completed(result) = outcome {
        match std::str::from_utf8(result.data()) {
            Ok("") => console.line("null"),
            Ok(text) => console.line(text),
            Err(_) => console.line(dto::payload(result).to_string()),
        }
    }
}

/// Says what the run waits for, and how a person finds out more.
fn stuck(run: &RunDescription, args: &Asked<'_>, console: &Console) -> Exit {
    let mut object = dto::description(run);
    dto::put(&mut object, "type", "waits");
    console.object(&object);
    let status = console.paint_error(style_of(run.status), run.status.as_str());
    console.note(format!("{} is {status} and waits for a person:", run.workflow_id));
    let data = &args.place.data;
    match run.stuck.is_empty() {
        true => run
            .waits_for()
            .iter()
            .for_each(|what| console.note(format!("  {what}"))),
        false => {
            let desk = Desk {
                run,
                data: (!args.memory).then_some(data),
                now: SystemClock.now(),
                with_inputs: false,
            };
            for line in desk.lines() {
                console.note(painted(&line, |style, text| console.paint_error(style, text)));
            }
        }
    }
    console.note(match args.memory {
        true => format!("{} was kept in memory only and is gone", run.workflow_id),
        false => format!("see: {}", advice::show(run.workflow_id.as_str(), data)),
    });
    Exit::of(run.status)
}

fn leave(run: &Handle, args: &Asked<'_>, console: &Console) -> Exit {
    let id = run.workflow_id();
    console.object(&json!({"type": "interrupted", "workflow_id": id.as_str()}));
    console.note(match args.memory {
        true => format!("interrupted; {id} was kept in memory only and is gone"),
        false => format!(
            "interrupted; nothing is lost, {id} goes on with: {}",
            advice::go_on(&args.file, id.as_str(), &args.place.data)
        ),
    });
    Exit::Failed
}

/// Tells each change of a step once.
struct StepLog {
    run_id: RunId,
    told: Vec<String>,
}

impl StepLog {
    fn of(run_id: RunId) -> Self {
        let told = Vec::new();
        Self { run_id, told }
    }

    fn show(&mut self, run: &RunDescription, console: &Console) {
        if run.run_id != std::mem::replace(&mut self.run_id, run.run_id) {
            // A retry, a schedule or its own code has it followed by another run.
            self.told.clear();
            console.object(&json!({"type": "followed", "run_id": run.run_id.to_string()}));
            console.note(format!("{} goes on as run {}", run.workflow_id, run.run_id));
        }
        let width = run.steps.iter().map(|step| step.name.as_str().len()).max().unwrap_or(0);
        // All steps forward, then the way back, as it happens.
        let forward = run.steps.iter().map(|step| (step, outcome(step)));
        let back = run.steps.iter().rev().map(|step| (step, undoing(step)));
        for (step, change) in forward.chain(back) {
            let Some((word, detail, style)) = change else {
                continue;
            };
            let name = step.name.as_str();
            let key = format!("{name} {word}");
            if self.told.contains(&key) {
                continue;
            }
            self.told.push(key);
            console.note(format!(
                "  {name:<width$}  {}{detail}",
                console.paint_error(style, word)
            ));
            let mut object = dto::step(step);
            dto::put(&mut object, "type", "step");
            dto::put(&mut object, "event", word);
            console.object(&object);
        }
    }
}

/// A word, what comes behind it, and how the word looks.
type Change = Option<(&'static str, String, anstyle::Style)>;

fn outcome(step: &StepView) -> Change {
    match &step.state {
        StepState::Pending => None,
        StepState::Skipped => Some(("skipped", String::new(), FAINT)),
        StepState::Completed { .. } => Some(("completed", String::new(), GOOD)),
        StepState::Failed { failure, .. } => Some(("failed", format!(": {failure}"), BAD)),
    }
}

fn undoing(step: &StepView) -> Change {
    match step.undo {
        UndoState::Done => Some(("undone", String::new(), WARN)),
        UndoState::Skipped => Some(("left as it is", String::new(), BAD)),
        UndoState::Stuck => Some(("cannot be undone", String::new(), BAD)),
        UndoState::Running(_) if step.stuck => Some(("cannot be undone", String::new(), BAD)),
        UndoState::NotOwed | UndoState::Owed | UndoState::Running(_) => None,
    }
}
