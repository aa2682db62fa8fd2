//! What an activity sees of the engine. Lives here: `ActivityContext`, its builder, and idempotency keys. Must not live
//! here: how heartbeats travel or who cancels (they are injected).

use std::fmt::{self, Write};
use std::sync::Arc;

use crate::model::{
    ActivityId, ActivityType, AttemptToken, EventId, Failure, FromPayload, Payload, RunId, TaskToken, Timestamp,
    ToPayload, WorkflowId, WorkflowType,
};

use super::{CancelFlag, Canceled, SharedState};

/// Takes a heartbeat's details to the engine.
pub type HeartbeatSink = Arc<dyn Fn(Payload) + Send + Sync>;

/// Which attempt of which activity of which run this is.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityInfo {
    /// The caller's id of the workflow.
    pub workflow_id: WorkflowId,
    /// The execution.
    pub run_id: RunId,
    /// Which workflow.
    pub workflow_type: WorkflowType,
    /// The activity's id in its run.
    pub activity_id: ActivityId,
    /// Which activity.
    pub activity_type: ActivityType,
    /// The attempt's number, 1 for the first: the fencing token. It only ever grows, so a participant that remembers the
    /// highest one it saw can refuse a late attempt.
    pub attempt: u32,
    /// Names the intent rather than the attempt: the same for every attempt of this step in this direction. Hand it to
    /// the participant, so that it can recognise a repeated request.
    pub idempotency_key: String,
    /// When the activity was scheduled.
    pub scheduled_at: Timestamp,
    /// Whether this undoes a step.
    pub is_compensation: bool,
    /// Names this attempt to whoever completes it from outside; see [`ActivityContext::complete_later`].
    pub task_token: TaskToken,
    /// The last details of the activity's heartbeats that were recorded, by this attempt's predecessors.
    pub heartbeat_details: Option<Payload>,
}

/// A run id as text.
const RUN_ID_BYTES: usize = 36;

/// The idempotency key of an activity: the same for all of its attempts. A step and its compensation are two activities
/// (`reserve` and `reserve/undo`), so the key also tells the direction.
#[must_use]
pub fn idempotency_key(run_id: RunId, activity_id: &ActivityId) -> String {
    // Every attempt has one: written without growing.
    let mut key = String::with_capacity(RUN_ID_BYTES + 1 + activity_id.as_str().len());
    let _ = write!(key, "{run_id}/{activity_id}");
    key
}

/// What an activity sees of the engine. Cheap to clone.
///
/// ```
/// use amends::{ActivityContext, Failure};
///
/// async fn charge_card(cx: ActivityContext, cents: u64) -> Result<String, Failure> {
///     let rate = cx.state::<u64>().ok_or_else(|| Failure::non_retryable("NoRate", "give the engine a rate"))?;
///     Ok(format!("{} charged under {}", cents * *rate, cx.info().idempotency_key))
/// }
///
/// // In a unit test an activity is an ordinary function.
/// use futures_util::FutureExt;
/// let cx = ActivityContext::for_test().state(2_u64).idempotency_key("key-1").build();
/// let receipt = charge_card(cx, 500).now_or_never().expect("it waits for nothing");
/// assert_eq!(receipt.unwrap(), "1000 charged under key-1");
/// ```
#[derive(Clone)]
pub struct ActivityContext {
    inner: Arc<Inner>,
}

struct Inner {
    info: ActivityInfo,
    state: SharedState,
    cancel: CancelFlag,
    heartbeat: Option<HeartbeatSink>,
}

impl ActivityContext {
    /// A context with these parts; heartbeats go nowhere when there is no sink.
    #[must_use]
    pub fn new(info: ActivityInfo, state: SharedState, cancel: CancelFlag, heartbeat: Option<HeartbeatSink>) -> Self {
        let inner = Inner {
            info,
            state,
            cancel,
            heartbeat,
        };
        Self { inner: Arc::new(inner) }
    }

    /// A context for unit tests of activities: a first attempt of made-up names, to be changed as needed.
    pub fn for_test() -> ActivityContextBuilder {
        ActivityContextBuilder::new()
    }

    /// Which attempt this is.
    #[must_use]
    pub fn info(&self) -> &ActivityInfo {
        &self.inner.info
    }

    /// The shared value of this type that the engine was given; `None` when it was given none.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.inner.state.get()
    }

    /// Whether the attempt should stop: its run was cancelled, its time is up, or the engine shuts down. Its result is
    /// recorded only if it still counts.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.inner.cancel.is_raised()
    }

    /// Waits until the attempt should stop. Meant for a `select!` beside the work.
    pub fn canceled(&self) -> Canceled {
        self.inner.cancel.raised()
    }

    /// Says that the attempt is alive, with details of how far it got; an attempt that follows this one is given them
    /// ([`heartbeat_details`](Self::heartbeat_details)), also when the process dies.
    ///
    /// Cheap to call often: the newest details are journaled at most every 80 % of the heartbeat timeout (every 30 s when
    /// there is none), and once more when the attempt fails.
    ///
    /// # Errors
    /// A cancellation when the attempt should stop, so that `?` leads out of the work: let it, or ignore it to go on. A
    /// failure of type `InvalidHeartbeat` when the details have no JSON form or are larger than 2 MiB.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure};
    ///
    /// async fn import(cx: ActivityContext, rows: Vec<String>) -> Result<usize, Failure> {
    ///     let done = cx.heartbeat_details::<usize>()?.unwrap_or(0);
    ///     for (row, _text) in rows.iter().enumerate().skip(done) {
    ///         // Import it, then:
    ///         cx.heartbeat(&(row + 1))?;
    ///     }
    ///     Ok(rows.len())
    /// }
    ///
    /// use futures_util::FutureExt;
    /// let cx = ActivityContext::for_test().heartbeat_details(&2)?.build();
    /// let rows = ["a", "b", "c"].map(String::from).to_vec();
    /// assert_eq!(import(cx, rows).now_or_never().expect("it waits for nothing")?, 3);
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn heartbeat<T: ToPayload + ?Sized>(&self, details: &T) -> Result<(), Failure> {
        let details = Payload::of(details).map_err(|error| {
            let message = format!("the heartbeat's details cannot be sent: {error}");
            Failure::non_retryable("InvalidHeartbeat", message)
        })?;
        if let Some(sink) = &self.inner.heartbeat {
            sink(details);
        }
        match self.is_canceled() {
            true => Err(Failure::canceled("the attempt was asked to stop")),
            false => Ok(()),
        }
    }

    /// How far the attempts before this one had come: the details of the last heartbeat that was recorded. `None` when
    /// there was none.
    ///
    /// # Errors
    /// A failure of type `InvalidHeartbeat` when they do not fit `T`.
    pub fn heartbeat_details<T: FromPayload>(&self) -> Result<Option<T>, Failure> {
        let details = self.inner.info.heartbeat_details.as_ref();
        details.map(Payload::to).transpose().map_err(|error| {
            let message = format!("the details of the last heartbeat do not fit: {error}");
            Failure::non_retryable("InvalidHeartbeat", message)
        })
    }

    /// Names this attempt to whoever will complete it; see [`complete_later`](Self::complete_later).
    #[must_use]
    pub fn task_token(&self) -> &TaskToken {
        &self.inner.info.task_token
    }

    /// What to return when somebody else will say how the attempt ends: a person, a web hook, another process. Hand out
    /// the [`task_token`](Self::task_token) first; whoever has it calls `Client::complete_activity` or
    /// `Client::fail_activity`, from any process that reaches the engine, at any time.
    ///
    /// The attempt goes on until then, without taking a place among the running ones, and survives the engine. Its timeouts
    /// hold: set a start-to-close that is long enough. A saga that turns back waits for it, unless the step is fenced.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure};
    ///
    /// async fn ask_manager(cx: ActivityContext, question: String) -> Result<bool, Failure> {
    ///     let link = format!("https://approvals.example/{}", cx.task_token());
    ///     // Send the question and the link to somebody, then:
    ///     let _ = (question, link);
    ///     Err(cx.complete_later())
    /// }
    ///
    /// use futures_util::FutureExt;
    /// let asked = ask_manager(ActivityContext::for_test().build(), "May I?".to_owned());
    /// assert!(asked.now_or_never().expect("it waits for nothing").unwrap_err().is_completed_later());
    /// ```
    #[must_use = "return it as the activity's error"]
    pub fn complete_later(&self) -> Failure {
        Failure::completed_later()
    }
}

impl fmt::Debug for ActivityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityContext")
            .field("info", &self.inner.info)
            .field("canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

/// Builds an [`ActivityContext`] for a unit test.
#[derive(Clone)]
#[must_use = "call `build`"]
pub struct ActivityContextBuilder {
    info: ActivityInfo,
    state: SharedState,
    cancel: CancelFlag,
    heartbeat: Option<HeartbeatSink>,
}

impl ActivityContextBuilder {
    fn new() -> Self {
        let run_id = RunId::NIL;
        let activity_id = ActivityId::from_trusted("1");
        Self {
            info: ActivityInfo {
                workflow_id: WorkflowId::from_trusted("test-workflow"),
                run_id,
                workflow_type: WorkflowType::from_trusted("test_workflow"),
                idempotency_key: idempotency_key(run_id, &activity_id),
                activity_id,
                activity_type: ActivityType::from_trusted("test_activity"),
                attempt: 1,
                scheduled_at: Timestamp::EPOCH,
                is_compensation: false,
                task_token: TaskToken {
                    workflow_id: WorkflowId::from_trusted("test-workflow"),
                    run_id,
                    attempt: AttemptToken {
                        scheduled: EventId(5),
                        attempt: 1,
                    },
                },
                heartbeat_details: None,
            },
            state: SharedState::new(),
            cancel: CancelFlag::new(),
            heartbeat: None,
        }
    }

    /// Everything that the activity may ask about itself.
    pub fn info(mut self, info: ActivityInfo) -> Self {
        self.info = info;
        self
    }

    /// The attempt's number, 1 for the first.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.info.attempt = attempt;
        self
    }

    /// The idempotency key.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.info.idempotency_key = key.into();
        self
    }

    /// Adds a shared value.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state = self.state.with(value);
        self
    }

    /// The flag that tells the activity to stop; keep a clone to raise it.
    pub fn cancel_flag(mut self, flag: CancelFlag) -> Self {
        self.cancel = flag;
        self
    }

    /// How far the attempts before had come.
    ///
    /// # Errors
    /// When the details have no JSON form.
    pub fn heartbeat_details<T: ToPayload + ?Sized>(mut self, details: &T) -> Result<Self, Failure> {
        self.info.heartbeat_details = Some(Payload::of(details)?);
        Ok(self)
    }

    /// Where heartbeats go.
    pub fn on_heartbeat(mut self, sink: impl Fn(Payload) + Send + Sync + 'static) -> Self {
        self.heartbeat = Some(Arc::new(sink));
        self
    }

    /// The context.
    #[must_use]
    pub fn build(self) -> ActivityContext {
        ActivityContext::new(self.info, self.state, self.cancel, self.heartbeat)
    }
}

impl fmt::Debug for ActivityContextBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityContextBuilder")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn heartbeats_reach_the_sink_and_cancel_reaches_the_activity() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let flag = CancelFlag::new();
        let sink = seen.clone();
        let cx = ActivityContext::for_test()
            .cancel_flag(flag.clone())
            .on_heartbeat(move |details| sink.lock().unwrap().push(details))
            .build();
        cx.heartbeat(&3).unwrap();
        assert_eq!(*seen.lock().unwrap(), [Payload::json(&3).unwrap()]);
        assert!(!cx.is_canceled());
        flag.raise();
        assert!(cx.clone().is_canceled());
        assert!(cx.heartbeat(&4).unwrap_err().is_canceled(), "`?` leads out of the work");
        assert_eq!(seen.lock().unwrap().len(), 2, "it is a sign of life all the same");
    }

    #[test]
    fn keys_differ_by_direction_only() {
        let (run, id) = (RunId::from_bytes([1; 16]), ActivityId::from_trusted("2"));
        assert_eq!(idempotency_key(run, &id), format!("{run}/2"));
    }
}
