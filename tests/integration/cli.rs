//! The binary as scripts see it: exit codes, what is on standard output and what on standard error, and every mistake
//! that a user can make. Must not live here: the demo; what the engine does with a run.

mod answers;
mod bench;
mod decisions;
mod documented;
mod finding;
mod graphs;
mod histories;
mod mistakes;
mod namespaces;
mod one_run;
mod pruning;
mod queries;
mod resets;
mod runs;
mod schedules;
mod starts;

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

use serde_json::Value;

/// The program under test, in a directory of its own.
pub(crate) struct Cli {
    pub(crate) directory: tempfile::TempDir,
}

/// What came of a command.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Cli {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amends"));
        command.args(arguments).current_dir(self.directory.path());
        command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null());
        command
    }

    /// A line as a person types it.
    #[cfg(unix)]
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.directory.path());
        command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        let ended = Ended {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        let said = format!("{}{}", ended.out, ended.err);
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        ended
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "{text:?} in\nstdout: {}\nstderr: {}",
            self.out,
            self.err
        );
        self
    }

    /// Standard output as one JSON object a line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }
}

/// The demo's participants, until this is dropped.
pub(crate) struct Participants {
    child: Child,
    _lifeline: ChildStdin,
    pub(crate) port: String,
}

impl Participants {
    pub(crate) fn start(cli: &Cli) -> Self {
        let arguments = [
            "participants",
            "--dir",
            "ledgers",
            "--port",
            "0",
            "--until-stdin-closes",
        ];
        let mut command = cli.command(&arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self {
            _lifeline: child.stdin.take().unwrap(),
            child,
            port: port.trim().to_owned(),
        }
    }

    /// A saga in which these participants are called: `{inventory}` and the like stand for their addresses.
    fn saga(&self, cli: &Cli, name: &str, text: &str) {
        let text = ["inventory", "payment", "shipping"]
            .iter()
            .fold(text.to_owned(), |text, service| {
                let address = format!("http://127.0.0.1:{}/{service}", self.port);
                text.replace(&format!("{{{service}}}"), &address)
            });
        cli.write(name, &text);
    }
}

impl Drop for Participants {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A command that is still running, and what it says on standard error.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Running {
    fn start(cli: &Cli, arguments: &[&str]) -> Self {
        let mut command = cli.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it says this.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let said = self.lines.find(|line| line.as_ref().unwrap().contains(text));
        assert!(said.is_some(), "it ended without saying {text:?}");
    }

    /// Ctrl-C; its exit code, and what it says after that.
    fn interrupt(mut self) -> (i32, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let rest: Vec<String> = self.lines.map(Result::unwrap).collect();
        (self.child.wait().unwrap().code().unwrap(), rest.join("\n"))
    }
}

/// The saga of the shop, shortened: what is reserved is released when the card is declined.
const SHOP: &str = r#"
name = "shop"
[defaults]
retry = { initial_interval = "1ms" }
[[step]]
name = "reserve"
http = { url = "{inventory}/reserve", body = "${ input }" }
compensation = { http = { url = "{inventory}/release", body = "${ input }" } }
[[step]]
name = "charge"
http = { url = "{payment}/charge", body = "${ input }" }
compensation = { http = { url = "{payment}/refund", body = "${ input }" } }
"#;

/// What a closed pipe at the other end does to a command.
fn run_into_closed_pipe(cli: &Cli, arguments: &[&str]) -> (i32, String) {
    let mut command = cli.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), err)
}

pub(crate) fn sagas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sagas")
}
