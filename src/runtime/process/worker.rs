//! The side of the worker process: makes attempts, one at a time, for as long as its engine lives. Must not live here: which
//! attempts, and for how long.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use futures_util::FutureExt;

use crate::model::{AttemptOutcome, Failure};
use crate::sdk::{
    ActivityContext, ActivityDefinition, ActivityFunction, CancelFlag, Execution, HeartbeatSink, Registry,
    RegistryError, SharedState,
};

use super::super::attempt::settled;
use super::is_worker_process;
use super::wire::{Job, LENGTH_BYTES, Order, Report, frame_length};

/// In a worker process of an engine: makes attempts of the activities with `#[activity(isolated)]`, and does not return. In any
/// other process: returns at once. To be called first thing in `main`, by every program that has isolated activities.
///
/// ```
/// // In `main`, before anything else.
/// amends::worker_process();
/// ```
pub fn worker_process() {
    WorkerProcess::new().run();
}

/// What a worker process can do, for programs whose isolated activities need more than [`worker_process`] gives them.
///
/// ```
/// use amends::WorkerProcess;
///
/// struct Model { path: String }
///
/// // In `main`, before anything else. A worker process has its own memory: what activities share is made anew in each.
/// WorkerProcess::new().state_with(|| Model { path: "weights.bin".to_owned() }).run();
/// ```
#[must_use = "it does nothing before `run`"]
pub struct WorkerProcess {
    registry: Registry,
    errors: Vec<RegistryError>,
    state: Vec<MakeState>,
}

type MakeState = Box<dyn FnOnce(SharedState) -> SharedState>;

impl Default for WorkerProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl WorkerProcess {
    /// With every activity that has `#[activity(isolated)]`.
    pub fn new() -> Self {
        let mut this = Self {
            registry: Registry::new(),
            errors: Vec::new(),
            state: Vec::new(),
        };
        if is_worker_process() {
            for definition in crate::sdk::isolated_activities() {
                this = this.add(definition);
            }
        }
        this
    }

    /// With this activity function, too.
    pub fn activity<M, F: ActivityFunction<M>>(self, function: F) -> Self {
        self.add(ActivityDefinition::of(function))
    }

    /// With this activity, too, which was described by hand.
    pub fn activity_definition(self, definition: ActivityDefinition) -> Self {
        self.add(Ok(definition))
    }

    /// With a value that activities ask for with `ActivityContext::state::<T>()`. Made in worker processes only.
    pub fn state_with<T: Send + Sync + 'static>(mut self, make: impl FnOnce() -> T + 'static) -> Self {
        self.state.push(Box::new(|state| state.with(make())));
        self
    }

    fn add(mut self, definition: Result<ActivityDefinition, RegistryError>) -> Self {
        let added = definition.and_then(|definition| self.registry.add_activity(definition));
        self.errors.extend(added.err());
        self
    }

    /// In a worker process: makes attempts until the engine is gone, and does not return. Otherwise returns at once.
    #[expect(
        clippy::disallowed_methods,
        reason = "the program around it must not go on in a worker process: nothing in it is to be dropped"
    )]
    #[expect(clippy::print_stderr, reason = "the engine reads what a process says before it ends")]
    pub fn run(self) {
        if !is_worker_process() {
            return;
        }
        let code = match self.serve() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("this worker process of amends cannot work: {error}");
                1
            }
        };
        std::process::exit(code)
    }

    fn serve(self) -> Result<(), String> {
        if !self.errors.is_empty() {
            let errors: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
            return Err(errors.join("; "));
        }
        let text = |error: std::io::Error| error.to_string();
        let incoming = take_socket().map_err(text)?;
        let outgoing = Outgoing::new(incoming.try_clone().map_err(text)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(text)?;
        let state = self
            .state
            .into_iter()
            .fold(SharedState::new(), |state, make| make(state));
        outgoing.ready()?;
        for (job, cancel) in listen(incoming) {
            let sink = outgoing.heartbeats();
            let outcome = attempt(&self.registry, &runtime, job, state.clone(), cancel, sink);
            outgoing.ended(outcome)?;
        }
        Ok(())
    }
}

/// The engine's end of it is a socket that stands in for the standard input. That has nothing in it from then on: whatever an
/// attempt starts inherits it, and would read orders, or keep the socket open when this process is dead.
fn take_socket() -> io::Result<UnixStream> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}

fn attempt(
    registry: &Registry,
    runtime: &tokio::runtime::Runtime,
    job: Job,
    state: SharedState,
    cancel: CancelFlag,
    sink: HeartbeatSink,
) -> AttemptOutcome {
    let Job { info, input } = job;
    let Some(definition) = registry.activity(info.activity_type.as_str()) else {
        let message = format!(
            "the worker process does not know the activity {:?}: give it to `WorkerProcess`",
            info.activity_type
        );
        return Err(Failure::new("UnknownActivity", message).without_effect());
    };
    let activity = Arc::clone(definition.activity());
    let cx = ActivityContext::new(info, state, cancel, Some(sink));
    settled(match activity.execution() {
        Execution::Blocking => std::panic::catch_unwind(AssertUnwindSafe(|| activity.execute_blocking(cx, input))),
        Execution::Async | Execution::Isolated => {
            runtime.block_on(AssertUnwindSafe(activity.execute(cx, input)).catch_unwind())
        }
    })
}

/// The way to the engine, for the attempt's threads and its end.
#[derive(Clone)]
struct Outgoing(Arc<Mutex<Line>>);

struct Line {
    stream: UnixStream,
    /// How many attempts have ended: which one is being made.
    ended: u64,
}

impl Line {
    fn say(&mut self, report: &Report) -> Result<(), String> {
        let frame = report.to_frame().map_err(|error| error.to_string())?;
        self.stream.write_all(&frame).map_err(|error| error.to_string())
    }
}

impl Outgoing {
    fn new(stream: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(Line { stream, ended: 0 })))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> Result<(), String> {
        self.line().say(&Report::Ready)
    }

    /// Where the attempt that begins says that it is alive. A thread that it leaves behind says so in vain: the engine hears
    /// one attempt at a time, and would take it for the next one's.
    fn heartbeats(&self) -> HeartbeatSink {
        let (outgoing, attempt) = (self.clone(), self.line().ended);
        Arc::new(move |details| {
            let mut line = outgoing.line();
            if line.ended == attempt {
                // Whether it arrives is the engine's business: a process whose engine is gone ends by itself.
                let _ = line.say(&Report::Heartbeat(details));
            }
        })
    }

    fn ended(&self, outcome: AttemptOutcome) -> Result<(), String> {
        let mut line = self.line();
        line.ended += 1;
        line.say(&Report::Ended(outcome)).or_else(|error| {
            let failure = Failure::non_retryable("InvalidOutput", format!("its end cannot be told: {error}"));
            line.say(&Report::Ended(Err(failure)))
        })
    }
}

/// The attempts to make, each with the flag by which it is asked to stop. A thread listens all the time: when the engine is
/// gone, nobody wants what the process is about.
#[expect(
    clippy::disallowed_methods,
    reason = "a process whose engine is gone ends at once, whatever its other threads are about"
)]
fn listen(mut incoming: UnixStream) -> mpsc::Receiver<(Job, CancelFlag)> {
    let (orders, jobs) = mpsc::channel();
    std::thread::spawn(move || {
        let mut current: Option<CancelFlag> = None;
        while let Some(order) = next_order(&mut incoming) {
            match order {
                Order::Cancel => current.iter().for_each(CancelFlag::raise),
                Order::Attempt(job) => {
                    let cancel = CancelFlag::new();
                    current = Some(cancel.clone());
                    let _ = orders.send((*job, cancel));
                }
            }
        }
        std::process::exit(0)
    });
    jobs
}

fn next_order(incoming: &mut UnixStream) -> Option<Order> {
    let mut length = [0; LENGTH_BYTES];
    incoming.read_exact(&mut length).ok()?;
    let mut frame = vec![0; frame_length(length).ok()?];
    incoming.read_exact(&mut frame).ok()?;
    Order::read(&frame).ok()
}
