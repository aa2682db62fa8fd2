//! Describing and starting an engine. Must not live here: anything after the start; what it limits (that is `limits`).

mod attributes;
mod limits;
mod namespaces;
mod opening;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::definition::{
    Catalog, DefinitionError, ParseOptions, Problem, SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY, SagaDefinition, Severity,
};
use crate::model::WorkflowType;
use crate::runtime::secrets::Secrets;
use crate::runtime::{
    Clock, Codecs, EngineLimits, EnvironmentSecrets, NamespacesOptions, RuntimeOptions, SecretSource, SystemClock,
};
use crate::sdk::{
    ActivityDefinition, ActivityFunction, PayloadCodec, Registry, RegistryError, SharedState, WorkflowDefinition,
    WorkflowFunction,
};
use crate::store::{self, Durability, Store};

use self::opening::{StoreChoice, opener, start_off_thread};
use super::error::Error;
use super::sagas::{self, saga_files};
use super::{Amends, Inner};

/// Describes an engine. What is wrong with the description is reported by [`AmendsBuilder::start`], all of it at once.
#[must_use = "an engine begins with `start`"]
pub struct AmendsBuilder {
    open_store: Option<StoreChoice>,
    durability: Durability,
    cache_bytes: u64,
    registry: Registry,
    registry_errors: Vec<RegistryError>,
    saga_paths: Vec<PathBuf>,
    sagas: Vec<SagaDefinition>,
    settings: BTreeMap<String, String>,
    state: SharedState,
    clock: Arc<dyn Clock>,
    secrets: Secrets,
    limits: EngineLimits,
    namespaces: NamespacesOptions,
    worker_arguments: Vec<String>,
    shards: usize,
    passivate_after: Duration,
    admission_timeout: Duration,
    turn_hangs_after: Duration,
    replay_every_turn: bool,
    codecs: Codecs,
    identity: String,
    #[cfg(feature = "schedules")]
    leaves_unknown: bool,
}

impl AmendsBuilder {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            open_store: None,
            durability: Durability::default(),
            cache_bytes: crate::model::limits::CACHE_BYTES_DEFAULT,
            registry: Registry::new(),
            registry_errors: Vec::new(),
            saga_paths: Vec::new(),
            sagas: Vec::new(),
            settings: BTreeMap::new(),
            state: SharedState::new(),
            clock: Arc::new(SystemClock),
            secrets: Secrets::new(EnvironmentSecrets),
            limits: EngineLimits::default(),
            namespaces: NamespacesOptions::default(),
            worker_arguments: Vec::new(),
            shards: cores,
            passivate_after: Duration::from_secs(10),
            admission_timeout: Duration::from_secs(1),
            turn_hangs_after: crate::model::limits::TURN_HANGS_DEFAULT,
            replay_every_turn: false,
            codecs: Codecs::default(),
            identity: format!("{}@{}", env!("CARGO_PKG_NAME"), std::process::id()),
            #[cfg(feature = "schedules")]
            leaves_unknown: false,
        }
    }

    /// Keeps everything in this directory, in an embedded sled store. It is made if it does not exist.
    #[cfg(feature = "sled")]
    pub fn sled(mut self, directory: impl AsRef<Path>) -> Self {
        self.open_store = Some(StoreChoice::Sled(directory.as_ref().to_owned()));
        self
    }

    /// Keeps everything in memory only: for tests and experiments.
    pub fn memory(mut self) -> Self {
        self.open_store = Some(StoreChoice::Memory);
        self
    }

    /// Keeps everything in a store of the caller's. The function is called again to reopen the store after it failed.
    pub fn store(mut self, open: impl Fn() -> Result<Box<dyn Store>, store::Error> + Send + Sync + 'static) -> Self {
        self.open_store = Some(StoreChoice::Other(Box::new(open)));
        self
    }

    /// What an acknowledged request survives; for [`AmendsBuilder::sled`]. Power cuts, when not said otherwise.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Gives activities a shared value, to be asked for with `ActivityContext::state::<T>()`.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state = self.state.with(value);
        self
    }

    /// Registers an activity function.
    pub fn activity<M, F: ActivityFunction<M>>(self, function: F) -> Self {
        let definition = ActivityDefinition::of(function);
        self.add_activity(definition)
    }

    /// Registers an activity that was described by hand.
    pub fn activity_definition(self, definition: ActivityDefinition) -> Self {
        self.add_activity(Ok(definition))
    }

    fn add_activity(mut self, definition: Result<ActivityDefinition, RegistryError>) -> Self {
        let added = definition.and_then(|definition| self.registry.add_activity(definition));
        self.registry_errors.extend(added.err());
        self
    }

    /// Registers a workflow function.
    pub fn workflow<M, F: WorkflowFunction<M>>(self, function: F) -> Self {
        let definition = WorkflowDefinition::of(function);
        self.add_workflow(definition)
    }

    /// Registers a workflow that was described by hand.
    pub fn workflow_definition(self, definition: WorkflowDefinition) -> Self {
        self.add_workflow(Ok(definition))
    }

    fn add_workflow(mut self, definition: Result<WorkflowDefinition, RegistryError>) -> Self {
        let added = definition.and_then(|definition| self.registry.add_workflow(definition));
        self.registry_errors.extend(added.err());
        self
    }

    /// Loads a saga definition file, or every `*.toml` file of a directory.
    pub fn sagas(mut self, path: impl AsRef<Path>) -> Self {
        self.saga_paths.push(path.as_ref().to_owned());
        self
    }

    /// Adds a saga definition that was built in Rust.
    pub fn saga(mut self, definition: SagaDefinition) -> Self {
        self.sagas.push(definition);
        self
    }

    /// Overrides a value of the definitions' `[config]` tables.
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// How many threads run workflows; one per core when not said otherwise.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// The clock that every timer and timeout reads.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the secrets come from that the definitions name; from the environment, when not said otherwise.
    pub fn secrets(mut self, source: impl SecretSource) -> Self {
        self.secrets = Secrets::new(source);
        self
    }

    /// How long a run may be idle before its memory is returned; 10 s when not said otherwise.
    pub fn passivate_after(mut self, idle: Duration) -> Self {
        self.passivate_after = idle;
        self
    }

    /// How long a request may wait for a place in a full queue before it is refused as overloaded; 1 s when not said
    /// otherwise.
    pub fn admission_timeout(mut self, timeout: Duration) -> Self {
        self.admission_timeout = timeout;
        self
    }

    /// For development: replays every run of workflow code from its beginning at each of its turns, and parks it with the
    /// difference when that decides otherwise than the code that lives (be it only in an activity's input). Code that is not
    /// the same on replay is then found when it runs for the first time, not after a crash. Turns cost the more the longer
    /// a run has lived, and the code runs oftener than usual.
    ///
    /// ```
    /// # use amends::Amends;
    /// let mut builder = Amends::builder().memory();
    /// if cfg!(debug_assertions) {
    ///     builder = builder.replay_every_turn();
    /// }
    /// ```
    pub fn replay_every_turn(mut self) -> Self {
        self.replay_every_turn = true;
        self
    }

    /// Adds a codec: users' data goes through it on the way into the journal, and back through it when it is read. With
    /// several, each encodes what the one before it has made: compress first, then encrypt. What was journaled before stays
    /// readable, whichever codecs are added; a codec is taken away only when nothing is stored that it has encoded.
    ///
    /// Encoded are inputs, results, signals, updates, markers, the details of failures and heartbeats. Search attributes are
    /// not, nor are ids, names and reasons.
    pub fn codec(mut self, codec: impl PayloadCodec) -> Self {
        self.codecs.add(codec);
        self
    }

    /// Lets the codecs encode the messages of failures, too, which may tell what the data was. A message that cannot be
    /// decoded reads as `Encoded failure ..`. Types of failures stay readable: decisions hang on them.
    pub fn encode_failure_messages(mut self) -> Self {
        self.codecs.encode_failure_messages();
        self
    }

    /// Who this engine is, as recorded with what it starts and sends.
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = identity.into();
        self
    }

    /// Opens the store, begins to recover what was open, and takes requests.
    ///
    /// # Errors
    /// Everything that is wrong with activities, workflows or definitions; a store that cannot be opened.
    pub async fn start(mut self) -> Result<Amends, Error> {
        self.add_built_in_activities();
        #[cfg(feature = "schedules")]
        let link = self.add_schedules();
        let mut errors = std::mem::take(&mut self.registry_errors);
        errors.extend(self.registry.check().err().into_iter().flatten());
        if !errors.is_empty() {
            return Err(Error::Registry(errors));
        }
        self.isolate()?;
        let sagas = self.load_sagas()?;
        self.settle_limits(&sagas)?;
        let options = RuntimeOptions {
            open_store: opener(self.open_store.take(), self.durability, self.cache_bytes),
            registry: self.registry,
            sagas: sagas.clone(),
            state: self.state,
            limits: self.limits,
            namespaces: self.namespaces,
            clock: self.clock,
            shards: self.shards,
            passivate_after: self.passivate_after,
            admission_timeout: self.admission_timeout,
            turn_hangs_after: self.turn_hangs_after,
            replay_every_turn: self.replay_every_turn,
            codecs: self.codecs,
        };
        let runtime = start_off_thread(options).await?;
        let inner = Arc::new(Inner {
            runtime,
            sagas,
            identity: self.identity,
            #[cfg(feature = "schedules")]
            leaves_unknown: self.leaves_unknown,
        });
        #[cfg(feature = "schedules")]
        link.connect(&inner);
        Ok(Amends { inner, namespace: None })
    }

    fn add_built_in_activities(&mut self) {
        #[cfg(feature = "http")]
        if self.registry.activity(crate::definition::HTTP_ACTIVITY).is_none() {
            let http = crate::runtime::http::activity_definition(self.secrets.clone());
            let added = http.and_then(|http| self.registry.add_activity(http));
            self.registry_errors.extend(added.err());
        }
        #[cfg(unix)]
        {
            let exec = crate::runtime::exec::activity_definition(self.secrets.clone(), Arc::clone(&self.clock));
            let added = exec.and_then(|exec| self.registry.add_activity(exec));
            self.registry_errors.extend(added.err());
        }
    }

    #[cfg(feature = "schedules")]
    fn add_schedules(&mut self) -> super::schedules::Link {
        let link = super::schedules::Link::new();
        let added = super::schedules::definitions(&link).and_then(|(keeper, activities)| {
            self.registry.add_workflow(keeper)?;
            activities
                .into_iter()
                .try_for_each(|activity| self.registry.add_activity(activity))
        });
        self.registry_errors.extend(added.err());
        link
    }

    fn load_sagas(&mut self) -> Result<Catalog, Error> {
        let registered = self.registry.activities();
        let known: BTreeSet<String> = registered
            .map(|activity| activity.activity_type().to_string())
            .chain([SAGA_ACTIVITY, SAGA_UNDO_ACTIVITY].map(str::to_owned))
            .collect();
        let mut errors = Vec::new();
        let mut sagas = Catalog::default();
        let files = self.saga_files()?;
        let settings = std::mem::take(&mut self.settings);
        let options = ParseOptions {
            config: Some(&settings),
            known_activities: Some(&known),
        };
        for (file, text) in files {
            match SagaDefinition::parse(&file, &text, &options) {
                Ok((saga, report)) => {
                    if report.warnings() > 0 {
                        tracing::warn!("{report}");
                    }
                    self.add_saga(&mut sagas, saga);
                }
                Err(error) => errors.push(error),
            }
        }
        for saga in std::mem::take(&mut self.sagas) {
            errors.extend(unknown_activities(&saga, &known));
            self.add_saga(&mut sagas, saga);
        }
        errors.extend(sagas.iter().filter_map(|saga| self.unknown_children(saga, &sagas)));
        if !errors.is_empty() {
            return Err(Error::Definition(errors));
        }
        match std::mem::take(&mut self.registry_errors) {
            errors if errors.is_empty() => Ok(sagas),
            errors => Err(Error::Registry(errors)),
        }
    }

    /// Steps that run a saga or workflow which this engine does not know.
    fn unknown_children(&self, saga: &SagaDefinition, sagas: &Catalog) -> Option<DefinitionError> {
        let unknown = saga.steps().iter().filter_map(|step| {
            let child = step.child_saga()?;
            let known = sagas.get(child).is_some() || self.registry.workflow(child).is_some();
            (!known).then(|| Problem {
                severity: Severity::Error,
                position: None,
                place: format!("step {}", step.name()),
                message: format!("no saga or workflow {child:?} is known"),
                hint: Some("load its file too (`AmendsBuilder::sagas`; `amends run .. --sagas PATH`)".to_owned()),
            })
        });
        let problems: Vec<Problem> = unknown.collect();
        (!problems.is_empty()).then(|| DefinitionError {
            file: saga.name().to_string(),
            problems,
        })
    }

    fn add_saga(&mut self, sagas: &mut Catalog, saga: SagaDefinition) {
        let name = WorkflowType::from_trusted(saga.name().as_str());
        let version = saga.version().map(str::to_owned);
        if self.registry.workflow(name.as_str()).is_some() {
            self.registry_errors.push(RegistryError::SagaAndWorkflow(name));
        } else if sagas.add(saga).is_err() {
            let twice = RegistryError::DuplicateSaga { saga: name, version };
            self.registry_errors.push(twice);
        }
    }

    /// The definition files and their texts.
    fn saga_files(&self) -> Result<Vec<(String, String)>, Error> {
        let mut files = Vec::new();
        for path in &self.saga_paths {
            for file in saga_files(path)? {
                files.push((file.display().to_string(), sagas::read(&file)?));
            }
        }
        Ok(files)
    }
}

impl std::fmt::Debug for AmendsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmendsBuilder")
            .field("shards", &self.shards)
            .field("durability", &self.durability)
            .field("cache_bytes", &self.cache_bytes)
            .field("passivate_after", &self.passivate_after)
            .field("admission_timeout", &self.admission_timeout)
            .field("turn_hangs_after", &self.turn_hangs_after)
            .field("replay_every_turn", &self.replay_every_turn)
            .field("max_concurrent_activities", &self.limits.most_at_once())
            .field("max_blocking_activities", &self.limits.most_blocking())
            .field("task_queues", &self.namespaces.default.queues)
            .finish_non_exhaustive()
    }
}

/// A definition from a file is checked while its positions are known; one built in Rust is checked here.
fn unknown_activities(saga: &SagaDefinition, known: &BTreeSet<String>) -> Option<DefinitionError> {
    let unknown = saga
        .activity_types()
        .filter(|(_, activity)| !known.contains(activity.as_str()));
    let problems: Vec<Problem> = unknown
        .map(|(step, activity)| Problem {
            severity: Severity::Error,
            position: None,
            place: step.map_or("stuck.escalate".to_owned(), |step| format!("step {step}")),
            message: format!("no activity {activity:?} is registered"),
            hint: Some("register it with `AmendsBuilder::activity`".to_owned()),
        })
        .collect();
    (!problems.is_empty()).then(|| DefinitionError {
        file: saga.name().to_string(),
        problems,
    })
}
