//! The command line: which subcommands there are and what each is called. Must not live here: doing any of it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use super::bench;
use super::commands::{
    activity, check, decide, deliver, history, list, participants, pause, prune, query, reset, run, schedule, serve,
    show, verify,
};
use super::console::{Console, Format};
use super::demo;
use super::exit::{Exit, Refusal};

/// A saga either completes, or makes amends for every step that may have taken effect; `kill -9` loses nothing.
///
/// Start here:  amends demo
#[derive(Parser)]
#[command(name = "amends", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 completed (or done), 1 amended, 2 bad usage or bad definition, 3 stuck (waits for a person), 4 failed
otherwise. Logs go to standard error; RUST_LOG=info shows more of them.";

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Bench(bench::BenchArgs),
    Run(Box<run::RunArgs>),
    Serve(serve::ServeArgs),
    Schedule(schedule::ScheduleArgs),
    Check(check::CheckArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
    History(history::HistoryArgs),
    Query(query::QueryArgs),
    Verify(verify::VerifyArgs),
    Prune(prune::PruneArgs),
    Signal(deliver::SignalArgs),
    Cancel(deliver::CancelArgs),
    Terminate(deliver::TerminateArgs),
    Pause(pause::PauseArgs),
    Unpause(pause::UnpauseArgs),
    Reset(reset::ResetArgs),
    Decide(decide::DecideArgs),
    Complete(activity::CompleteArgs),
    Fail(activity::FailArgs),
    Participants(participants::ParticipantsArgs),
    #[command(hide = true)]
    DemoCoordinator(demo::CoordinatorArgs),
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version are asked for; everything else is a mistake. Nobody may be reading any more: no matter.
            let _ = asked.print();
            return match asked.use_stderr() {
                true => Exit::Usage.into(),
                false => Exit::Done.into(),
            };
        }
    };
    log_to_stderr();
    let console = Console::new(cli.command.format());
    match cli.command.carry_out(&console) {
        Ok(exit) => exit.into(),
        Err(refusal) => {
            console.refuse(&refusal);
            refusal.exit.into()
        }
    }
}

impl Command {
    fn format(&self) -> Format {
        match self {
            Command::Demo(args) => args.output.format(),
            Command::Bench(args) => args.output.format(),
            Command::Run(args) => args.output.format(),
            Command::Serve(args) => args.output.format(),
            Command::Schedule(args) => args.format(),
            Command::Check(args) => args.output.format(),
            Command::List(args) => args.output.format(),
            Command::Show(args) => args.output.format(),
            Command::History(args) => args.output.format(),
            Command::Query(args) => args.output.format(),
            Command::Verify(args) => args.output.format(),
            Command::Prune(args) => args.output.format(),
            Command::Signal(args) => args.output.format(),
            Command::Cancel(args) => args.output.format(),
            Command::Terminate(args) => args.output.format(),
            Command::Pause(args) => args.output.format(),
            Command::Unpause(args) => args.output.format(),
            Command::Reset(args) => args.output.format(),
            Command::Decide(args) => args.format.format(),
            Command::Complete(args) => args.output.format(),
            Command::Fail(args) => args.output.format(),
            Command::Participants(_) => Format::Text,
            Command::DemoCoordinator(_) => Format::Json,
        }
    }

    fn carry_out(self, console: &Console) -> Result<Exit, Refusal> {
        match self {
            Command::Demo(args) => demo::run(&args, console),
            Command::Bench(args) => bench::run(&args, console),
            Command::Run(args) => run::run(&args, console),
            Command::Serve(args) => serve::run(&args, console),
            Command::Schedule(args) => schedule::run(args, console),
            Command::Check(args) => check::run(&args, console),
            Command::List(args) => list::run(&args, console),
            Command::Show(args) => show::run(&args, console),
            Command::History(args) => history::run(&args, console),
            Command::Query(args) => query::run(&args, console),
            Command::Verify(args) => verify::run(&args, console),
            Command::Prune(args) => prune::run(&args, console),
            Command::Signal(args) => deliver::signal(args, console),
            Command::Cancel(args) => deliver::cancel(&args, console),
            Command::Terminate(args) => deliver::terminate(&args, console),
            Command::Pause(args) => pause::pause(&args, console),
            Command::Unpause(args) => pause::unpause(&args, console),
            Command::Reset(args) => reset::run(&args, console),
            Command::Decide(args) => decide::run(&args, console),
            Command::Complete(args) => activity::complete(&args, console),
            Command::Fail(args) => activity::fail(&args, console),
            Command::Participants(args) => participants::run(&args, console),
            Command::DemoCoordinator(args) => demo::coordinate(&args, console),
        }
    }
}

/// Warnings and worse; but when a demo participant drops a connection, which is its part, its server takes it for an error.
const LOG_FILTER: &str = "warn,actix_http=off";

/// Quiet unless RUST_LOG says otherwise.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(super::console::stderr_has_colors())
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
