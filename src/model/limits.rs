//! Every bound of amends on one page, each with its reason and who enforces it. Must not live here: configuration.

use std::time::Duration;

/// Bytes of an id. Ids are parts of store keys; longer ones would make keys dominate records. Enforced by `model::ids`.
pub const ID_BYTES_MAX: usize = 255;

/// Bytes of the name of a namespace: it stands before the workflow id of each of its runs. Enforced by `model`.
pub const NAMESPACE_BYTES_MAX: usize = 64;

/// The least that a namespace may grant its runs of bytes of one payload, events, and bytes of a history: with less, hardly
/// anything could run, or turn back. Enforced by `model::run_limits`.
pub const NAMESPACE_PAYLOAD_BYTES_LEAST: usize = 256;
/// See [`NAMESPACE_PAYLOAD_BYTES_LEAST`].
pub const NAMESPACE_HISTORY_EVENTS_LEAST: u64 = 100;
/// See [`NAMESPACE_PAYLOAD_BYTES_LEAST`].
pub const NAMESPACE_HISTORY_BYTES_LEAST: u64 = 16 * 1024;

/// Bytes of one payload. Temporal's blob limit, so that histories can be exchanged. Enforced where payloads are made.
pub const PAYLOAD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes that codecs may add to a payload: what was accepted at the call must fit when it is journaled. Enforced by `runtime`.
pub const CODEC_GROWTH_MAX: usize = 64 * 1024;

/// Bytes of a payload that is compressed, and at which decompressing ends: a few bytes can claim to be gigabytes. The engine's own
/// largest payload has two of the users', the input and the output of a step that is undone. Enforced by `runtime`.
pub const DECODED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a failure's message; longer ones are cut. A stack trace in a message would be journaled on each attempt.
pub const FAILURE_MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a failure's type; longer ones are cut. It is a name, for retry policies and handlers.
pub const FAILURE_TYPE_BYTES_MAX: usize = 255;

/// Causes kept below a failure: the outermost ones and the innermost one. A chain is walked on every display.
pub const FAILURE_CAUSES_MAX: usize = 16;

/// Events of one run. Temporal's limit: replaying more takes too long. Enforced by `machine`.
pub const HISTORY_EVENTS_MAX: u64 = 51_200;

/// Events of one run from which on a warning is logged once.
pub const HISTORY_EVENTS_WARN: u64 = 10_240;

/// Events of one run from which on its code is told to continue as a new run; Temporal's number. Enforced by nobody.
pub const HISTORY_EVENTS_SUGGEST: u64 = 4_096;

/// Bytes of one run's history from which on its code is told so; Temporal's number. Enforced by nobody.
pub const HISTORY_BYTES_SUGGEST: u64 = 4 * 1024 * 1024;

/// Signals that a run may hand on to the one that follows it: they are one turn. Enforced by `sdk`.
pub const SIGNALS_CARRIED_MAX: usize = 2_000;

/// Deduplication keys that a run is given by the one before it, of signals and of updates each: a sender repeats itself within
/// moments, so the latest do, and a chain may be endless. Enforced by `machine`.
pub const REQUESTS_CARRIED_MAX: usize = 1_000;

/// Runs of a workflow id that a reset looks through, for what they did and what came to them: each is read as a whole, and a
/// chain may be endless. Enforced by `runtime`.
pub const RESET_RUNS_MAX: usize = 1_000;

/// Bytes of one run's history. Temporal's limit. Enforced by `runtime`.
pub const HISTORY_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// Activities, timers and unread signals of one run, each. Temporal's limit. Enforced by `machine`.
pub const PENDING_MAX: usize = 2_000;

/// Child workflows of one run that have not ended, each. Temporal's limit: all of them are told when their parent ends.
/// Enforced by `machine`.
pub const CHILDREN_PENDING_MAX: usize = 2_000;

/// Updates of one run that were accepted and are not answered. Temporal's limit: their callers wait. Enforced by `machine`.
pub const UPDATES_IN_FLIGHT_MAX: usize = 10;

/// Unfinished handlers that a warning about the end of their run names; it counts the others. Enforced by `runtime`.
pub const UNFINISHED_NAMED_MAX: usize = 10;

/// Updates of one run, the answered ones included: each is remembered, so that it is not done twice. Temporal's limit.
/// Enforced by `machine`.
pub const UPDATES_MAX: usize = 2_000;

/// Runs replayed at once in one engine to answer queries about runs that are not in memory. Each takes a thread of the
/// blocking pool and the run's whole history. Enforced by `runtime`.
pub const QUERY_REPLAYS_MAX: usize = 4;

/// A turn that takes longer is logged: its code holds up all runs of its shard. Enforced by `runtime`.
pub const TURN_SLOW: Duration = Duration::from_secs(1);

/// A turn that has not come back for so long is told of while it hangs, when nobody says otherwise; the time of Temporal's
/// deadlock detectors. Enforced by `runtime`.
pub const TURN_HANGS_DEFAULT: Duration = Duration::from_secs(2);

/// Steps of one saga definition: every step may be pending at once.
pub const STEPS_MAX: usize = 1_000;

/// Turns that fail in a row (a panic, a nondeterminism) before the run is parked. Once could be an accident.
pub const TURN_FAILURES_MAX: u32 = 3;

/// Tasks of one run in one turn. One is usual; more are needed only when commands end something at once.
pub const TASKS_PER_TURN_MAX: u32 = 100;

/// Polls of workflow code in one turn: code that wakes itself oftener would hold its shard's thread for ever. Enforced by
/// `replay`.
pub const POLLS_PER_TURN_MAX: u32 = 100_000;

/// The longest an attempt may run when nobody said otherwise. Temporal makes users choose; a default that ends beats
/// one that hangs.
pub const START_TO_CLOSE_DEFAULT: Duration = Duration::from_secs(60);

/// At the longest, the details of an attempt's heartbeats are recorded this seldom; Temporal's number. Enforced by `machine`.
pub const HEARTBEAT_THROTTLE_MAX: Duration = Duration::from_secs(60);

/// How seldom they are recorded for an attempt that has no heartbeat timeout; Temporal's number. Enforced by `machine`.
pub const HEARTBEAT_THROTTLE_DEFAULT: Duration = Duration::from_secs(30);

/// All tries of a local activity together: it is run beside the workflow code and leaves no trace before its end, so it is for
/// what is short. Enforced by `runtime`.
pub const LOCAL_ACTIVITY_MAX: Duration = Duration::from_secs(60);

/// One try of a local activity when nobody said otherwise: short, so that a few tries fit into its time.
pub const LOCAL_ACTIVITY_START_TO_CLOSE_DEFAULT: Duration = Duration::from_secs(10);

/// The start-to-close of an attempt that waits for a child saga: none, which must be said as a number. The child has limits of
/// its own, and may wait for a person. Enforced by nobody.
pub const CHILD_START_TO_CLOSE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How long a start, or a reset, waits until a run that has ended lets go of its workflow id: mostly a few milliseconds, but whom
/// that run has to tell something may be out of reach for longer. Then it is to be tried again later. Enforced by `runtime`.
pub const LETTING_GO_WAIT_MAX: Duration = Duration::from_secs(10);

/// Requests waiting for one shard (starts, signals, queries); further callers wait, then get `Overloaded`.
pub const SHARD_REQUESTS_MAX: usize = 4_096;

/// Runs that a shard begins in one of its rounds, while others wait: what is under way comes first. A round of a busy shard has
/// hundreds of turns.
pub const SHARD_STARTS_PER_ROUND: usize = 32;

/// Runs that are due, and that a shard wakes in one of its rounds: as many as it begins.
pub const SHARD_WAKES_PER_ROUND: usize = 32;

/// Turns of one shard under way to the disk from which on it wakes no more runs that are due: what is live waits for the disk,
/// and more would only wait with it, in memory.
pub const SHARD_TURNS_FULL: usize = 512;

/// Live runs of one shard from which on those that are woken because they are due, thousands of them after a start, have the
/// idle ones passivated at once and not in their time: some 40 MiB.
pub const SHARD_LIVE_RECOVERING: usize = 2_048;

/// The same for runs that begin: they may be spoken to again soon, but not at any price. Some 300 MiB.
pub const SHARD_LIVE_FULL: usize = 16_384;

/// Attempts of one shard that may wait for a thread before the shard begins no more runs: work for some hundredths of a second.
pub const SHARD_BACKLOG_MAX: usize = 1_024;

/// Turns waiting for the journal writer over all shards. A run has at most one there, so this bounds turn memory.
pub const COMMIT_QUEUE_MAX: usize = 16_384;

/// Turns in one commit: 1,000 keys is where sled's batches start to cost memory, and a packed turn is a part of one.
pub const COMMIT_TURNS_MAX: usize = 2_048;

/// Turns in a commit from which on the engine counts as busy: the next commit gathers for a moment before it is made.
pub const COMMIT_TURNS_BUSY: usize = 16;

/// How long that moment is: about two syncs of a fast disk, and little beside what a saga takes then. Measured with 512
/// sagas in flight: a quarter of the commits, a sixth less processor time for each saga, and more sagas a second.
pub const COMMIT_GATHER: Duration = Duration::from_micros(300);

/// Bytes of turns and definitions from which on a commit takes no more turns. With one more turn of 50 MiB it is still
/// within the 64 MiB that the sled store writes at once. Enforced by `runtime`.
pub const COMMIT_BYTES_FULL: usize = 8 * 1024 * 1024;

/// Bytes of inputs from which on a turn takes no more inputs: a burst of large signals must not become a turn that is
/// too large for a record. Enforced by `runtime`.
pub const TURN_INPUT_BYTES_FULL: usize = 8 * 1024 * 1024;

/// Attempts of async activities running at once in one engine.
pub const ATTEMPTS_MAX: usize = 16_384;

/// Attempts of blocking activities running at once in one engine when nobody said otherwise: each has a thread.
pub const BLOCKING_ATTEMPTS_DEFAULT: usize = 64;

/// The most that anybody may say. Enforced by `engine`.
pub const BLOCKING_ATTEMPTS_MAX: usize = 256;

/// Attempts of async compensations, verifications and escalations running at once in one engine, in places of their own:
/// when a participant fails and many sagas turn back together, making amends must not queue behind the forward work that
/// keeps coming in.
pub const COMPENSATIONS_MAX: usize = 4_096;

/// The same for blocking ones; together with the forward ones fewer than the threads that tokio allows (512).
pub const BLOCKING_COMPENSATIONS_MAX: usize = 32;

/// Logical shards: a run lives on `hash(WorkflowId) % 256`, for ever, so that shards can move between owners.
pub const LOGICAL_SHARDS: u16 = 256;

/// Elements that one evaluation of a definition's mapping may iterate over, nested iterations multiplied.
/// Expressions always end, but they run on an engine's thread, which has other runs to serve. Enforced by `definition`.
pub const EXPRESSION_ITERATIONS_MAX: u64 = 100_000;

/// Bytes of one expression: what is longer is a program and belongs into an activity. Enforced by `definition`.
pub const EXPRESSION_BYTES_MAX: usize = 1024;

/// Levels of nesting of one expression. Its evaluation recurses on an engine's thread; in a debug build 50 levels fit
/// a thread's 2 MiB of stack and 100 do not. Enforced by `definition`.
pub const EXPRESSION_DEPTH_MAX: usize = 32;

/// Levels of nesting of a definition's mapping. serde_json reads 128, and the canonical form needs some of its own.
/// Enforced by `definition`.
pub const MAPPING_DEPTH_MAX: usize = 64;

/// Compensations of one run that run at once when its saga does not say otherwise: unwinding a wide fan-out must not
/// flood a participant that may be down. Enforced by `machine`.
pub const UNWIND_PARALLEL_MAX: u32 = 16;

/// Locks that one run may hold or wait for. Enforced by `machine`.
pub const LOCKS_PER_RUN_MAX: usize = 100;

/// Changes of its code that one run may ask about. They are named in the code, so there are few; ids that are made from data
/// would grow without end. Enforced by `sdk`.
pub const CHANGES_PER_RUN_MAX: usize = 1_000;

/// Search attributes of one run. Temporal's limit. Enforced where they enter: by `engine`, `sdk` and `machine`.
pub const SEARCH_ATTRIBUTES_MAX: usize = 100;

/// Bytes of the search attributes of one run, all together: they stand beside what is known of the run without its history,
/// and that is a part of one value of at most 4 KiB in the store. Enforced where they enter.
pub const SEARCH_ATTRIBUTES_BYTES_MAX: usize = 2 * 1024;

/// Bytes of the list of changes that a run has met, which is a search attribute beside those of the user: what does not fit is
/// not listed, and the run cannot be found by it. (Temporal has 2 KiB.) Enforced by `machine`.
pub const CHANGE_VERSION_BYTES_MAX: usize = 512;

/// Fields of one run's memo: it is shown as a whole. Enforced where they enter.
pub const MEMO_FIELDS_MAX: usize = 100;

/// Bytes of one run's memo, all together: it is carried along in memory with the run. Enforced where they enter.
pub const MEMO_BYTES_MAX: usize = 256 * 1024;

/// Elements of a `foreach` step that are worked on at once when it does not say otherwise: a long list must not flood a
/// participant. Enforced by `definition`.
pub const FOREACH_CONCURRENCY_DEFAULT: u32 = 16;

/// Worker processes of an engine, for forward work, and again for compensations: each is a copy of the program, with its
/// memory. Enforced by `engine`.
pub const WORKER_PROCESSES_MAX: usize = 256;

/// Attempts that one worker process makes before a new one takes its place: what it leaks does not grow for ever. Enforced by
/// `runtime`.
pub const WORKER_PROCESS_ATTEMPTS_MAX: u32 = 1_000;

/// Bytes of what an engine and a worker process say to each other in one go: an input and a heartbeat's details, or a failure
/// with its causes' details, each within its own limit. Enforced by `runtime`.
pub const WORKER_FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Times of a schedule that are dealt with in one go; what passed while no engine was running may be much more. Enforced by
/// `schedule`.
pub const SCHEDULE_TIMES_AT_ONCE: usize = 1_000;

/// Times that one backfill asks for at most, and runs that wait to be started altogether: each is a run. Enforced by `schedule` and
/// `engine`.
pub const SCHEDULE_BACKFILL_MAX: usize = 1_000;

/// Bytes that the input of a schedule's runs has at most, as JSON: a schedule hands all that it knows from one run to the next as
/// one value, and beside the input there may be a thousand runs that wait, and a thousand to be started. Enforced by `engine`.
pub const SCHEDULE_INPUT_BYTES_MAX: usize = 1024 * 1024;

/// Runs of a schedule that wait for another one's end. Temporal's limit. Enforced by `schedule`.
pub const SCHEDULE_BUFFER_MAX: usize = 1_000;

/// Runs of a schedule that it remembers to show. Temporal's number.
pub const SCHEDULE_RECENT_MAX: usize = 10;

/// The shortest catch-up window: a timer is always a little late, and what is only late by that is not missed. Temporal's number.
/// Enforced by `schedule`.
pub const SCHEDULE_CATCHUP_MIN: Duration = Duration::from_secs(10);

/// How late the run of a schedule may still be started when nobody said otherwise. Temporal's number.
pub const SCHEDULE_CATCHUP_DEFAULT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Bytes of one query for runs: what is longer is a program, and each run that is looked at is compared with all of it.
/// Enforced by `visibility`.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;

/// Levels of parentheses and NOT in a query: reading it recurses. Enforced by `visibility`.
pub const QUERY_DEPTH_MAX: usize = 32;

/// Runs that retention looks at in one go: a few milliseconds of one thread. Enforced by `runtime`.
pub const RETENTION_LOOK_RUNS: usize = 1_000;

/// Runs that retention deletes in one commit: what the sled store takes over into its database in one round.
pub const RETENTION_DELETE_RUNS: usize = 250;

/// Bytes of histories from which on such a commit takes no more runs: each chunk of 4 KiB is a key to be removed.
pub const RETENTION_DELETE_BYTES: u64 = 4 * 1024 * 1024;

/// How long retention rests before it goes on looking where nothing is to be deleted: 4,000 runs a second, less than a
/// hundredth of a core.
pub const RETENTION_PAUSE: Duration = Duration::from_millis(250);

/// The same where there is something to be deleted: at most 12,500 runs a second, about as many as an engine can end.
pub const RETENTION_PAUSE_DELETING: Duration = Duration::from_millis(20);

/// How long retention rests when it has looked at all runs, and after a start: runs live this much longer than they must.
pub const RETENTION_REST: Duration = Duration::from_secs(60);

/// Memory for pages of a store's database when nobody said otherwise, in bytes: the operating system has its file in memory, too.
pub const CACHE_BYTES_DEFAULT: u64 = 8 * 1024 * 1024;

/// The least of it: a few hundred pages. Enforced by `engine`.
pub const CACHE_BYTES_MIN: u64 = 1024 * 1024;

/// The shortest retention: whoever waits for a run's result must find it.
pub const RETENTION_MIN: Duration = Duration::from_secs(1);

/// Runs in one page of a list: they are in memory all at once. Enforced by `engine`.
pub const LIST_PAGE_MAX: usize = 10_000;

/// Years that are searched for the next date of a calendar: a leap day may come only after eight, one that is a certain day of the
/// week only after forty. Enforced by `schedule`.
pub const SCHEDULE_YEARS_AHEAD: i16 = 60;

/// Excluded times in a row after which a schedule counts as one without times. Enforced by `schedule`.
pub const SCHEDULE_EXCLUSIONS_MAX: usize = 10_000;
