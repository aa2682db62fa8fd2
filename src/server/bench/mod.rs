//! `amends bench`: how fast the engine is on this machine, beside what the machine's disk alone allows. Lives here: the
//! options, and the order of measurements. Must not live here: the loads themselves (`engine_load`, `bare_load`),
//! reading the clock and the process (`meter`), figures and how they are shown (`figures`, `report`).
//!
//! Engine and bare file are measured in turns, slice by slice, in one process, and medians of the slices are quoted:
//! what else goes on on the machine then hurts both alike.

mod bare_load;
mod engine_load;
mod figures;
mod meter;
mod report;
mod slice;
mod workload;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Durability;
use crate::engine::Error;
use crate::server::console::{Console, OutputArgs};
use crate::server::exit::{Exit, Refusal};

use self::bare_load::BareLoad;
use self::engine_load::EngineLoad;
use self::figures::{Level, SliceFigures};

/// In flight at once, when nothing else is asked for.
const LEVELS: [u32; 3] = [1, 64, 512];

/// Steps whose activities and turns still say something about sagas.
const STEPS_MAX: u32 = 100;

/// Clients wait in memory; more would measure the allocator.
const CONCURRENCY_MAX: u32 = 65_536;

/// Measure sagas per second, latency and cost on this machine: amends bench
///
/// Beside the engine, in turns with it, a bare file is measured: the same bytes in as many appends, each of them durable
/// before the next one, without any engine.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Sagas in flight at once; 1, 64 and 512, one after the other, when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONCURRENCY_MAX)))]
    concurrency: Option<u32>,
    /// Seconds measured for each number in flight: half of them the engine, half of them a bare file
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Steps of a saga
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(STEPS_MAX)))]
    steps: u32,
    /// Let the last step fail, so that all steps before it are compensated
    #[arg(long)]
    rollback: bool,
    /// Where histories are kept
    #[arg(long, value_enum, default_value_t = StoreKind::Sled)]
    store: StoreKind,
    /// How the saga is written
    #[arg(long, value_enum, default_value_t = Form::Definition)]
    form: Form,
    /// What an acknowledged turn survives: a power cut, or the death of the process only
    #[arg(long, value_enum, default_value_t = Safety::Power)]
    durability: Safety,
    /// Directory for the files that are measured (removed afterwards); the system's temporary directory when not given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Leave the bare file out: for profilers
    #[arg(long, hide = true)]
    engine_only: bool,
}

/// Where histories are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StoreKind {
    Sled,
    Memory,
}

/// How the saga is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Definition,
    Code,
}

/// What an acknowledged turn survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Safety {
    Power,
    Process,
}

impl From<Safety> for Durability {
    fn from(safety: Safety) -> Self {
        match safety {
            Safety::Power => Durability::PowerSafe,
            Safety::Process => Durability::ProcessSafe,
        }
    }
}

/// How long what is measured.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// Not measured at all: files grow to their size, caches fill.
    warm_up: Duration,
    /// Not measured at the beginning of each slice: clients get out of step with each other, threads wake up.
    ramp: Duration,
    slice: Duration,
    /// Slices of each side.
    pairs: u32,
}

impl Timing {
    fn of(seconds: u32) -> Self {
        // Odd numbers have a middle.
        let pairs = (seconds / 2).clamp(3, 15) | 1;
        Self {
            warm_up: Duration::from_millis(1_500),
            ramp: Duration::from_millis(100),
            slice: Duration::from_secs(u64::from(seconds)) / (pairs * 2),
            pairs,
        }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("{path} cannot be used: {reason}")]
    File { path: String, reason: String },
    #[error("the saga {id} ended as {found}, not as {expected}")]
    Outcome {
        id: String,
        found: String,
        expected: &'static str,
    },
    #[error("nothing ended within a slice; measure for longer with --seconds")]
    Silence,
    #[error("a thread of the benchmark could not do its work: {0}")]
    Thread(String),
}

impl BenchError {
    fn file(path: &Path, error: &impl fmt::Display) -> Self {
        Self::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }
}

impl From<BenchError> for Refusal {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Engine(error) => error.into(),
            BenchError::File { .. } => Refusal::usage(error.to_string()).hint("choose another directory with --data"),
            other => Refusal::failed(other.to_string()),
        }
    }
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs, console: &Console) -> Result<Exit, Refusal> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("bench-client")
        .enable_all()
        .build()
        .map_err(|error| Refusal::failed(error.to_string()))?;
    // Clients are spawned, not blocked on: they share the runtime's threads with the activities, as a service's would.
    runtime.block_on(measure(args, console))?;
    Ok(Exit::Done)
}

async fn measure(args: &BenchArgs, console: &Console) -> Result<(), BenchError> {
    let scratch = Scratch::new(args.data.as_deref())?;
    report::title(args, &scratch.path, console);
    let levels = args.concurrency.map_or(LEVELS.to_vec(), |one| vec![one]);
    for clients in levels {
        let directory = scratch.path.join(clients.to_string());
        let timing = Timing::of(args.seconds);
        let level = measure_level(args, clients, timing, &directory, console).await?;
        report::level(args, &level, console);
    }
    Ok(())
}

async fn measure_level(
    args: &BenchArgs,
    clients: u32,
    timing: Timing,
    directory: &Path,
    console: &Console,
) -> Result<Level, BenchError> {
    std::fs::create_dir_all(directory).map_err(|error| BenchError::file(directory, &error))?;
    console.replace(&format!("{clients} in flight: warming up"));
    let engine = EngineLoad::start(args, clients, &directory.join("engine")).await?;
    slice::warm_up(&engine, clients, timing.warm_up).await?;
    let work = engine.work_per_saga().await?;
    let durable = args.store == StoreKind::Sled && args.durability == Safety::Power;
    let bare = BareLoad::start(&directory.join("bare"), work, durable)?;
    if !args.engine_only {
        slice::warm_up(&bare, clients, timing.warm_up / 3).await?;
    }

    let mut engine_slices: Vec<SliceFigures> = Vec::new();
    let mut bare_slices: Vec<SliceFigures> = Vec::new();
    for pair in 1..=timing.pairs {
        console.replace(&format!("{clients} in flight: slice {pair} of {}", timing.pairs));
        engine_slices.push(slice::measure(&engine, clients, timing).await?);
        if !args.engine_only {
            bare_slices.push(slice::measure(&bare, clients, timing).await?);
        }
    }
    let footprint = engine.footprint();
    bare.stop();
    engine.stop().await;
    Ok(Level {
        clients,
        work,
        engine: engine_slices,
        bare: bare_slices,
        footprint,
    })
}

/// A directory for what is measured, gone when this is dropped.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(parent: Option<&Path>) -> Result<Self, BenchError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = parent.join(format!("amends-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| BenchError::file(&path, &error))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left where the user can see it.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::server::console::Format;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn args(line: &str) -> Result<BenchArgs, clap::Error> {
        let parsed = Command::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()));
        parsed.map(|command| command.bench)
    }

    #[test]
    fn options_are_checked() {
        let plain = args("").unwrap();
        assert_eq!((plain.concurrency, plain.steps, plain.seconds), (None, 3, 10));
        let all = args("--concurrency 64 --seconds 1 --steps 2 --rollback --store memory --form code").unwrap();
        assert_eq!(
            (all.store, all.form, all.rollback),
            (StoreKind::Memory, Form::Code, true)
        );
        for bad in [
            "--concurrency 0",
            "--steps 101",
            "--store disk",
            "--seconds 0",
            "--durability none",
        ] {
            assert!(args(bad).is_err(), "{bad}");
        }
    }

    const SHORT: Timing = Timing {
        warm_up: Duration::from_millis(30),
        ramp: Duration::from_millis(5),
        // Long enough for a slow disk to end a saga.
        slice: Duration::from_millis(250),
        pairs: 1,
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn both_sides_are_measured_and_nothing_is_left_behind() {
        let parent = tempfile::tempdir().unwrap();
        let console = Console::new(Format::Json);
        for line in [
            "--store memory --rollback",
            "--store sled --durability process",
            "--store memory --form code --rollback",
        ] {
            let args = args(line).unwrap();
            let scratch = Scratch::new(Some(parent.path())).unwrap();
            let directory = scratch.path.join("4");
            let level = measure_level(&args, 4, SHORT, &directory, &console).await.unwrap();
            assert_eq!(level.work.turns, if args.rollback { 6 } else { 4 }, "{line}");
            assert!(level.engine.iter().all(|slice| slice.sagas > 0), "{line}");
            assert!(level.bare.iter().all(|slice| slice.sagas > 0), "{line}");
        }
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
