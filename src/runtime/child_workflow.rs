//! What a run's child workflows need of the engine: to be started, looked after until they end, and told when their parent
//! has ended first. Must not live here: when that is due (the parent's state says so); sagas as steps (`child`).
//!
//! Everything here may be done again after a crash. A start has the parent's initiating event for its request id, so that the
//! same child is found; how a child ended is asked of its own history; and who has ended already needs not be told to.

mod earlier;

use earlier::ChildChain;
pub(super) use earlier::{begun_by, newest_of_child};

use std::sync::{Arc, Weak};

use crate::machine::{Origins, Rejection, RunState, external_request_id};
use crate::model::{
    ChildEnd, ChildKey, Failure, IdConflictPolicy, IdPolicies, IdReusePolicy, Input, LeftChild, ParentClosePolicy,
    ParentRun, RequestId, RunId, StartChild, StartRun, TaskQueue, WorkflowId,
};

use super::error::RequestError;
use super::gateway::Gateway;
use super::messages::Ended;
use super::offspring::{Offspring, ask, is_passing, pause};
use super::recovery::load_state;
use super::shared::Shared;

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

    /// What the child's first event says of its parent.
    fn parent(&self) -> ParentRun {
        ParentRun {
            workflow_id: self.parent.clone(),
            run_id: self.child.parent_run,
            initiated: Some(self.child.initiated),
        }
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
        Some(match (child.let_go, child.is_due()) {
            (true, _) => LeftTask::LetGo,
            (false, true) => LeftTask::Due,
            (false, false) => LeftTask::AwaitEnd,
        })
    }
}

/// Starts the child, or finds it started; `None` when the engine stopped before that. `was_tried`: an earlier try may have begun
/// it without its parent's knowing.
pub(super) async fn start(
    shared: &Arc<Shared>,
    kinship: &Kinship,
    child: &StartChild,
    mut was_tried: bool,
) -> Option<Result<RunId, Failure>> {
    let mut start = match run_of(shared, kinship, child) {
        Ok(start) => start,
        Err(failure) => return Some(Err(failure)),
    };
    loop {
        let gateway = gateway(shared).ok()?;
        let error = match gateway.begin(Box::new(start.clone())).await {
            // By a later run of its chain, if it has come that far.
            Ok((delivered, _)) if delivered.duplicate => {
                let own = begun(shared, kinship, &start.workflow_id).await?;
                return Some(Ok(own.ok().flatten().map_or(delivered.run_id, |own| own.first)));
            }
            Ok((delivered, _)) => return Some(Ok(delivered.run_id)),
            Err(error) => error,
        };
        // The id is not new: only then the child's policy counts, and only when it has not been started before.
        let there = match &error {
            RequestError::AlreadyStarted { run_id, status, .. } => Some((*run_id, Some(*status))),
            RequestError::Rejected(Rejection::AlreadyStarted { run_id }) => Some((*run_id, None)),
            _ => None,
        };
        if let Some((run_id, status)) = there {
            if was_tried {
                match begun(shared, kinship, &start.workflow_id).await? {
                    Ok(Some(own)) => return Some(Ok(own.first)),
                    Ok(None) => {}
                    Err(error) => return Some(Err(not_started(child, &error))),
                }
            }
            let is_first_try = start.ids == IdPolicies::default();
            if is_first_try && is_of_a_base(shared, kinship, run_id) {
                start.ids.reuse = IdReusePolicy::AllowDuplicate;
                if child.parent_close_policy == ParentClosePolicy::Terminate {
                    start.ids.conflict = IdConflictPolicy::TerminateExisting;
                }
                continue;
            }
            if is_first_try && status.is_some_and(|status| child.id_reuse_policy.allows_after(status)) {
                start.ids.reuse = child.id_reuse_policy;
                continue;
            }
        }
        match error {
            error if is_passing(&error) => {
                // It may have begun all the same, and another run may have its id by the next try: that one only looks.
                was_tried = true;
                start.ids = IdPolicies::default();
                pause(shared, &child.workflow_id, &error).await?;
            }
            error => return Some(Err(not_started(child, &error))),
        }
    }
}

/// The child's chain, as far as the store has it, if the child was ever begun.
async fn begun(
    shared: &Arc<Shared>,
    kinship: &Kinship,
    workflow_id: &WorkflowId,
) -> Option<Result<Option<ChildChain>, RequestError>> {
    let parent = kinship.parent();
    ask(shared, workflow_id, || async {
        let store = gateway(shared)?.store()?;
        Ok(earlier::begun_by(&*store, workflow_id, &parent).await?)
    })
    .await
}

fn not_started(child: &StartChild, error: &RequestError) -> Failure {
    let type_name = match error {
        RequestError::AlreadyStarted { .. } | RequestError::Rejected(Rejection::AlreadyStarted { .. }) => {
            "WorkflowAlreadyExists"
        }
        _ => "ChildNotStarted",
    };
    let message = format!("the child {:?} cannot be started: {error}", child.workflow_id);
    Failure::non_retryable(type_name, message)
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
    let child = Offspring {
        workflow_id: child.workflow_id.beside(&kinship.parent),
        workflow_type: child.workflow_type.clone(),
        input: child.input.clone(),
        request_id: kinship.request_id(),
        identity: kinship.identity(),
        parent: kinship.parent(),
        run_timeout: child.run_timeout,
        chain: child.chain(),
        search_attributes: child.search_attributes.clone(),
        memo: child.memo.clone(),
        task_queue: child.task_queue.clone(),
        parents_queue: kinship.task_queue.clone(),
    };
    let start = child.start(shared);
    start.map_err(|error| Failure::non_retryable("InvalidInput", error))
}

/// Waits for the child's end, and gives the lookout back with it; `None` when the engine stopped before that.
pub(super) async fn end_of(
    mut lookout: Lookout,
    kinship: &Kinship,
    workflow_id: &WorkflowId,
) -> Option<(ChildEnd, Lookout)> {
    let shared = Arc::clone(&lookout.shared);
    let mut found = None;
    loop {
        let gateway = gateway(&shared).ok()?;
        let ended = tokio::select! {
            biased;
            ended = gateway.run_outcome(workflow_id, lookout.run_id, None) => ended,
            () = shared.draining().raised() => return None,
        };
        match ended {
            // The end of a child is that of its chain.
            Ok(Ended { next: Some(next), .. }) => lookout.run_id = next,
            Ok(Ended { outcome, next: None }) => return Some((ChildEnd::of(outcome), lookout)),
            Err(error) if is_passing(&error) => pause(&shared, workflow_id, &error).await?,
            Err(error) => {
                // It ended long ago, and was deleted: its chain may go on. But the newest that is left may be an earlier one,
                // which leads here again.
                if matches!(error, RequestError::NotFound(_))
                    && let Ok(Some(own)) = begun(&shared, kinship, workflow_id).await?
                    && found.replace(own.newest) != Some(own.newest)
                {
                    lookout.run_id = own.newest;
                    continue;
                }
                let message = format!("nobody knows what became of the child {workflow_id:?}: {error}");
                let broken = ChildEnd::Failed(Failure::non_retryable("ChildBroken", message));
                return Some((broken, lookout));
            }
        }
    }
}

/// Waits for the end of a child that a run of its parent's chain has left open, and gives the lookout with it. If it was not seen
/// to begin and never did, there is nothing to wait for. `None` when the engine stopped before that.
pub(super) async fn end_of_left(shared: &Arc<Shared>, kinship: &Kinship, child: &LeftChild) -> Option<Option<Lookout>> {
    let workflow_id = &child.start.workflow_id.beside(&kinship.parent);
    let run_id = match child.run_id {
        None => find(shared, kinship, workflow_id).await?.map(|own| own.newest),
        seen => seen,
    };
    let Some(run_id) = run_id else {
        return Some(None);
    };
    let lookout = Lookout::new(Arc::clone(shared), kinship.parent.clone(), run_id);
    end_of(lookout, kinship, workflow_id)
        .await
        .map(|(_, lookout)| Some(lookout))
}

/// Looks out for the end of a child. The parent may leave memory meanwhile, and the child wakes it when it ends; but a child
/// that had ended before anybody looked out for that has done so already. Given up then, the lookout wakes the parent itself;
/// also when it has seen the end, but its news came to an actor that had just left memory.
pub(super) struct Lookout {
    shared: Arc<Shared>,
    parent: WorkflowId,
    /// The run of the child's chain whose end it waits for.
    run_id: RunId,
    is_heard: bool,
}

impl Lookout {
    pub(super) fn new(shared: Arc<Shared>, parent: WorkflowId, run_id: RunId) -> Self {
        Self {
            shared,
            parent,
            run_id,
            is_heard: false,
        }
    }

    /// The parent has the news.
    pub(super) fn heard(mut self) {
        self.is_heard = true;
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if self.is_heard || self.shared.is_draining() {
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
        ParentClosePolicy::Abandon => {
            let started = start(shared, kinship, &child.start, true);
            return started.await.map(drop);
        }
    };
    let workflow_id = &child.start.workflow_id.beside(&kinship.parent);
    let mut newest = match child.run_id {
        None => find(shared, kinship, workflow_id).await?.map(|own| own.newest),
        seen => seen,
    };
    while let Some(run_id) = newest {
        let told = ask(shared, workflow_id, || async {
            let gateway = gateway(shared)?;
            gateway.deliver_to_chain(workflow_id, run_id, input.clone()).await
        });
        let Err(error) = told.await? else { break };
        // Retention may have taken the run that the parent knows, or one between that and the newest: its chain may go on.
        let own = begun(shared, kinship, workflow_id).await?.unwrap_or(None);
        newest = own.map(|own| own.newest).filter(|newest| *newest != run_id);
        if newest.is_none() {
            tracing::debug!(%workflow_id, %error, "a child goes its own way");
        }
    }
    Some(())
}

/// The child that may have been started without its parent's knowing.
async fn find(shared: &Arc<Shared>, kinship: &Kinship, workflow_id: &WorkflowId) -> Option<Option<ChildChain>> {
    // Comes to the child's shard behind a start that may still be on its way there.
    let behind = ask(shared, workflow_id, || async {
        let gateway = gateway(shared)?;
        gateway.deliver(workflow_id.clone(), None, Input::Wake).await.map(drop)
    });
    // Whether there is a run by now, and which, the store says.
    let _ = behind.await?;
    Some(begun(shared, kinship, workflow_id).await?.unwrap_or(None))
}

/// An engine that has none any more is gone.
fn gateway(shared: &Shared) -> Result<Arc<Gateway>, RequestError> {
    let gateway = shared.gateway.get().and_then(Weak::upgrade);
    gateway.ok_or(RequestError::ShuttingDown)
}
