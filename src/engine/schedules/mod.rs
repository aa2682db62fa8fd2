//! Schedules as users see them: created, looked at, changed, paused, asked for a run, deleted. Must not live here: what a schedule
//! decides (`schedule`), or the workflow that keeps it (`keeper`).

mod action;
mod errands;
mod keeper;
mod offline;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{IdReusePolicy, PayloadError, RunId, RunStatus, Timestamp, ToPayload, WorkflowId, WorkflowType};
use crate::schedule::{OverlapPolicy, RecentAction, Schedule, ScheduleState};
use crate::sdk::Workflow;
use crate::store::{ListQuery, Store};

use super::{Amends, Error, RunPage, UpdateError};

pub use self::action::ScheduleAction;
pub(super) use self::errands::{Link, definitions};
pub use self::offline::OfflineSchedules;

/// What the workflow ids of schedules begin with.
const PREFIX: &str = "amends.schedule:";

/// The type of the workflow that keeps a schedule.
pub(super) const SCHEDULE_WORKFLOW: &str = "amends.schedule";

/// Schedules are listed a page at a time.
const PAGE: usize = 500;

/// How a schedule stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleDescription {
    /// The times and policies, and how far they have come.
    pub state: ScheduleState,
    /// What is started.
    pub action: ScheduleAction,
    /// Why the last run could not be started, if it could not.
    pub problem: Option<String>,
    upcoming: Vec<i64>,
}

impl ScheduleDescription {
    /// The next times, at most ten.
    pub fn upcoming(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.upcoming.iter().copied().map(Timestamp::from_micros)
    }

    /// The last runs that were started, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &RecentAction> {
        self.state.recent()
    }
}

/// The schedules of an engine: what starts runs again and again. They are durable, and go on when the engine does.
///
/// ```
/// use amends::engine::ScheduleAction;
/// use amends::schedule::{Schedule, ScheduleSpec};
/// use amends::{Amends, Failure, WorkflowContext};
///
/// async fn report(_cx: WorkflowContext, customer: String) -> Result<(), Failure> { Ok(()) }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let amends = Amends::builder().memory().workflow(report).start().await?;
/// let spec = ScheduleSpec::new().cron("0 9 * * MON-FRI")?.time_zone("Europe/Berlin");
/// let action = ScheduleAction::of(&report, "report", &"ada".to_owned())?;
/// amends.schedules().create("reports", action, Schedule::new(spec)).await?;
/// amends.schedules().trigger("reports", None).await?;
/// let described = amends.schedules().describe("reports").await?;
/// assert_eq!(described.upcoming().count(), 10);
/// amends.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Schedules {
    engine: Amends,
}

impl Amends {
    /// What starts runs again and again.
    #[must_use]
    pub fn schedules(&self) -> Schedules {
        Schedules { engine: self.clone() }
    }
}

impl Schedules {
    /// Begins a schedule. It is durable when this returns.
    ///
    /// # Errors
    /// [`Error::Schedule`] when its times are wrong, [`Error::AlreadyStarted`] when there is one with this id, [`Error::Id`] when
    /// its names cannot be names, or are too long for a time to follow, [`Error::ScheduleInput`] when the input has more than 1 MiB.
    pub async fn create(&self, id: &str, action: ScheduleAction, schedule: Schedule) -> Result<(), Error> {
        action.check()?;
        let state = ScheduleState::new(&action.workflow_id, schedule, self.now())?;
        let memory = keeper::Memory::new(state, action);
        let keeper = self.engine.workflow_by_name(SCHEDULE_WORKFLOW).id(workflow_id(id));
        let keeper = keeper.id_reuse_policy(IdReusePolicy::AllowDuplicate);
        keeper
            .start(&serde_json::to_value(memory).map_err(PayloadError::Encode)?)
            .await?;
        Ok(())
    }

    /// How a schedule stands.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn describe(&self, id: &str) -> Result<ScheduleDescription, Error> {
        let (id, now) = (self.existing(id)?, self.now().as_micros());
        self.engine.client().query(id.as_str(), "describe", &now).await
    }

    /// The ids of all schedules that were not deleted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let (mut query, mut ids) = (open_schedules(), Vec::new());
        loop {
            let page = self.engine.client().list(&query).await?;
            match ids_of(&page, &mut ids) {
                Some(last) => query.before = Some(last),
                None => break,
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Gives a schedule other times and policies, and another action if one is given: all of them, so begin with those that
    /// [`describe`](Self::describe) shows. What is running or waiting stays.
    ///
    /// # Errors
    /// As for [`create`](Self::create) when its times or its action are wrong; when there is no such schedule.
    pub async fn update(
        &self,
        id: &str,
        action: Option<ScheduleAction>,
        schedule: Schedule,
    ) -> Result<(), UpdateError> {
        schedule.spec.times().map_err(Error::from)?;
        action.iter().try_for_each(ScheduleAction::check)?;
        self.ask(id, "update", &(action, schedule)).await
    }

    /// Starts nothing more by the times, until it is unpaused. The note says why.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub async fn pause(&self, id: &str, note: &str) -> Result<(), UpdateError> {
        self.ask(id, "pause", note).await
    }

    /// Goes on with the times from now on.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub async fn unpause(&self, id: &str, note: &str) -> Result<(), UpdateError> {
        self.ask(id, "unpause", note).await
    }

    /// Starts a run now, paused or not; by the schedule's overlap policy, unless one is given.
    ///
    /// # Errors
    /// When there is no such schedule; when a thousand runs wait to be started.
    pub async fn trigger(&self, id: &str, overlap: Option<OverlapPolicy>) -> Result<(), UpdateError> {
        self.ask(id, "trigger", &overlap).await
    }

    /// Starts the runs of all times from `from` to `to`, both included, as if it were then. By the schedule's overlap policy,
    /// unless one is given: with the usual `Skip` only the first one is started, so say `BufferAll` (one after the other) or
    /// `AllowAll` (all at once).
    ///
    /// # Errors
    /// When there is no such schedule, or there are more than 1,000 times, with those that wait to be started.
    pub async fn backfill(
        &self,
        id: &str,
        from: Timestamp,
        to: Timestamp,
        overlap: Option<OverlapPolicy>,
    ) -> Result<(), UpdateError> {
        self.ask(id, "backfill", &(from.as_micros(), to.as_micros(), overlap))
            .await
    }

    /// Ends a schedule. Runs that it started go on.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub async fn delete(&self, id: &str) -> Result<(), UpdateError> {
        self.ask(id, "delete", &()).await
    }

    async fn ask<T: ToPayload + ?Sized>(&self, id: &str, name: &str, input: &T) -> Result<(), UpdateError> {
        let id = self.existing(id)?;
        self.engine.client().update(id.as_str(), name, input).await
    }

    fn existing(&self, id: &str) -> Result<WorkflowId, Error> {
        let id = self.engine.workflow_id(&workflow_id(id))?;
        existing(&*self.engine.runtime().store()?, id)
    }

    fn now(&self) -> Timestamp {
        self.engine.runtime().clock().now()
    }
}

impl std::fmt::Debug for Schedules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedules").finish_non_exhaustive()
    }
}

fn workflow_id(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The code that keeps schedules, for those who ask it without an engine.
pub(super) fn code() -> (&'static str, Arc<dyn Workflow>) {
    (SCHEDULE_WORKFLOW, Arc::new(keeper::Keeper))
}

/// The workflow id of a schedule, if it was not deleted.
fn existing(store: &dyn Store, id: WorkflowId) -> Result<WorkflowId, Error> {
    let head = store.find(&id)?;
    // One that has continued is there, as the next run.
    let is_there = |status: RunStatus| !status.is_closed() || status == RunStatus::ContinuedAsNew;
    match head.is_some_and(|head| is_there(head.status)) {
        true => Ok(id),
        false => Err(Error::NotFound(id)),
    }
}

/// What finds the schedules that were not deleted, a page at a time.
fn open_schedules() -> ListQuery {
    ListQuery {
        workflow_type: Some(WorkflowType::from_trusted(SCHEDULE_WORKFLOW)),
        statuses: RunStatus::ALL
            .into_iter()
            .filter(|status| !status.is_closed())
            .collect(),
        limit: PAGE,
        ..ListQuery::default()
    }
}

/// The ids of the schedules on a page; and where the next one begins, if there is more.
fn ids_of(page: &RunPage, into: &mut Vec<String>) -> Option<RunId> {
    into.extend(page.iter().filter_map(|head| {
        let id = head.workflow_id.as_str();
        id.strip_prefix(PREFIX).map(str::to_owned)
    }));
    page.last().map(|last| last.run_id)
}
