//! Carries out `exec` steps: one program, and what its exit code means for the saga. Lives here: everything that knows
//! processes. Must not live here: retrying (the retry policy's business), the step's time limits (the attempt's), the
//! expressions that made the request (`definition`).
//!
//! A program is the head of a process group of its own. It has ended when it has exited and nobody holds its output open
//! any more; what it leaves running beyond that is its own affair. When its attempt is given up, because its time is up or somebody
//! asked it to stop, the whole group is asked to end (SIGTERM) and, after [`GRACE`], ended (SIGKILL). A program outlives
//! an engine that is killed: nobody is left to end it then. It finishes beside the next attempt, which has the same
//! idempotency key and a higher `AMENDS_ATTEMPT`.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::definition::{EXEC_ACTIVITY, ExecOutput, ExecRequest, ExecVerdict};
use crate::model::{Failure, Payload, limits};
use crate::sdk::{Activity, ActivityContext, ActivityDefinition, ActivityInfo, RegistryError};

use super::clock::Clock;
use super::secrets::{Revealed, Secrets, passed_on};

#[cfg(test)]
mod tests;

/// How long a group that was asked to end may take: enough to put a file back in its place, too short to be waited out.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes of standard error that are kept, from its end: where programs say why they give up.
const STDERR_BYTES_KEPT: usize = 4 * 1024;

/// The activity that carries out `exec` steps, to be registered with every engine.
///
/// # Errors
/// Never in practice: the name of the activity is a constant.
pub(crate) fn activity_definition(
    secrets: Secrets,
    clock: Arc<dyn Clock>,
) -> Result<ActivityDefinition, RegistryError> {
    ActivityDefinition::new(EXEC_ACTIVITY, ExecActivity { secrets, clock })
}

struct ExecActivity {
    secrets: Secrets,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Activity for ExecActivity {
    async fn execute(&self, cx: ActivityContext, input: Payload) -> Result<Payload, Failure> {
        let request: ExecRequest = input.to()?;
        let mut revealed = self.secrets.for_attempt(&cx);
        let request = filled(request, &mut revealed)?;
        let ended = self.run(&cx, &request).await;
        revealed.scrubbed(ended.and_then(|ended| read(&request, ended, &revealed)))
    }
}

impl ExecActivity {
    async fn run(&self, cx: &ActivityContext, request: &ExecRequest) -> Result<Ended, Failure> {
        let mut group = Group::start(cx.info(), request, Arc::clone(&self.clock))?;
        let stdin = request.stdin.to_string();
        let (pid, canceled) = (group.pid, cx.canceled());
        let ended = {
            let mut running = std::pin::pin!(group.run(stdin.as_bytes()));
            tokio::select! {
                biased;
                ended = &mut running => ended,
                () = canceled => {
                    signal(pid, Signal::TERM);
                    let last = self.clock.now().after(GRACE);
                    tokio::select! {
                        biased;
                        ended = &mut running => ended,
                        () = self.clock.sleep_until(last) => {
                            signal(pid, Signal::KILL);
                            running.await
                        }
                    }
                }
            }
        };
        let ended = ended?;
        match ended.status.code() {
            None if cx.is_canceled() => Err(Failure::canceled("the program was ended, as somebody asked for")),
            _ => Ok(ended),
        }
    }
}

/// What a program left behind.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Tail,
}

/// A program and everything that it started, as far as that has not left its group. Dropped before it has ended, the
/// group is ended.
struct Group {
    child: Option<Child>,
    pid: Option<Pid>,
    clock: Arc<dyn Clock>,
    has_ended: bool,
}

impl Group {
    fn start(info: &ActivityInfo, request: &ExecRequest, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let Some((program, arguments)) = request.command.split_first() else {
            return Err(Failure::not_applied("ExecInvalidRequest", "the command is empty"));
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(passed_on())
            .envs(&request.env)
            .env("AMENDS_IDEMPOTENCY_KEY", &info.idempotency_key)
            .env("AMENDS_ATTEMPT", info.attempt.to_string())
            .env("AMENDS_WORKFLOW_ID", info.workflow_id.as_str())
            .env("AMENDS_NAMESPACE", info.workflow_id.namespace())
            .env("AMENDS_RUN_ID", info.run_id.to_string())
            .env("AMENDS_ACTIVITY_ID", info.activity_id.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(cwd) = &request.cwd {
            command.current_dir(cwd);
        }
        let child = command.spawn().map_err(|error| not_started(request, &error))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self {
            child: Some(child),
            pid,
            clock,
            has_ended: false,
        })
    }

    /// Feeds the program, and reads all that it writes, until it has ended and nobody holds its output open any more.
    async fn run(&mut self, input: &[u8]) -> Result<Ended, Failure> {
        let broken = |error: io::Error| Failure::new("ExecBroken", format!("the program was lost: {error}"));
        let Some(child) = &mut self.child else {
            return Err(Failure::worker_lost());
        };
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program need not read what it is given.
                let _ = stdin.write_all(input).await;
            }
        };
        let mut tail = Tail::default();
        let (stdout, status) = {
            let (pid, child) = (self.pid, &mut *child);
            let ended = std::pin::pin!(async move { (bounded(stdout, pid).await, child.wait().await) });
            let beside = std::pin::pin!(async { tokio::join!(tail.read(stderr), feed) });
            match select(ended, beside).await {
                // Whoever still holds the other two open is not waited for; what is there by now is taken along.
                Either::Left((ended, beside)) => {
                    let _ = beside.now_or_never();
                    ended
                }
                Either::Right((_, ended)) => ended.await,
            }
        };
        let (stdout, complete) = stdout.map_err(broken)?;
        let status = status.map_err(broken)?;
        // From here on its number may be somebody else's.
        self.has_ended = true;
        if !complete {
            let max = limits::PAYLOAD_BYTES_MAX;
            let message = format!("the program wrote more than {max} bytes to its standard output, and was ended");
            return Err(Failure::non_retryable("ExecOutputTooLarge", message));
        }
        Ok(Ended {
            status,
            stdout,
            stderr: tail,
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        signal(self.pid, Signal::TERM);
        let doomed = Doomed {
            child: self.child.take(),
            pid: self.pid,
        };
        let (clock, last) = (Arc::clone(&self.clock), self.clock.now().after(GRACE));
        let end = async move {
            clock.sleep_until(last).await;
            doomed.end().await;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(end)),
            // No time left: dropping it ends it.
            Err(_) => drop(end),
        }
    }
}

/// A group whose time is running out. Its head is not waited for before: as long as it is there, dead or alive, its number
/// is nobody else's.
struct Doomed {
    child: Option<Child>,
    pid: Option<Pid>,
}

impl Doomed {
    async fn end(mut self) {
        signal(self.pid.take(), Signal::KILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait().await;
        }
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        signal(self.pid, Signal::KILL);
    }
}

/// Nobody there to be told is no error: all have ended.
fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

/// Standard output as far as a payload goes, and whether that was all. A program that writes more is ended: it would wait
/// for ever for somebody to read it.
async fn bounded(output: Option<impl AsyncRead + Unpin>, group: Option<Pid>) -> io::Result<(Vec<u8>, bool)> {
    let Some(output) = output else {
        return Ok((Vec::new(), true));
    };
    let mut bytes = Vec::new();
    let max = limits::PAYLOAD_BYTES_MAX;
    let mut output = output.take(max as u64 + 1);
    output.read_to_end(&mut bytes).await?;
    let complete = bytes.len() <= max;
    if !complete {
        signal(group, Signal::KILL);
    }
    Ok((bytes, complete))
}

/// The end of what was written.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    async fn read(&mut self, output: Option<impl AsyncRead + Unpin>) -> io::Result<()> {
        let Some(mut output) = output else {
            return Ok(());
        };
        let mut chunk = [0; 1024];
        loop {
            match output.read(&mut chunk).await? {
                0 => return Ok(()),
                read => self.bytes.extend(chunk.iter().take(read)),
            }
            let excess = self.bytes.len().saturating_sub(STDERR_BYTES_KEPT);
            self.bytes.drain(..excess);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim().to_owned()
    }
}

fn filled(mut request: ExecRequest, revealed: &mut Revealed) -> Result<ExecRequest, Failure> {
    for part in &mut request.command {
        *part = revealed.fill(part)?;
    }
    for value in request.env.values_mut() {
        *value = revealed.fill(value)?;
    }
    if let Some(cwd) = &mut request.cwd {
        *cwd = revealed.fill(cwd)?;
    }
    request.stdin = revealed.fill_value(request.stdin)?;
    Ok(request)
}

/// Nothing ran. What is missing on this machine may be there on the next try, or with the next deployment; what cannot be
/// a command never will be one.
fn not_started(request: &ExecRequest, error: &io::Error) -> Failure {
    let program = program(request);
    match error.kind() {
        io::ErrorKind::NotFound => {
            let place = request.cwd.as_ref().map(|cwd| format!(" (or no directory {cwd:?})"));
            let message = format!("there is no program {program:?}{}", place.unwrap_or_default());
            Failure::new("ExecNotFound", message).without_effect()
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong => {
            let message = format!("{program:?} cannot be run so: {error}");
            Failure::not_applied("ExecInvalidRequest", message)
        }
        _ => Failure::new("ExecStart", format!("{program:?} cannot be run: {error}")).without_effect(),
    }
}

fn program(request: &ExecRequest) -> &str {
    request.command.first().map_or("", String::as_str)
}

/// What the end of the program means for the step.
fn read(request: &ExecRequest, ended: Ended, revealed: &Revealed) -> Result<Value, Failure> {
    let program = program(request);
    let Some(code) = ended.status.code() else {
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status).unwrap_or_default();
        let what = format!("{program:?} was ended by signal {signal}");
        return Err(Failure::new("ExecKilled", with_tail(what, &ended.stderr, revealed)));
    };
    let verdict = request.verdict(code);
    if verdict == ExecVerdict::Success {
        return output(request.output, ended.stdout);
    }
    let what = format!("{program:?} exited with code {code}");
    let (type_name, message) = (format!("Exit{code}"), with_tail(what, &ended.stderr, revealed));
    Err(match verdict {
        ExecVerdict::Retryable => Failure::new(type_name, message),
        ExecVerdict::NotApplied => Failure::not_applied(type_name, message),
        ExecVerdict::Success | ExecVerdict::Failed => Failure::non_retryable(type_name, message),
    })
}

/// A failure's message is cut at its end, but the end is what matters here.
fn with_tail(what: String, stderr: &Tail, revealed: &Revealed) -> String {
    let tail = revealed.scrub_cut(&stderr.text());
    if tail.is_empty() {
        return what;
    }
    let room = limits::FAILURE_MESSAGE_BYTES_MAX.saturating_sub(what.len() + 2);
    let mut from = tail.len().saturating_sub(room);
    while !tail.is_char_boundary(from) {
        from += 1;
    }
    format!("{what}: {}", tail.get(from..).unwrap_or_default())
}

/// The step's output. The program had its effect, so none of the failures is "not applied": its compensation will run.
fn output(kind: ExecOutput, stdout: Vec<u8>) -> Result<Value, Failure> {
    let unusable = |what: String| Failure::non_retryable("ExecInvalidOutput", format!("success, but {what}"));
    match kind {
        ExecOutput::Json if stdout.iter().all(u8::is_ascii_whitespace) => Ok(Value::Null),
        ExecOutput::Json => serde_json::from_slice(&stdout)
            .map_err(|error| unusable(format!("the standard output is not JSON: {error}"))),
        ExecOutput::Text => {
            let text = String::from_utf8(stdout);
            let mut text = text.map_err(|_| unusable("the standard output is not text (UTF-8)".to_owned()))?;
            if text.ends_with('\n') {
                text.pop();
                text.truncate(text.strip_suffix('\r').map_or(text.len(), str::len));
            }
            Ok(Value::String(text))
        }
    }
}
