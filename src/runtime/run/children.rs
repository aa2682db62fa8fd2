//! A run's child workflows: starting them, and looking after them. Must not live here: how that is done (that is
//! `child_workflow`); those that are open when the run ends (`left_children`).

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Context, Handler};

use crate::machine::{PendingChild, RunState, park};
use crate::model::{ChildKey, EventId, Input, ParkReason};

use super::super::attempt::AttemptHandle;
use super::super::child_workflow::{self, Kinship, LeftTask, Lookout};
use super::super::messages::{ChildNews, Letter};
use super::super::offspring;
use super::{RunActor, RunLine};

/// What is under way for a run's children, by initiating event.
#[derive(Default)]
pub(super) struct Nursery {
    /// What the run had asked for when it was made live: an actor before this one may have begun it. `None`: nobody knows.
    asked_before: Option<EventId>,
    /// Starts; without a handle: how it went is known, but not to the state yet.
    pub(super) starts: BTreeMap<EventId, Option<AttemptHandle>>,
    /// Those whose ends are waited for. A run may leave memory meanwhile: a child that ends wakes its parent, and so does a
    /// lookout that is given up when the child has ended.
    pub(super) watched: BTreeMap<EventId, AttemptHandle>,
    /// For children that a run has left open, this one or an earlier one of its chain.
    pub(super) left: BTreeMap<ChildKey, LeftErrand>,
}

/// What is under way for a child that a run has left open.
pub(super) struct LeftErrand {
    pub(super) task: LeftTask,
    pub(super) _handle: AttemptHandle,
}

impl Nursery {
    /// For a run that is made live in this state.
    pub(super) fn of(state: &RunState) -> Self {
        Self {
            asked_before: Some(state.next_event()),
            ..Self::default()
        }
    }

    /// Whether the child that this event asks for may have been begun before.
    fn may_be_begun(&self, initiated: EventId) -> bool {
        self.asked_before.is_none_or(|before| initiated < before)
    }

    /// Whether the run may leave memory as far as its children are concerned.
    pub(super) fn is_idle(&self) -> bool {
        self.left.values().all(|errand| errand.task == LeftTask::AwaitEnd) && !self.starts.values().any(Option::is_some)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets what the state does not ask for any more.
    pub(super) fn keep_up_with(&mut self, state: &RunState) {
        // One that is under way when the run ends may still get through.
        let was_to_start = |initiated: EventId| {
            let parent = state.writer_of(initiated);
            let key = parent.map(|parent_run| ChildKey { parent_run, initiated });
            key.and_then(|key| state.left_child(key))
                .is_some_and(|child| child.run_id.is_none())
        };
        let is_to_start = |initiated: &EventId| match state.child(*initiated) {
            Some(child) => child.started.is_none(),
            None => was_to_start(*initiated),
        };
        self.starts.retain(|initiated, _| is_to_start(initiated));
        self.watched.retain(|initiated, _| state.child(*initiated).is_some());
        self.left
            .retain(|key, errand| LeftTask::of(state, *key) == Some(errand.task));
    }
}

impl RunActor {
    fn key(&self, initiated: EventId) -> ChildKey {
        ChildKey {
            parent_run: self.writer_of(initiated),
            initiated,
        }
    }

    pub(super) fn kinship(&self, child: ChildKey) -> Kinship {
        Kinship {
            parent: self.at.workflow_id.clone(),
            child,
            made_of: self.state.origins().cloned(),
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
                Some(_) => self.watch_child(initiated, &child, self.line(ctx)),
                None if offspring::is_known(&self.at.shared, &child.start.workflow_type) => {
                    self.start_child(initiated, child, self.line(ctx));
                }
                None => unknown = Some(child.start.workflow_type.to_string()),
            }
        }
        self.look_after_left_children(ctx);
        if let Some(workflow_type) = unknown {
            self.wait_for_workflow(workflow_type, ctx);
        }
    }

    fn start_child(&mut self, initiated: EventId, child: PendingChild, run: RunLine) {
        let key = self.key(initiated);
        let (shared, kinship) = (Arc::clone(&self.at.shared), self.kinship(key));
        let was_tried = self.nursery.may_be_begun(initiated);
        let errand = self.at.shared.attempts.supervise(move |_| async move {
            let outcome = child_workflow::start(&shared, &kinship, &child.start, was_tried).await;
            let input = outcome.map(|outcome| Input::ChildStarted { initiated, outcome });
            run.do_send(ChildNews::of_own(key, input));
        });
        self.nursery.starts.insert(initiated, Some(errand));
    }

    fn watch_child(&mut self, initiated: EventId, child: &PendingChild, run: RunLine) {
        let Some((run_id, _)) = child.started else {
            return;
        };
        let (key, shared) = (self.key(initiated), Arc::clone(&self.at.shared));
        let kinship = self.kinship(key);
        let workflow_id = child.start.workflow_id.beside(&self.at.workflow_id);
        let lookout = Lookout::new(shared, self.at.workflow_id.clone(), run_id);
        let watch = self.at.shared.attempts.supervise(move |_| async move {
            if let Some((end, lookout)) = child_workflow::end_of(lookout, &kinship, &workflow_id).await {
                let input = Some(Input::ChildEnded { initiated, end });
                run.do_send(ChildNews {
                    lookout: Some(lookout),
                    ..ChildNews::of_own(key, input)
                });
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
}

impl Handler<ChildNews> for RunActor {
    type Result = ();

    fn handle(&mut self, news: ChildNews, ctx: &mut Context<Self>) {
        let ChildNews {
            child,
            task,
            input,
            lookout,
        } = news;
        // From here on the run is not idle until it has recorded that.
        if let Some(lookout) = lookout {
            lookout.heard();
        }
        // The run has ended meanwhile, and owes the child something else.
        if task.is_some() && task != LeftTask::of(&self.state, child) {
            return;
        }
        let is_own = task.is_none();
        match input {
            Some(input) => {
                if let Some(start) = self.nursery.starts.get_mut(&child.initiated).filter(|_| is_own) {
                    *start = None;
                }
                self.inbox.push(Letter::internal(input));
            }
            // The engine stops: the next one goes on with it.
            None => match is_own {
                true => drop(self.nursery.starts.remove(&child.initiated)),
                false => drop(self.nursery.left.remove(&child)),
            },
        }
        self.pump(ctx);
        self.answer_questions(ctx);
        self.count_busy();
    }
}
