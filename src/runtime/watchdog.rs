//! Turns that do not come back: code that loops or blocks holds its shard's thread, and nothing can take it away; but a thread
//! beside it can tell. Lives here: the thread that looks. Must not live here: which turn each shard is in (`post`); what is said of
//! a slow turn once it has come back (`run::foreign`).
//!
//! The thread measures in looks, not on the engine's clock: what hangs hangs in real time, whatever time the runs live in.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::model::{RunId, WorkflowId, WorkflowType};

mod post;

use post::Post;

/// How often it looks within the time after which a turn counts as hanging.
const LOOKS: u32 = 4;

/// A turn of a run whose code has not come back for too long. It holds up all runs of its shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HungTurn {
    /// Whose turn it is.
    pub workflow_id: WorkflowId,
    /// Which execution.
    pub run_id: RunId,
    /// Whose code; `None` when it was not known yet, because the run was being made live.
    pub workflow_type: Option<WorkflowType>,
    /// The number of the shard that is held up.
    pub shard: usize,
    /// For how long at least.
    pub hangs_for: Duration,
}

/// The turns of all shards.
pub(super) struct Watchdog {
    posts: Vec<Post>,
    /// `None`: nobody looks.
    hangs_after: Option<Duration>,
    hung: Mutex<Vec<HungTurn>>,
    /// How many shards there are whose threads have not ended.
    shards: Mutex<usize>,
    shard_left: Condvar,
}

/// One turn under way, for as long as this lives.
pub(super) struct TurnWatch<'a>(Option<&'a Post>);

impl Drop for TurnWatch<'_> {
    fn drop(&mut self) {
        if let Some(post) = self.0 {
            post.end();
        }
    }
}

/// A shard whose turns are watched, for as long as this lives.
pub(super) struct Watched(Arc<Watchdog>);

impl Drop for Watched {
    fn drop(&mut self) {
        *lock(&self.0.shards) -= 1;
        self.0.shard_left.notify_all();
    }
}

impl Watchdog {
    /// For so many shards; a time of zero: nobody looks.
    pub(super) fn new(shards: usize, hangs_after: Duration) -> Self {
        Self {
            posts: (0..shards).map(|_| Post::default()).collect(),
            hangs_after: (!hangs_after.is_zero()).then_some(hangs_after),
            hung: Mutex::default(),
            shards: Mutex::new(0),
            shard_left: Condvar::new(),
        }
    }

    /// A shard's thread begins: it is looked after until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Watched {
        *lock(&self.shards) += 1;
        Watched(Arc::clone(self))
    }

    /// A turn begins on a shard.
    pub(super) fn begin(
        &self,
        shard: usize,
        workflow_id: &WorkflowId,
        run_id: RunId,
        workflow_type: Option<&WorkflowType>,
    ) -> TurnWatch<'_> {
        let post = self.posts.get(shard).filter(|_| self.hangs_after.is_some());
        if let Some(post) = post {
            post.begin(workflow_id, run_id, workflow_type);
        }
        TurnWatch(post)
    }

    /// The turns that hang now, as of the last look.
    pub(super) fn hung(&self) -> Vec<HungTurn> {
        lock(&self.hung).clone()
    }

    /// Looks for as long as there are shards, also while their engine stops: whoever waits for that is told what keeps it.
    pub(super) fn run(&self) {
        let Some(hangs_after) = self.hangs_after else { return };
        let pause = (hangs_after / LOOKS).max(Duration::from_millis(1));
        let mut seen = vec![Seen::default(); self.posts.len()];
        let mut shards = lock(&self.shards);
        loop {
            shards = self
                .shard_left
                .wait_timeout_while(shards, pause, |shards| *shards > 0)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(shards, _)| shards);
            if *shards == 0 {
                lock(&self.hung).clear();
                return;
            }
            // Without the lock: a shard that ends must not wait for the log.
            drop(shards);
            let hung = self.look(&mut seen, pause, tell);
            *lock(&self.hung) = hung;
            shards = lock(&self.shards);
        }
    }

    fn look(&self, seen: &mut [Seen], pause: Duration, tell: impl Fn(&HungTurn)) -> Vec<HungTurn> {
        let posts = self.posts.iter().zip(seen).enumerate();
        let hung = posts.filter_map(|(shard, (post, seen))| {
            let Some(turn) = post.turn() else {
                *seen = Seen::default();
                return None;
            };
            let looks = seen.again(turn)?;
            let (workflow_id, run_id, workflow_type) = post.whose(turn)?;
            let hung = HungTurn {
                workflow_id,
                run_id,
                workflow_type,
                shard,
                hangs_for: pause * looks,
            };
            if is_told(looks) {
                tell(&hung);
            }
            Some(hung)
        });
        hung.collect()
    }
}

/// The turn that a look found on a shard, and how many looks since then have found it there still.
#[derive(Clone, Copy, Default)]
struct Seen {
    number: Option<u64>,
    looks: u32,
}

impl Seen {
    /// How many looks have found it, when that is too many.
    fn again(&mut self, number: u64) -> Option<u32> {
        match self.number == Some(number) {
            true => self.looks = self.looks.saturating_add(1),
            false => {
                *self = Self {
                    number: Some(number),
                    looks: 0,
                }
            }
        }
        (self.looks >= LOOKS).then_some(self.looks)
    }
}

/// When it is noticed, and each time that it has hung for twice as long: a turn that never ends is told of some thirty times.
fn is_told(looks: u32) -> bool {
    looks.is_multiple_of(LOOKS) && (looks / LOOKS).is_power_of_two()
}

fn tell(turn: &HungTurn) {
    let workflow_type = turn.workflow_type.as_ref().map_or("unknown", WorkflowType::as_str);
    tracing::warn!(
        workflow_id = %turn.workflow_id, run_id = %turn.run_id, workflow_type, shard = turn.shard,
        hangs_for = ?turn.hangs_for,
        "a turn does not come back, and holds up all runs of its shard: long computations and blocking calls belong into \
         activities"
    );
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits for what another thread does, and not for ever.
    #[expect(
        clippy::disallowed_methods,
        reason = "the watchdog looks at its own clock, not at a virtual one"
    )]
    fn wait_until(done: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        while !done() {
            assert!(begun.elapsed() < SECOND * 60, "the other thread does not come to it");
            std::thread::yield_now();
        }
    }

    fn begun<'a>(watchdog: &'a Watchdog, shard: usize, id: &str) -> TurnWatch<'a> {
        let workflow_type = WorkflowType::from_trusted("order");
        let run_id = RunId::from_parts(1, &[1; 10]);
        watchdog.begin(shard, &WorkflowId::from_trusted(id), run_id, Some(&workflow_type))
    }

    #[test]
    fn a_turn_hangs_when_so_many_looks_have_found_it_and_no_other_turn_does() {
        let watchdog = Watchdog::new(2, SECOND * 4);
        let mut seen = vec![Seen::default(); 2];
        let _hangs = begun(&watchdog, 1, "hangs");
        for look in 0..=LOOKS {
            // One turn after the other is no turn that hangs.
            let busy = begun(&watchdog, 0, "busy");
            let hung = watchdog.look(&mut seen, SECOND, |_| {});
            drop(busy);
            let told: Vec<_> = hung
                .iter()
                .map(|turn| (turn.workflow_id.as_str(), turn.shard, turn.hangs_for))
                .collect();
            let expected = [("hangs", 1, SECOND * 4)];
            assert_eq!(
                told,
                if look < LOOKS { &expected[..0] } else { &expected[..] },
                "look {look}"
            );
        }
    }

    #[test]
    fn one_that_has_come_back_does_not_hang_and_one_that_hangs_on_is_told_of_seldom() {
        let watchdog = Watchdog::new(1, SECOND);
        let mut seen = vec![Seen::default()];
        let turn = begun(&watchdog, 0, "slow");
        let hung = (0..=LOOKS).map(|_| watchdog.look(&mut seen, SECOND, |_| {}).len());
        assert_eq!(hung.last(), Some(1));
        drop(turn);
        assert_eq!(watchdog.look(&mut seen, SECOND, |_| {}), []);
        let _next = begun(&watchdog, 0, "next");
        assert_eq!(watchdog.look(&mut seen, SECOND, |_| {}), []);
        let told: Vec<u32> = (1..=100).filter(|looks| is_told(*looks)).collect();
        assert_eq!(told, [4, 8, 16, 32, 64]);
    }

    #[test]
    fn it_looks_until_the_last_shard_has_ended_and_not_longer() {
        let watchdog = Arc::new(Watchdog::new(2, Duration::from_millis(4)));
        let shards = [watchdog.enter(), watchdog.enter()];
        let looking = {
            let watchdog = Arc::clone(&watchdog);
            std::thread::spawn(move || watchdog.run())
        };
        let [first, last] = shards;
        drop(first);
        let _hangs = begun(&watchdog, 1, "hangs");
        wait_until(|| !watchdog.hung().is_empty());
        drop(last);
        wait_until(|| looking.is_finished());
        looking.join().unwrap();
    }

    #[test]
    fn with_a_time_of_zero_nobody_looks() {
        let watchdog = Arc::new(Watchdog::new(1, Duration::ZERO));
        let _shard = watchdog.enter();
        let _turn = begun(&watchdog, 0, "hangs");
        let looking = {
            let watchdog = Arc::clone(&watchdog);
            std::thread::spawn(move || watchdog.run())
        };
        wait_until(|| looking.is_finished());
        looking.join().unwrap();
        assert_eq!(watchdog.posts[0].turn(), None);
    }
}
