//! `amends history`. Must not live here: anything that executes runs.

use clap::Args;

use crate::engine::Offline;
use crate::server::console::{Console, FAINT, OutputArgs};
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input::DataArgs;

/// Print everything that happened to one run: amends history order-42 --data DIR
///
/// One line per event: its id, its time, its type (Temporal's names, and a few of ours) and what matters about it; with
/// --json all of it. Reads the data directory and executes nothing.
#[derive(Args)]
pub(crate) struct HistoryArgs {
    /// The workflow id (its newest run), or a run id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn run(args: &HistoryArgs, console: &Console) -> Result<Exit, Refusal> {
    let events = Offline::open(&args.data.data)?.history(&args.id)?;
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
