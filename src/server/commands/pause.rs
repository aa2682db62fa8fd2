//! `amends pause` and `unpause`. Must not live here: what standing still means.

use clap::Args;
use serde_json::json;

use crate::server::advice;
use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{DataArgs, OneRunArgs};

/// Let a run stand still: amends pause order-42 --by NAME --reason TEXT --data DIR
///
/// Its code is not asked, and no attempt, timer, compensation or automatic decision begins, until it is unpaused; what
/// arrives is recorded. It is durable when this returns. While an engine runs, it has the directory to itself: pause with
/// Client::pause.
#[derive(Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Let a paused run go on: amends unpause order-42 --by NAME --data DIR
///
/// What has become due meanwhile is due as soon as an engine runs: a service of yours, or `amends run`.
#[derive(Args)]
pub(crate) struct UnpauseArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
struct Target {
    /// The workflow id
    #[arg(value_name = "ID")]
    id: String,
    /// Who wants it; kept in the run's history
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why; kept in the run's history
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    one: OneRunArgs,
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn pause(args: &PauseArgs, console: &Console) -> Result<Exit, Refusal> {
    let target = &args.target;
    let offline = target.one.of(target.data.open()?);
    let run = offline.pause(&target.id, &target.by, &target.reason);
    let run = run.map_err(|error| target.one.refusal(error))?;
    console.object(&json!({"type": "paused", "workflow_id": target.id, "run_id": run.to_string()}));
    console.line(format!("{} is paused (run {run})", target.id));
    console.note(format!(
        "it goes on with: amends unpause {} --by NAME {}",
        advice::shell_word(&target.id),
        advice::options(&target.data)
    ));
    Ok(Exit::Done)
}

pub(crate) fn unpause(args: &UnpauseArgs, console: &Console) -> Result<Exit, Refusal> {
    let target = &args.target;
    let offline = target.one.of(target.data.open()?);
    let run = offline.unpause(&target.id, &target.by, &target.reason);
    let run = run.map_err(|error| target.one.refusal(error))?;
    let status = offline.describe(&run.to_string())?.status;
    console.object(&json!({
        "type": "unpaused", "workflow_id": target.id, "run_id": run.to_string(), "status": status.as_str(),
    }));
    console.line(format!("{} is {status} (run {run})", target.id));
    console.note(advice::next_engine(&target.id, &target.data));
    Ok(Exit::Done)
}
