//! The demo's plot: when the coordinator is killed, and that it is started again. Must not live here: what the sagas do
//! meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Clock, SystemClock};
use crate::model::Timestamp;
use crate::server::console::{BAD, GOOD};
use crate::server::exit::Refusal;
use crate::server::text::count;

use super::Stage;
use super::process::{Coordinator, News, Participants, listen_for_interrupts};
use super::progress::Progress;

/// When to kill.
#[derive(Clone, Copy)]
enum Kill {
    /// When so many percent of the orders have ended.
    AtPercent(usize),
    /// So long after the start of the process: while it opens its store and recovers.
    AfterStart(Duration),
}

/// In the middle; right afterwards, inside recovery; and once more in the middle.
const KILLS: [Kill; 3] = [
    Kill::AtPercent(40),
    Kill::AfterStart(Duration::from_millis(25)),
    Kill::AtPercent(70),
];

/// How long nothing may be heard of a coordinator. Far longer than the longest retry of any order.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// A Ctrl-C reaches the coordinator as well, which may be noticed first.
const INTERRUPT_LAG: Duration = Duration::from_millis(300);

pub(super) struct Conductor<'a> {
    stage: &'a Stage<'a>,
    participants: &'a Participants,
    news: Receiver<News>,
    say: Sender<News>,
    coordinator: Coordinator,
    started_at: Timestamp,
    /// It has opened its journal.
    is_open: bool,
    kills: VecDeque<Kill>,
    killed: u32,
    progress: Progress,
}

/// What is to be audited.
pub(super) struct Played {
    /// How often the coordinator was killed.
    pub(super) kills: u32,
    /// The run that was acknowledged for each order.
    pub(super) acknowledged: BTreeMap<String, String>,
    /// Orders whose start, repeated, was answered with another run.
    pub(super) changed: Vec<String>,
}

impl<'a> Conductor<'a> {
    pub(super) fn new(stage: &'a Stage<'a>, participants: &'a Participants) -> Result<Self, Refusal> {
        let (say, news) = channel();
        listen_for_interrupts(say.clone());
        let coordinator = start(stage, participants, &say)?;
        let journal = stage.workspace.journal();
        let place = format!(
            "an engine (pid {}), journal in {}",
            coordinator.pid(),
            journal.display()
        );
        stage.field("coordinator", &place);
        Ok(Self {
            stage,
            participants,
            news,
            say,
            coordinator,
            started_at: SystemClock.now(),
            is_open: false,
            kills: KILLS.into(),
            killed: 0,
            progress: Progress::new(stage.orders.len()),
        })
    }

    /// Plays until every order has ended and the last coordinator with it.
    pub(super) fn conduct(mut self) -> Result<Played, Refusal> {
        loop {
            if self.is_time_to_kill() {
                self.kill_and_restart()?;
            }
            match self.news.recv_timeout(self.patience()) {
                Ok(News::Said(pid, said)) => self.hear(pid, &said),
                Ok(News::Silent(pid)) if pid == self.coordinator.pid() => {
                    if self.coordinator.ended_well() {
                        break;
                    }
                    return Err(self.accident());
                }
                // One that was killed.
                Ok(News::Silent(_)) => {}
                Ok(News::Interrupted) => return Err(interrupted()),
                Err(RecvTimeoutError::Timeout) if self.kills_by_time() => {}
                Err(_) => return Err(Refusal::failed("nothing was heard of the coordinator for two minutes")),
            }
        }
        self.stage.console.clear();
        let (acknowledged, changed) = self.progress.into_acknowledged();
        Ok(Played {
            kills: self.killed,
            acknowledged,
            changed,
        })
    }

    fn kills_by_time(&self) -> bool {
        matches!(self.kills.front(), Some(Kill::AfterStart(_))) && self.killed > 0
    }

    fn is_time_to_kill(&self) -> bool {
        match self.kills.front() {
            Some(Kill::AtPercent(percent)) => {
                // Never the very last order: there must be something left to recover.
                let orders = self.stage.orders.len();
                let wanted = (orders * percent).div_ceil(100).min(orders.saturating_sub(1));
                self.progress.closed() >= wanted && self.progress.in_flight() > 0
            }
            Some(Kill::AfterStart(delay)) => SystemClock.now().since(self.started_at) >= *delay,
            None => false,
        }
    }

    /// How long to wait for news.
    fn patience(&self) -> Duration {
        match self.kills.front() {
            Some(Kill::AfterStart(delay)) => delay.saturating_sub(SystemClock.now().since(self.started_at)),
            _ => SILENCE_MAX,
        }
    }

    fn hear(&mut self, pid: u32, said: &Value) {
        let is_open = said.get("type").and_then(Value::as_str) == Some("open");
        if is_open && pid == self.coordinator.pid() {
            self.is_open = true;
            self.announce_recovery(said);
        }
        self.progress.hear(said);
        self.progress.show(self.stage.console);
    }

    fn announce_recovery(&self, said: &Value) {
        if self.killed == 0 {
            return;
        }
        let runs = said.get("runs").and_then(Value::as_u64).unwrap_or_default();
        let (console, pid) = (self.stage.console, self.coordinator.pid());
        let word = console.paint(GOOD, "recovered");
        let runs_text = count(runs, "open run");
        console.line(format!("  {word} {pid}: found {runs_text} in its journal and goes on"));
        console.object(&json!({"type": "recovered", "pid": pid, "open_runs": runs}));
    }

    fn kill_and_restart(&mut self) -> Result<(), Refusal> {
        let console = self.stage.console;
        let pid = self.coordinator.pid();
        let (closed, in_flight) = (self.progress.closed(), self.progress.in_flight());
        let kill = self.kills.pop_front();
        // In this order: the data directory is free only once the old process is gone.
        self.coordinator.kill();
        self.coordinator = start(self.stage, self.participants, &self.say)?;
        self.started_at = SystemClock.now();
        let was_open = std::mem::replace(&mut self.is_open, false);
        self.killed += 1;
        let when = match kill {
            Some(Kill::AfterStart(delay)) if !was_open => {
                format!("{} ms after its start, while it opens its journal", delay.as_millis())
            }
            Some(Kill::AfterStart(delay)) => format!("{} ms after its start, while it recovers", delay.as_millis()),
            _ => format!("{closed} orders closed, {in_flight} under way"),
        };
        let word = console.paint(BAD, "kill -9");
        console.line(format!("  {word} {pid}: {when}"));
        console.object(&json!({"type": "killed", "pid": pid, "closed": closed, "in_flight": in_flight}));
        Ok(())
    }

    /// Why the coordinator ended without having been killed.
    fn accident(&self) -> Refusal {
        let mut news = std::iter::from_fn(|| self.news.recv_timeout(INTERRUPT_LAG).ok());
        match news.any(|news| matches!(news, News::Interrupted)) {
            true => interrupted(),
            false => Refusal::failed("the coordinator ended by itself; its own message is above"),
        }
    }
}

fn start(stage: &Stage<'_>, participants: &Participants, say: &Sender<News>) -> Result<Coordinator, Refusal> {
    Coordinator::start(&stage.workspace, participants, stage.concurrency, say.clone())
}

fn interrupted() -> Refusal {
    Refusal::failed("interrupted")
}
