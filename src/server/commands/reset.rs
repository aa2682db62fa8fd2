//! `amends reset`. Must not live here: what is copied and what is refused.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::engine::{Error, Rejection};
use crate::model::{EventId, Reapply, RequestId, Reset, ResetPoint};
use crate::server::advice;
use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::DataArgs;

/// Decide a turn of a run again: amends reset order-42 --to turn:2 --by NAME --reason TEXT --data DIR
///
/// The run is terminated, if it is open, and another run of the same workflow id begins with a copy of its history before
/// that turn; signals and updates that came later come again. `amends history ID` has the turns: the events
/// WorkflowTaskCompleted. Refused when saga steps since then may have had an effect, or are undone. The next engine on the
/// directory decides the turn with its code. While an engine runs, it has the directory to itself: reset with Client::reset.
#[derive(Args)]
pub(crate) struct ResetArgs {
    /// The workflow id (its newest run), or a run id
    #[arg(value_name = "ID")]
    id: String,
    /// The turn that is decided again: first-turn, last-turn, turn:N counted from 1, or event:N for the one with that event
    /// (Temporal's first-workflow-task and last-workflow-task are understood, too)
    #[arg(long, value_name = "TURN", value_parser = point)]
    to: ResetPoint,
    /// What of the things that came later comes again
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Again::All)]
    reapply: Again,
    /// Leave what saga steps have done since that turn, and may do again
    #[arg(long)]
    force: bool,
    /// Who wants it; kept in the runs' histories
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why; kept in the runs' histories
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Makes the command repeatable: the same id makes no second run
    #[arg(long, value_name = "KEY")]
    request_id: Option<String>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Again {
    /// Nothing
    None,
    /// Signals
    Signals,
    /// Signals, and updates that were accepted
    All,
}

fn point(text: &str) -> Result<ResetPoint, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is not a number"));
    match text.split_once(':') {
        Some(("turn", turn)) => number(turn).map(ResetPoint::Turn),
        Some(("event", event)) => number(event).map(|event| ResetPoint::Event(EventId(event))),
        None if ["first-turn", "first-workflow-task"].contains(&text) => Ok(ResetPoint::FirstTurn),
        None if ["last-turn", "last-workflow-task"].contains(&text) => Ok(ResetPoint::LastTurn),
        _ => Err("say first-turn, last-turn, turn:N, or event:N".to_owned()),
    }
}

pub(crate) fn run(args: &ResetArgs, console: &Console) -> Result<Exit, Refusal> {
    let request_id = args.request_id.clone().map(RequestId::new).transpose();
    let wanted = Reset {
        reapply: match args.reapply {
            Again::None => Reapply::None,
            Again::Signals => Reapply::Signals,
            Again::All => Reapply::All,
        },
        force: args.force,
        request_id: request_id.map_err(Error::from)?,
        ..Reset::to(args.to, args.by.clone(), args.reason.clone())
    };
    let offline = args.data.open()?;
    let before = offline.find(&args.id)?;
    let run = offline.reset(&args.id, &wanted).map_err(|error| advised(error, args))?;
    let id = before.workflow_id.as_str();
    console.object(&json!({
        "type": "reset", "workflow_id": id, "run_id": run.to_string(), "base_run_id": before.run_id.to_string(),
    }));
    console.line(format!("{id} is made anew as run {run}, of run {}", before.run_id));
    console.note(advice::next_engine(id, &args.data));
    Ok(Exit::Done)
}

fn advised(error: Error, args: &ResetArgs) -> Refusal {
    use crate::engine::ResetRefusal as R;
    let hint = match &error {
        Error::Rejected(Rejection::ResetRefused(refusal)) => match **refusal {
            R::WouldRepeat(_) => Some("name a later turn, or leave what they did with --force".to_owned()),
            R::WouldLeave(_) => Some("let that run end first, or leave what they did with --force".to_owned()),
            R::NoSuchEvent { .. } | R::NoSuchTurn { .. } | R::Undone(_) | R::HasLock(_) => {
                let (id, options) = (advice::shell_word(&args.id), advice::options(&args.data));
                Some(format!("see: amends history {id} {options}"))
            }
            _ => None,
        },
        _ => None,
    };
    let refusal = Refusal::from(error);
    match hint {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }
}
