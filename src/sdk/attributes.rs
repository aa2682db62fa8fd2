//! The attributes, with their documentation. Must not live here: their code (the `amends-macros` crate).

/// Says how a function is run as an activity: its name, timeouts and retries, and the activity that undoes it.
///
/// The function stays as it is: an ordinary function that can be called, tested and passed on. Without the attribute it
/// can be an activity too, under its own name and with the defaults of [`ActivityOptions`](crate::ActivityOptions).
///
/// | Option | Meaning |
/// |---|---|
/// | `name = "..."` | The activity type; without it, the function's name. |
/// | `start_to_close = "10s"` | The longest that one attempt may take. Without it: `schedule_to_close`, if there is that, and else 60 s. |
/// | `schedule_to_close = "1h"` | The longest from being scheduled to the end of the last attempt. |
/// | `schedule_to_start = "5m"` | The longest that it may wait for an attempt to be started. |
/// | `heartbeat = "30s"` | The longest between two heartbeats of an attempt. |
/// | `retry(initial_interval = "1s", coefficient = 2.0, maximum_interval = "1m", max_attempts = 5, non_retryable("A", "B"))` | When failed attempts are tried again. |
/// | `compensate = function` | The activity that undoes this one, when it is a step of a saga. It takes [`Undo`](crate::Undo) of this function's input and output. |
/// | `verify = function` | The activity that finds out whether this one had its effect, when it ended without an answer: a timeout, a crash, attempts used up. It takes the same [`Undo`](crate::Undo) and returns a [`Verdict`](crate::Verdict) about this function's output. When it fails for good, a person is asked. |
/// | `on_ambiguous = "ask"` | What else may be done then: `"compensate"` (take it for a failure; the default), or `"ask"` a person. |
/// | `in_flight = "fence"` | What happens to an attempt that is running when the saga turns back: `"wait"` for it (the default), or `"fence"` it off: its late result is refused, and it is undone at once. |
/// | `cancellation = "wait_cancellation_completed"` | What a call does when its run is cancelled: `"try_cancel"` (ask the activity to stop, and do not wait; the default), `"wait_cancellation_completed"` (ask, and wait for its end), or `"abandon"` (leave it alone). See [`CancellationType`](crate::CancellationType); steps of a saga are always waited for, or fenced. |
///
/// Durations are written `"500ms"`, `"10s"`, `"5m"`, `"1h 30m"`, `"1d"`.
///
/// ```
/// use amends::{ActivityContext, ActivityDefinition, Failure, Undo, activity};
///
/// #[activity(start_to_close = "10s", retry(max_attempts = 5, non_retryable("NoSuchItem")), compensate = release_inventory)]
/// async fn reserve_inventory(_cx: ActivityContext, sku: String) -> Result<u32, Failure> {
///     Ok(u32::try_from(sku.len()).unwrap_or(0))
/// }
///
/// // Compensations are tried until they succeed, unless their own attribute says otherwise.
/// #[activity]
/// async fn release_inventory(_cx: ActivityContext, undo: Undo<String, u32>) -> Result<(), Failure> {
///     // `output` is `None` when nobody knows whether the reservation was made.
///     let _reservation: Option<u32> = undo.output;
///     Ok(())
/// }
///
/// let definition = ActivityDefinition::of(reserve_inventory)?;
/// assert_eq!(definition.compensation().unwrap().activity_type.as_str(), "release_inventory");
/// # Ok::<(), amends::RegistryError>(())
/// ```
///
/// A step of a saga whose outcome may be unknown:
///
/// ```
/// use amends::model::InFlight;
/// use amends::{ActivityContext, ActivityDefinition, Failure, Undo, Verdict, activity};
///
/// #[activity(compensate = refund, verify = find_charge, in_flight = "fence")]
/// async fn charge_card(_cx: ActivityContext, cents: u64) -> Result<String, Failure> {
///     Ok(format!("charge-{cents}"))
/// }
///
/// #[activity]
/// async fn refund(_cx: ActivityContext, undo: Undo<u64, String>) -> Result<(), Failure> { Ok(()) }
///
/// #[activity(start_to_close = "5s")]
/// async fn find_charge(_cx: ActivityContext, of: Undo<u64, String>) -> Result<Verdict<String>, Failure> {
///     // Asks the participant by the step's idempotency key.
///     Ok(Verdict::not_applied())
/// }
///
/// assert_eq!(ActivityDefinition::of(charge_card)?.in_flight(), InFlight::Fence);
/// # Ok::<(), amends::RegistryError>(())
/// ```
///
/// A compensation of the wrong type does not compile:
///
/// ```compile_fail,E0631
/// # use amends::{ActivityContext, Failure, Undo, activity};
/// #[activity(compensate = release)]
/// async fn reserve(_cx: ActivityContext, sku: String) -> Result<u32, Failure> { Ok(1) }
/// async fn release(_cx: ActivityContext, undo: Undo<String, String>) -> Result<(), Failure> { Ok(()) }
/// ```
///
/// Nor does a verification that takes, or tells, something else:
///
/// ```compile_fail,E0631
/// # use amends::{ActivityContext, Failure, Undo, Verdict, activity};
/// #[activity(verify = find)]
/// async fn reserve(_cx: ActivityContext, sku: String) -> Result<u32, Failure> { Ok(1) }
/// async fn find(_cx: ActivityContext, of: Undo<u32, u32>) -> Result<Verdict<u32>, Failure> { Ok(Verdict::not_applied()) }
/// ```
///
/// ```compile_fail,E0271
/// # use amends::{ActivityContext, Failure, Undo, activity};
/// #[activity(verify = find)]
/// async fn reserve(_cx: ActivityContext, sku: String) -> Result<u32, Failure> { Ok(1) }
/// async fn find(_cx: ActivityContext, of: Undo<String, u32>) -> Result<bool, Failure> { Ok(true) }
/// ```
///
/// Nor does a future that cannot be sent to the thread that runs it:
///
/// ```compile_fail,E0277
/// # use amends::{ActivityContext, Failure, activity};
/// #[activity]
/// async fn local(_cx: ActivityContext) -> Result<(), Failure> {
///     let shared = std::rc::Rc::new(1);
///     std::future::ready(()).await;
///     drop(shared);
///     Ok(())
/// }
/// ```
///
/// Nor does an option that does not exist (`timeout`), or a time that is none:
///
/// ```compile_fail
/// # use amends::{ActivityContext, Failure, activity};
/// #[activity(timeout = "1s")]
/// async fn charge(_cx: ActivityContext) -> Result<(), Failure> { Ok(()) }
/// ```
/// ```compile_fail
/// # use amends::{ActivityContext, Failure, activity};
/// #[activity(start_to_close = "soon")]
/// async fn charge(_cx: ActivityContext) -> Result<(), Failure> { Ok(()) }
/// ```
pub use amends_macros::activity;

/// Says how a function is registered as a workflow: `#[workflow]`, or `#[workflow(name = "...")]`.
///
/// | Option | Meaning |
/// |---|---|
/// | `name = "..."` | The workflow type; without it, the function's name. |
/// | `version = "2"` | Which version of the workflow type it is, beside others of that name: new runs take the newest, and each run keeps its own. |
/// | `unwind_timeout = "10m"` | How long the undoing of its saga as a whole may take until a person is called; without it, for as long as it takes. |
/// | `unwind_parallel = 4` | How many compensations of its saga run at once at most. |
/// | `allow_nondeterminism = "..."` | Why its body may do what is not the same on replay: it is not looked through then. |
///
/// The function stays as it is. Without the attribute it can be a workflow too, under its own name.
///
/// Its body is looked through for what is clearly not the same when it is run again from its history: clocks, randomness,
/// threads and tasks, files, the environment, sockets, the order of hash tables, `select!` that chooses by chance. All that
/// is found is refused, with what to write instead; a single place is excused with
/// [`allow_nondeterminism!`](crate::allow_nondeterminism). What is in other functions, or behind names that only the
/// compiler can resolve, is not seen: that is what `AmendsBuilder::replay_every_turn` finds during development.
///
/// ```compile_fail
/// # use amends::{Failure, WorkflowContext, workflow};
/// #[workflow]
/// async fn late(cx: WorkflowContext) -> Result<bool, Failure> {
///     Ok(std::time::SystemTime::now() > std::time::UNIX_EPOCH) // use `cx.now()`
/// }
/// ```
///
/// ```
/// use amends::{Failure, WorkflowContext, WorkflowDefinition, workflow};
///
/// #[workflow(name = "place-order")]
/// async fn place_order(cx: WorkflowContext, order: u32) -> Result<u32, Failure> {
///     cx.sleep(std::time::Duration::from_secs(60)).await?;
///     Ok(order)
/// }
///
/// assert_eq!(WorkflowDefinition::of(place_order)?.workflow_type().as_str(), "place-order");
/// # Ok::<(), amends::RegistryError>(())
/// ```
///
/// Its first parameter is the context:
///
/// ```compile_fail,E0277
/// # use amends::{Failure, workflow};
/// #[workflow]
/// async fn place_order(order: u32) -> Result<u32, Failure> { Ok(order) }
/// ```
pub use amends_macros::workflow;
