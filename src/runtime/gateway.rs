//! The way in: requests from outside (and from attempts that start runs of their own) to the shards. Lives here: finding
//! the shard, back-pressure, waiting for a run's end. Must not live here: starting and stopping the threads (`shared`), or
//! what a request means.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use tokio::sync::{Semaphore, oneshot};

use crate::machine::Rejection;
use crate::model::{Input, LockName, Outcome, RunId, StartRun, Timestamp, WorkflowId, limits};
use crate::store::{RunHead, Store};

use super::chain_runs::ChainRuns;
use super::entropy::Entropy;
use super::error::RequestError;
use super::messages::{
    Admission, Deliver, Delivered, Ended, ReleaseAttempt, ResetRun, Start, Stop, WakeRun, Watch, WatchFor, Watched,
};
use super::recovery::{fold, load_state, load_turns};
use super::reset::ResetOrder;
use super::shard::ShardActor;
use super::shared::{Shared, shard_of};
use super::throttle::Parked;

/// How long to wait before looking again for the end of a run that the engine has lost from memory.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The ways to all shards of an engine.
pub(crate) struct Gateway {
    shards: Vec<ShardPort>,
    shared: Arc<Shared>,
    admission_timeout: Duration,
    /// Places for those who replay a run to answer a query.
    pub(super) query_replays: Arc<Semaphore>,
}

/// How the newest run of a workflow id stands.
enum Newest {
    Open,
    /// It has ended, and is letting go of its children, or has messages brought.
    Leaving(RunId),
    /// It has ended, or there is none.
    Ended,
}

/// How long a request waits for a run that has ended and has not let go of its workflow id.
#[derive(Default)]
pub(super) struct Patience {
    /// Known when it has met such a run.
    until: Option<Timestamp>,
}

pub(super) struct ShardPort {
    pub(super) addr: Addr<ShardActor>,
    admission: Arc<Semaphore>,
}

impl Gateway {
    pub(super) fn new(addrs: Vec<Addr<ShardActor>>, shared: Arc<Shared>, admission_timeout: Duration) -> Self {
        let port = |addr| ShardPort {
            addr,
            admission: Arc::new(Semaphore::new(limits::SHARD_REQUESTS_MAX)),
        };
        Self {
            shards: addrs.into_iter().map(port).collect(),
            shared,
            admission_timeout,
            query_replays: Arc::new(Semaphore::new(limits::QUERY_REPLAYS_MAX)),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes no requests any more.
    pub(super) fn close(&self) {
        self.shards.iter().for_each(|port| port.admission.close());
        self.query_replays.close();
    }

    /// Ends the shards' threads.
    pub(super) fn stop_shards(&self) {
        for port in &self.shards {
            port.addr.do_send(Stop);
        }
    }

    /// The store, for reading.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, RequestError> {
        self.shared
            .store
            .get()
            .map_err(|error| match self.shared.store.is_closed() {
                true => RequestError::ShuttingDown,
                false => RequestError::Store(error),
            })
    }

    /// Begins a run. Answers once its first turn is durable; the receiver hears of its end.
    pub(crate) async fn begin(
        &self,
        mut start: Box<StartRun>,
    ) -> Result<(Delivered, oneshot::Receiver<Watched>), RequestError> {
        start.run_id = Entropy.run_id(self.shared.clock.now());
        let port = self.port(&start.workflow_id)?;
        let mut patience = Patience::default();
        loop {
            let admission = self.admit(port).await?;
            let (reply, answer) = oneshot::channel();
            let (watch, outcome) = oneshot::channel();
            port.addr.do_send(Start {
                start: start.clone(),
                reply,
                watch,
                admission,
            });
            match answer.await.map_err(|_| RequestError::Interrupted)? {
                Ok(delivered) => return Ok((delivered, outcome)),
                // It came to a run at its very end.
                Err(RequestError::Rejected(Rejection::Closed)) => {
                    self.until_let_go(&start.workflow_id, &mut patience).await?
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands an input to an open run; without a run's id, to whichever is open. Answers once it is durable.
    pub(crate) async fn deliver(
        &self,
        workflow_id: WorkflowId,
        run_id: Option<RunId>,
        input: Input,
    ) -> Result<Delivered, RequestError> {
        if run_id.is_some() {
            return self.deliver_once(workflow_id, run_id, input).await;
        }
        loop {
            match self.deliver_once(workflow_id.clone(), None, input.clone()).await {
                Err(RequestError::Rejected(Rejection::Closed)) if self.has_open_run(&workflow_id)? => {}
                answer => return answer,
            }
        }
    }

    /// Hands an input to the open run of the chain that this run is a part of.
    pub(crate) async fn deliver_to_chain(
        &self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        input: Input,
    ) -> Result<Delivered, RequestError> {
        let mut run_id = run_id;
        loop {
            match self
                .deliver_once(workflow_id.clone(), Some(run_id), input.clone())
                .await
            {
                Err(error @ (RequestError::Rejected(Rejection::Closed) | RequestError::NotFound(_))) => {
                    match self.next_of_chain(workflow_id, run_id)? {
                        Some(next) => run_id = next,
                        None => return Err(error),
                    }
                }
                answer => return answer,
            }
        }
    }

    /// A run of this id that has ended may have been followed by another one meanwhile.
    pub(super) fn has_open_run(&self, workflow_id: &WorkflowId) -> Result<bool, RequestError> {
        Ok(matches!(self.newest(workflow_id)?, Newest::Open))
    }

    /// The store has a run that has ended as an open one until its children were let go of: its history says how it stands.
    fn newest(&self, workflow_id: &WorkflowId) -> Result<Newest, RequestError> {
        let store = self.store()?;
        let open = || Ok::<_, RequestError>(store.find(workflow_id)?.filter(|head| !head.status.is_closed()));
        while let Some(head) = open()? {
            let state = fold(head.run_id, &load_turns(&*store, head.run_id)?)?;
            if !state.is_closed() {
                return Ok(Newest::Open);
            }
            // It may have ended in between, and another one may have begun.
            if open()?.is_some_and(|again| again.run_id == head.run_id) {
                return Ok(Newest::Leaving(head.run_id));
            }
        }
        Ok(Newest::Ended)
    }

    /// Whoever begins a run has just met one that has ended: waits until that has let go of its workflow id, but not for longer
    /// than requests wait at all. How long that takes is for other runs to say: its children, and those that it has messages for.
    ///
    /// # Errors
    /// [`RequestError::Leaving`] when it takes longer.
    pub(super) async fn until_let_go(
        &self,
        workflow_id: &WorkflowId,
        patience: &mut Patience,
    ) -> Result<(), RequestError> {
        // Otherwise the shard knows by now what follows.
        let Newest::Leaving(run_id) = self.newest(workflow_id)? else {
            return Ok(());
        };
        let clock = &self.shared.clock;
        let until = *patience
            .until
            .get_or_insert_with(|| clock.now().after(limits::LETTING_GO_WAIT_MAX));
        tokio::select! {
            biased;
            () = self.shared.draining().raised() => return Err(RequestError::ShuttingDown),
            ended = self.watch(workflow_id.clone(), run_id, WatchFor::LetGo)? => if ended.is_ok() {
                return Ok(());
            },
            () = clock.sleep_until(until) => {}
        }
        if clock.now() >= until {
            return Err(RequestError::Leaving(workflow_id.clone(), run_id));
        }
        clock.sleep_until(clock.now().after(LOOK_AGAIN)).await;
        Ok(())
    }

    /// Makes a run anew. Answers once its first turn is durable.
    pub(crate) async fn reset(&self, workflow_id: WorkflowId, order: ResetOrder) -> Result<Delivered, RequestError> {
        let port = self.port(&workflow_id)?;
        let mut patience = Patience::default();
        loop {
            let admission = self.admit(port).await?;
            let (reply, answer) = oneshot::channel();
            port.addr.do_send(ResetRun {
                workflow_id: workflow_id.clone(),
                order: Box::new(order.clone()),
                reply,
                admission,
            });
            match answer.await.map_err(|_| RequestError::Interrupted)? {
                // It came to a run at its very end.
                Err(RequestError::Rejected(Rejection::Closed)) => {
                    self.until_let_go(&workflow_id, &mut patience).await?
                }
                answer => return answer,
            }
        }
    }

    async fn deliver_once(
        &self,
        workflow_id: WorkflowId,
        run_id: Option<RunId>,
        input: Input,
    ) -> Result<Delivered, RequestError> {
        let port = self.port(&workflow_id)?;
        let admission = self.admit(port).await?;
        let (reply, answer) = oneshot::channel();
        port.addr.do_send(Deliver {
            workflow_id,
            run_id,
            input,
            reply,
            admission,
        });
        answer.await.map_err(|_| RequestError::Interrupted)?
    }

    /// Hears of the end of a run; a closed channel means that it is not open (any more).
    fn watch(
        &self,
        workflow_id: WorkflowId,
        run_id: RunId,
        what: WatchFor,
    ) -> Result<oneshot::Receiver<Watched>, RequestError> {
        let (watch, outcome) = oneshot::channel();
        self.port(&workflow_id)?.addr.do_send(Watch {
            workflow_id,
            run_id,
            what,
            watch,
        });
        Ok(outcome)
    }

    /// Waits until a run, and every run of its chain that follows it, has ended: how the last one did, and which that is.
    pub(crate) async fn outcome(
        &self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        watching: Option<oneshot::Receiver<Watched>>,
    ) -> Result<(RunId, Outcome), RequestError> {
        let mut run_id = run_id;
        let mut watching = watching;
        loop {
            let ended = match self.run_outcome(workflow_id, run_id, watching.take()).await {
                Err(RequestError::NotFound(id)) => match self.next_of_chain(workflow_id, run_id)? {
                    Some(newest) => {
                        run_id = newest;
                        continue;
                    }
                    None => return Err(RequestError::NotFound(id)),
                },
                ended => ended?,
            };
            match ended.next {
                Some(next) => run_id = next,
                None => return Ok((run_id, ended.outcome)),
            }
        }
    }

    /// Waits until a run has ended; `watching` is what its start gave for that.
    pub(crate) async fn run_outcome(
        &self,
        workflow_id: &WorkflowId,
        run_id: RunId,
        mut watching: Option<oneshot::Receiver<Watched>>,
    ) -> Result<Ended, RequestError> {
        loop {
            let watch = match watching.take() {
                Some(watch) => watch,
                None => self.watch(workflow_id.clone(), run_id, WatchFor::End)?,
            };
            if let Ok(watched) = watch.await {
                return watched;
            }
            // Not open (any more), or the engine lost its memory of it: the journal knows.
            if let Some(ended) = self.recorded_outcome(workflow_id, run_id)? {
                return Ok(ended);
            }
            if self.shared.is_draining() {
                return Err(RequestError::ShuttingDown);
            }
            let clock = &self.shared.clock;
            clock.sleep_until(clock.now().after(LOOK_AGAIN)).await;
        }
    }

    fn recorded_outcome(&self, workflow_id: &WorkflowId, run_id: RunId) -> Result<Option<Ended>, RequestError> {
        let store = self.store()?;
        match store.head(run_id)? {
            None => Err(RequestError::NotFound(workflow_id.clone())),
            Some(head) if !head.status.is_closed() => Ok(None),
            Some(_) => {
                let state = load_state(&self.shared.codecs, &*store, run_id)?;
                let next = state.next_run();
                Ok(state.outcome().cloned().map(|outcome| Ended { outcome, next }))
            }
        }
    }

    /// The run of its chain that follows one that has ended, or the newest that is left when that one is gone; `None` when there is
    /// none.
    fn next_of_chain(&self, workflow_id: &WorkflowId, run_id: RunId) -> Result<Option<RunId>, RequestError> {
        let store = self.store()?;
        let chain = ChainRuns {
            store: &*store,
            workflow_id,
        };
        Ok(chain.after(run_id)?)
    }

    /// The newest run of the chain that this run is a part of.
    pub(crate) fn newest_of_chain(&self, workflow_id: &WorkflowId, run_id: RunId) -> Result<RunId, RequestError> {
        let mut run_id = run_id;
        loop {
            let is_open = |head: RunHead| !head.status.is_closed();
            if self.store()?.head(run_id)?.is_some_and(is_open) {
                return Ok(run_id);
            }
            match self.next_of_chain(workflow_id, run_id)? {
                Some(next) => run_id = next,
                None => return Ok(run_id),
            }
        }
    }

    /// Lets runs look again at what their state asks for.
    pub(super) fn wake(&self, runs: Vec<WorkflowId>) {
        for workflow_id in runs {
            if let Ok(port) = self.port(&workflow_id) {
                port.addr.do_send(WakeRun(workflow_id));
            }
        }
    }

    /// Lets a run know that what kept one of its attempts from being made is over.
    pub(super) fn release(&self, parked: Parked) {
        if let Ok(port) = self.port(&parked.workflow_id) {
            port.addr.do_send(ReleaseAttempt(parked));
        }
    }

    /// Who holds a lock, and who waits for it, first in line first.
    pub(crate) fn lock_line(&self, lock: &LockName) -> Vec<(WorkflowId, RunId)> {
        self.shared.locks.line(lock)
    }

    pub(super) fn port(&self, workflow_id: &WorkflowId) -> Result<&ShardPort, RequestError> {
        let shard = shard_of(workflow_id, self.shards.len());
        self.shards.get(shard).ok_or(RequestError::ShuttingDown)
    }

    /// Back-pressure: a bounded number of requests per shard, the others wait a while, then are refused.
    pub(super) async fn admit(&self, port: &ShardPort) -> Result<Admission, RequestError> {
        let admission = |permit| Admission {
            _permit: permit,
            _busy: self.shared.busy(),
        };
        if let Ok(permit) = Arc::clone(&port.admission).try_acquire_owned() {
            return Ok(admission(permit));
        }
        let deadline = self.shared.clock.now().after(self.admission_timeout);
        tokio::select! {
            permit = Arc::clone(&port.admission).acquire_owned() => {
                permit.map(admission).map_err(|_| RequestError::ShuttingDown)
            }
            () = self.shared.clock.sleep_until(deadline) => match port.admission.is_closed() {
                true => Err(RequestError::ShuttingDown),
                false => Err(RequestError::Overloaded),
            },
        }
    }
}
