//! What a run's child workflows need of the engine: to be started, looked after until they end, and told when their parent
//! has ended first. Must not live here: when that is due (the parent's state says so); sagas as steps (`child`).
//!
//! Everything here may be done again after a crash. A start has the parent's initiating event for its request id, so that the
//! same child is found; how a child ended is asked of its own history; and who has ended already needs not be told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::machine::{Origins, Rejection, RunState, external_request_id};
use crate::model::{
    ChildEnd, ChildKey, Failure, IdConflictPolicy, IdPolicies, IdReusePolicy, Input, LeftChild, ParentClosePolicy,
    ParentRun, RequestId, RunId, StartChild, StartRun, TaskQueue, WorkflowId,
};
use crate::store;

use super::error::RequestError;
use super::gateway::Gateway;
use super::messages::Ended;
use super::recovery::load_state;
use super::shared::Shared;

/// How long to wait before an engine that could not do something just now is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A child, and the run that asked for it.
pub(super) struct Kinship {
    pub(super) parent: WorkflowId,
    pub(super) child: ChildKey,
    /// The runs of which the parent was made by resets. Their children go on; one that the parent starts again makes way, or
    /// has ended.
    pub(super) made_of: Option<Origins>,
    /// The parent's: a child that names none of its own has it, too.
    pub(super) task_queue: Option<TaskQueue>,
}

impl Kinship {
    fn request_id(&self) -> RequestId {
        RequestId::from_trusted(external_request_id(self.child.parent_run, self.child.initiated))
    }

    fn identity(&self) -> String {
        format!("workflow {}", self.parent)
    }
}

/// What there is to be done for a child that a run has left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftTask {
    /// The chain goes on: to do what is due in any case.
    Due,
    /// The chain goes on: to wait until the child has ended.
    AwaitEnd,
    /// The chain has ended: to do what the parent close policy says.
    LetGo,
}

impl LeftTask {
    pub(super) fn of(parent: &RunState, child: ChildKey) -> Option<Self> {
        let child = parent.left_child(child)?;
        Some(match (parent.is_closed(), child.is_due()) {
            (true, _) => LeftTask::LetGo,
            (false, true) => LeftTask::Due,
            (false, false) => LeftTask::AwaitEnd,
        })
    }
}

/// Whether this engine can start such a child. One that cannot (its deployment forgot a workflow) must not make the parent
/// fail.
pub(super) fn is_known(shared: &Shared, start: &StartChild) -> bool {
    let name = start.workflow_type.as_str();
    shared.sagas.get(name).is_some() || shared.registry.workflow(name).is_some()
}

/// Starts the child, or finds it started; `None` when the engine stopped before that.
pub(super) async fn start(
    shared: &Arc<Shared>,
    kinship: &Kinship,
    child: &StartChild,
) -> Option<Result<RunId, Failure>> {
    let mut start = match run_of(shared, kinship, child) {
        Ok(start) => start,
        Err(failure) => return Some(Err(failure)),
    };
    loop {
        let gateway = gateway(shared)?;
        let error = match gateway.begin(start.clone()).await {
            Ok((delivered, _)) => return Some(Ok(delivered.run_id)),
            Err(error) => error,
        };
        let message = format!("the child {:?} cannot be started: {error}", child.workflow_id);
        match error {
            RequestError::AlreadyStarted { run_id, .. }
            | RequestError::Rejected(Rejection::AlreadyStarted { run_id })
                if start.ids == IdPolicies::default() && is_of_a_base(shared, kinship, run_id) =>
            {
                start.ids.reuse = IdReusePolicy::AllowDuplicate;
                if child.parent_close_policy == ParentClosePolicy::Terminate {
                    start.ids.conflict = IdConflictPolicy::TerminateExisting;
                }
            }
            RequestError::AlreadyStarted { .. } | RequestError::Rejected(Rejection::AlreadyStarted { .. }) => {
                return Some(Err(Failure::non_retryable("WorkflowAlreadyExists", message)));
            }
            error if is_passing(&error) => pause(shared, &child.workflow_id, &error).await?,
            _ => return Some(Err(Failure::non_retryable("ChildNotStarted", message))),
        }
    }
}

/// Whether the run is a child that a run has left of which this child's parent was made.
fn is_of_a_base(shared: &Shared, kinship: &Kinship, child: RunId) -> bool {
    let Some(made_of) = &kinship.made_of else {
        return false;
    };
    let store = shared.store.get();
    let state = store.and_then(|store| load_state(&shared.codecs, &*store, child));
    let parent = state.ok().and_then(|state| state.started()?.parent.clone());
    let is_left = |parent: &ParentRun| {
        parent
            .initiated
            .is_some_and(|event| made_of.leave(parent.run_id, event))
    };
    parent.is_some_and(|parent| parent.workflow_id == kinship.parent && is_left(&parent))
}

fn run_of(shared: &Shared, kinship: &Kinship, child: &StartChild) -> Result<StartRun, Failure> {
    let name = child.workflow_type.as_str();
    let code = shared.registry.workflow(name);
    let mut start = StartRun {
        workflow_id: child.workflow_id.beside(&kinship.parent),
        run_id: RunId::NIL,
        workflow_type: child.workflow_type.clone(),
        definition: None,
        input: child.input.clone(),
        request_id: Some(kinship.request_id()),
        run_timeout: child.run_timeout,
        task_queue: code.and_then(|code| code.task_queue().cloned()),
        identity: kinship.identity(),
        saga: code.and_then(|code| code.saga_options().cloned()).map(Box::new),
        parent: Some(ParentRun {
            workflow_id: kinship.parent.clone(),
            run_id: kinship.child.parent_run,
            initiated: Some(kinship.child.initiated),
        }),
        search_attributes: BTreeMap::new(),
        memo: BTreeMap::new(),
        ids: IdPolicies::default(),
        chain: None,
        adopted: None,
    };
    if let Some(saga) = shared.sagas.get(name) {
        let begun = saga.begin(&mut start);
        begun.map_err(|error| Failure::non_retryable("InvalidInput", error.to_string()))?;
    }
    start.task_queue = start.task_queue.or_else(|| kinship.task_queue.clone());
    let types = shared.registry.search_attribute_types();
    let checked = types.checked(start.search_attributes);
    start.search_attributes = checked.map_err(|error| Failure::non_retryable("InvalidInput", error.to_string()))?;
    Ok(start)
}

/// Waits for the child's end; `None` when the engine stopped before that.
pub(super) async fn end_of(mut lookout: Lookout, workflow_id: &WorkflowId) -> Option<ChildEnd> {
    let shared = Arc::clone(&lookout.shared);
    loop {
        let gateway = gateway(&shared)?;
        let ended = tokio::select! {
            biased;
            ended = gateway.run_outcome(workflow_id, lookout.run_id, None) => ended,
            () = shared.draining().raised() => return None,
        };
        match ended {
            // The end of a child is that of its chain.
            Ok(Ended { next: Some(next), .. }) => lookout.run_id = next,
            Ok(Ended { outcome, next: None }) => {
                lookout.is_over = true;
                return Some(ChildEnd::of(outcome));
            }
            Err(error) if is_passing(&error) => pause(&shared, workflow_id, &error).await?,
            Err(error) => {
                let message = format!("nobody knows what became of the child {workflow_id:?}: {error}");
                lookout.is_over = true;
                return Some(ChildEnd::Failed(Failure::non_retryable("ChildBroken", message)));
            }
        }
    }
}

/// Waits for the end of a child that was not seen to begin: if it never did, there is nothing to wait for. `None` when the
/// engine stopped before that.
pub(super) async fn end_of_unseen(shared: &Arc<Shared>, kinship: &Kinship, workflow_id: &WorkflowId) -> Option<()> {
    if let Some(run_id) = find(shared, kinship, workflow_id).await? {
        let lookout = Lookout::new(Arc::clone(shared), kinship.parent.clone(), run_id);
        return end_of(lookout, workflow_id).await.map(drop);
    }
    Some(())
}

/// Looks out for the end of a child. The parent may leave memory meanwhile, and the child wakes it when it ends; but a child
/// that had ended before anybody looked out for that has done so already. Given up then, the lookout wakes the parent itself.
pub(super) struct Lookout {
    shared: Arc<Shared>,
    parent: WorkflowId,
    /// The run of the child's chain whose end it waits for.
    run_id: RunId,
    is_over: bool,
}

impl Lookout {
    pub(super) fn new(shared: Arc<Shared>, parent: WorkflowId, run_id: RunId) -> Self {
        Self {
            shared,
            parent,
            run_id,
            is_over: false,
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if self.is_over || self.shared.is_draining() {
            return;
        }
        let head = self.shared.store.get().and_then(|store| store.head(self.run_id));
        // As long as it is open, its end is still to come.
        if matches!(head, Ok(Some(head)) if head.status.is_closed()) {
            self.shared.wake_runs(vec![self.parent.clone()]);
        }
    }
}

/// Does what is owed to a child whose parent's run has ended; `None` when the engine stopped before that.
pub(super) async fn release(shared: &Arc<Shared>, kinship: &Kinship, child: &LeftChild, task: LeftTask) -> Option<()> {
    let identity = kinship.identity();
    let reason = match task {
        LeftTask::LetGo => "its parent ended".to_owned(),
        LeftTask::Due | LeftTask::AwaitEnd => "its parent asked it to end".to_owned(),
    };
    let input = match child.start.parent_close_policy {
        _ if task != LeftTask::LetGo && child.owes_cancel => Input::RequestCancel { reason, identity },
        ParentClosePolicy::Terminate => Input::Terminate { reason, identity },
        ParentClosePolicy::RequestCancel => Input::RequestCancel { reason, identity },
        ParentClosePolicy::Abandon if child.owes_cancel => Input::RequestCancel { reason, identity },
        // It is to outlive its parent, also when that has not seen it begin.
        ParentClosePolicy::Abandon => return start(shared, kinship, &child.start).await.map(drop),
    };
    let workflow_id = &child.start.workflow_id.beside(&kinship.parent);
    let run_id = match child.run_id {
        Some(run_id) => run_id,
        None => match find(shared, kinship, workflow_id).await? {
            Some(run_id) => run_id,
            None => return Some(()),
        },
    };
    loop {
        let gateway = gateway(shared)?;
        match gateway.deliver_to_chain(workflow_id, run_id, input.clone()).await {
            Err(error) if is_passing(&error) => pause(shared, workflow_id, &error).await?,
            Err(error) => {
                tracing::debug!(%workflow_id, %error, "a child goes its own way");
                return Some(());
            }
            Ok(_) => return Some(()),
        }
    }
}

/// The child that may have been started without its parent's knowing.
async fn find(shared: &Arc<Shared>, kinship: &Kinship, workflow_id: &WorkflowId) -> Option<Option<RunId>> {
    let find = |gateway: &Gateway| -> Result<Option<RunId>, RequestError> {
        let store = gateway.store()?;
        let Some(head) = store.find(workflow_id)? else {
            return Ok(None);
        };
        let state = load_state(&shared.codecs, &*store, head.run_id)?;
        let request_id = state.started().and_then(|started| started.request_id.clone());
        Ok((request_id == Some(kinship.request_id())).then_some(head.run_id))
    };
    loop {
        let gateway = gateway(shared)?;
        // Comes to the child's shard behind a start that may still be on its way there.
        let found = match gateway.deliver(workflow_id.clone(), None, Input::Wake).await {
            Err(error) if is_passing(&error) => Err(error),
            _ => find(&gateway),
        };
        match found {
            Ok(found) => return Some(found),
            Err(error) if is_passing(&error) => pause(shared, workflow_id, &error).await?,
            Err(_) => return Some(None),
        }
    }
}

fn gateway(shared: &Shared) -> Option<Arc<Gateway>> {
    shared.gateway.get().and_then(Weak::upgrade)
}

/// Whether it is the engine's own trouble, which passes.
fn is_passing(error: &RequestError) -> bool {
    match error {
        RequestError::Overloaded | RequestError::Interrupted | RequestError::ShuttingDown => true,
        RequestError::Store(error) => !matches!(error, store::Error::Corrupt { run: Some(_), .. }),
        _ => false,
    }
}

async fn pause(shared: &Shared, workflow_id: &WorkflowId, error: &RequestError) -> Option<()> {
    if matches!(error, RequestError::ShuttingDown) {
        return None;
    }
    tracing::debug!(%workflow_id, %error, "a child cannot be reached just now");
    shared.clock.sleep_until(shared.clock.now().after(ASK_AGAIN)).await;
    Some(())
}
