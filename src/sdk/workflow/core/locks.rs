//! The locks that the code has asked for. Must not live here: who else holds or wants one (the runtime's table knows).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Command, Failure, LockName, Payload, limits};

use super::{Core, Key, What};

/// A lock as the code asks for it.
#[derive(Debug)]
pub(in crate::sdk::workflow) struct LockRequest {
    pub(in crate::sdk::workflow) lock: LockName,
    pub(in crate::sdk::workflow) timeout: Option<Duration>,
    pub(in crate::sdk::workflow) no_wait: bool,
}

/// Every lock that was ever asked for.
#[derive(Debug, Default)]
pub(super) struct Locks(BTreeMap<LockName, Lock>);

#[derive(Debug)]
enum Lock {
    /// Nobody has answered yet; who waits for the answer.
    Asked(Vec<Key>),
    /// Until the run ends.
    Held,
    /// It may be asked for again.
    Refused,
}

impl Locks {
    pub(super) fn stop_waiting(&mut self, lock: &LockName, key: Key) {
        if let Some(Lock::Asked(waiting)) = self.0.get_mut(lock) {
            waiting.retain(|waits| *waits != key);
        }
    }
}

impl Core {
    /// Calls for a lock that is asked for already share its answer: the machine knows one request for each lock.
    pub(in crate::sdk::workflow) fn request_lock(&mut self, request: LockRequest) -> Result<Key, Failure> {
        self.expect_writable("ask for a lock");
        self.expect_not_canceled()?;
        let LockRequest { lock, timeout, no_wait } = request;
        match self.locks.0.get(&lock) {
            Some(Lock::Held) => {}
            Some(Lock::Asked(_)) if no_wait => {
                let message = format!("the run is waiting for the lock {lock:?} already");
                return Err(Failure::non_retryable("LockHeld", message));
            }
            Some(Lock::Asked(_)) => {}
            Some(Lock::Refused) | None => {
                if self.locks.0.len() >= limits::LOCKS_PER_RUN_MAX {
                    let message = format!("a run may ask for {} locks", limits::LOCKS_PER_RUN_MAX);
                    return Err(Failure::non_retryable("TooManyLocks", message));
                }
                self.locks.0.insert(lock.clone(), Lock::Asked(Vec::new()));
                let lock = lock.clone();
                self.commands.push(Command::RequestLock { lock, timeout, no_wait });
            }
        }
        let key = self.begin(What::Lock(lock.clone()));
        match self.locks.0.get_mut(&lock) {
            Some(Lock::Asked(waiting)) => waiting.push(key),
            _ => self.resolve(key, Ok(Payload::null())),
        }
        Ok(key)
    }

    /// The lock is the run's, or it is not to be had.
    pub(crate) fn end_lock_request(&mut self, lock: &LockName, outcome: Result<(), Failure>) {
        let ended = match &outcome {
            Ok(()) => Lock::Held,
            Err(_) => Lock::Refused,
        };
        if let Some(Lock::Asked(waiting)) = self.locks.0.insert(lock.clone(), ended) {
            let outcome = outcome.map(|()| Payload::null());
            for key in waiting {
                self.resolve(key, outcome.clone());
            }
        }
    }

    /// Somebody does not wait for a lock any more. The request stands, unless it has not left yet.
    pub(super) fn stop_lock(&mut self, key: Key) {
        let Some(operation) = self.operations.get(&key) else {
            return;
        };
        let What::Lock(lock) = &operation.what else {
            return;
        };
        let lock = lock.clone();
        if operation.abandoned {
            self.forget(key);
        } else {
            self.locks.stop_waiting(&lock, key);
        }
        let unwanted = matches!(self.locks.0.get(&lock), Some(Lock::Asked(waiting)) if waiting.is_empty());
        let asked_in_this_turn =
            |given: &Command| matches!(given, Command::RequestLock { lock: asked, .. } if *asked == lock);
        if let Some(at) = self.commands.iter().position(asked_in_this_turn)
            && unwanted
        {
            self.commands.remove(at);
            self.locks.0.remove(&lock);
        }
    }
}
