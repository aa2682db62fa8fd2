//! Code that cannot go on: panics, foreign futures, endless self-waking.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::{join, poll_fn};

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
    let flag = mini.decider.foreign_wake_flag();
    assert!(!flag.load(Ordering::SeqCst));
    LEAKED.take().unwrap().wake();
    assert!(flag.load(Ordering::SeqCst));
    mini.fire();
    assert_eq!(mini.try_decide(), Err(ParkReason::ForeignFuture));
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
