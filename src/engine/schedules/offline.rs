//! Schedules of a data directory on which no engine runs. What keeps a schedule is code that amends brings along, so it is asked
//! here, too: a request is checked, decided and durable when it returns, and the next engine brings about what follows. Must not
//! live here: what a schedule decides (`schedule`), starting anything.

use crate::model::{
    IdConflictPolicy, IdPolicies, IdReusePolicy, Payload, Query, QueryName, StartRun, Timestamp, ToPayload, UpdateId,
    UpdateName, UpdateRequest, WorkflowId, WorkflowType,
};
use crate::runtime::{Clock, Entropy, SystemClock};
use crate::schedule::{OverlapPolicy, Schedule, ScheduleState};

use super::super::{Error, Offline, UpdateError};
use super::errands::START_ACTIVITY;
use super::{
    SCHEDULE_WORKFLOW, ScheduleAction, ScheduleDescription, existing, ids_of, keeper, open_schedules, workflow_id,
};

/// The schedules of a data directory that no engine has open; [`Schedules`](super::Schedules) where one does.
#[derive(Debug)]
pub struct OfflineSchedules<'a> {
    offline: &'a Offline,
}

impl Offline {
    /// What starts runs again and again.
    #[must_use]
    pub fn schedules(&self) -> OfflineSchedules<'_> {
        OfflineSchedules { offline: self }
    }
}

impl OfflineSchedules<'_> {
    /// Begins a schedule. It is durable when this returns, and starts runs as soon as an engine runs.
    ///
    /// # Errors
    /// As for [`Schedules::create`](super::Schedules::create).
    pub fn create(&self, id: &str, action: ScheduleAction, schedule: Schedule) -> Result<(), Error> {
        action.check()?;
        let state = ScheduleState::new(&action.workflow_id, schedule, SystemClock.now())?;
        let memory = keeper::Memory::new(state, action);
        let keeper = WorkflowType::from_trusted(SCHEDULE_WORKFLOW);
        let start = StartRun {
            identity: self.offline.identity().to_owned(),
            ids: IdPolicies {
                reuse: IdReusePolicy::AllowDuplicate,
                conflict: IdConflictPolicy::Fail,
            },
            ..StartRun::new(self.workflow_id(id)?, keeper, Payload::json(&memory)?.checked()?)
        };
        self.offline.desk().begin(start)?;
        Ok(())
    }

    /// How a schedule stands.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub fn describe(&self, id: &str) -> Result<ScheduleDescription, Error> {
        self.existing(id)?;
        let run_id = self.offline.find(&workflow_id(id))?.run_id;
        let query = Query {
            name: QueryName::new("describe")?,
            input: Payload::json(&SystemClock.now().as_micros())?,
        };
        let answer = self.offline.desk().query(run_id, &query)?.map_err(Error::Query)?;
        let mut described: ScheduleDescription = answer.to()?;
        // A start that is tried again says why in the run that keeps the schedule.
        let run = self.offline.describe(&run_id.to_string())?;
        let mut starts = run
            .pending
            .iter()
            .filter(|activity| activity.activity_type.as_str() == START_ACTIVITY);
        let failed = starts.find_map(|start| start.last_failure.as_ref());
        described.problem = failed.map(ToString::to_string).or(described.problem);
        Ok(described)
    }

    /// The ids of all schedules that were not deleted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        let (mut query, mut ids) = (open_schedules(), Vec::new());
        loop {
            let page = self.offline.list(&query)?;
            match ids_of(&page, &mut ids) {
                Some(last) => query.before = Some(last),
                None => break,
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Gives a schedule other times and policies, and another action if one is given.
    ///
    /// # Errors
    /// As for [`Schedules::update`](super::Schedules::update).
    pub fn update(&self, id: &str, action: Option<ScheduleAction>, schedule: Schedule) -> Result<(), UpdateError> {
        schedule.spec.times().map_err(Error::from)?;
        action.iter().try_for_each(ScheduleAction::check)?;
        self.ask(id, "update", &(action, schedule))
    }

    /// Starts nothing more by the times, until it is unpaused. The note says why.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub fn pause(&self, id: &str, note: &str) -> Result<(), UpdateError> {
        self.ask(id, "pause", note)
    }

    /// Goes on with the times from now on.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub fn unpause(&self, id: &str, note: &str) -> Result<(), UpdateError> {
        self.ask(id, "unpause", note)
    }

    /// Wants a run now, paused or not: the next engine starts it.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub fn trigger(&self, id: &str, overlap: Option<OverlapPolicy>) -> Result<(), UpdateError> {
        self.ask(id, "trigger", &overlap)
    }

    /// Wants the runs of all times from `from` to `to`, both included; see [`Schedules::backfill`](super::Schedules::backfill).
    ///
    /// # Errors
    /// When there is no such schedule, or there are more than 1,000 times.
    pub fn backfill(
        &self,
        id: &str,
        from: Timestamp,
        to: Timestamp,
        overlap: Option<OverlapPolicy>,
    ) -> Result<(), UpdateError> {
        self.ask(id, "backfill", &(from.as_micros(), to.as_micros(), overlap))
    }

    /// Ends a schedule. Runs that it started go on.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub fn delete(&self, id: &str) -> Result<(), UpdateError> {
        self.ask(id, "delete", &())
    }

    fn ask<T: ToPayload + ?Sized>(&self, id: &str, name: &str, input: &T) -> Result<(), UpdateError> {
        let id = self.existing(id)?;
        let desk = self.offline.desk();
        let request = UpdateRequest {
            update_id: UpdateId::new(Entropy.run_id(desk.now).to_string()).map_err(Error::from)?,
            name: UpdateName::new(name).map_err(Error::from)?,
            input: Payload::of(input)
                .map_err(Error::from)?
                .checked()
                .map_err(Error::from)?,
            identity: self.offline.identity().to_owned(),
        };
        match desk.update(&id, request)? {
            Ok(_) => Ok(()),
            Err(failure) => Err(UpdateError::Failed(Box::new(failure))),
        }
    }

    fn existing(&self, id: &str) -> Result<WorkflowId, Error> {
        existing(self.offline.store(), self.workflow_id(id)?)
    }

    fn workflow_id(&self, id: &str) -> Result<WorkflowId, Error> {
        Ok(WorkflowId::new(workflow_id(id))?.in_namespace(self.offline.namespace()))
    }
}
