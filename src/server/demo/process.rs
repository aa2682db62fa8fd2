//! The demo's child processes: this same program, started, listened to, killed. Must not live here: when.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;

use serde_json::Value;

use crate::server::exit::Refusal;

use super::workspace::Workspace;

/// A child that ends when we do, however we end: its standard input closes then, and it listens to that.
struct Process {
    child: Child,
    _lifeline: Option<ChildStdin>,
}

impl Process {
    fn start(arguments: &[&str]) -> Result<(Self, BufReader<std::process::ChildStdout>), Refusal> {
        let failed = |error: std::io::Error| Refusal::failed(format!("cannot start a process of the demo: {error}"));
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().expect("it was asked for");
        let lifeline = child.stdin.take();
        let process = Self {
            child,
            _lifeline: lifeline,
        };
        Ok((process, BufReader::new(stdout)))
    }

    /// SIGKILL, and waits until the process is gone.
    fn kill(&mut self) {
        // It may have ended by itself just now, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The participants' process.
pub(super) struct Participants {
    process: Process,
    port: u16,
}

impl Participants {
    /// Starts them and waits until they answer.
    pub(super) fn start(workspace: &Workspace) -> Result<Self, Refusal> {
        let ledgers = text(&workspace.ledgers());
        let arguments = ["participants", "--dir", &ledgers, "--port", "0", "--until-stdin-closes"];
        let (process, mut stdout) = Process::start(&arguments)?;
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        match (read, line.trim().parse()) {
            (Ok(_), Ok(port)) => Ok(Self { process, port }),
            _ => Err(Refusal::failed("the participants did not start")),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Ends them. Whatever they have answered is on the disk, so this needs no manners.
    pub(super) fn stop(mut self) {
        self.process.kill();
    }
}

/// One life of the coordinator.
pub(super) struct Coordinator {
    process: Process,
}

/// What the conductor hears.
pub(super) enum News {
    /// The coordinator with this process id said something.
    Said(u32, Value),
    /// The coordinator with this process id has nothing more to say: it has ended.
    Silent(u32),
    /// The user wants to stop.
    Interrupted,
}

impl Coordinator {
    /// Starts one; what it says goes to `news`.
    pub(super) fn start(
        workspace: &Workspace,
        participants: &Participants,
        concurrency: u16,
        news: Sender<News>,
    ) -> Result<Self, Refusal> {
        let (journal, orders, saga) = (
            text(&workspace.journal()),
            text(&workspace.orders_file()),
            text(&workspace.saga_file()),
        );
        let (port, concurrency) = (participants.port().to_string(), concurrency.to_string());
        let (process, stdout) = Process::start(&[
            "demo-coordinator",
            "--data",
            &journal,
            "--orders",
            &orders,
            "--saga",
            &saga,
            "--participants",
            &port,
            "--concurrency",
            &concurrency,
        ])?;
        let pid = process.child.id();
        std::thread::spawn(move || {
            // A kill may cut the last line short: that one was not said.
            let lines = stdout.lines().map_while(Result::ok);
            for said in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if news.send(News::Said(pid, said)).is_err() {
                    return;
                }
            }
            let _ = news.send(News::Silent(pid));
        });
        Ok(Self { process })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// SIGKILL, and waits until the process is gone.
    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits for its end and says whether that was a good one.
    pub(super) fn ended_well(&mut self) -> bool {
        self.process.child.wait().is_ok_and(|status| status.success())
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Hears of Ctrl-C and the like.
pub(super) fn listen_for_interrupts(news: Sender<News>) {
    std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(tokio) = tokio {
            tokio.block_on(crate::server::waiting::interrupted());
            let _ = news.send(News::Interrupted);
        }
    });
}
