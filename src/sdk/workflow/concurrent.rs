//! Doing several things at once in workflow code, so that it decides the same when it is replayed. Must not live here:
//! what is awaited.
//!
//! What makes a combinator safe is that who is polled, and in which order, follows from the history alone. Everything here
//! polls in the order in which things were given. So do `join!`, `join_all`, `select`, `select_all` and `select_biased!` of
//! the `futures` crates, and `FuturesUnordered` and `buffer_unordered` follow the order in which the history wakes them.
//! **Not** safe are `tokio::select!` without `biased;` and `futures::select!`: they choose by a random number.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;

use crate::model::Failure;

use super::WorkflowContext;

impl WorkflowContext {
    /// The first of two to be ready; if both are, the first one given. The other is dropped, which asks what it waited for
    /// to stop.
    ///
    /// ```
    /// use std::time::Duration;
    /// use amends::{Failure, WorkflowContext};
    /// use futures_util::future::Either;
    ///
    /// async fn approval(cx: WorkflowContext, _input: ()) -> Result<bool, Failure> {
    ///     let approved = cx.signal::<bool>("approve");
    ///     match cx.race(approved.recv(), cx.sleep(Duration::from_secs(86_400))).await {
    ///         Either::Left(answer) => answer,
    ///         Either::Right(slept) => slept.map(|()| false),
    ///     }
    /// }
    /// # let _ = amends::WorkflowDefinition::of(approval);
    /// ```
    pub fn race<A: Future, B: Future>(
        &self,
        first: A,
        second: B,
    ) -> impl Future<Output = Either<A::Output, B::Output>> + use<A, B> {
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        poll_fn(move |cx| match first.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Either::Left(output)),
            Poll::Pending => second.as_mut().poll(cx).map(Either::Right),
        })
    }

    /// The first of many to be ready, with its place; if several are, the one that was given first. The others are
    /// dropped. Never ready when none is given.
    pub fn race_all<I>(&self, futures: I) -> impl Future<Output = (usize, <I::Item as Future>::Output)> + use<I>
    where
        I: IntoIterator,
        I::Item: Future,
    {
        let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
        poll_fn(move |cx| {
            let ready = running.iter_mut().enumerate().find_map(|(place, future)| {
                let Poll::Ready(output) = future.as_mut().poll(cx) else {
                    return None;
                };
                Some((place, output))
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
    }

    /// What the future gives, or `None` when this much time has passed before; the future is then dropped, which asks what
    /// it waited for to stop.
    ///
    /// # Errors
    /// A cancellation when the run is cancelled before either.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Result<Option<F::Output>, Failure> {
        match self.race(future, self.sleep(limit)).await {
            Either::Left(output) => Ok(Some(output)),
            Either::Right(slept) => slept.map(|()| None),
        }
    }

    /// Does something for each item, at most `limit` at a time (at least one), and gives what came of it in the order of
    /// the items. The next item is begun as soon as there is room, whichever of those before it has ended.
    ///
    /// ```
    /// use amends::{ActivityContext, Failure, WorkflowContext};
    ///
    /// async fn resize(_cx: ActivityContext, image: String) -> Result<u64, Failure> { Ok(image.len() as u64) }
    ///
    /// async fn album(cx: WorkflowContext, images: Vec<String>) -> Result<u64, Failure> {
    ///     let sizes = cx.map_concurrent(&images, 8, |image| cx.activity(resize, image)).await;
    ///     // Failed ones are left out; `try_map_concurrent` ends at the first.
    ///     Ok(sizes.into_iter().flatten().sum())
    /// }
    /// # let _ = amends::WorkflowDefinition::of(album);
    /// ```
    pub fn map_concurrent<I, F, Fut>(
        &self,
        items: I,
        limit: usize,
        work: F,
    ) -> impl Future<Output = Vec<Fut::Output>> + use<I, F, Fut>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future,
    {
        let mut batch = Batch::new(items, limit, work);
        let mut ready = BTreeMap::new();
        poll_fn(move |cx| {
            let mut keep = |place, output| {
                ready.insert(place, output);
                Ok::<(), std::convert::Infallible>(())
            };
            match batch.poll(cx, &mut keep) {
                Poll::Ready(_) => Poll::Ready(std::mem::take(&mut ready).into_values().collect()),
                Poll::Pending => Poll::Pending,
            }
        })
    }

    /// As [`map_concurrent`](Self::map_concurrent), but ends at the first failure; what is still going on is then dropped,
    /// which asks it to stop, and nothing more is begun.
    ///
    /// # Errors
    /// The first failure; of several in one turn, that of the item that was begun first.
    pub fn try_map_concurrent<I, F, Fut, T, E>(
        &self,
        items: I,
        limit: usize,
        work: F,
    ) -> impl Future<Output = Result<Vec<T>, E>> + use<I, F, Fut, T, E>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut batch = Batch::new(items, limit, work);
        let mut ready = BTreeMap::new();
        poll_fn(move |cx| {
            let mut keep = |place, output: Result<T, E>| {
                ready.insert(place, output?);
                Ok(())
            };
            batch.poll(cx, &mut keep).map(|ended| {
                ended?;
                Ok(std::mem::take(&mut ready).into_values().collect())
            })
        })
    }

    /// As [`map_concurrent`](Self::map_concurrent), when nothing comes of it.
    pub fn for_each_concurrent<I, F, Fut>(
        &self,
        items: I,
        limit: usize,
        work: F,
    ) -> impl Future<Output = ()> + use<I, F, Fut>
    where
        I: IntoIterator,
        F: FnMut(I::Item) -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut batch = Batch::new(items, limit, work);
        poll_fn(move |cx| {
            let mut drop = |_, ()| Ok::<(), std::convert::Infallible>(());
            batch.poll(cx, &mut drop).map(|_| ())
        })
    }
}

/// Items that are worked on, a bounded number at a time, in the order in which they come.
struct Batch<I: Iterator, F, Fut> {
    items: std::iter::Fuse<std::iter::Enumerate<I>>,
    work: F,
    limit: usize,
    running: Vec<(usize, Pin<Box<Fut>>)>,
}

impl<I: Iterator, F: FnMut(I::Item) -> Fut, Fut: Future> Batch<I, F, Fut> {
    fn new(items: impl IntoIterator<IntoIter = I>, limit: usize, work: F) -> Self {
        Self {
            items: items.into_iter().enumerate().fuse(),
            work,
            limit: limit.max(1),
            running: Vec::new(),
        }
    }

    /// Polls what is running, and begins more, until nothing more ends by that. All that run are polled whenever one has
    /// news: as many as the limit says, which the user chose.
    fn poll<E>(
        &mut self,
        cx: &mut Context<'_>,
        keep: &mut impl FnMut(usize, Fut::Output) -> Result<(), E>,
    ) -> Poll<Result<(), E>> {
        loop {
            while self.running.len() < self.limit
                && let Some((place, item)) = self.items.next()
            {
                self.running.push((place, Box::pin((self.work)(item))));
            }
            if self.running.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let before = self.running.len();
            let mut refusal = None;
            self.running.retain_mut(|(place, future)| {
                if refusal.is_some() {
                    return true;
                }
                let Poll::Ready(output) = future.as_mut().poll(cx) else {
                    return true;
                };
                refusal = keep(*place, output).err();
                false
            });
            if let Some(refusal) = refusal {
                self.running.clear();
                return Poll::Ready(Err(refusal));
            }
            if self.running.len() == before {
                return Poll::Pending;
            }
        }
    }
}
