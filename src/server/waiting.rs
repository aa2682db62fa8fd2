//! Waiting for the end of a run that may never come: a stuck or parked run waits for a person, and nobody should wait for
//! that in front of a command. Must not live here: what is said about it.

use std::time::Duration;

use crate::engine::{Clock, Error, RunDescription, RunHandle, SystemClock};
use crate::model::{Outcome, RunStatus};

/// How a wait ended.
pub(super) enum End {
    /// The run has ended.
    Closed(Outcome),
    /// The run is stuck or parked.
    Waits(Box<RunDescription>),
}

/// Between two looks at the run. A look folds its history: microseconds for an ordinary one.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a stuck run's other branches get to end.
const STUCK_LOOKS_MAX: u32 = 50;

/// How long a parked run gets: an engine that has just started tries it again first.
const PARKED_LOOKS_MAX: u32 = 10;

/// Waits until the run has ended or waits for a person. `look` sees how it stands now and then.
///
/// # Errors
/// When the store cannot be read, or the engine stops before.
pub(super) async fn until_it_ends<O>(run: &RunHandle<O>, mut look: impl FnMut(&RunDescription)) -> Result<End, Error> {
    let mut outcome = std::pin::pin!(run.outcome());
    let mut waits = 0;
    loop {
        tokio::select! {
            outcome = &mut outcome => return Ok(End::Closed(outcome?)),
            () = SystemClock.sleep_until(SystemClock.now().after(LOOK_EVERY)) => {}
        }
        let description = run.describe().await?;
        look(&description);
        let enough = match description.status {
            RunStatus::Stuck if description.pending.iter().all(|activity| activity.stuck) => 0,
            RunStatus::Stuck => STUCK_LOOKS_MAX,
            RunStatus::Parked => PARKED_LOOKS_MAX,
            // Attempts that were under way may still end; nothing else happens before somebody unpauses it.
            RunStatus::Paused => 0,
            _ => {
                waits = 0;
                continue;
            }
        };
        if waits >= enough {
            return Ok(End::Waits(Box::new(description)));
        }
        waits += 1;
    }
}

/// Ends when the user wants the process to end. It listens from the call on, not only when it is awaited.
pub(super) fn interrupted() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        // Without a way to hear of it, only the default remains: the process just ends.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
