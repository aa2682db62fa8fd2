//! `amends schedule`: what starts runs again and again. Must not live here: when it does so (`schedule`).

mod create;
mod show;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::engine::{Error, OverlapPolicy, UpdateError};
use crate::model::Timestamp;
use crate::server::advice;
use crate::server::commands::start::named;
use crate::server::console::{Console, Format, OutputArgs};
use crate::server::exit::{Exit, Refusal};
use crate::server::input::DataArgs;

/// Start runs again and again: amends schedule create nightly --type settlement --cron "0 2 * * *"
///
/// A schedule is durable, and belongs to a data directory. What is asked of it here is durable when the command returns, and
/// nothing is executed: runs are started by the next engine on the directory (a service of yours, `amends serve`, `amends
/// run`), those that it has missed included. While an engine runs, it has the directory to itself: ask it through
/// Amends::schedules.
#[derive(Args)]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(Box<create::CreateArgs>),
    List(ListArgs),
    Describe(DescribeArgs),
    Pause(PauseArgs),
    Unpause(UnpauseArgs),
    Trigger(TriggerArgs),
    Backfill(BackfillArgs),
    Delete(DeleteArgs),
}

/// The schedules of a directory: amends schedule list --data DIR
#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How a schedule stands, its next times and its last runs: amends schedule describe nightly
#[derive(Args)]
struct DescribeArgs {
    #[command(flatten)]
    target: Target,
}

/// Start nothing more by the times: amends schedule pause nightly --reason 'the bank is closed'
///
/// What passes meanwhile is not made up for; `amends schedule backfill` does that.
#[derive(Args)]
struct PauseArgs {
    #[command(flatten)]
    target: Target,
    /// Why; shown with the schedule
    #[arg(long, value_name = "TEXT", default_value = "paused on the command line")]
    reason: String,
}

/// Let a paused schedule go on from now: amends schedule unpause nightly
#[derive(Args)]
struct UnpauseArgs {
    #[command(flatten)]
    target: Target,
    /// Why; shown with the schedule
    #[arg(long, value_name = "TEXT", default_value = "unpaused on the command line")]
    reason: String,
}

/// Have a run started once more, paused or not: amends schedule trigger nightly
#[derive(Args)]
struct TriggerArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    overlap: OverlapArgs,
}

/// Have the runs of times that have passed started, as if it were then:
/// amends schedule backfill nightly --start-time 2026-01-01T00:00:00Z --end-time 2026-01-31T23:59:59Z --overlap-policy buffer-all
///
/// At most 1,000 times. By the usual `skip` only the first is started: `buffer-all` starts them one after the other,
/// `allow-all` all at once.
#[derive(Args)]
struct BackfillArgs {
    #[command(flatten)]
    target: Target,
    /// The first time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start_time: Timestamp,
    /// The last time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end_time: Timestamp,
    #[command(flatten)]
    overlap: OverlapArgs,
}

/// End a schedule; its runs go on: amends schedule delete nightly
#[derive(Args)]
struct DeleteArgs {
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
struct Target {
    /// The schedule's id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Args)]
struct OverlapArgs {
    /// Instead of the schedule's own policy: skip, buffer-one, buffer-all, cancel-other, terminate-other, allow-all
    #[arg(long, value_name = "POLICY", value_parser = overlap_policy)]
    overlap_policy: Option<OverlapPolicy>,
}

impl ScheduleArgs {
    pub(crate) fn format(&self) -> Format {
        match &self.command {
            Command::Create(args) => args.output.format(),
            Command::List(args) => args.output.format(),
            Command::Describe(args) => args.target.output.format(),
            Command::Pause(args) => args.target.output.format(),
            Command::Unpause(args) => args.target.output.format(),
            Command::Trigger(args) => args.target.output.format(),
            Command::Backfill(args) => args.target.output.format(),
            Command::Delete(args) => args.target.output.format(),
        }
    }
}

pub(crate) fn run(args: ScheduleArgs, console: &Console) -> Result<Exit, Refusal> {
    let (target, done) = match args.command {
        Command::Create(args) => return create::run(&args, console),
        Command::List(args) => return show::list(&args.data, console),
        Command::Describe(args) => return show::describe(&args.target, console),
        Command::Pause(PauseArgs { target, reason }) => {
            target
                .data
                .open()?
                .schedules()
                .pause(&target.id, &reason)
                .map_err(|error| target.refused(error))?;
            (target, "paused")
        }
        Command::Unpause(UnpauseArgs { target, reason }) => {
            target
                .data
                .open()?
                .schedules()
                .unpause(&target.id, &reason)
                .map_err(|error| target.refused(error))?;
            (target, "unpaused")
        }
        Command::Trigger(TriggerArgs { target, overlap }) => {
            target
                .data
                .open()?
                .schedules()
                .trigger(&target.id, overlap.overlap_policy)
                .map_err(|error| target.refused(error))?;
            (target, "triggered")
        }
        Command::Backfill(args) => {
            let (target, range) = (args.target, (args.start_time, args.end_time));
            if range.1 < range.0 {
                return Err(Refusal::usage("--end-time is before --start-time"));
            }
            target
                .data
                .open()?
                .schedules()
                .backfill(&target.id, range.0, range.1, args.overlap.overlap_policy)
                .map_err(|error| target.refused(error))?;
            (target, "backfilled")
        }
        Command::Delete(DeleteArgs { target }) => {
            target
                .data
                .open()?
                .schedules()
                .delete(&target.id)
                .map_err(|error| target.refused(error))?;
            (target, "deleted")
        }
    };
    console.object(&json!({"type": done, "schedule_id": target.id}));
    console.line(format!("schedule {} is {done}", target.id));
    if ["triggered", "backfilled"].contains(&done) {
        console.note(next_engine(&target.data));
    }
    Ok(Exit::Done)
}

/// Who starts the runs.
fn next_engine(data: &DataArgs) -> String {
    let shell = advice::options(data);
    format!(
        "the next engine on {} starts its runs: amends serve --sagas DIR {shell}",
        data.data.display()
    )
}

impl Target {
    fn refused(&self, error: UpdateError) -> Refusal {
        match error {
            UpdateError::Refused(failure) | UpdateError::Failed(failure) => Refusal::usage(failure.message),
            UpdateError::Engine(error) => refused(&self.id, &self.data, error),
        }
    }
}

/// A schedule is a run with a name of its own: people know the schedule's.
fn refused(id: &str, data: &DataArgs, error: Error) -> Refusal {
    let shell = advice::options(data);
    let (message, hint) = match &error {
        Error::NotFound(_) => (
            format!("there is no schedule {id:?}"),
            format!("amends schedule list {shell} has those that there are"),
        ),
        Error::AlreadyStarted { .. } => (
            format!("there is a schedule {id:?} already"),
            format!(
                "choose another id, or delete that one: amends schedule delete {} {shell}",
                advice::shell_word(id)
            ),
        ),
        _ => return error.into(),
    };
    let mut refusal = Refusal::from(error).hint(hint);
    refusal.message = message;
    refusal
}

fn overlap_policy(text: &str) -> Result<OverlapPolicy, String> {
    use OverlapPolicy as P;
    let known = [
        ("skip", P::Skip),
        ("buffer-one", P::BufferOne),
        ("buffer-all", P::BufferAll),
        ("cancel-other", P::CancelOther),
        ("terminate-other", P::TerminateOther),
        ("allow-all", P::AllowAll),
    ];
    named(text, &known)
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected a time with its zone, such as 2027-01-31T12:00:00Z".to_owned())
}
