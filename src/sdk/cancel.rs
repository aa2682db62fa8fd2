//! A flag that is raised once and can be awaited on any async runtime. Must not live here: who raises it, or what
//! follows from it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Tells an attempt that it should stop. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    raised: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_key: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl CancelFlag {
    /// A flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag, for ever, and wakes everybody who waits for it.
    pub fn raise(&self) {
        let wakers = {
            let mut waiting = self.shared.lock();
            // Under the lock: a waiter either sees the flag raised, or is in the map before it is emptied here.
            self.shared.raised.store(true, Ordering::Release);
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }

    /// Whether the flag is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.shared.raised.load(Ordering::Acquire)
    }

    /// Waits until the flag is raised.
    pub fn raised(&self) -> Canceled {
        Canceled {
            flag: self.clone(),
            key: None,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can panic runs under the lock, so a poisoned map is still whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when the attempt is asked to stop; see [`ActivityContext::canceled`](super::ActivityContext::canceled).
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Canceled {
    flag: CancelFlag,
    key: Option<u64>,
}

impl Future for Canceled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut waiting = this.flag.shared.lock();
        if this.flag.is_raised() {
            return Poll::Ready(());
        }
        let key = *this.key.get_or_insert_with(|| {
            waiting.next_key = waiting.next_key.wrapping_add(1);
            waiting.next_key
        });
        let replaced = waiting.wakers.insert(key, cx.waker().clone());
        drop(waiting);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Canceled {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let removed = self.flag.shared.lock().wakers.remove(&key);
            drop(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_waiter_is_woken_and_dropped_ones_leave_nothing() {
        let flag = CancelFlag::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let mut first = flag.raised();
        let mut second = flag.clone().raised();
        let mut dropped = flag.raised();
        for future in [&mut first, &mut second, &mut dropped] {
            assert!(Pin::new(&mut *future).poll(&mut cx).is_pending());
            assert!(
                Pin::new(future).poll(&mut cx).is_pending(),
                "polling twice registers once"
            );
        }
        drop(dropped);
        assert_eq!(flag.shared.lock().wakers.len(), 2);
        flag.raise();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        assert!(flag.is_raised() && Pin::new(&mut first).poll(&mut cx).is_ready());
        assert!(
            Pin::new(&mut flag.raised()).poll(&mut cx).is_ready(),
            "late waiters do not wait"
        );
    }

    #[test]
    fn no_wake_is_lost_between_threads() {
        for _ in 0..200 {
            let flag = CancelFlag::new();
            let raiser = flag.clone();
            let thread = std::thread::spawn(move || raiser.raise());
            block_on(flag.raised());
            thread.join().unwrap();
        }
    }

    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on(mut future: Canceled) {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while Pin::new(&mut future)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            std::thread::park();
        }
    }
}
