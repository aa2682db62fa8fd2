//! `amends query`. Must not live here: anything that executes runs.

use clap::Args;
use serde_json::json;

use crate::server::console::{Console, OutputArgs};
use crate::server::dto;
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{DataArgs, OneRunArgs};

/// Ask a run of a saga definition a question: amends query order-42 outputs --data DIR
///
/// `status` is how it stands, `steps` how each of its steps does, `outputs` what the completed ones gave back: JSON, for
/// scripts. Reads the data directory and executes nothing. Queries of workflow code are answered where the code is, by an
/// engine.
#[derive(Args)]
pub(crate) struct QueryArgs {
    /// The workflow id (its newest run), or a run id
    #[arg(value_name = "ID")]
    id: String,
    /// The question: status, steps or outputs
    #[arg(value_name = "QUERY", default_value = "status")]
    query: String,
    #[command(flatten)]
    one: OneRunArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) fn run(args: &QueryArgs, console: &Console) -> Result<Exit, Refusal> {
    let answer = args.one.of(args.data.open()?).query(&args.id, &args.query)?;
    let answer = dto::payload(&answer);
    console.object(&json!({
        "type": "answer", "workflow_id": args.id, "query": args.query, "answer": answer,
    }));
    console.line(format!("{answer:#}"));
    Ok(Exit::Done)
}
