//! Another saga as a step of this one. Lives here: what the built-in activity that runs it is given. Must not live here:
//! that activity (`runtime`).

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FusedFuture;

use crate::model::{
    ActivityOptions, ActivityType, ChildSaga, Failure, FromPayload, Payload, PayloadError, SAGA_ACTIVITY,
    SAGA_UNDO_ACTIVITY, StepKind, StepName, ToPayload, WorkflowId, WorkflowType, limits,
};
use crate::sdk::definition::{CompensationDefinition, StepDefinition};
use crate::sdk::function::encode;
use crate::sdk::metadata;

use super::call::{ActivityCall, invalid_id};
use super::core::Core;
use super::invalid_input;
use super::saga::{StepCall, unnamed};

/// A call of another saga as a step: set options, then await it. See [`Saga::child`](super::Saga::child).
///
/// The options are those of the step that waits for the child, which waits for as long as it takes; the child has its own. A
/// step that is repeated after a crash finds the same child.
#[must_use = "a child is only started when its call is awaited"]
pub struct ChildCall<O> {
    call: StepCall<(), O>,
    child: Option<Child>,
}

/// What is to be started.
#[derive(Clone)]
struct Child {
    workflow_type: WorkflowType,
    input: Payload,
}

impl Child {
    fn new<I: ToPayload + ?Sized>(workflow_type: WorkflowType, input: &I) -> Result<Self, Failure> {
        let input = encode(input)
            .map_err(|error| invalid_input(&format!("the input of child workflow {workflow_type}"), &error))?;
        Ok(Self { workflow_type, input })
    }

    fn activity_input(&self, id: Option<&WorkflowId>) -> Result<Payload, Failure> {
        let input = match self.input.is_null() {
            true => Payload::from_parts("json/plain", b"null".to_vec()),
            false => self.input.clone(),
        };
        let envelope = |input: &Payload| -> Result<Payload, PayloadError> {
            Payload::of(&ChildSaga {
                workflow: self.workflow_type.to_string(),
                id: id.map(WorkflowId::to_string),
                input: input.to::<Box<serde_json::value::RawValue>>()?,
            })
        };
        envelope(&input)
            .map_err(|error| invalid_input(&format!("the input of child workflow {}", self.workflow_type), &error))
    }
}

impl<O: FromPayload> ChildCall<O> {
    pub(super) fn by_name<I: ToPayload + ?Sized>(core: Rc<RefCell<Core>>, workflow_type: &str, input: &I) -> Self {
        let workflow_type = WorkflowType::new(workflow_type).map_err(|error| invalid_id(&error));
        Self::prepare(
            core,
            workflow_type.and_then(|workflow_type| Child::new(workflow_type, input)),
        )
    }

    pub(super) fn of_function<F: 'static, I: ToPayload>(core: Rc<RefCell<Core>>, _function: F, input: &I) -> Self {
        let workflow_type = metadata::workflow_type::<F>().map_err(|error| unnamed(&error));
        Self::prepare(
            core,
            workflow_type.and_then(|workflow_type| Child::new(workflow_type, input)),
        )
    }

    fn prepare(core: Rc<RefCell<Core>>, child: Result<Child, Failure>) -> Self {
        let compensation = CompensationDefinition {
            activity_type: ActivityType::from_trusted(SAGA_UNDO_ACTIVITY),
            options: ActivityOptions {
                start_to_close: Some(limits::CHILD_START_TO_CLOSE),
                ..ActivityOptions::for_compensation()
            },
        };
        let as_step = StepDefinition {
            compensation: Some(compensation),
            ..StepDefinition::default()
        };
        let request = child.clone().and_then(|child| child.activity_input(None));
        let call = ActivityCall::prepared(
            core,
            ActivityType::from_trusted(SAGA_ACTIVITY),
            child_options(),
            request,
        );
        let call = StepCall::new(call, StepKind::Compensatable, Ok(as_step));
        let child = child.ok();
        // A step is better known by its child than by the activity that all children share.
        let name = child
            .as_ref()
            .map(|child| StepName::from_trusted(child.workflow_type.as_str()));
        let call = call.change_step(|step| {
            step.name = name;
            Ok(())
        });
        Self { call, child }
    }
}

impl<O> ChildCall<O> {
    /// The child's workflow id, by default `<id of this run>/<name of the step>`. A run of this id that somebody else started
    /// is not taken for the child.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        let child = self.child.clone();
        self.call = self.call.change_request(|request| {
            let id = WorkflowId::new(id).map_err(|error| invalid_id(&error))?;
            if let Some(child) = child {
                request.input = child.activity_input(Some(&id))?;
            }
            Ok(())
        });
        self
    }

    /// What the child means for this saga's course, by default [`StepKind::Compensatable`].
    pub fn kind(mut self, kind: StepKind) -> Self {
        self.call = self.call.change_step(|step| {
            step.kind = kind;
            Ok(())
        });
        self
    }

    /// The step's name, by default the child's workflow type. A second step of a name gets `#2` appended, and so on.
    pub fn step(mut self, name: impl AsRef<str>) -> Self {
        self.call = self.call.step(name);
        self
    }

    /// The longest that the step may wait for its child; then it has failed, and is undone: the child is cancelled if it is
    /// still going on.
    pub fn schedule_to_close(mut self, limit: Duration) -> Self {
        self.call = self.call.schedule_to_close(limit);
        self
    }
}

fn child_options() -> ActivityOptions {
    ActivityOptions {
        start_to_close: Some(limits::CHILD_START_TO_CLOSE),
        ..ActivityOptions::default()
    }
}

impl<O: FromPayload> Future for ChildCall<O> {
    type Output = Result<O, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.call).poll(cx)
    }
}

impl<O: FromPayload> FusedFuture for ChildCall<O> {
    fn is_terminated(&self) -> bool {
        self.call.is_terminated()
    }
}

impl<O> fmt::Debug for ChildCall<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildCall").finish_non_exhaustive()
    }
}
