//! A schedule as a state machine: what time and people bring, and what is to be done then. Must not live here: doing it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, limits};

use super::line::{Due, Line, OverlapPolicy, Step};
use super::spec::{ScheduleSpec, SpecError};
use super::times::{Times, just_before};
use super::wire::micros;

/// When something happens, and how. Temporal's `Schedule` without its action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The times.
    pub spec: ScheduleSpec,
    /// What happens when a run is due while another one is running.
    pub overlap: OverlapPolicy,
    /// How late a run may still be started, when no engine was running at its time. Older ones are missed. At least ten seconds.
    pub catchup_window: Duration,
    /// Pause when a run has failed, was undone, or has timed out; not with [`OverlapPolicy::AllowAll`], under which nobody hears
    /// of ends.
    pub pause_on_failure: bool,
    /// Nothing is started by the times.
    pub paused: bool,
    /// Why it is paused, or goes on.
    pub note: String,
    /// How many more runs the times may start. `None`: no limit.
    pub remaining: Option<u64>,
}

impl Schedule {
    /// A schedule with these times: what overlaps is skipped, everything of the last year is caught up with, as Temporal does.
    #[must_use]
    pub fn new(spec: ScheduleSpec) -> Self {
        Self {
            spec,
            overlap: OverlapPolicy::default(),
            catchup_window: limits::SCHEDULE_CATCHUP_DEFAULT,
            pause_on_failure: false,
            paused: false,
            note: String::new(),
            remaining: None,
        }
    }
}

/// A run that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentAction {
    /// The time that it stood for.
    #[serde(with = "micros")]
    pub nominal: Timestamp,
    /// When it was started.
    #[serde(with = "micros")]
    pub started_at: Timestamp,
    /// Its workflow id.
    pub workflow_id: String,
}

/// How a run ended, as far as a schedule is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// In any way that is no failure: completed, cancelled, terminated.
    Well,
    /// It failed or timed out.
    Failed,
}

/// A schedule and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// What runs are named after, and jitter is drawn from.
    name: String,
    /// When it began: there may have been another one before that was called the same.
    #[serde(with = "micros")]
    created: Timestamp,
    schedule: Schedule,
    /// Every time up to here has been dealt with.
    #[serde(with = "micros")]
    dealt_with: Timestamp,
    line: Line,
    started: u64,
    /// Times that passed without an engine, for longer than the catch-up window.
    missed: u64,
    recent: VecDeque<RecentAction>,
}

impl ScheduleState {
    /// A schedule that begins now.
    ///
    /// # Errors
    /// What is wrong with its times.
    pub fn new(name: impl Into<String>, schedule: Schedule, now: Timestamp) -> Result<Self, SpecError> {
        schedule.spec.times()?;
        Ok(Self {
            name: name.into(),
            created: now,
            schedule,
            dealt_with: now,
            line: Line::default(),
            started: 0,
            missed: 0,
            recent: VecDeque::new(),
        })
    }

    /// The schedule as it is now.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The workflow id of the run that others wait for.
    #[must_use]
    pub fn running(&self) -> Option<&str> {
        self.line.running.as_ref().map(|running| running.workflow_id.as_str())
    }

    /// How many runs wait for another one's end.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.waiting.len()
    }

    /// How many runs were started; left out because of another one; and missed while no engine was running.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.started, self.line.skipped, self.missed)
    }

    /// The last runs that were started, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &RecentAction> {
        self.recent.iter()
    }

    /// Time has passed. Deals with at most [`limits::SCHEDULE_TIMES_AT_ONCE`] times: to be called again while
    /// [`wake`](Self::wake) is not later than now.
    ///
    /// # Errors
    /// What is wrong with its times, which were right when it was made.
    pub fn advance(&mut self, now: Timestamp) -> Result<Vec<Step>, SpecError> {
        let times = self.schedule.spec.times()?;
        let mut steps = Vec::new();
        for _ in 0..limits::SCHEDULE_TIMES_AT_ONCE {
            let Some((nominal, actual)) = self.next(&times).filter(|(_, actual)| *actual <= now) else {
                break;
            };
            self.dealt_with = nominal;
            if self.is_quiet() {
                continue;
            }
            if now.since(actual) > self.schedule.catchup_window.max(limits::SCHEDULE_CATCHUP_MIN) {
                self.missed += 1;
                continue;
            }
            let due = Due {
                nominal,
                workflow_id: self.named(nominal),
                overlap: self.schedule.overlap,
                by_times: true,
            };
            let arrived = self.line.arrive(due);
            steps.extend(self.noted(arrived, now));
        }
        Ok(steps)
    }

    /// A watched run has ended.
    ///
    /// # Errors
    /// As for [`advance`](Self::advance).
    pub fn ended(&mut self, workflow_id: &str, how: Ended, now: Timestamp) -> Result<Vec<Step>, SpecError> {
        // What was due while it was running comes first. Of more than can be looked at all are left out.
        let mut steps = self.advance(now)?;
        if self.line.is_deaf_to(self.schedule.overlap) {
            self.dealt_with = self.over_at(now);
        }
        if how == Ended::Failed && self.schedule.pause_on_failure && !self.schedule.paused {
            self.schedule.paused = true;
            self.schedule.note = format!("paused because the run {workflow_id:?} failed");
        }
        if self.is_quiet() {
            self.line.send_home(|due| due.by_times);
        }
        let next = self.line.ended(workflow_id);
        steps.extend(self.noted(next, now));
        Ok(steps)
    }

    /// A start that the times asked for is not to be made any more, since the schedule was paused before it was: it is left out.
    ///
    /// # Errors
    /// As for [`advance`](Self::advance).
    pub fn leave_out(&mut self, due: &Due, watched: bool, now: Timestamp) -> Result<Vec<Step>, SpecError> {
        // Both together go into the numbers of runs that people ask for, which must never go back.
        self.started = self.started.saturating_sub(1);
        self.line.skipped += 1;
        if let Some(remaining) = &mut self.schedule.remaining {
            *remaining = remaining.saturating_add(1);
        }
        self.recent.retain(|recent| recent.workflow_id != due.workflow_id);
        match watched {
            true => self.ended(&due.workflow_id, Ended::Well, now),
            false => Ok(Vec::new()),
        }
    }

    /// Somebody wants a run now, paused or not; it does not count as one of a limited number.
    pub fn trigger(&mut self, overlap: Option<OverlapPolicy>, now: Timestamp) -> Vec<Step> {
        let overlap = overlap.unwrap_or(self.schedule.overlap);
        self.extra(now, overlap, now)
    }

    /// Somebody wants the runs of all times from `from` to `to`, both included.
    ///
    /// # Errors
    /// `None`: more times than [`limits::SCHEDULE_BACKFILL_MAX`].
    pub fn backfill(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        overlap: Option<OverlapPolicy>,
        now: Timestamp,
    ) -> Result<Option<Vec<Step>>, SpecError> {
        let times = self.schedule.spec.times()?;
        let before = Timestamp::from_micros(from.as_micros().saturating_sub(1));
        let wanted = std::iter::successors(times.after(before), |time| times.after(*time));
        let wanted: Vec<Timestamp> = wanted
            .take_while(|time| *time <= to)
            .take(limits::SCHEDULE_BACKFILL_MAX + 1)
            .collect();
        if wanted.len() > limits::SCHEDULE_BACKFILL_MAX {
            return Ok(None);
        }
        let overlap = overlap.unwrap_or(self.schedule.overlap);
        let mut steps = Vec::new();
        for nominal in wanted {
            steps.extend(self.extra(nominal, overlap, now));
        }
        Ok(Some(steps))
    }

    /// Nothing is started by the times any more.
    pub fn pause(&mut self, note: impl Into<String>) {
        self.schedule.paused = true;
        self.schedule.note = note.into();
    }

    /// The times count again, from now on.
    pub fn unpause(&mut self, note: impl Into<String>, now: Timestamp) {
        if std::mem::replace(&mut self.schedule.paused, false) {
            self.dealt_with = self.over_at(now);
        }
        self.schedule.note = note.into();
    }

    /// The schedule is another one from now on, with another name if one is given. What is running or waiting stays.
    ///
    /// # Errors
    /// What is wrong with its times.
    pub fn update(&mut self, name: Option<String>, schedule: Schedule, now: Timestamp) -> Result<(), SpecError> {
        schedule.spec.times()?;
        self.schedule = schedule;
        self.name = name.unwrap_or_else(|| std::mem::take(&mut self.name));
        self.dealt_with = self.over_at(now);
        Ok(())
    }

    /// When [`advance`](Self::advance) is to be called next. `None`: not before somebody does something, or the run that others
    /// wait for has ended.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        if self.is_quiet() || self.line.is_deaf_to(self.schedule.overlap) {
            return None;
        }
        let times = self.schedule.spec.times().ok()?;
        self.next(&times).map(|(_, actual)| actual)
    }

    /// The next times whose actions come after now, with jitter, as many as that.
    #[must_use]
    pub fn upcoming(&self, now: Timestamp, count: usize) -> Vec<Timestamp> {
        let Ok(times) = self.schedule.spec.times() else {
            return Vec::new();
        };
        let from = self.over_at(now);
        let next = std::iter::successors(times.after(from), |time| times.after(*time));
        next.take(count)
            .map(|time| times.with_jitter(time, &self.name))
            .collect()
    }

    /// Nothing is started by the times.
    fn is_quiet(&self) -> bool {
        self.schedule.paused || self.schedule.remaining == Some(0)
    }

    /// Every time up to there is over, whether something was done about it or not. One whose action is still to come, by its jitter, is
    /// not over.
    fn over_at(&self, now: Timestamp) -> Timestamp {
        let times = self.schedule.spec.times().ok();
        let coming = times.and_then(|times| times.on_its_way((self.dealt_with, now), &self.name));
        coming.map_or(now, just_before).max(self.dealt_with)
    }

    fn next(&self, times: &Times) -> Option<(Timestamp, Timestamp)> {
        let nominal = times.after(self.dealt_with)?;
        Some((nominal, times.with_jitter(nominal, &self.name)))
    }

    /// `report-2026-11-27T09:00:00Z`: the same time never has two runs.
    fn named(&self, nominal: Timestamp) -> String {
        // Fractions of a second only where there are some.
        let time = nominal.to_string().replace(".000000Z", "Z");
        format!("{}-{time}", self.name)
    }

    /// A run that the times did not ask for: several may stand for the same time, of this schedule and of others that had its name.
    /// So its id has a number, behind the time when this one began (in microseconds since 1970, as a hexadecimal number).
    fn extra(&mut self, nominal: Timestamp, overlap: OverlapPolicy, now: Timestamp) -> Vec<Step> {
        let number = self.started + self.line.skipped + self.line.waiting.len() as u64 + 1;
        let due = Due {
            nominal,
            workflow_id: format!("{}-{:x}-{number}", self.named(nominal), self.created.as_micros()),
            overlap,
            by_times: false,
        };
        let steps = self.line.arrive(due);
        self.noted(steps, now)
    }

    fn noted(&mut self, steps: Vec<Step>, now: Timestamp) -> Vec<Step> {
        for step in &steps {
            if let Step::Start { due, .. } = step {
                self.started += 1;
                if let Some(remaining) = self.schedule.remaining.as_mut().filter(|_| due.by_times) {
                    *remaining = remaining.saturating_sub(1);
                }
                self.recent.push_back(RecentAction {
                    nominal: due.nominal,
                    started_at: now,
                    workflow_id: due.workflow_id.clone(),
                });
                if self.recent.len() > limits::SCHEDULE_RECENT_MAX {
                    self.recent.pop_front();
                }
            }
        }
        steps
    }
}
