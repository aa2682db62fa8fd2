//! Children that a run has left open: those of earlier runs of its chain, and its own when it has ended as the last one. Must
//! not live here: what is owed to them (the state says so), or how it is done (that is `child_workflow`).

use std::sync::Arc;

use actix::Context;

use crate::model::{Input, LeftChild};

use super::super::child_workflow::{self, LeftTask};
use super::super::messages::ChildNews;
use super::children::LeftErrand;
use super::{RunActor, RunLine};

impl RunActor {
    /// While the run goes on: tells those that are still to be told something, starts those that are to outlive it, and waits
    /// for the ends of the others, so that the chain can forget them.
    pub(super) fn look_after_left_children(&mut self, ctx: &mut Context<Self>) {
        let children = self.state.inherited_children().chain(self.state.orphans());
        let children: Vec<LeftChild> = children
            .filter(|child| !self.nursery.left.contains_key(&child.key))
            .cloned()
            .collect();
        for child in children {
            self.look_after(child, self.line(ctx));
        }
    }

    /// Does what there is to be done for a child that a run has left open.
    fn look_after(&mut self, child: LeftChild, run: RunLine) {
        let key = child.key;
        let Some(task) = LeftTask::of(&self.state, key) else {
            return;
        };
        let (shared, kinship) = (Arc::clone(&self.at.shared), self.kinship(key));
        let handle = self.at.shared.attempts.supervise(move |_| async move {
            let mut seen = None;
            let done = match task {
                LeftTask::AwaitEnd => {
                    let ended = child_workflow::end_of_left(&shared, &kinship, &child).await;
                    ended.map(|lookout| seen = lookout)
                }
                _ => child_workflow::release(&shared, &kinship, &child, task).await,
            };
            run.do_send(ChildNews {
                child: key,
                task: Some(task),
                input: done.map(|()| Input::ChildReleased { child: key }),
                lookout: seen,
            });
        });
        let errand = LeftErrand { task, _handle: handle };
        self.nursery.left.insert(key, errand);
    }

    /// The run has ended: does what is owed to the children that it leaves, and to others. `true` when nothing is.
    pub(super) fn let_go_of_children(&mut self, ctx: &mut Context<Self>) -> bool {
        self.nursery.keep_up_with(&self.state);
        self.nursery.watched.clear();
        let state = &self.state;
        self.couriers.retain(|key, _| state.owes_message(*key));
        if self.state.is_settled() {
            return true;
        }
        if self.at.shared.is_draining() {
            return false;
        }
        // A start that is under way may still get through: it is waited for.
        let starting = |child: &LeftChild| {
            let start = self.nursery.starts.get(&child.key.initiated);
            child.key.parent_run == self.at.run_id && start.is_some_and(Option::is_some)
        };
        let orphans = self.state.orphans();
        let orphans: Vec<LeftChild> = orphans
            .filter(|child| !self.nursery.left.contains_key(&child.key) && !starting(child))
            .cloned()
            .collect();
        for child in orphans {
            self.look_after(child, self.line(ctx));
        }
        self.send_externals(ctx);
        false
    }
}
