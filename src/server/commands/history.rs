//! `amends history`. Must not live here: anything that executes runs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::engine::Offline;
use crate::history::{from_temporal_json, to_temporal_json_followed_by};
use crate::model::{Event, RunId};
use crate::server::console::{Console, FAINT, OutputArgs};
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input::DataArgs;

/// Print everything that happened to one run: amends history order-42 --data DIR
///
/// One line per event: its id, its time, its type (Temporal's names, and a few of ours) and what matters about it; with
/// --json all of it. With --output temporal-json it is one document that Temporal's tools and replay tests read; --file
/// shows such a document again. Reads the data directory and executes nothing.
#[derive(Args)]
pub(crate) struct HistoryArgs {
    /// The workflow id (its newest run), or a run id
    #[arg(value_name = "ID", required_unless_present = "file")]
    id: Option<String>,
    /// Show the history in this file instead, as `temporal workflow show --output json` writes it
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    file: Option<PathBuf>,
    /// Write the history as one document in the form of other tools
    #[arg(long = "output", value_name = "FORM", conflicts_with = "json")]
    form: Option<Form>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// As `temporal workflow show --output json` writes it
    TemporalJson,
}

pub(crate) fn run(args: &HistoryArgs, console: &Console) -> Result<Exit, Refusal> {
    let events = events(args)?;
    if let Some(Form::TemporalJson) = args.form {
        console.line(format!("{:#}", to_temporal_json_followed_by(&events, next(args))));
        return Ok(Exit::Done);
    }
    for event in &events {
        if console.is_gone() {
            break;
        }
        if console.is_json() {
            console.object(&dto::event(event));
            continue;
        }
        let id = console.paint(FAINT, &format!("{:>5}", event.id.0));
        let time = console.paint(FAINT, &event.time.to_string());
        let (kind, text) = (event.attributes.kind(), dto::event_text(&event.attributes));
        console.line(format!("{id}  {time}  {kind:<32}  {text}").trim_end());
    }
    Ok(Exit::Done)
}

/// The run that follows, which the history does not say.
fn next(args: &HistoryArgs) -> Option<RunId> {
    let id = args.id.as_deref()?;
    let offline = Offline::open(&args.data.data).ok()?;
    offline.describe(id).ok()?.next_run_id
}

fn events(args: &HistoryArgs) -> Result<Vec<Event>, Refusal> {
    let Some(file) = &args.file else {
        let id = args.id.as_deref().unwrap_or_default();
        return Ok(args.data.open()?.history(id)?);
    };
    let refused = |error: &dyn std::fmt::Display| Refusal::usage(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| refused(&error))?;
    from_temporal_json(&text).map_err(|error| refused(&error))
}
