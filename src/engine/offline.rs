//! A data directory without an engine: for looking at runs, checking them, and leaving them a message, while nothing is
//! executed. Must not live here: how a run reacts (that is `machine`), rendering.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::machine::{QueryError, Rejection};
use crate::model::{
    Event, Failure, Input, NamespaceName, Payload, Query, QueryName, Reported, RequestId, RunId, SearchAttributeTypes,
    SignalName, ToPayload, Turn, WorkflowId,
};
use crate::runtime::{Clock, Codecs, OfflineDesk, Retention, SystemClock, fold, load_turns, prune_offline};
use crate::sdk::{PayloadCodec, Workflow};
use crate::store::{self, ListQuery, Problem, RunHead, Store, VerifyProgress, VerifyReport};

use super::activity::ActivityPlace;
use super::decision::was_made;
use super::{Decision, Error, RunCount, RunDescription, RunPage, RunQuery, SignalOptions, queries};

/// A store that is open for looking and for leaving messages; no activity and no workflow code runs.
///
/// Only one at a time may have a data directory open, so this is refused while an engine runs on it.
pub struct Offline {
    store: Arc<dyn Store>,
    codecs: Codecs,
    /// What amends brings along itself can be asked here, too.
    code: BTreeMap<&'static str, Arc<dyn Workflow>>,
    identity: String,
    namespace: NamespaceName,
    /// Of a workflow id, only this run is meant.
    only_run: Option<RunId>,
}

/// Names an activity to an [`Offline`] store.
#[derive(Clone, Debug)]
pub struct OfflineActivity(ActivityPlace);

impl OfflineActivity {
    /// The attempt that handed out this token.
    ///
    /// # Errors
    /// [`Error::TaskToken`] when it is no token, or not a whole one.
    pub fn by_token(token: &str) -> Result<Self, Error> {
        ActivityPlace::by_token(token).map(Self)
    }

    /// The current attempt of the activity with this id in the open run with this workflow id.
    ///
    /// # Errors
    /// [`Error::Id`] when one cannot be an id.
    pub fn by_id(workflow_id: &str, activity_id: &str) -> Result<Self, Error> {
        ActivityPlace::by_id(workflow_id, activity_id).map(Self)
    }

    /// The workflow that it is an activity of.
    #[must_use]
    pub fn workflow_id(&self) -> &WorkflowId {
        &self.0.workflow_id
    }
}

/// Runs that are checked between two looks at the store's index.
const PAGE: usize = 500;

impl Offline {
    /// Opens a data directory that an engine has used.
    ///
    /// # Errors
    /// When there is none (it is not made), when an engine has it open, or when it is damaged.
    #[cfg(feature = "sled")]
    pub fn open(directory: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let directory = directory.as_ref();
        if !store::sled::SledStore::is_at(directory) {
            return Err(Error::Store(store::Error::Unusable {
                path: directory.display().to_string(),
                reason: match directory.exists() {
                    true => "it is not a data directory of amends".to_owned(),
                    false => "it does not exist".to_owned(),
                },
            }));
        }
        Self::open_or_make(directory)
    }

    /// The same, but makes the directory when there is none: for what may be the first thing in it.
    ///
    /// # Errors
    /// When an engine has it open, when it is damaged, or cannot be made.
    #[cfg(feature = "sled")]
    pub fn open_or_make(directory: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let store = store::sled::SledStore::open(directory.as_ref(), store::sled::SledOptions::default())?;
        Ok(Self::over(store))
    }

    /// The same over any store.
    pub fn over(store: impl Store) -> Self {
        Self {
            store: Arc::new(store),
            codecs: Codecs::default(),
            code: super::built_in_code(),
            identity: format!("{}@{}", env!("CARGO_PKG_NAME"), std::process::id()),
            namespace: NamespaceName::default(),
            only_run: None,
        }
    }

    /// The same store, in this namespace: what is found, listed and spoken to is of this one, and of no other. Which namespaces
    /// there are, only engines know; one without runs is empty.
    #[must_use]
    pub fn in_namespace(mut self, namespace: NamespaceName) -> Self {
        self.namespace = namespace;
        self
    }

    /// The codecs that the engine over this store has, in the same order. Without them, what they encoded is shown by its
    /// encoding only, and requests to runs that have such data are refused.
    #[must_use]
    pub fn codec(mut self, codec: impl PayloadCodec) -> Self {
        self.codecs.add(codec);
        self
    }

    /// Lets the codecs encode the messages of failures, too; to be said when the engine over this store does so.
    #[must_use]
    pub fn encode_failure_messages(mut self) -> Self {
        self.codecs.encode_failure_messages();
        self
    }

    /// A page of the runs that a query means; see [`Client::list`](super::Client::list). Types of search attributes are not
    /// known here: those of the values count.
    ///
    /// # Errors
    /// [`Error::RunQuery`] for a query that cannot be read, [`Error::PageToken`]; when the store cannot be read.
    pub fn list(&self, query: impl Into<RunQuery>) -> Result<RunPage, Error> {
        let query = query.into().of_namespace(self.namespace.clone());
        queries::list(&*self.store, &SearchAttributeTypes::default(), query)
    }

    /// How many runs a query means.
    ///
    /// # Errors
    /// As for [`Offline::list`].
    pub fn count(&self, query: impl Into<RunQuery>) -> Result<RunCount, Error> {
        let query = query.into().of_namespace(self.namespace.clone());
        queries::count(&*self.store, &SearchAttributeTypes::default(), &query)
    }

    /// What is known at a glance of the newest run with this workflow id; or of the run with this run id.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub fn find(&self, id: &str) -> Result<RunHead, Error> {
        let workflow_id = WorkflowId::new(id)?.in_namespace(&self.namespace);
        let run_id = id.parse::<RunId>();
        if let Some(only) = self.only_run
            && run_id != Ok(only)
        {
            return self.this_run(&workflow_id, only);
        }
        if let Some(head) = self.store.find(&workflow_id)? {
            return Ok(head);
        }
        let by_run_id = match run_id {
            Ok(run_id) => self.store.head(run_id)?,
            Err(_) => None,
        };
        by_run_id
            .filter(|head| head.workflow_id.namespace() == self.namespace.as_str())
            .ok_or(Error::NotFound(workflow_id))
    }

    /// The run with this workflow id or run id, step by step.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub fn describe(&self, id: &str) -> Result<RunDescription, Error> {
        let run_id = self.find(id)?.run_id;
        let turns = self.turns(run_id)?;
        Ok(RunDescription::of(&fold(run_id, &turns)?, &turns))
    }

    /// The history of the run with this workflow id or run id.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub fn history(&self, id: &str) -> Result<Vec<Event>, Error> {
        let turns = self.turns(self.find(id)?.run_id)?;
        Ok(turns.into_iter().flat_map(|turn| turn.events).collect())
    }

    /// Reads and checks everything: what is stored, byte by byte, and then every history, that its events are dense and
    /// fit each other, and that they say what the index says.
    ///
    /// # Errors
    /// When the check cannot be made; damage is in the report.
    pub fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport, Error> {
        let mut report = self.store.verify(progress)?;
        let mut query = ListQuery {
            limit: PAGE,
            ..ListQuery::default()
        };
        loop {
            let page = self.store.list(&query)?;
            let problems = page.iter().filter_map(|head| {
                let what = self.misfit(head)?;
                let run = Some(head.run_id);
                Some(Problem { run, what })
            });
            report.problems.extend(problems);
            match page.last() {
                Some(last) => query.before = Some(last.run_id),
                None => return Ok(report),
            }
        }
    }

    /// What is wrong with a run's history as a history.
    fn misfit(&self, head: &RunHead) -> Option<String> {
        let folded = load_turns(&*self.store, head.run_id).and_then(|turns| fold(head.run_id, &turns));
        let state = match folded {
            Ok(state) => state,
            Err(store::Error::Corrupt { what, .. }) => return Some(what),
            Err(error) => return Some(error.to_string()),
        };
        let definition = state.started().and_then(|started| started.definition);
        let is_missing = |digest| !matches!(self.store.definition(digest), Ok(Some(_)));
        if let Some(digest) = definition.filter(|digest| is_missing(*digest)) {
            return Some(format!("its saga definition {digest} is missing"));
        }
        if !state.is_found_by(head.search_attributes()) {
            return Some("its history ends with other search attributes than the index says".to_owned());
        }
        let told = (state.status(), state.next_event().0);
        let listed = (head.status, head.next_event);
        // One that has not let go of its children is listed as open, unless another run has its id.
        let is_leaving = state.is_closed() && !state.is_settled();
        let fits = told == listed || (is_leaving && listed == (crate::model::RunStatus::Running, told.1));
        (!fits).then(|| {
            format!(
                "its history ends as {} before event {}, the index says {} before event {}",
                told.0, told.1, listed.0, listed.1
            )
        })
    }

    /// Asks the run with this workflow id or run id a question. Runs of saga definitions answer `status`, `steps` and
    /// `outputs`; runs of workflow code can only be asked where the code is, in an engine.
    ///
    /// # Errors
    /// When there is no such run, or no such answer ([`Error::Query`]).
    pub fn query(&self, id: &str, name: &str) -> Result<Payload, Error> {
        let run_id = self.find(id)?.run_id;
        let state = fold(run_id, &self.turns(run_id)?)?;
        let query = Query {
            name: QueryName::new(name)?,
            input: Payload::null(),
        };
        let follows_definition = state.started().is_some_and(|started| started.definition.is_some());
        let answer = match follows_definition {
            true => state.answer(&query),
            false => Err(QueryError::NotHere),
        };
        answer.map_err(Error::Query)
    }

    /// Leaves a signal for the open run with this id, or the run that the options name; durable when this returns. An engine
    /// brings about what follows.
    ///
    /// # Errors
    /// When there is no such open run, or the signal cannot be made durable.
    pub fn signal<T: ToPayload + ?Sized>(
        &self,
        workflow_id: &str,
        name: &str,
        input: &T,
        options: SignalOptions,
    ) -> Result<RunId, Error> {
        let signal = Input::Signal {
            name: SignalName::new(name)?,
            input: Payload::of(input)?,
            request_id: options.request_id.map(RequestId::new).transpose()?,
            identity: self.identity.clone(),
        };
        let workflow_id = WorkflowId::new(workflow_id)?.in_namespace(&self.namespace);
        self.deliver_to(&workflow_id, options.run_id, signal)
    }

    /// Asks the open run with this id to end, undoing what it did. An engine brings about the undoing.
    ///
    /// # Errors
    /// When there is no open run, or its saga has reached its pivot.
    pub fn cancel(&self, workflow_id: &str, reason: &str) -> Result<RunId, Error> {
        let cancel = Input::RequestCancel {
            reason: reason.to_owned(),
            identity: self.identity.clone(),
        };
        self.deliver(workflow_id, cancel)
    }

    /// Ends the open run with this id at once, undoing nothing.
    ///
    /// # Errors
    /// When there is no open run.
    pub fn terminate(&self, workflow_id: &str, reason: &str) -> Result<RunId, Error> {
        let terminate = Input::Terminate {
            reason: reason.to_owned(),
            identity: self.identity.clone(),
        };
        self.deliver(workflow_id, terminate)
    }

    /// Completes the activity with this id in the open run with this workflow id, which somebody else was to complete.
    ///
    /// # Errors
    /// [`Error::NoSuchAttempt`] when it is not running; [`Error::NotFound`], and errors of the store.
    pub fn complete_activity<T: ToPayload + ?Sized>(
        &self,
        activity: &OfflineActivity,
        result: &T,
    ) -> Result<RunId, Error> {
        let result = Payload::of(result)?;
        self.report(activity, Reported::Completed(result))
    }

    /// Lets it fail; its retry policy decides whether it is tried again.
    ///
    /// # Errors
    /// As for [`Offline::complete_activity`].
    pub fn fail_activity(&self, activity: &OfflineActivity, failure: Failure) -> Result<RunId, Error> {
        self.report(activity, Reported::Failed(failure))
    }

    fn report(&self, OfflineActivity(place): &OfflineActivity, what: Reported) -> Result<RunId, Error> {
        let mut place = place.clone();
        if place.run_id().is_none() {
            place.workflow_id = place.workflow_id.in_namespace(&self.namespace);
        }
        let of_other_run = |head: RunHead| place.run_id().is_some_and(|run_id| run_id != head.run_id);
        if self.store.find(&place.workflow_id)?.is_some_and(of_other_run) {
            return Err(Error::NoSuchAttempt(place.workflow_id.clone()));
        }
        let delivered = self.deliver_to(&place.workflow_id, None, place.input(what));
        delivered.map_err(|error| place.refused(error))
    }

    /// Decides how the stuck saga of the open run with this id goes on. An engine brings about what follows.
    ///
    /// # Errors
    /// As for [`Client::decide`](super::Client::decide).
    pub fn decide(&self, workflow_id: &str, decision: Decision) -> Result<RunId, Error> {
        let decide = decision.checked(&self.identity)?;
        let request_id = decide.request_id.clone();
        let refused = match self.deliver(workflow_id, Input::Decide(Box::new(decide))) {
            Ok(run_id) => return Ok(run_id),
            Err(refused) => refused,
        };
        let (Error::Rejected(Rejection::Closed), Some(request_id)) = (&refused, request_id) else {
            return Err(refused);
        };
        let run_id = self.find(workflow_id)?.run_id;
        match was_made(&load_turns(&*self.store, run_id)?, &request_id) {
            true => Ok(run_id),
            false => Err(refused),
        }
    }

    /// Deletes every run of the namespace that ended so long ago, as an engine with this retention does over time; says how many.
    /// Tells of the number so far. See [`AmendsBuilder::retention`](super::AmendsBuilder::retention).
    ///
    /// # Errors
    /// Those of the store; what was deleted until then is gone.
    pub fn prune(&self, older_than: Duration, progress: &mut dyn FnMut(usize)) -> Result<usize, Error> {
        let retention = Retention::of_namespace(&self.namespace, older_than);
        Ok(prune_offline(&*self.store, &retention, SystemClock.now(), progress)?)
    }

    /// For people to read: what cannot be decoded is left as it is stored.
    fn turns(&self, run_id: RunId) -> Result<Vec<Turn>, Error> {
        let mut turns = load_turns(&*self.store, run_id)?;
        if let Err(error) = self.codecs.decode(run_id, &mut turns) {
            tracing::debug!(%error, "shown as it is stored");
        }
        Ok(turns)
    }

    /// What is read and written, and how.
    pub(super) fn stored(&self) -> (&dyn Store, &Codecs) {
        (&*self.store, &self.codecs)
    }

    /// What requests are decided with, now.
    pub(super) fn desk(&self) -> OfflineDesk<'_> {
        OfflineDesk {
            store: &*self.store,
            codecs: &self.codecs,
            now: SystemClock.now(),
            code: &self.code,
        }
    }

    #[cfg(feature = "schedules")]
    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    #[cfg(feature = "schedules")]
    pub(super) fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }

    #[cfg(feature = "schedules")]
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn deliver(&self, workflow_id: &str, input: Input) -> Result<RunId, Error> {
        let workflow_id = WorkflowId::new(workflow_id)?.in_namespace(&self.namespace);
        self.deliver_to(&workflow_id, None, input)
    }

    fn deliver_to(&self, workflow_id: &WorkflowId, run_id: Option<RunId>, input: Input) -> Result<RunId, Error> {
        self.expect_newest(workflow_id, run_id.or(self.only_run))?;
        Ok(self.desk().deliver(workflow_id, input)?)
    }
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offline").finish_non_exhaustive()
    }
}

mod only_run;
#[cfg(test)]
mod tests;
