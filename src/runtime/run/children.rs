//! A run's child workflows: starting them, looking after them, and letting go of them when the run has ended. Must not live
//! here: how any of it is done (that is `child_workflow`).

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Addr, AsyncContext, Context, Handler};

use crate::machine::{PendingChild, RunState, park};
use crate::model::{EventId, Input, ParkReason};

use super::super::attempt::AttemptHandle;
use super::super::child_workflow::{self, Kinship};
use super::super::messages::{ChildNews, Letter};
use super::RunActor;

/// What is under way for a run's children, by initiating event.
#[derive(Default)]
pub(super) struct Nursery {
    /// Starts; without a handle: how it went is known, but not to the state yet.
    starts: BTreeMap<EventId, Option<AttemptHandle>>,
    /// Those whose ends are waited for. A run may leave memory meanwhile: a child that ends wakes its parent.
    watched: BTreeMap<EventId, AttemptHandle>,
    /// Those that are being let go of.
    releases: BTreeMap<EventId, AttemptHandle>,
}

impl Nursery {
    /// Whether the run may leave memory as far as its children are concerned.
    pub(super) fn is_idle(&self) -> bool {
        self.releases.is_empty() && !self.starts.values().any(Option::is_some)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets what the state does not ask for any more.
    fn keep_up_with(&mut self, state: &RunState) {
        let is_to_start = |initiated: &EventId| state.child(*initiated).is_some_and(|child| child.started.is_none());
        self.starts.retain(|initiated, _| is_to_start(initiated));
        self.watched.retain(|initiated, _| state.child(*initiated).is_some());
        self.releases.retain(|initiated, _| state.child(*initiated).is_some());
    }
}

impl RunActor {
    fn kinship(&self, initiated: EventId) -> Kinship {
        Kinship {
            parent: self.at.workflow_id.clone(),
            parent_run: self.writer_of(initiated),
            made_of: self.state.bases().collect(),
            initiated,
            task_queue: self.state.started().and_then(|started| started.task_queue.clone()),
        }
    }

    /// Starts the children that are to be started, and looks after those that were. An engine that drains leaves it to the
    /// next one.
    pub(super) fn bring_children(&mut self, ctx: &mut Context<Self>) {
        self.nursery.keep_up_with(&self.state);
        if self.at.shared.is_draining() {
            return;
        }
        let children: Vec<(EventId, PendingChild)> = self
            .state
            .children()
            .filter(|(initiated, child)| match child.started {
                None => !self.nursery.starts.contains_key(initiated),
                Some(_) => !self.nursery.watched.contains_key(initiated),
            })
            .map(|(initiated, child)| (initiated, child.clone()))
            .collect();
        let mut unknown = None;
        for (initiated, child) in children {
            match child.started {
                Some(_) => self.watch_child(initiated, child, ctx.address()),
                None if child_workflow::is_known(&self.at.shared, &child.start) => {
                    self.start_child(initiated, child, ctx.address());
                }
                None => unknown = Some(child.start.workflow_type.to_string()),
            }
        }
        if let Some(workflow_type) = unknown {
            self.wait_for_workflow(workflow_type, ctx);
        }
    }

    fn start_child(&mut self, initiated: EventId, child: PendingChild, run: Addr<RunActor>) {
        let (shared, kinship) = (Arc::clone(&self.at.shared), self.kinship(initiated));
        let errand = self.at.shared.attempts.supervise(move |_| async move {
            let outcome = child_workflow::start(&shared, &kinship, &child.start).await;
            let input = outcome.map(|outcome| Input::ChildStarted { initiated, outcome });
            run.do_send(ChildNews { initiated, input });
        });
        self.nursery.starts.insert(initiated, Some(errand));
    }

    fn watch_child(&mut self, initiated: EventId, child: PendingChild, run: Addr<RunActor>) {
        let Some((run_id, _)) = child.started else {
            return;
        };
        let shared = Arc::clone(&self.at.shared);
        let watch = self.at.shared.attempts.supervise(move |_| async move {
            if let Some(end) = child_workflow::end_of(&shared, &child.start.workflow_id, run_id).await {
                let input = Some(Input::ChildEnded { initiated, end });
                run.do_send(ChildNews { initiated, input });
            }
        });
        self.nursery.watched.insert(initiated, watch);
    }

    /// The child's workflow is not registered with this engine: the run is set aside, visibly, until one starts that has it.
    fn wait_for_workflow(&mut self, workflow_type: String, ctx: &mut Context<Self>) {
        let reason = ParkReason::UnknownWorkflow { workflow_type };
        if self.committing.is_none()
            && let Some(turn) = park(&mut self.state, Some(reason), self.at.shared.clock.now())
        {
            tracing::warn!(workflow_id = %self.at.workflow_id, "a child's workflow is not registered with this engine");
            self.commit(ctx, &turn, None, Vec::new());
        }
    }

    /// A child that has ended wakes its parent, which may not be in memory; it then looks for itself.
    pub(super) fn wake_parent(&self) {
        if self.state.next_run().is_some() {
            return;
        }
        let parent = self.state.started().and_then(|started| started.parent.as_ref());
        if let Some(parent) = parent.filter(|parent| parent.initiated.is_some()) {
            self.at.shared.wake_runs(vec![parent.workflow_id.clone()]);
        }
    }

    /// The run has ended: does what is owed to its children. `true` when nothing is.
    pub(super) fn let_go_of_children(&mut self, ctx: &mut Context<Self>) -> bool {
        self.nursery.keep_up_with(&self.state);
        self.nursery.watched.clear();
        if self.state.is_settled() {
            return true;
        }
        // Another run has its workflow id already, so that it cannot be kept open: they are told once, as well as can be.
        if self.following.is_some() {
            for (initiated, child) in self.state.orphans() {
                let (shared, kinship, child) = (Arc::clone(&self.at.shared), self.kinship(initiated), child.clone());
                let telling = async move {
                    child_workflow::release(&shared, &kinship, &child).await;
                };
                self.at.shared.attempts.supervise(move |_| telling).let_go();
            }
            return true;
        }
        if self.at.shared.is_draining() {
            return false;
        }
        // A start that is under way may still get through: it is waited for.
        let Nursery { starts, releases, .. } = &self.nursery;
        let may_be_told = |initiated: &EventId| {
            !releases.contains_key(initiated) && starts.get(initiated).is_none_or(Option::is_none)
        };
        let orphans: Vec<(EventId, PendingChild)> = self
            .state
            .orphans()
            .filter(|(initiated, _)| may_be_told(initiated))
            .map(|(initiated, child)| (initiated, child.clone()))
            .collect();
        for (initiated, child) in orphans {
            let (shared, kinship, run) = (Arc::clone(&self.at.shared), self.kinship(initiated), ctx.address());
            let errand = self.at.shared.attempts.supervise(move |_| async move {
                let released = child_workflow::release(&shared, &kinship, &child).await;
                let input = released.map(|()| Input::ChildReleased { initiated });
                run.do_send(ChildNews { initiated, input });
            });
            self.nursery.releases.insert(initiated, errand);
        }
        false
    }
}

impl Handler<ChildNews> for RunActor {
    type Result = ();

    fn handle(&mut self, ChildNews { initiated, input }: ChildNews, ctx: &mut Context<Self>) {
        match input {
            Some(input) => {
                if let Some(start) = self.nursery.starts.get_mut(&initiated) {
                    *start = None;
                }
                self.inbox.push(Letter::internal(input));
            }
            // The engine stops: the next one goes on with it.
            None => {
                self.nursery.starts.remove(&initiated);
                self.nursery.releases.remove(&initiated);
            }
        }
        self.pump(ctx);
        self.answer_questions(ctx);
        self.count_busy();
    }
}
