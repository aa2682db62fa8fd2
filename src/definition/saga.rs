//! A checked definition. Lives here: what the machine asks of a definition while a run goes on. Must not live here:
//! checks (a `SagaDefinition` that exists is right) and the state of any run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::model::{
    ActivityLimits, ActivityOptions, ActivityType, DefinitionDigest, OnAmbiguous, SagaOptions, SignalName, StepName,
    StepSpec, TaskQueue, WorkflowType,
};

use super::expression::Template;
use super::mapping::Mapping;
use super::schema::InputSchema;
use super::start::Start;

/// A saga as a definition: checked, immutable, cheap to clone. Made by [`parse`](Self::parse) from a file's text, by a
/// [builder](Self::builder), or from the [canonical form](Self::from_canonical_json) that a run was started with.
#[derive(Clone)]
pub struct SagaDefinition(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) name: WorkflowType,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) task_queue: Option<TaskQueue>,
    pub(super) run_timeout: Option<Duration>,
    pub(super) config: BTreeMap<String, Value>,
    pub(super) steps: Vec<Step>,
    pub(super) step_names: Vec<StepName>,
    pub(super) step_indices: BTreeMap<StepName, usize>,
    pub(super) output: Option<Template>,
    pub(super) start: Start,
    pub(super) options: SagaOptions,
    pub(super) escalation: Option<Mapping>,
    pub(super) input_schema: Option<InputSchema>,
    pub(super) secrets: Vec<String>,
    /// Not in the canonical form.
    pub(super) activity_limits: BTreeMap<String, ActivityLimits>,
    pub(super) canonical: Bytes,
    pub(super) digest: DefinitionDigest,
}

/// One step of a definition.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) spec: StepSpec,
    pub(super) action: StepAction,
    /// `None`: it waits.
    pub(super) activity_type: Option<ActivityType>,
    pub(super) options: ActivityOptions,
    pub(super) when: Option<Template>,
    pub(super) foreach: Option<Foreach>,
    pub(super) wait: Option<Wait>,
    pub(super) dependencies: Vec<usize>,
    pub(super) dependents: Vec<usize>,
    pub(super) input: Mapping,
    pub(super) compensation: Option<Mapping>,
    pub(super) verification: Option<Mapping>,
}

/// One step for each element of a list.
#[derive(Clone, Debug)]
pub(super) struct Foreach {
    pub(super) items: Template,
    pub(super) concurrency: u32,
}

/// What a step waits for.
#[derive(Clone, Debug)]
pub(super) enum Wait {
    Signal {
        name: SignalName,
        timeout: Option<Duration>,
        default: Option<Template>,
    },
    After(Duration),
    Until(Template),
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// Runs a registered activity.
    Activity,
    /// Sends an HTTP request.
    Http,
    /// Runs a program.
    Exec,
    /// Runs another saga.
    Saga,
    /// Waits for a signal.
    Signal,
    /// Waits for a time.
    Timer,
}

impl StepAction {
    /// The key that it has in a definition file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StepAction::Activity => "activity",
            StepAction::Http => "http",
            StepAction::Exec => "exec",
            StepAction::Saga => "saga",
            StepAction::Signal => "signal",
            StepAction::Timer => "timer",
        }
    }
}

impl Step {
    /// Its name, kind, dependencies and compensation, as they are journaled with its scheduling.
    #[must_use]
    pub fn spec(&self) -> &StepSpec {
        &self.spec
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &StepName {
        &self.spec.name
    }

    /// What it does.
    #[must_use]
    pub fn action(&self) -> StepAction {
        self.action
    }

    /// The activity that does it: [`HTTP_ACTIVITY`](super::HTTP_ACTIVITY) for an `http` step,
    /// [`EXEC_ACTIVITY`](super::EXEC_ACTIVITY) for an `exec` step, [`SAGA_ACTIVITY`](super::SAGA_ACTIVITY) for a `saga`
    /// step. `None`: it only waits.
    #[must_use]
    pub fn activity_type(&self) -> Option<&ActivityType> {
        self.activity_type.as_ref()
    }

    /// Whether it may be left out: it has a `when`.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        self.when.is_some()
    }

    /// How many elements of its list it works on at once; `None`: it has no list.
    #[must_use]
    pub fn foreach_concurrency(&self) -> Option<u32> {
        self.foreach.as_ref().map(|foreach| foreach.concurrency)
    }

    /// The saga that it runs: a name, or `name@version`.
    #[must_use]
    pub fn child_saga(&self) -> Option<&str> {
        self.input.child_saga()
    }

    /// The signal it waits for.
    #[must_use]
    pub fn awaited_signal(&self) -> Option<&SignalName> {
        match self.wait.as_ref()? {
            Wait::Signal { name, .. } => Some(name),
            Wait::After(_) | Wait::Until(_) => None,
        }
    }

    /// Its timeouts and retry policy, defaults applied.
    #[must_use]
    pub fn options(&self) -> &ActivityOptions {
        &self.options
    }

    /// The indices of the steps that must have completed before it starts. None of them twice, none missing.
    #[must_use]
    pub fn dependencies(&self) -> &[usize] {
        &self.dependencies
    }

    /// The indices of the steps that have it among their [dependencies](Self::dependencies), in file order.
    #[must_use]
    pub fn dependents(&self) -> &[usize] {
        &self.dependents
    }
}

impl SagaDefinition {
    /// The workflow type.
    #[must_use]
    pub fn name(&self) -> &WorkflowType {
        &self.0.name
    }

    /// The author's version: with the name, it [names](Self::versioned_name) this definition among others.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// The author's description.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The task queue of runs whose start names none. `None`: the default one.
    #[must_use]
    pub fn task_queue(&self) -> Option<&TaskQueue> {
        self.0.task_queue.as_ref()
    }

    /// Every task queue that it names: its own, and those of what it does. No queue twice.
    #[must_use]
    pub fn task_queues(&self) -> BTreeSet<&TaskQueue> {
        let of_steps = self.0.steps.iter().flat_map(|step| {
            let compensation = step.spec.compensation.as_ref();
            let verification = match &step.spec.on_ambiguous {
                OnAmbiguous::Verify(verification) => Some(&**verification),
                OnAmbiguous::Compensate | OnAmbiguous::Ask => None,
            };
            let after = compensation.into_iter().chain(verification).map(|spec| &spec.options);
            std::iter::once(&step.options).chain(after)
        });
        let escalation = self.0.options.escalation.iter().map(|escalation| &escalation.options);
        let named = of_steps
            .chain(escalation)
            .filter_map(|options| options.task_queue.as_ref());
        named.chain(&self.0.task_queue).collect()
    }

    /// How long a run may take when its start does not say so. `None`: no limit.
    #[must_use]
    pub fn run_timeout(&self) -> Option<Duration> {
        self.0.run_timeout
    }

    /// The config with overrides applied.
    #[must_use]
    pub fn config(&self) -> &BTreeMap<String, Value> {
        &self.0.config
    }

    /// The steps in file order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    /// The index of the step with this name.
    #[must_use]
    pub fn step_index(&self, name: &str) -> Option<usize> {
        self.0.step_indices.get(name).copied()
    }

    /// Every activity that it may call, with the step that it is for (`None`: an escalation): the steps' own, their
    /// compensations and verifications.
    pub fn activity_types(&self) -> impl Iterator<Item = (Option<&StepName>, &ActivityType)> {
        let of_steps = self.0.steps.iter().flat_map(|step| {
            let compensation = step.spec.compensation.as_ref();
            let verification = match &step.spec.on_ambiguous {
                OnAmbiguous::Verify(verification) => Some(&**verification),
                OnAmbiguous::Compensate | OnAmbiguous::Ask => None,
            };
            let after = compensation.into_iter().chain(verification);
            let types = step.activity_type.iter().chain(after.map(|spec| &spec.activity_type));
            types.map(|activity_type| (Some(&step.spec.name), activity_type))
        });
        let escalation = self.0.options.escalation.as_ref();
        of_steps.chain(escalation.map(|escalation| (None, &escalation.activity_type)))
    }

    /// The secrets that its requests and programs may get, in order.
    #[must_use]
    pub fn secrets(&self) -> &[String] {
        &self.0.secrets
    }

    /// How its sagas are undone and what happens when a person is needed, for the start of a run.
    #[must_use]
    pub fn saga_options(&self) -> &SagaOptions {
        &self.0.options
    }

    /// What names this definition for ever: the SHA-256 of its canonical form.
    #[must_use]
    pub fn digest(&self) -> DefinitionDigest {
        self.0.digest
    }

    /// The journaled form: JSON with every default and config value resolved.
    #[must_use]
    pub fn canonical_json(&self) -> &Bytes {
        &self.0.canonical
    }
}

impl fmt::Debug for SagaDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SagaDefinition({} {})", self.0.name, self.0.digest)
    }
}

impl PartialEq for SagaDefinition {
    /// Two definitions are equal when their canonical forms are.
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for SagaDefinition {}
