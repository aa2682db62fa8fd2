//! A child process: starting it, listening to what it says was acknowledged, killing it. Must not live here: what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::child::{Known, Order};

/// Where a child finds what it is told.
pub(super) const DATA: &str = "AMENDS_CRASH_DATA";
pub(super) const PARTICIPANTS: &str = "AMENDS_CRASH_PARTICIPANTS";

/// The last child has everything to finish, on a machine that may be busy.
const DONE_WITHIN: Duration = Duration::from_secs(120);

/// What all children together said.
#[derive(Default)]
pub(super) struct Observed {
    pub(super) tried: BTreeSet<u64>,
    pub(super) started: BTreeSet<u64>,
    pub(super) signaled: BTreeSet<(u64, u64)>,
    pub(super) cancelled: BTreeSet<u64>,
    pub(super) ended: BTreeMap<u64, String>,
    kills: u64,
    kills_while_starting: u64,
}

impl Observed {
    /// For the next child: everything that has not ended, and new sagas.
    pub(super) fn order(&self) -> Order {
        let mut order = self.last_order();
        order.next = Some(self.tried.last().map_or(0, |last| last + 1));
        order
    }

    /// For the last child: everything that has not ended.
    pub(super) fn last_order(&self) -> Order {
        let open = self
            .tried
            .iter()
            .copied()
            .filter(|number| !self.ended.contains_key(number));
        let known = open.map(|number| Known {
            number,
            started: self.started.contains(&number),
            signals: (0..)
                .take_while(|signal| self.signaled.contains(&(number, *signal)))
                .count() as u64,
            cancelled: self.cancelled.contains(&number),
        });
        Order::new(known.collect(), None)
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} kills ({} of them before the first request), {} sagas started, {} ended, {} signals, {} cancellations",
            self.kills,
            self.kills_while_starting,
            self.started.len(),
            self.ended.len(),
            self.signaled.len(),
            self.cancelled.len(),
        )
    }

    fn hear(&mut self, line: &str) {
        // The test harness may have begun the line.
        let Some((_, said)) = line.split_once('@') else {
            return;
        };
        let words: Vec<&str> = said.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        match (words.first().copied(), number(1)) {
            (Some("trying"), Some(saga)) => drop(self.tried.insert(saga)),
            (Some("started"), Some(saga)) => drop(self.started.insert(saga)),
            (Some("signaled"), Some(saga)) => drop(self.signaled.insert((saga, number(2).unwrap()))),
            (Some("cancelled"), Some(saga)) => drop(self.cancelled.insert(saga)),
            (Some("ended"), Some(saga)) => {
                let before = self.ended.insert(saga, words[2].to_owned());
                assert!(
                    before.is_none_or(|before| before == words[2]),
                    "saga {saga} ended twice"
                );
            }
            _ => {}
        }
    }
}

/// A running child.
pub(super) struct Child {
    process: std::process::Child,
    lines: JoinHandle<Vec<String>>,
    complaints: JoinHandle<String>,
    /// Hears that the child said something.
    spoke: Receiver<()>,
    /// Never hears anything but the end of the child's output.
    ended: Receiver<()>,
}

/// From when on a kill is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// The child was started.
    Start,
    /// It said so many things: it made its first request, something was acknowledged to it, a saga ended. Counted, so that
    /// a round does the same on a busy machine.
    Words(u64),
}

impl Child {
    /// Runs this test binary again, as a child with these orders.
    pub(super) fn spawn(data: &Path, participants: SocketAddr, order: &Order) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
            .env(DATA, data)
            .env(PARTICIPANTS, participants.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, mut stderr) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(order.to_text().as_bytes()).unwrap();
        drop(stdin);
        let ((speaking, spoke), (ending, ended)) = (channel(), channel());
        let lines = std::thread::spawn(move || {
            let (_until_the_end, mut said) = (ending, Vec::new());
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.contains('@') {
                    said.push(line);
                    // Nobody may be listening for that.
                    let _ = speaking.send(());
                }
            }
            said
        });
        let complaints = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            process,
            lines,
            complaints,
            spoke,
            ended,
        }
    }

    /// Kills the child after this long; it must not have ended by itself.
    pub(super) fn kill_after(mut self, patience: Duration, since: Since, observed: &mut Observed) {
        let words = match since {
            Since::Start => 0,
            Since::Words(words) => words,
        };
        let spoke = (0..words).all(|_| self.spoke.recv_timeout(DONE_WITHIN).is_ok());
        let alive = spoke && !self.ends_within(patience);
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let lines = self.listen(observed);
        assert!(alive, "the child ended by itself");
        observed.kills += 1;
        observed.kills_while_starting += u64::from(lines == 0);
    }

    /// Waits until the child has done everything.
    pub(super) fn until_done(mut self, observed: &mut Observed) {
        let hangs = !self.ends_within(DONE_WITHIN);
        if hangs {
            self.process.kill().unwrap();
        }
        let status = self.process.wait().unwrap();
        self.listen(observed);
        let open: Vec<_> = observed
            .tried
            .iter()
            .filter(|number| !observed.ended.contains_key(number))
            .collect();
        assert!(
            !hangs && status.success(),
            "the last child ({status}) left these sagas open: {open:?}"
        );
    }

    fn ends_within(&self, patience: Duration) -> bool {
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }

    /// Takes down what it said, and how many lines that were.
    fn listen(self, observed: &mut Observed) -> usize {
        let complaints = self.complaints.join().unwrap();
        assert!(complaints.is_empty(), "the child complains:\n{complaints}");
        let lines = self.lines.join().unwrap();
        lines.iter().for_each(|line| observed.hear(line));
        lines.len()
    }
}
