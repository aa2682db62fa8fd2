//! `amends prune`. Must not live here: which runs may go.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::DataArgs;
use crate::server::text::count;

/// Delete runs that ended long ago: amends prune --older-than 30d --data DIR
///
/// Deletes their histories and results, and that their ids were used. Open runs stay, and so does a run for as long as the run
/// whose child it is. An engine does the same in the background when it is given a retention (AmendsBuilder::retention, or
/// `retention` in its configuration file).
#[derive(Args)]
pub(crate) struct PruneArgs {
    /// How long ago they ended at least, as in 30d, 12h or "1d 12h"
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    older_than: Duration,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn run(args: &PruneArgs, console: &Console) -> Result<Exit, Refusal> {
    let offline = args.data.open()?;
    let deleted = offline.prune(args.older_than, &mut |so_far| {
        console.replace(&format!("deleting: {}", count(so_far as u64, "run")));
    })?;
    console.object(&json!({"type": "pruned", "runs": deleted}));
    console.line(format!("{} deleted", count(deleted as u64, "run")));
    Ok(Exit::Done)
}
