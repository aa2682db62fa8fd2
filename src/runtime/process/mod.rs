//! Isolated activities: their attempts are made in child processes of the same executable. Lives here: the door to both
//! sides. Must not live here: whether there is another attempt (that is the retry policy's), its time limits (those are the
//! attempt's).
//!
//! ```text
//! engine                                    worker process (the same executable, started with AMENDS_WORKER_PROCESS)
//!   start, one end of a socket as its input  --> main calls `worker_process()`, which never returns there
//!   <-- ready
//!   --> attempt (who it is, its input)            makes it, one at a time
//!   <-- heartbeat ..     --> cancel
//!   <-- ended (a result, or a failure)            waits for the next
//! ```
//!
//! An attempt that is given up (its time is up, its handle is dropped) takes its process along: the whole process group gets
//! SIGKILL. A process that dies takes one attempt along, whose failure says how it died and what it wrote last. A process
//! whose engine is gone sees its socket closed and ends, whatever it is about.

use std::sync::OnceLock;

use rustix::fs::FileType;

mod pool;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

pub(crate) use pool::ProcessPool;
pub use worker::{WorkerProcess, worker_process};

/// Tells the executable that it is started as a worker process.
const VARIABLE: &str = "AMENDS_WORKER_PROCESS";

/// Whether this process was started as a worker process. Its engine is then what it has for a standard input: whatever an
/// attempt starts inherits the variable, but not that. Asked for the first time before it is let go of.
pub(crate) fn is_worker_process() -> bool {
    static IS_ONE: OnceLock<bool> = OnceLock::new();
    *IS_ONE.get_or_init(|| is_told_so() && has_socket_for_input())
}

fn has_socket_for_input() -> bool {
    let stat = rustix::fs::fstat(rustix::stdio::stdin());
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
}

#[expect(
    clippy::disallowed_methods,
    reason = "set by the engine for its own child, not configuration: arguments are the program's"
)]
fn is_told_so() -> bool {
    std::env::var_os(VARIABLE).is_some()
}
