//! Code that cannot go on: panics, foreign futures, endless self-waking.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::{FutureExt, join, poll_fn, select, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::model::{Failure, ParkReason};
use crate::sdk::WorkflowContext;

use super::mini_machine::{Mini, told};
use super::{double, replays};

#[test]
fn a_panic_is_caught_and_told() {
    async fn nervous(cx: WorkflowContext, n: u32) -> Result<(), Failure> {
        let doubled = cx.activity(double, &n).await?;
        std::panic::panic_any(format!("{doubled} is too much"))
    }
    let mut mini = Mini::start(nervous, &1);
    mini.end("double", Ok(2));
    let message = "2 is too much".to_owned();
    assert_eq!(
        mini.try_decide(),
        Err(ParkReason::Panicked {
            message: message.clone()
        })
    );
    assert_eq!(
        mini.try_decide(),
        Err(ParkReason::Panicked { message }),
        "it stays broken until rebuilt"
    );
    mini.crash();
    assert!(
        matches!(mini.try_decide(), Err(ParkReason::Panicked { .. })),
        "the events were kept"
    );
}

#[test]
fn a_panic_before_the_first_poll_is_caught_too() {
    fn eager(_cx: WorkflowContext, _n: u32) -> std::future::Ready<Result<(), Failure>> {
        std::panic::panic_any("not even a future")
    }
    let mut mini = Mini::started(eager, &1);
    let message = "not even a future".to_owned();
    assert_eq!(mini.try_decide(), Err(ParkReason::Panicked { message }));
}

#[test]
fn input_that_does_not_fit_fails_the_run() {
    async fn numeric(_cx: WorkflowContext, n: u32) -> Result<u32, Failure> {
        Ok(n)
    }
    let told = told(&Mini::started(numeric, &"four").decide());
    assert!(
        told[0].starts_with("fail InvalidInput: the input cannot be read as u32"),
        "{told:?}"
    );
}

#[test]
fn awaiting_something_foreign_is_noticed_in_the_same_turn() {
    async fn lost(cx: WorkflowContext) -> Result<(), Failure> {
        cx.activity(double, &1).await?;
        pending().await
    }
    let mut mini = Mini::start(lost, &());
    mini.end("double", Ok(2));
    assert_eq!(mini.try_decide(), Err(ParkReason::ForeignFuture));
}

#[test]
fn a_foreign_wake_is_noticed_beside_our_own_futures() {
    thread_local!(static LEAKED: RefCell<Option<Waker>> = const { RefCell::new(None) });
    async fn leaky(cx: WorkflowContext) -> Result<(), Failure> {
        let foreign = poll_fn(|cx| {
            LEAKED.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        });
        join(foreign, cx.sleep(Duration::from_secs(1))).await.1
    }
    let mut mini = Mini::start(leaky, &());
    let wakes = mini.decider.foreign_wakes();
    assert!(!wakes.any());
    LEAKED.take().unwrap().wake();
    assert!(wakes.any());
    mini.fire();
    assert_eq!(mini.try_decide(), Err(ParkReason::ForeignFuture));
}

/// What combines futures hands on its own waker, or ours: a wake from elsewhere is seen either way, when it happens.
#[test]
fn a_foreign_wake_is_noticed_at_once_inside_of_joins_selects_and_sets() {
    /// Something that another thread ends: a socket, a channel, another runtime's timer.
    fn foreign() -> impl Future<Output = Result<(), Failure>> {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            LEAKED.with_borrow_mut(|leaked| leaked.push(waker));
            Poll::<Result<(), Failure>>::Pending
        })
    }
    thread_local!(static LEAKED: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) });
    async fn joined(cx: WorkflowContext) -> Result<(), Failure> {
        join(cx.sleep(Duration::from_secs(9)), foreign()).await.0
    }
    async fn selected(cx: WorkflowContext) -> Result<(), Failure> {
        let (ours, theirs) = (Box::pin(cx.sleep(Duration::from_secs(9))), Box::pin(foreign()));
        select(ours, theirs).await.factor_first().0
    }
    async fn gathered(cx: WorkflowContext) -> Result<(), Failure> {
        let mut all = FuturesUnordered::new();
        all.push(cx.sleep(Duration::from_secs(9)).boxed_local());
        all.push(foreign().boxed_local());
        all.next().await.unwrap_or(Ok(()))
    }
    async fn shared(cx: WorkflowContext) -> Result<(), Failure> {
        let foreign = foreign().boxed_local().shared();
        try_join_all([cx.sleep(Duration::from_secs(9)).boxed_local(), foreign.boxed_local()])
            .await
            .map(|_| ())
    }
    let starts: [fn() -> Mini; 4] = [
        || Mini::start(joined, &()),
        || Mini::start(selected, &()),
        || Mini::start(gathered, &()),
        || Mini::start(shared, &()),
    ];
    for start in starts {
        let mut mini = start();
        let wakers = LEAKED.take();
        let told = Arc::new(AtomicU32::new(0));
        let (wakes, count) = (mini.decider.foreign_wakes(), told.clone());
        wakes.watch(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        // All that were left behind, each on its own thread: the watcher hears of the first.
        assert!(!wakes.any() && !wakers.is_empty());
        for waker in wakers {
            std::thread::spawn(move || waker.wake()).join().unwrap();
        }
        assert_eq!((wakes.any(), told.load(Ordering::SeqCst)), (true, 1));
        mini.fire();
        assert_eq!(mini.try_decide(), Err(ParkReason::ForeignFuture));
        let late = told.clone();
        wakes.watch(move || {
            late.fetch_add(10, Ordering::SeqCst);
        });
        assert_eq!(told.load(Ordering::SeqCst), 11, "who comes late is told at once");
    }
}

/// What one part of the code sends to another is woken by the code itself.
#[test]
fn channels_between_parts_of_the_code_are_no_foreigners() {
    async fn talking(cx: WorkflowContext) -> Result<u32, Failure> {
        let (sender, receiver) = one_value_channel();
        let sending = async {
            let doubled = cx.activity(double, &1).await;
            sender(doubled);
        };
        join(receiver, sending).await.0
    }
    let mut mini = Mini::start(talking, &());
    assert_eq!(told(&mini.complete("double", 2)), ["complete 2"]);
    assert!(!mini.decider.foreign_wakes().any());
    replays(&mini, talking).unwrap();
}

/// A channel for one value, as any crate may have one.
fn one_value_channel() -> (
    impl FnOnce(Result<u32, Failure>),
    impl Future<Output = Result<u32, Failure>>,
) {
    type Slot = (Option<Result<u32, Failure>>, Option<Waker>);
    let slot: Rc<RefCell<Slot>> = Rc::default();
    let sending = slot.clone();
    let send = move |value| {
        sending.borrow_mut().0 = Some(value);
        let waker = sending.borrow_mut().1.take();
        waker.into_iter().for_each(Waker::wake);
    };
    let receive = poll_fn(move |cx| {
        let mut slot = slot.borrow_mut();
        slot.1 = Some(cx.waker().clone());
        slot.0.take().map_or(Poll::Pending, Poll::Ready)
    });
    (send, receive)
}

#[test]
fn waking_oneself_is_allowed_but_not_without_end() {
    async fn yielding(cx: WorkflowContext, times: u32) -> Result<u32, Failure> {
        let mut left = times;
        let woken = poll_fn(move |cx| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        woken.await;
        cx.activity(double, &times).await
    }
    let mut mini = Mini::started(yielding, &1_000);
    assert_eq!(told(&mini.decide()), ["run double as 1"]);
    mini.complete("double", 2);
    replays(&mini, yielding).unwrap();
    let endless = Mini::started(yielding, &u32::MAX).try_decide();
    assert!(matches!(endless, Err(ParkReason::BadCommand { .. })), "{endless:?}");
}

/// Counts how often its clones are dropped.
#[derive(Clone, Default)]
struct Dropped(Rc<RefCell<u32>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.borrow_mut() += 1;
    }
}

#[test]
fn putting_the_decider_away_runs_destructors_and_survives_them() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            std::panic::panic_any("in a destructor")
        }
    }
    thread_local!(static COUNT: Dropped = Dropped::default());
    async fn holding(cx: WorkflowContext) -> Result<(), Failure> {
        let (_counted, _panics) = (COUNT.with(Clone::clone), Panics);
        cx.sleep(Duration::from_secs(1)).await
    }
    let mini = Mini::start(holding, &());
    drop(mini);
    assert_eq!(COUNT.with(|count| *count.0.borrow()), 1);
}
