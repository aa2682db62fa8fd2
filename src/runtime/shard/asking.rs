//! Questions to a shard's runs, and starts that bring something along. Must not live here: what runs answer.

use actix::{Context, Handler};

use crate::machine::Rejection;
use crate::model::Input;

use super::super::error::RequestError;
use super::super::messages::{Ask, Letter, StartWith};
use super::super::recovery::begin;
use super::ShardActor;
use super::entry::{Entry, Presence};

impl Handler<Ask> for ShardActor {
    type Result = ();

    fn handle(&mut self, ask: Ask, ctx: &mut Context<Self>) {
        let Ask {
            workflow_id,
            run_id,
            question,
            admission,
        } = ask;
        let letter = Letter::asking(question, admission);
        if let Some(refusal) = self.refusal() {
            return letter.answer(Err(refusal));
        }
        let entry = self.entries.get(&workflow_id);
        if entry.is_some_and(|entry| run_id.is_none_or(|wanted| wanted == entry.run_id)) {
            return self.hand_over(&workflow_id, letter, ctx);
        }
        let stored = self.shared.store.get().and_then(|store| match run_id {
            Some(run_id) => store.head(run_id),
            None => store.find(&workflow_id),
        });
        letter.answer(Err(match stored {
            Ok(Some(_)) => Rejection::Closed.into(),
            Ok(None) => RequestError::NotFound(workflow_id),
            Err(error) => error.into(),
        }));
    }
}

impl Handler<StartWith> for ShardActor {
    type Result = ();

    fn handle(&mut self, start: StartWith, ctx: &mut Context<Self>) {
        let StartWith {
            start,
            then,
            reply,
            watch,
            admission,
        } = start;
        let workflow_id = start.workflow_id.clone();
        let then = Letter {
            reply: Some(reply),
            admission: Some(admission),
            ..Letter::internal(then)
        };
        if let Some(refusal) = self.refusal() {
            return then.answer(Err(refusal));
        }
        if let Some(entry) = self.entries.get_mut(&workflow_id) {
            entry.watchers.retain(|watcher| !watcher.is_closed());
            entry.watchers.push(watch);
            return self.hand_over(&workflow_id, then, ctx);
        }
        let closed = self.shared.store.get().and_then(|store| store.find(&workflow_id));
        let new = match closed {
            Ok(None) => begin(&self.shared, &start),
            Ok(Some(head)) => return then.answer(self.started_before(head, start.request_id.as_ref())),
            Err(error) => Err(error),
        };
        match new {
            Ok(new) => {
                let run_id = start.run_id;
                let mut entry = Entry::new(run_id, Presence::Passive);
                entry.watchers.push(watch);
                self.entries.insert(workflow_id.clone(), entry);
                // One inbox, one turn: neither is there without the other.
                let letters = vec![Letter::internal(Input::Start(start)), then];
                let actor = self.spawn(&workflow_id, run_id, new, letters, None, ctx);
                if let Some(entry) = self.entries.get_mut(&workflow_id) {
                    entry.actor = Presence::Live(actor);
                }
            }
            Err(error) => then.answer(Err(error.into())),
        }
    }
}
