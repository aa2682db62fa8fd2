//! `amends complete` and `amends fail`: answers for activities that somebody else completes, while no engine runs. Must
//! not live here: what a run makes of them.

use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;

use crate::engine::{Error, OfflineActivity};
use crate::model::{Failure, Payload, RunId};
use crate::server::advice;
use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{self, DataArgs};

/// Complete an activity that waits for an answer from outside: amends complete TOKEN '{"approved": true}' --data DIR
///
/// TOKEN is what the activity handed out. Without one: amends complete approve true --of order-42
/// (activity `approve` of workflow `order-42`). The answer is durable when this returns, and nothing is executed: the next
/// engine on the directory brings about what follows. While an engine runs, it has the directory to itself: answer
/// through it.
#[derive(Args)]
pub(crate) struct CompleteArgs {
    #[command(flatten)]
    target: Target,
    /// The activity's result: JSON, @FILE, or - for standard input
    #[arg(value_name = "JSON")]
    result: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Let an activity fail that waits for an answer from outside: amends fail TOKEN --type Declined --data DIR
///
/// Its retry policy decides whether it is tried again; with --final it is not.
#[derive(Args)]
pub(crate) struct FailArgs {
    #[command(flatten)]
    target: Target,
    /// The failure's type, for retry policies and handlers
    #[arg(long = "type", value_name = "NAME", default_value = "FailedByHand")]
    type_name: String,
    /// What happened, for people
    #[arg(long, value_name = "TEXT", default_value = "failed on the command line")]
    message: String,
    /// Do not try again, whatever the retry policy says
    #[arg(long = "final")]
    is_final: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
struct Target {
    /// The token that the activity handed out; with --of, the activity's id
    #[arg(value_name = "TOKEN")]
    activity: String,
    /// The workflow id, when the activity is named by its id
    #[arg(long, value_name = "ID")]
    of: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

impl Target {
    fn activity(&self) -> Result<OfflineActivity, Refusal> {
        let found = match &self.of {
            Some(workflow_id) => OfflineActivity::by_id(workflow_id, &self.activity),
            None => OfflineActivity::by_token(&self.activity),
        };
        found.map_err(|error| match error {
            Error::TaskToken(_) => {
                let hint = format!(
                    "to name an activity by its id: amends complete {} --of WORKFLOW",
                    self.activity
                );
                Refusal::from(error).hint(hint)
            }
            other => other.into(),
        })
    }
}

pub(crate) fn complete(args: &CompleteArgs, console: &Console) -> Result<Exit, Refusal> {
    let activity = args.target.activity()?;
    let result = match &args.result {
        Some(text) => input::payload("the activity's result", text)?,
        None => Payload::null(),
    };
    let result: Box<RawValue> = result.to().map_err(Error::from)?;
    let run = args.target.data.open()?.complete_activity(&activity, &result)?;
    told(&args.target, &activity, "result", run, console);
    Ok(Exit::Done)
}

pub(crate) fn fail(args: &FailArgs, console: &Console) -> Result<Exit, Refusal> {
    let activity = args.target.activity()?;
    let failure = match args.is_final {
        true => Failure::non_retryable(&args.type_name, &args.message),
        false => Failure::new(&args.type_name, &args.message),
    };
    let run = args.target.data.open()?.fail_activity(&activity, failure)?;
    told(&args.target, &activity, "failure", run, console);
    Ok(Exit::Done)
}

fn told(target: &Target, activity: &OfflineActivity, what: &str, run: RunId, console: &Console) {
    let workflow_id = activity.workflow_id().as_str();
    console.object(&json!({
        "type": "recorded", "what": what, "workflow_id": workflow_id, "run_id": run.to_string(),
    }));
    console.line(format!(
        "{what} for an activity of {workflow_id} is recorded (run {run})"
    ));
    console.note(advice::next_engine(workflow_id, &target.data));
}
