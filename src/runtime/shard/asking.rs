//! Questions to a shard's runs, and starts that bring something along. Must not live here: what runs answer.

use actix::{Context, Handler};

use crate::model::{Input, limits};
use crate::store::RunHead;

use super::super::chain_runs::{ChainRuns, Way, turns};
use super::super::courier::has_had;
use super::super::error::RequestError;
use super::super::messages::{Ask, Letter, StartWith};
use super::super::recovery::load_state;
use super::ShardActor;
use super::opening::{Opening, already_started};
use super::passive::LookedUp;
use super::starts::Beginning;

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
        self.deliver(workflow_id, run_id, letter, ctx);
    }
}

impl Handler<StartWith> for ShardActor {
    type Result = ();

    /// What is for a run that is there already does not wait as new runs do.
    fn handle(&mut self, start: StartWith, ctx: &mut Context<Self>) {
        match self.look_up(&start.start.workflow_id, None) {
            Ok(LookedUp::Unknown | LookedUp::Ended(_)) if self.refusal().is_none() => {
                self.take_start(Beginning::With(start), ctx)
            }
            _ => self.begin_with(start, ctx),
        }
    }
}

impl ShardActor {
    /// Hands something to the open run with this id, or begins one with it.
    pub(super) fn begin_with(&mut self, start: StartWith, ctx: &mut Context<Self>) {
        let StartWith {
            mut start,
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
        let served = self
            .shared
            .namespaces
            .worker(&workflow_id, start.task_queue.as_ref())
            .is_some();
        let opening = match self.look_up(&workflow_id, None) {
            Ok(LookedUp::Open) => {
                self.add_watcher(&workflow_id, watch);
                return self.hand_over(&workflow_id, then, ctx);
            }
            Ok(LookedUp::Unknown | LookedUp::Ended(_)) if !served && matches!(then.input, Input::Update(_)) => {
                // Nobody could decide about it, and neither must be there without the other.
                Err(RequestError::NoWorker(start.task_queue.clone().unwrap_or_default()))
            }
            Ok(LookedUp::Ended(last)) => match self.opening(&mut start, Some(last.clone())) {
                // The same start, but is it the same message?
                Ok(known @ Opening::Known(_)) => self.had_message(&last, &then.input).and_then(|had| match had {
                    true => Ok(known),
                    false => Err(already_started(last)),
                }),
                opening => opening,
            },
            Ok(LookedUp::Unknown) => self.opening(&mut start, None),
            Err(error) => Err(error.into()),
        };
        match opening {
            Ok(Opening::New(new)) => {
                let run_id = start.run_id;
                // One inbox, one turn: neither is there without the other.
                let letters = vec![Letter::internal(Input::Start(start)), then];
                self.open(&workflow_id, run_id, *new, letters, watch, ctx);
            }
            Ok(Opening::Known(delivered)) => then.answer(Ok(delivered)),
            Err(error) => then.answer(Err(error)),
        }
    }

    /// Whether the run, or an earlier one of its chain, has had what its start brought along.
    fn had_message(&self, last: &RunHead, message: &Input) -> Result<bool, RequestError> {
        let store = self.shared.store.get()?;
        let chain = ChainRuns {
            store: &*store,
            workflow_id: &last.workflow_id,
        };
        for run_id in chain.walk(last.run_id, Way::Back).take(limits::PENDING_MAX) {
            let run_id = run_id?;
            let had = match message {
                Input::Update(request) => {
                    load_state(&self.shared.codecs, &*store, run_id)?.knows_update(&request.update_id)
                }
                Input::Signal {
                    request_id: Some(request_id),
                    ..
                } => turns(&*store, run_id)?.is_some_and(|turns| has_had(&turns, request_id.as_str())),
                _ => false,
            };
            if had {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
