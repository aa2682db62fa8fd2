//! `amends decide`: a person's decision about a stuck saga whose engine is not running. Must not live here: which choices
//! are open, or what follows from them.

use clap::Args;
use serde_json::json;

use crate::engine::{Decision, Error, Rejection, StoreError};
use crate::model::{Choice, ChoiceKind, Payload};
use crate::server::advice;
use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::{self, DataArgs, OneRunArgs};

/// Decide how a stuck saga goes on: amends decide order-42 --step charge retry --by ada --data DIR
///
/// `amends show` says what is stuck, why, and what each choice that is open means. Who decides and why is kept in the run's
/// history; a choice that leaves something undone (skip, mark-done, go-forward, abandon) must say why. The decision is
/// durable when this returns, and nothing is executed: the next engine on the directory (a service of yours, or
/// `amends run`) brings about what follows. While an engine runs, it has the directory to itself: decide through it.
#[derive(Args)]
pub(crate) struct DecideArgs {
    /// The workflow id
    #[arg(value_name = "ID")]
    id: String,
    /// What is decided: retry, retry-with, skip, mark-done, go-forward, go-back or abandon
    #[arg(value_name = "CHOICE", value_parser = choice)]
    choice: ChoiceKind,
    /// The stuck step that it is about; need not be said when only one thing is stuck
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// For retry-with: the input from now on (JSON, @FILE, or - for standard input)
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// For mark-done: what the step would have returned (JSON, @FILE, or - for standard input); null when not given
    #[arg(long, value_name = "JSON")]
    output: Option<String>,
    /// Who decides; kept in the run's history
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why; kept in the run's history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Makes the decision repeatable: a second one with the same id changes nothing
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    one: OneRunArgs,
    #[command(flatten)]
    data: DataArgs,
    // Not `output`: that is the step's.
    #[command(flatten)]
    pub(crate) format: OutputArgs,
}

fn choice(word: &str) -> Result<ChoiceKind, String> {
    ChoiceKind::from_word(word).ok_or_else(|| {
        let known: Vec<&str> = ChoiceKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("no such choice; there are {}", known.join(", "))
    })
}

pub(crate) fn run(args: &DecideArgs, console: &Console) -> Result<Exit, Refusal> {
    let mut decision = Decision::new(with_data(args)?).by(&args.by);
    if let Some(step) = &args.step {
        decision = decision.step(step);
    }
    if let Some(reason) = &args.reason {
        decision = decision.because(reason);
    }
    if let Some(request_id) = &args.request_id {
        decision = decision.request_id(request_id);
    }
    let offline = args.data.open().map_err(|error| advised(error, args))?;
    let offline = args.one.of(offline);
    let run = offline
        .decide(&args.id, decision)
        .map_err(|error| advised(error, args))?;
    let stands = offline.describe(&run.to_string())?;
    let step = args.step.as_ref().map(|step| format!(" for step {step}"));
    console.object(&json!({
        "type": "decided", "workflow_id": args.id, "run_id": run.to_string(), "choice": args.choice.as_str(),
        "step": args.step, "status": stands.status.as_str(), "stuck": stands.waits_for(),
    }));
    console.line(format!(
        "{}{} is decided; {} is {} now (run {run})",
        args.choice,
        step.unwrap_or_default(),
        args.id,
        stands.status
    ));
    for what in stands.waits_for() {
        console.note(format!("still to be decided: {what}"));
    }
    if stands.outcome.is_none() && stands.stuck.is_empty() {
        console.note(advice::next_engine(&args.id, &args.data));
    }
    Ok(Exit::Done)
}

fn with_data(args: &DecideArgs) -> Result<Choice, Refusal> {
    let stray = |option: &str, choice: &str| {
        let message = format!("{option} goes with {choice}, not with {}", args.choice);
        Err(Refusal::usage(message).hint(format!("leave {option} out, or decide {choice}")))
    };
    if args.input.is_some() && args.choice != ChoiceKind::RetryWith {
        return stray("--input", "retry-with");
    }
    if args.output.is_some() && args.choice != ChoiceKind::MarkDone {
        return stray("--output", "mark-done");
    }
    Ok(match args.choice {
        ChoiceKind::Retry => Choice::Retry,
        ChoiceKind::RetryWith => {
            let Some(text) = &args.input else {
                return Err(Refusal::usage("retry-with needs the input to try it with").hint("give --input JSON"));
            };
            let input = input::payload("--input", text)?;
            Choice::RetryWith { input }
        }
        ChoiceKind::Skip => Choice::Skip,
        ChoiceKind::MarkDone => {
            let output = args.output.as_ref().map(|text| input::payload("--output", text));
            let output = output.transpose()?.unwrap_or_else(Payload::null);
            Choice::MarkDone { output }
        }
        ChoiceKind::GoForward => Choice::GoForward,
        ChoiceKind::GoBack => Choice::GoBack,
        ChoiceKind::Abandon => Choice::Abandon,
    })
}

/// The refusal with what to type instead.
fn advised(error: Error, args: &DecideArgs) -> Refusal {
    let hint = match &error {
        Error::Unexplained { .. } => Some("give --reason TEXT, which is kept in the run's history".to_owned()),
        Error::Store(StoreError::InUse { .. }) => {
            Some("decide in the program that has it, with Client::decide; or stop that program first".to_owned())
        }
        Error::Rejected(Rejection::WhichStep { .. }) => Some("name one with --step".to_owned()),
        Error::Rejected(
            Rejection::NotStuck | Rejection::StepNotStuck { .. } | Rejection::ChoiceNotOpen { .. } | Rejection::Closed,
        ) => Some(format!("see: {}", advice::show(&args.id, &args.data))),
        _ => None,
    };
    let refusal = args.one.refusal(error);
    match hint {
        Some(hint) if refusal.hint.is_none() => refusal.hint(hint),
        _ => refusal,
    }
}
