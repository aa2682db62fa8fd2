//! What happens when a run is due while another one is running. Lives here: the overlap policies, as Temporal has them. Must not
//! live here: times.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, limits};

use super::wire::micros;

/// What to do with a run that is due while the schedule's last one is still running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapPolicy {
    /// It is left out.
    #[default]
    Skip,
    /// It is started when the running one has ended; at most one waits, others are left out.
    BufferOne,
    /// It is started when those before it have ended, up to a thousand.
    BufferAll,
    /// The running one is cancelled, and this one is started when it has ended.
    CancelOther,
    /// The running one is terminated, and this one is started when it has ended.
    TerminateOther,
    /// It is started beside the others. Nobody waits for its end.
    AllowAll,
}

/// A run that is to be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The time of the specification that it stands for.
    #[serde(with = "micros")]
    pub nominal: Timestamp,
    /// Its workflow id.
    pub workflow_id: String,
    /// What to do when another one is running.
    pub overlap: OverlapPolicy,
    /// The times ask for it, not a person.
    pub by_times: bool,
}

/// The run that others wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its workflow id.
    pub workflow_id: String,
    /// It was asked to end.
    pub canceling: bool,
    /// It was told to end.
    pub terminating: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Start this run; when `watched`, say when it has ended.
    Start {
        /// Which.
        due: Due,
        /// Whether others wait for its end.
        watched: bool,
    },
    /// Cancel the run with this workflow id.
    Cancel(String),
    /// Terminate the run with this workflow id.
    Terminate(String),
}

/// The run that others wait for, and those that wait, first in line first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) running: Option<Running>,
    pub(super) waiting: VecDeque<Due>,
    /// How many were left out because of another one.
    pub(super) skipped: u64,
}

impl Line {
    /// A run is due.
    pub(super) fn arrive(&mut self, due: Due) -> Vec<Step> {
        use OverlapPolicy as P;
        if due.overlap == P::AllowAll {
            return vec![Step::Start { due, watched: false }];
        }
        let Some(running) = &mut self.running else {
            return vec![self.start(due)];
        };
        match due.overlap {
            P::BufferOne if self.waiting.is_empty() => self.waiting.push_back(due),
            P::BufferAll if self.waiting.len() < limits::SCHEDULE_BUFFER_MAX => self.waiting.push_back(due),
            P::CancelOther => {
                let first = !std::mem::replace(&mut running.canceling, true);
                let step = Step::Cancel(running.workflow_id.clone());
                self.stand_instead(due);
                return if first { vec![step] } else { Vec::new() };
            }
            P::TerminateOther => {
                let first = !std::mem::replace(&mut running.terminating, true);
                let step = Step::Terminate(running.workflow_id.clone());
                self.stand_instead(due);
                return if first { vec![step] } else { Vec::new() };
            }
            P::Skip | P::BufferOne | P::BufferAll | P::AllowAll => self.skipped += 1,
        }
        Vec::new()
    }

    /// Whether one that is due now would change nothing but the count of those left out.
    pub(super) fn is_deaf_to(&self, overlap: OverlapPolicy) -> bool {
        let running = self.running.is_some();
        match overlap {
            OverlapPolicy::Skip => running,
            OverlapPolicy::BufferOne => running && !self.waiting.is_empty(),
            OverlapPolicy::BufferAll => running && self.waiting.len() >= limits::SCHEDULE_BUFFER_MAX,
            OverlapPolicy::CancelOther | OverlapPolicy::TerminateOther | OverlapPolicy::AllowAll => false,
        }
    }

    /// The run that others wait for has ended.
    pub(super) fn ended(&mut self, workflow_id: &str) -> Vec<Step> {
        if self
            .running
            .as_ref()
            .is_none_or(|running| running.workflow_id != workflow_id)
        {
            return Vec::new();
        }
        self.running = None;
        let next = self.waiting.pop_front();
        next.map(|due| self.start(due)).into_iter().collect()
    }

    /// Some of those that wait are not wanted any more.
    pub(super) fn send_home(&mut self, unwanted: impl Fn(&Due) -> bool) {
        let before = self.waiting.len();
        self.waiting.retain(|due| !unwanted(due));
        self.skipped += (before - self.waiting.len()) as u64;
    }

    fn start(&mut self, due: Due) -> Step {
        self.running = Some(Running {
            workflow_id: due.workflow_id.clone(),
            canceling: false,
            terminating: false,
        });
        Step::Start { due, watched: true }
    }

    /// What takes the running one's place takes that of whoever was to do so, too.
    fn stand_instead(&mut self, due: Due) {
        self.send_home(|other| {
            matches!(
                other.overlap,
                OverlapPolicy::CancelOther | OverlapPolicy::TerminateOther
            )
        });
        self.waiting.push_back(due);
    }
}
