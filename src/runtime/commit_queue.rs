//! Turns on their way to the journal writer: handed over and taken in bulk, so that a busy engine pays one lock and one
//! wake-up for many of them. Must not live here: what becomes of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::limits;

/// What can be queued for a commit.
pub(super) trait Weigh {
    /// How many bytes it brings to a commit.
    fn bytes(&self) -> usize;
}

/// The queue between the shards and the journal writer. Bounded: a full one blocks whoever hands over, which is the
/// back-pressure on shards.
pub(super) struct CommitQueue<J> {
    state: Mutex<State<J>>,
    /// Something has come, or nothing more will.
    filled: Condvar,
    /// There is room again, or nobody who takes.
    emptied: Condvar,
    /// How long a commit that follows a large one waits for company.
    gather: Duration,
}

struct State<J> {
    jobs: Vec<J>,
    /// What comes now is dropped: the writer ends after what it was given before.
    sealed: bool,
    /// How many jobs the last commit took.
    last_taken: usize,
}

impl<J: Weigh> CommitQueue<J> {
    pub(super) fn new(gather: Duration) -> Self {
        let state = State {
            jobs: Vec::new(),
            sealed: false,
            last_taken: 0,
        };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            gather,
        }
    }

    /// Hands all of these over, in order, and leaves the vector empty. Lost only if the queue is sealed.
    pub(super) fn hand_over(&self, jobs: &mut Vec<J>) {
        let mut state = self.lock();
        while state.jobs.len() >= limits::COMMIT_QUEUE_MAX && !state.sealed {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.sealed {
            drop(state);
            jobs.clear();
            return;
        }
        let was_empty = state.jobs.is_empty();
        state.jobs.append(jobs);
        let is_full = state.jobs.len() >= limits::COMMIT_TURNS_MAX;
        drop(state);
        // The writer sleeps while there is nothing, and for a moment while more may come.
        if was_empty || is_full {
            self.filled.notify_one();
        }
    }

    /// Nothing more is taken in; what is there is still given out.
    pub(super) fn seal(&self) {
        self.lock().sealed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Waits until there is something, or nothing will come, and takes what fits one commit into the empty vector. Says
    /// whether that was the last of all.
    ///
    /// After a large commit the engine is busy: then it waits a moment more. A commit costs the processor about as much as
    /// ten turns, and a fast disk would have one made for every few of them. A lone turn never waits.
    pub(super) fn take(&self, jobs: &mut Vec<J>) -> bool {
        let mut state = self.lock();
        while state.jobs.is_empty() && !state.sealed {
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.last_taken >= limits::COMMIT_TURNS_BUSY {
            let alone = |state: &mut State<J>| state.jobs.len() < limits::COMMIT_TURNS_MAX && !state.sealed;
            let waited = self.filled.wait_timeout_while(state, self.gather, alone);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let fit = how_many_fit(&state.jobs);
        state.last_taken = fit;
        match fit < state.jobs.len() {
            true => jobs.extend(state.jobs.drain(..fit)),
            false => std::mem::swap(&mut state.jobs, jobs),
        }
        let last = state.sealed && state.jobs.is_empty();
        drop(state);
        self.emptied.notify_all();
        last
    }

    /// Drops everything that comes within this time; `false` if nothing will come any more.
    pub(super) fn discard_for(&self, time: Duration) -> bool {
        let discard = |state: &mut State<J>| {
            state.jobs.clear();
            self.emptied.notify_all();
            !state.sealed
        };
        let waited = self.filled.wait_timeout_while(self.lock(), time, discard);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.sealed
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // Nothing that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At least one, if there is one: a single turn may be larger than what a commit is filled up to.
fn how_many_fit(jobs: &[impl Weigh]) -> usize {
    let mut bytes = 0_usize;
    let fitting = jobs.iter().take(limits::COMMIT_TURNS_MAX).take_while(|job| {
        let fits = bytes < limits::COMMIT_BYTES_FULL;
        bytes = bytes.saturating_add(job.bytes());
        fits
    });
    fitting.count()
}

/// One shard's turns until they are handed over: at the end of the shard's present round, all together.
pub(super) struct Outbox<J> {
    queue: Arc<CommitQueue<J>>,
    jobs: RefCell<Vec<J>>,
    /// How many were put here of which nothing has been heard yet.
    out: Cell<usize>,
    /// Somebody will hand them over.
    planned: Cell<bool>,
}

impl<J: Weigh + 'static> Outbox<J> {
    pub(super) fn new(queue: Arc<CommitQueue<J>>) -> Rc<Self> {
        Rc::new(Self {
            queue,
            jobs: RefCell::new(Vec::new()),
            out: Cell::new(0),
            planned: Cell::new(false),
        })
    }

    /// Takes a turn. It is handed over when everything that is ready on the shard's thread right now has had its turn: a
    /// lone one at once, many together.
    pub(super) fn put(self: &Rc<Self>, job: J) {
        self.jobs.borrow_mut().push(job);
        self.out.set(self.out.get().saturating_add(1));
        if !self.planned.replace(true) {
            let outbox = Rc::clone(self);
            actix::spawn(async move { outbox.hand_over() });
        }
    }

    /// How many turns are on their way.
    pub(super) fn under_way(&self) -> usize {
        self.out.get()
    }

    /// So many of them have become durable, or come back.
    pub(super) fn settled(&self, jobs: usize) {
        self.out.set(self.out.get().saturating_sub(jobs));
    }

    /// Nothing will be heard of those that are on their way.
    pub(super) fn forget(&self) {
        self.out.set(0);
    }

    fn hand_over(&self) {
        self.planned.set(false);
        // Not taken away: the vector keeps its room.
        self.queue.hand_over(&mut self.jobs.borrow_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job of so many bytes.
    #[derive(Debug, PartialEq)]
    struct Job(usize);

    impl Weigh for Job {
        fn bytes(&self) -> usize {
            self.0
        }
    }

    /// What is taken next, and whether it is the last.
    fn taken(queue: &CommitQueue<Job>) -> (Vec<usize>, bool) {
        let mut jobs = Vec::new();
        let last = queue.take(&mut jobs);
        (jobs.iter().map(|job| job.0).collect(), last)
    }

    fn numbers(queue: &CommitQueue<Job>) -> Vec<usize> {
        taken(queue).0
    }

    #[test]
    fn what_is_handed_over_is_taken_in_order_as_much_as_fits_one_commit() {
        let queue = CommitQueue::new(Duration::ZERO);
        queue.hand_over(&mut vec![Job(1), Job(2)]);
        queue.hand_over(&mut vec![Job(limits::COMMIT_BYTES_FULL), Job(3)]);
        let first = numbers(&queue);
        let full = [1, 2, limits::COMMIT_BYTES_FULL];
        assert_eq!(first, full, "the one that fills it up goes along");
        assert_eq!(numbers(&queue), [3]);
        queue.hand_over(&mut (0..=limits::COMMIT_TURNS_MAX).map(Job).collect());
        assert_eq!(numbers(&queue).len(), limits::COMMIT_TURNS_MAX);
        assert_eq!(numbers(&queue), [limits::COMMIT_TURNS_MAX]);
    }

    #[test]
    fn a_sealed_queue_gives_out_what_it_has_and_takes_nothing() {
        let queue = CommitQueue::new(Duration::ZERO);
        let large = limits::COMMIT_BYTES_FULL;
        queue.hand_over(&mut vec![Job(large), Job(1)]);
        queue.seal();
        let mut late = vec![Job(9)];
        queue.hand_over(&mut late);
        assert!(late.is_empty());
        assert_eq!(taken(&queue), (vec![large], false));
        assert_eq!(taken(&queue), (vec![1], true));
        assert_eq!(taken(&queue), (Vec::new(), true));
        assert!(
            !queue.discard_for(Duration::from_secs(3_600)),
            "it does not wait for anything"
        );
    }

    #[test]
    fn a_commit_after_a_large_one_waits_for_company_and_no_other_does() {
        const FOREVER: Duration = Duration::from_secs(3_600);
        let queue = Arc::new(CommitQueue::new(FOREVER));
        queue.hand_over(&mut vec![Job(1)]);
        assert_eq!(numbers(&queue), [1]);
        queue.hand_over(&mut (0..limits::COMMIT_TURNS_BUSY).map(|_| Job(2)).collect());
        assert_eq!(numbers(&queue).len(), limits::COMMIT_TURNS_BUSY);
        queue.hand_over(&mut vec![Job(3)]);
        let theirs = Arc::clone(&queue);
        let taking = std::thread::spawn(move || numbers(&theirs).len());
        queue.hand_over(&mut (1..limits::COMMIT_TURNS_MAX).map(|_| Job(4)).collect());
        assert_eq!(
            taking.join().unwrap(),
            limits::COMMIT_TURNS_MAX,
            "full: it goes at once"
        );
        queue.hand_over(&mut vec![Job(5)]);
        queue.seal();
        assert_eq!(numbers(&queue), [5], "nothing more can come");
    }

    #[test]
    fn a_full_queue_makes_the_next_one_wait_until_there_is_room() {
        let queue = Arc::new(CommitQueue::new(Duration::ZERO));
        queue.hand_over(&mut (0..limits::COMMIT_QUEUE_MAX).map(Job).collect());
        let theirs = Arc::clone(&queue);
        let handing = std::thread::spawn(move || theirs.hand_over(&mut vec![Job(7)]));
        let mut taken = 0;
        while taken <= limits::COMMIT_QUEUE_MAX {
            taken += numbers(&queue).len();
        }
        handing.join().unwrap();
        assert_eq!(taken, limits::COMMIT_QUEUE_MAX + 1);
    }

    #[test]
    fn jobs_that_come_while_the_store_is_shut_are_dropped() {
        let queue = CommitQueue::new(Duration::ZERO);
        queue.hand_over(&mut vec![Job(1)]);
        assert!(queue.discard_for(Duration::ZERO));
        queue.hand_over(&mut vec![Job(2)]);
        assert_eq!(numbers(&queue), [2]);
    }

    #[test]
    fn turns_of_one_round_are_handed_over_together() {
        let queue = Arc::new(CommitQueue::new(Duration::ZERO));
        let shard = actix::System::new();
        shard.block_on(async {
            let outbox = Outbox::new(Arc::clone(&queue));
            let ready = [1, 2, 3].map(|number| {
                let outbox = Rc::clone(&outbox);
                actix::spawn(async move { outbox.put(Job(number)) })
            });
            for task in ready {
                task.await.unwrap();
            }
            // The task that hands over was planned by the first of them, behind the others.
            actix::spawn(async {}).await.unwrap();
        });
        assert_eq!(numbers(&queue), [1, 2, 3]);
    }
}
