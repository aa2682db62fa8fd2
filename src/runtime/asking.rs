//! The way in for those who ask and wait: queries, answers to updates, and starts that bring something along. Must not live
//! here: requests that only tell (`gateway`), or what the answer is.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::machine::{QueryError, Rejection, RunState, UPDATE_ABANDONED};
use crate::model::{Event, Input, Payload, Query, RunId, StartRun, UpdateId, WorkflowId};

use super::chain_runs::{ChainRuns, Way};
use super::entropy::Entropy;
use super::error::RequestError;
use super::gateway::{Gateway, LOOK_AGAIN, Patience};
use super::messages::{Ask, Delivered, Question, ReplyTo, StartWith, UpdateOutcome, Watched, Whom};
use super::offline::{ask_replayed, undecidable};
use super::recovery::{fold, load_state, load_turns};
use super::shared::Shared;

/// A run that was started, or was there.
pub(crate) struct Joined {
    pub(crate) delivered: Delivered,
    pub(crate) outcome: oneshot::Receiver<Watched>,
}

impl Gateway {
    /// Hands an input to the run that is meant. Answers once it is durable.
    pub(crate) async fn deliver_to(
        &self,
        workflow_id: &WorkflowId,
        whom: Whom,
        input: Input,
    ) -> Result<Delivered, RequestError> {
        match whom {
            Whom::Chain(run_id) => self.deliver_to_chain(workflow_id, run_id, input).await,
            Whom::Newest | Whom::Run(_) => self.deliver(workflow_id.clone(), whom.run_id(), input).await,
        }
    }

    /// Hands an input to the open run with this id; when there is none, to a new one, whose start it becomes a part of.
    pub(crate) async fn begin_with(&self, mut start: StartRun, then: Input) -> Result<Joined, RequestError> {
        start.run_id = Entropy.run_id(self.shared().clock.now());
        let port = self.port(&start.workflow_id)?;
        let mut patience = Patience::default();
        loop {
            let admission = self.admit(port).await?;
            let (reply, answer) = oneshot::channel();
            let (watch, outcome) = oneshot::channel();
            port.addr.do_send(StartWith {
                start: Box::new(start.clone()),
                then: then.clone(),
                reply,
                watch,
                admission,
            });
            match answer.await.map_err(|_| RequestError::Interrupted)? {
                Ok(delivered) => return Ok(Joined { delivered, outcome }),
                // It came to a run at its very end.
                Err(RequestError::Rejected(Rejection::Closed)) => {
                    self.until_let_go(&start.workflow_id, &mut patience).await?
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers a query about a run: the open one, or the last one, with this id.
    pub(crate) async fn query(
        &self,
        workflow_id: &WorkflowId,
        run_id: Option<RunId>,
        query: Query,
    ) -> Result<Result<Payload, QueryError>, RequestError> {
        let asked = self.ask(workflow_id, run_id, |reply| Question::Query {
            query: query.clone(),
            reply,
        });
        match asked.await {
            // The newest run may have been followed by another one just now, which is better asked itself.
            Err(RequestError::Rejected(Rejection::Closed)) if run_id.is_none() && self.has_open_run(workflow_id)? => {
                return Box::pin(self.query(workflow_id, None, query)).await;
            }
            Ok(Err(QueryError::NotHere)) | Err(RequestError::Rejected(Rejection::Closed)) => {}
            answer => return answer,
        }
        let run_id = self.stored_run(workflow_id, run_id)?;
        // Replaying takes time, and a thread: not one that others wait for, and not all of them.
        let replay = Arc::clone(&self.query_replays).acquire_owned().await;
        let _replay = replay.map_err(|_| RequestError::ShuttingDown)?;
        let shared = Arc::clone(self.shared());
        let answered = shared.attempts.run_blocking({
            let shared = Arc::clone(&shared);
            move || query_stored(&shared, run_id, &query)
        });
        answered.await.ok_or(RequestError::Interrupted)?
    }

    /// Waits for the answer to an update that was accepted, also by a run that has ended since. Where a reset has another run
    /// do it again, the answer is that run's.
    pub(crate) async fn update_outcome(
        &self,
        workflow_id: &WorkflowId,
        whom: Whom,
        update_id: &UpdateId,
    ) -> Result<UpdateOutcome, RequestError> {
        let mut asked_last = whom.run_id();
        loop {
            let asked = self.ask(workflow_id, asked_last, |reply| Question::UpdateOutcome {
                update_id: update_id.clone(),
                reply,
            });
            match asked.await {
                Ok(Err(failure)) if failure.is_type(UPDATE_ABANDONED) => {}
                // An earlier run of its chain may have had it.
                Err(RequestError::Rejected(Rejection::Closed) | RequestError::UnknownUpdate(_)) => {}
                // Retention has taken it, but not all of its chain.
                Err(RequestError::NotFound(_)) if matches!(whom, Whom::Chain(_)) => {}
                Err(RequestError::Interrupted) if self.shared().is_draining() => {
                    return Err(RequestError::ShuttingDown);
                }
                // The engine has lost its memory of the run, not the run.
                Err(RequestError::Interrupted) => {
                    self.wait_a_little().await;
                    continue;
                }
                answer => return answer,
            }
            match self.recorded_update(workflow_id, whom, update_id)? {
                (_, Some(outcome)) => return Ok(outcome),
                (run_id, None) if asked_last == Some(run_id) => self.wait_a_little().await,
                (run_id, None) => asked_last = Some(run_id),
            }
        }
    }

    async fn wait_a_little(&self) {
        let clock = &self.shared().clock;
        clock.sleep_until(clock.now().after(LOOK_AGAIN)).await;
    }

    /// The run that has the update, and how it was answered there; `None`: it is in progress.
    fn recorded_update(
        &self,
        workflow_id: &WorkflowId,
        whom: Whom,
        update_id: &UpdateId,
    ) -> Result<(RunId, Option<UpdateOutcome>), RequestError> {
        // Whoever repeats an update asks the newest run of the chain, or the one that it knew first.
        let asked = self.stored_run(workflow_id, whom.run_id())?;
        let found = match whom {
            Whom::Run(run_id) => self.run_with_update(run_id, update_id)?,
            Whom::Newest | Whom::Chain(_) => self.chain_s_update(workflow_id, asked, update_id)?,
        };
        match found {
            Some((run_id, state)) => Ok((run_id, state.update_outcome(update_id.as_str()))),
            None => Err(RequestError::UnknownUpdate(update_id.clone())),
        }
    }

    /// The run of the chain that has the update, or does it again.
    fn chain_s_update(
        &self,
        workflow_id: &WorkflowId,
        asked: RunId,
        update_id: &UpdateId,
    ) -> Result<Option<(RunId, RunState)>, RequestError> {
        let store = self.store()?;
        let chain = ChainRuns {
            store: &*store,
            workflow_id,
        };
        let mut is_there = false;
        for run_id in chain.walk(asked, Way::Back).chain(chain.walk(asked, Way::On)) {
            is_there = true;
            if let Some((run_id, state)) = self.run_with_update(run_id?, update_id)? {
                return self.done_again(chain, run_id, state, update_id).map(Some);
            }
        }
        match is_there {
            true => Ok(None),
            false => Err(RequestError::NotFound(workflow_id.clone())),
        }
    }

    /// The last of the runs, each made of the one before by a reset, that do the update again.
    fn done_again(
        &self,
        chain: ChainRuns<'_>,
        run_id: RunId,
        state: RunState,
        update_id: &UpdateId,
    ) -> Result<(RunId, RunState), RequestError> {
        let mut later = chain.walk(run_id, Way::On).skip(1);
        let mut last = (run_id, state);
        // A run that gave way before it decided does not know the update, and need not be the last of them.
        while last.1.has_abandoned(update_id)
            && let Some(run_id) = later.next().transpose()?
        {
            if let Some(found) = self.run_with_update(run_id, update_id)? {
                last = found;
            }
        }
        Ok(last)
    }

    /// Whether this very run has the update, and not another one of its chain.
    pub(crate) fn has_update(&self, run_id: RunId, update_id: &UpdateId) -> Result<bool, RequestError> {
        Ok(self.run_with_update(run_id, update_id)?.is_some())
    }

    /// How a run stands that knows the update; `None`: it does not, or is not there (any more).
    fn run_with_update(&self, run_id: RunId, update_id: &UpdateId) -> Result<Option<(RunId, RunState)>, RequestError> {
        let store = self.store()?;
        if store.head(run_id)?.is_none() {
            return Ok(None);
        }
        let state = load_state(&self.shared().codecs, &*store, run_id)?;
        Ok(state.knows_update(update_id).then_some((run_id, state)))
    }

    fn stored_run(&self, workflow_id: &WorkflowId, run_id: Option<RunId>) -> Result<RunId, RequestError> {
        let newest = || self.store()?.find(workflow_id).map_err(RequestError::from);
        match run_id {
            Some(run_id) => Ok(run_id),
            None => newest()?
                .map(|head| head.run_id)
                .ok_or_else(|| RequestError::NotFound(workflow_id.clone())),
        }
    }

    async fn ask<T>(
        &self,
        workflow_id: &WorkflowId,
        run_id: Option<RunId>,
        question: impl Fn(ReplyTo<T>) -> Question,
    ) -> Result<T, RequestError> {
        let port = self.port(workflow_id)?;
        let admission = self.admit(port).await?;
        let (reply, answer) = oneshot::channel();
        port.addr.do_send(Ask {
            workflow_id: workflow_id.clone(),
            run_id,
            question: question(reply),
            admission,
        });
        answer.await.map_err(|_| RequestError::Interrupted)?
    }
}

/// Answers a query about a run by replaying its journal.
fn query_stored(shared: &Shared, run_id: RunId, query: &Query) -> Result<Result<Payload, QueryError>, RequestError> {
    let store = shared.store.get()?;
    let mut turns = load_turns(&*store, run_id)?;
    drop(store);
    shared.codecs.decode(run_id, &mut turns)?;
    let state = fold(run_id, &turns)?;
    let Some(started) = state.started() else {
        return Ok(Err(QueryError::NotHere));
    };
    if started.definition.is_some() {
        return Ok(state.answer(query));
    }
    let history: Vec<Event> = turns.into_iter().flat_map(|turn| turn.events).collect();
    Ok(match shared.registry.code_of_run(&started.workflow_type, &history) {
        Ok(workflow) => ask_replayed(workflow, &state, &history, query),
        Err(reason) => Err(undecidable(reason)),
    })
}
