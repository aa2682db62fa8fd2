//! `amends signal`, `cancel` and `terminate`: messages for runs whose engine is not running. Must not live here: what a
//! run makes of them.

use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;

use crate::engine::{Error, Offline, Rejection, SignalOptions};
use crate::model::{ChoiceKind, RunId};
use crate::server::advice;
use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{self, DataArgs, OneRunArgs};

/// Leave a signal for a run: amends signal order-42 paid '{"by": "card"}' --data DIR
///
/// The signal is durable when this returns, and nothing is executed: the next engine on the directory (a service of yours,
/// or `amends run`) brings about what follows. While an engine runs, it has the directory to itself: signal through it.
#[derive(Args)]
pub(crate) struct SignalArgs {
    #[command(flatten)]
    target: Target,
    /// The signal's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The signal's data: JSON, @FILE, or - for standard input
    #[arg(value_name = "JSON")]
    input: Option<String>,
    /// Makes the signal repeatable: a second one with the same id changes nothing
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Ask a run to end and to undo what it did: amends cancel order-42 --data DIR
///
/// The request is durable when this returns, and nothing is executed: the next engine on the directory (a service of
/// yours, or `amends run`) undoes what is owed. A saga that has reached its pivot only goes forward and refuses.
#[derive(Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    target: Target,
    /// Why; kept in the run's history
    #[arg(long, value_name = "TEXT", default_value = "canceled on the command line")]
    reason: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// End a run at once and undo nothing: amends terminate order-42 --data DIR
///
/// What its steps did stays as it is; `amends show` says what that is. With --amend it is undone before the run ends, which
/// is what `amends cancel` does; a saga that has reached its pivot refuses that.
#[derive(Args)]
pub(crate) struct TerminateArgs {
    #[command(flatten)]
    target: Target,
    /// Why; kept in the run's history
    #[arg(long, value_name = "TEXT", default_value = "terminated on the command line")]
    reason: String,
    /// Undo what the run did before it ends
    #[arg(long)]
    amend: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
struct Target {
    /// The workflow id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    one: OneRunArgs,
    #[command(flatten)]
    data: DataArgs,
}

impl Target {
    fn open(&self) -> Result<Offline, Error> {
        Ok(self.one.of(self.data.open()?))
    }

    fn refusal(&self, error: Error) -> Refusal {
        self.one.refusal(error)
    }
}

pub(crate) fn signal(args: SignalArgs, console: &Console) -> Result<Exit, Refusal> {
    let data: Box<RawValue> = match &args.input {
        Some(text) => input::payload("the signal's data", text)?.to(),
        None => crate::model::Payload::null().to(),
    }
    .map_err(Error::from)?;
    let options = SignalOptions {
        request_id: args.request_id,
        ..SignalOptions::default()
    };
    let offline = args.target.open()?;
    let run = offline.signal(&args.target.id, &args.name, &data, options);
    let run = run.map_err(|error| args.target.refusal(error))?;
    told(&args.target, "signal", run, console);
    Ok(Exit::Done)
}

pub(crate) fn cancel(args: &CancelArgs, console: &Console) -> Result<Exit, Refusal> {
    let run = args.target.open()?.cancel(&args.target.id, &args.reason);
    let run = run.map_err(|error| args.target.refusal(error))?;
    told(&args.target, "cancel request", run, console);
    Ok(Exit::Done)
}

pub(crate) fn terminate(args: &TerminateArgs, console: &Console) -> Result<Exit, Refusal> {
    let offline = args.target.open()?;
    if args.amend {
        let asked = offline.cancel(&args.target.id, &args.reason);
        let run = asked.map_err(|error| only_forward(error, &args.target, &offline))?;
        told(&args.target, "cancel request", run, console);
        return Ok(Exit::Done);
    }
    let run = offline.terminate(&args.target.id, &args.reason);
    let run = run.map_err(|error| args.target.refusal(error))?;
    console.object(&json!({"type": "terminated", "workflow_id": args.target.id, "run_id": run.to_string()}));
    console.line(format!(
        "{} is terminated (run {run}); nothing was undone",
        args.target.id
    ));
    Ok(Exit::Done)
}

fn told(target: &Target, what: &str, run: RunId, console: &Console) {
    console.object(&json!({
        "type": "recorded", "what": what, "workflow_id": target.id, "run_id": run.to_string(),
    }));
    console.line(format!("{what} for {} is recorded (run {run})", target.id));
    console.note(advice::next_engine(&target.id, &target.data));
}

/// Why a run is not undone, and what is possible instead.
fn only_forward(error: Error, target: &Target, offline: &Offline) -> Refusal {
    if !matches!(error, Error::Rejected(Rejection::PastPivot)) {
        return target.refusal(error);
    }
    let stuck = offline.describe(&target.id).map(|run| run.stuck).unwrap_or_default();
    let back = stuck.iter().any(|stuck| stuck.choices.contains(&ChoiceKind::GoBack));
    let show = advice::show(&target.id, &target.data);
    let hint = match (stuck.is_empty(), back) {
        (false, true) => format!("it is stuck, and `amends decide` with go-back can undo it; see: {show}"),
        (false, false) => format!("it is stuck; what can be decided about it says: {show}"),
        (true, _) => "let it go on, or end it as it is, undoing nothing, without --amend".to_owned(),
    };
    Refusal::from(error).hint(hint)
}
