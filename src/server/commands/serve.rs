//! `amends serve`: an engine on a data directory, until it is interrupted. Must not live here: anything that it does.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::place::PlaceArgs;
use crate::server::text::count;
use crate::server::waiting::interrupted;

/// Run an engine until Ctrl-C: amends serve --sagas sagas/ --data DIR
///
/// It goes on with every run of the directory that has not ended, and starts the runs of its schedules (`amends schedule`).
/// Everything else about it may be said in a file: amends serve --config config/amends.toml
///
/// When it is interrupted, attempts that are running get ten seconds to end; nothing is lost.
#[derive(Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How long attempts that are running get to end.
const GRACE: Duration = Duration::from_secs(10);

/// Programs get two seconds to end when they are asked to.
const PROGRAMS_END_WITHIN: Duration = Duration::from_secs(3);

pub(crate) fn run(args: &ServeArgs, console: &Console) -> Result<Exit, Refusal> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let tokio = tokio.map_err(|error| Refusal::failed(format!("no threads to run on: {error}")))?;
    let served = tokio.block_on(serve(args, console));
    // Long enough for programs that are being ended to be gone.
    tokio.shutdown_timeout(PROGRAMS_END_WITHIN);
    served
}

async fn serve(args: &ServeArgs, console: &Console) -> Result<Exit, Refusal> {
    let place = args.place.settle(None)?;
    let interrupt = interrupted();
    let amends = place.engine("serve").sled(&place.data.data).start().await?;
    let (data, definitions) = (place.data.data.display().to_string(), place.definitions());
    console.object(&json!({"type": "serving", "data": data, "definitions": definitions}));
    let files = count(definitions as u64, "definition file");
    console.note(format!("serving {data} with {files}; Ctrl-C ends it"));
    interrupt.await;
    tokio::select! {
        () = amends.shutdown(GRACE) => {}
        // Asked twice: nothing is lost, attempts that are running are made again.
        () = interrupted() => {}
    }
    console.object(&json!({"type": "stopped"}));
    console.note("stopped; what has not ended goes on with the next engine");
    Ok(Exit::Done)
}
