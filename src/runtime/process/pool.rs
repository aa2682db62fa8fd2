//! The engine's side: worker processes, started when they are needed, used again, ended with their attempt when that is given
//! up. Must not live here: how many attempts at once (those are the attempts' places).

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use crate::model::{AttemptOutcome, Failure, Payload, limits};
use crate::sdk::{Activity, ActivityContext, Execution};

use super::super::clock::Clock;
use super::VARIABLE;
use super::wire::{Job, LENGTH_BYTES, Order, Report, WireError, frame_length};

/// How long a new process may take until it says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How long an attempt that was asked to stop may go on before its process is ended.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes that are read in one go.
const READ_BYTES: usize = 16 * 1024;

/// Bytes of standard error that are kept, from its end: where programs say why they die.
const STDERR_BYTES_KEPT: usize = 4 * 1024;

/// The worker processes of one engine. There are as many as attempts of isolated activities were ever made at once.
pub(crate) struct ProcessPool {
    clock: Arc<dyn Clock>,
    /// What the executable is started with.
    arguments: Vec<String>,
    idle: Mutex<Vec<Worker>>,
}

/// Stands in the registry for an activity whose attempts are made in worker processes.
struct Isolated {
    pool: Arc<ProcessPool>,
}

/// One worker process. Dropped, it is ended, and whatever it has started in its group.
struct Worker {
    child: Child,
    /// Its group, which has its number. `None` once nobody has that number any more.
    group: Option<Pid>,
    stream: UnixStream,
    /// What was read of the next frames.
    unread: Vec<u8>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Reads the standard error.
    listener: Option<JoinHandle<()>>,
    attempts: u32,
}

/// Why an attempt's process is not to be used any more.
enum Broken {
    /// It is gone, or does not say anything any more.
    Closed,
    /// What it says makes no sense.
    Wire(WireError),
    /// It was asked to stop, and did not.
    Deaf,
}

impl ProcessPool {
    pub(crate) fn new(clock: Arc<dyn Clock>, arguments: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            arguments,
            idle: Mutex::default(),
        })
    }

    /// What makes an activity's attempts here.
    pub(crate) fn activity(self: &Arc<Self>) -> Arc<dyn Activity> {
        let pool = Arc::clone(self);
        Arc::new(Isolated { pool })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        // Nothing under the lock can panic, so a poisoned list is still whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn worker(&self) -> Result<Worker, Failure> {
        loop {
            let idle = self.idle().pop();
            let Some(worker) = idle else {
                return Worker::start(&*self.clock, &self.arguments).await;
            };
            // It may have been ended while nobody looked.
            if worker.is_alive() {
                return Ok(worker);
            }
        }
    }

    /// A worker that was given the order. One that could not be has not begun with it: another one is taken.
    async fn worker_with(&self, order: &[u8]) -> Result<Worker, Failure> {
        loop {
            let mut worker = self.worker().await?;
            let is_new = worker.attempts == 0;
            if worker.give(order).await.is_ok() {
                return Ok(worker);
            }
            // When new ones end at once, there is something wrong with the program.
            if is_new {
                let died = worker.died(&*self.clock).await;
                return Err(Failure::new("WorkerProcessStart", died.message).without_effect());
            }
        }
    }

    /// Puts another socket in the place of that of a worker that waits.
    #[cfg(test)]
    pub(super) fn replace_stream(&self, stream: UnixStream) -> Option<UnixStream> {
        let mut idle = self.idle();
        let worker = idle.last_mut()?;
        Some(std::mem::replace(&mut worker.stream, stream))
    }

    fn give_back(&self, worker: Worker) {
        // What it leaks is not to grow for ever.
        if worker.attempts < limits::WORKER_PROCESS_ATTEMPTS_MAX {
            self.idle().push(worker);
        }
    }
}

#[async_trait]
impl Activity for Isolated {
    fn execution(&self) -> Execution {
        Execution::Isolated
    }

    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let clock = &*self.pool.clock;
        let job = Job {
            info: cx.info().clone(),
            input,
        };
        let order = Order::Attempt(Box::new(job)).to_frame();
        let order = order.map_err(|error| Failure::not_applied("InvalidInput", error.to_string()))?;
        let mut worker = self.pool.worker_with(&order).await?;
        match worker.attempt(&cx, clock).await {
            Ok(outcome) => {
                self.pool.give_back(worker);
                outcome
            }
            Err(Broken::Deaf) => Err(Failure::canceled(
                "it was asked to stop, and its process was ended when it did not",
            )),
            Err(Broken::Wire(error)) => Err(Failure::new("WorkerProcessBroken", error.to_string())),
            Err(Broken::Closed) => Err(worker.died(clock).await),
        }
    }
}

impl Worker {
    async fn start(clock: &dyn Clock, arguments: &[String]) -> Result<Self, Failure> {
        let not_started = |error: io::Error| {
            Failure::new(
                "WorkerProcessStart",
                format!("no worker process can be started: {error}"),
            )
            .without_effect()
        };
        let mut worker = Self::spawn(arguments).map_err(not_started)?;
        let limit = clock.sleep_until(clock.now().after(READY_WITHIN));
        let said = tokio::select! {
            biased;
            said = worker.hear() => said,
            () = limit => Err(Broken::Deaf),
        };
        match said {
            Ok(Report::Ready) => Ok(worker),
            Err(Broken::Closed) => {
                let died = worker.died(clock).await;
                Err(Failure::new("WorkerProcessStart", format!("{NOT_READY}; {}", died.message)).without_effect())
            }
            _ => Err(Failure::new("WorkerProcessStart", NOT_READY).without_effect()),
        }
    }

    fn spawn(arguments: &[String]) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut child = Command::new(executable()?)
            .args(arguments)
            .env(VARIABLE, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // What it prints is no result of the engine's program.
            .stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?))
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let stderr: Arc<Mutex<Vec<u8>>> = Arc::default();
        let output = child.stderr.take();
        let listener = output.map(|output| tokio::spawn(keep_end(output, Arc::clone(&stderr))));
        Ok(Self {
            listener,
            unread: Vec::new(),
            group: child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
            child,
            stream: UnixStream::from_std(ours)?,
            stderr,
            attempts: 0,
        })
    }

    async fn give(&mut self, order: &[u8]) -> io::Result<()> {
        self.attempts = self.attempts.saturating_add(1);
        self.said().clear();
        self.stream.write_all(order).await
    }

    async fn attempt(&mut self, cx: &ActivityContext, clock: &dyn Clock) -> Result<AttemptOutcome, Broken> {
        tokio::select! {
            biased;
            outcome = self.until_ended(cx) => return outcome,
            () = cx.canceled() => {}
        }
        let cancel = Order::Cancel.to_frame().map_err(Broken::Wire)?;
        // A process that does not take it has ended, and is heard of.
        let _ = self.stream.write_all(&cancel).await;
        let limit = clock.sleep_until(clock.now().after(GRACE));
        tokio::select! {
            biased;
            outcome = self.until_ended(cx) => outcome,
            () = limit => Err(Broken::Deaf),
        }
    }

    /// Passes heartbeats on until the attempt has ended.
    async fn until_ended(&mut self, cx: &ActivityContext) -> Result<AttemptOutcome, Broken> {
        loop {
            match self.hear().await? {
                Report::Ready => {}
                // Whether it should stop, the process is told apart.
                Report::Heartbeat(details) => cx.pass_on_heartbeat(details),
                Report::Ended(outcome) => return Ok(outcome),
            }
        }
    }

    /// The next report. Given up in the middle of one, it loses nothing: what was read stays in `unread`.
    async fn hear(&mut self) -> Result<Report, Broken> {
        loop {
            if let Some(report) = self.whole_report()? {
                return Ok(report);
            }
            if self.group.is_none() {
                return Err(Broken::Closed);
            }
            self.unread.reserve(READ_BYTES);
            tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.unread) => match read {
                    Ok(1..) => {}
                    Ok(_) | Err(_) => return Err(Broken::Closed),
                },
                // Something that it has started may hold the other end: it is not closed then.
                _ = self.child.wait() => {
                    self.end_group();
                    self.read_rest();
                }
            }
        }
    }

    /// What a process said last that has ended.
    fn read_rest(&mut self) {
        let socket = self.stream.as_fd().try_clone_to_owned();
        if let Ok(socket) = socket.map(std::os::unix::net::UnixStream::from) {
            let most = limits::WORKER_FRAME_BYTES_MAX + LENGTH_BYTES;
            // It ends with an error when there is no more at the moment, and there will be no more.
            let _ = socket.take(most as u64).read_to_end(&mut self.unread);
        }
    }

    /// Whether there is such a process. It is only looked at: as long as it was not waited for, its number is its own.
    fn is_alive(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = self.group.map(|group| waitid(WaitId::Pid(group), look));
        matches!(status, Some(Ok(None)))
    }

    /// Ends what is left of its group: as it dies, or at once when it was waited for, before others can have its number.
    fn end_group(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    fn whole_report(&mut self) -> Result<Option<Report>, Broken> {
        let Some((length, rest)) = self.unread.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = frame_length(*length).map_err(Broken::Wire)?;
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        let report = Report::read(frame).map_err(Broken::Wire)?;
        self.unread.drain(..LENGTH_BYTES + length);
        Ok(Some(report))
    }

    fn said(&self) -> MutexGuard<'_, Vec<u8>> {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it died. Nobody knows whether the attempt had its effect.
    async fn died(&mut self, clock: &dyn Clock) -> Failure {
        let until = clock.now().after(GRACE);
        let limit = || clock.sleep_until(until);
        let status = tokio::select! {
            biased;
            status = self.child.wait() => status.ok(),
            () = limit() => None,
        };
        self.end_group();
        // All that it wrote is read by then, unless something that has left its group holds its output open.
        if let Some(listener) = self.listener.take() {
            tokio::select! {
                biased;
                _ = listener => {}
                () = limit() => {}
            }
        }
        let said = String::from_utf8_lossy(&self.said()).trim().to_owned();
        let how = status.map_or_else(|| "it closed its pipe".to_owned(), ending);
        let what = format!("the worker process died: {how}");
        Failure::new(
            "WorkerProcessDied",
            if said.is_empty() {
                what
            } else {
                format!("{what}: {said}")
            },
        )
    }
}

const NOT_READY: &str =
    "the worker process did not say that it is ready: call `amends::worker_process()` first thing in `main`";

impl Drop for Worker {
    fn drop(&mut self) {
        self.end_group();
    }
}

/// This executable, also when its file was replaced meanwhile.
fn executable() -> io::Result<std::path::PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok("/proc/self/exe".into()),
        false => std::env::current_exe(),
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "nobody knows how".to_owned(),
    }
}

/// Reads what a process writes to its standard error, and keeps the end.
async fn keep_end(mut output: ChildStderr, kept: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 1024];
    while let Ok(read @ 1..) = output.read(&mut chunk).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(chunk.iter().take(read));
        let excess = kept.len().saturating_sub(STDERR_BYTES_KEPT);
        kept.drain(..excess);
    }
}
