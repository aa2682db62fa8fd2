//! `amends bench`: how fast the engine is on this machine, beside what the machine's disk alone allows. Lives here: which
//! workload is measured how. Must not live here: the options (`args`), the workloads (a file each), the two sides of a
//! comparison (`engine_load`, `bare_load`), loops of clients (`slice`), reading the clock and the process (`meter`),
//! figures and how they are shown (`figures`, `report`, `facts`, `plot`).
//!
//! Engine and bare file are measured in turns, slice by slice, in one process, and medians of the slices are quoted:
//! what else goes on on the machine then hurts both alike.

mod args;
mod bare_load;
mod closed_loop;
mod engine_load;
mod facts;
mod fan_out;
mod figures;
mod filling;
mod growth;
mod meter;
mod order;
mod parked;
mod plot;
mod recovery;
mod report;
mod saturation;
mod signals;
mod skipping_clock;
mod slice;
mod steps;
mod stored;
mod timers;
mod waits;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::engine::Error;
use crate::server::console::Console;
use crate::server::exit::{Exit, Refusal};

pub(crate) use self::args::BenchArgs;
use self::args::{RecoveryPart, Settings, Workload};

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{message}")]
    Usage { message: String, hint: String },
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("{path} cannot be used: {reason}")]
    File { path: String, reason: String },
    #[error("the plot {path} cannot be written: {reason}")]
    Plot { path: String, reason: String },
    #[error("the plot cannot be drawn: {0}")]
    Drawing(String),
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
    #[error("{0}")]
    Lost(String),
}

impl BenchError {
    fn file(path: &Path, error: &impl fmt::Display) -> Self {
        Self::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }

    fn plot(path: &Path, error: &impl fmt::Display) -> Self {
        Self::Plot {
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }

    fn thread(error: &impl fmt::Display) -> Self {
        Self::Thread(error.to_string())
    }
}

impl From<BenchError> for Refusal {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Engine(error) => error.into(),
            BenchError::Usage { message, hint } => Refusal::usage(message).hint(hint),
            BenchError::File { .. } => Refusal::usage(error.to_string()).hint("choose another directory with --data"),
            BenchError::Plot { .. } => Refusal::usage(error.to_string()).hint("choose another file with --plot"),
            other => Refusal::failed(other.to_string()),
        }
    }
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs, console: &Console) -> Result<Exit, Refusal> {
    let settings = args.settings()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("bench-client")
        .enable_all()
        .build()
        .map_err(|error| Refusal::failed(error.to_string()))?;
    // Clients are spawned, not blocked on: they share the runtime's threads with the activities, as a service's would.
    runtime.block_on(measure(&settings, console))?;
    Ok(Exit::Done)
}

async fn measure(settings: &Settings, console: &Console) -> Result<(), BenchError> {
    if let Some((part, begun)) = settings.recovery {
        return match part {
            RecoveryPart::Fill => recovery::fill(settings, console).await,
            RecoveryPart::Open => recovery::open(settings, begun, console).await,
        };
    }
    let scratch = Scratch::new(settings.data.as_deref())?;
    report::warn_of_memory(settings, &scratch.path, console);
    if let Some(file) = &settings.plot {
        return growth::measure(settings, file, &scratch, console).await;
    }
    match settings.workload {
        Workload::Steps | Workload::Rollback => {
            closed_loop::measure(settings, steps::Steps::of(settings), &scratch, console).await
        }
        Workload::FanOut => closed_loop::measure(settings, fan_out::FanOut, &scratch, console).await,
        Workload::Signals => closed_loop::measure(settings, signals::Signals, &scratch, console).await,
        Workload::Timers => timers::measure(settings, &scratch, console).await,
        Workload::Recovery => recovery::measure(settings, &scratch, console),
        Workload::Parked => parked::measure(settings, &scratch, console).await,
        Workload::Stored => stored::measure(settings, &scratch, console).await,
        Workload::Saturation => saturation::measure(settings, &scratch, console).await,
    }
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

    /// A directory in it, made now.
    fn directory(&self, name: &str) -> Result<PathBuf, BenchError> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).map_err(|error| BenchError::file(&path, &error))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left where the user can see it.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
