//! Who gets which lock, in the reader's voice, and what holds for all orders of events. Must not live here: actors.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::{EventId, Failure, FailureKind, Timestamp};

fn lock(name: &str) -> LockName {
    LockName::from_trusted(name)
}

fn run_id(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

fn claimant(number: u8) -> Claimant {
    Claimant {
        workflow_id: WorkflowId::from_trusted(format!("run-{number}")),
        run_id: run_id(number),
        parent: None,
    }
}

/// Runs that say how they stand, and take verdicts, as run actors do.
struct World {
    table: LockTable,
    waiting: BTreeMap<u8, Vec<Request>>,
    held: BTreeMap<u8, Vec<LockName>>,
    parents: BTreeMap<u8, u8>,
    refused: BTreeMap<u8, Vec<Failure>>,
    now: i64,
}

impl World {
    fn shut() -> Self {
        Self {
            table: LockTable::default(),
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            parents: BTreeMap::new(),
            refused: BTreeMap::new(),
            now: 0,
        }
    }

    fn open() -> Self {
        let mut world = Self::shut();
        assert!(world.table.open().is_empty());
        world
    }

    /// Says how the run stands, and takes what it is told, until nothing is new.
    fn sync(&mut self, run: u8) {
        let mut claimant = claimant(run);
        claimant.parent = self.parents.get(&run).map(|parent| run_id(*parent));
        let (waiting, held) = (
            self.waiting.get(&run).cloned().unwrap_or_default(),
            self.held.get(&run).cloned().unwrap_or_default(),
        );
        let synced = self.table.sync(&claimant, &waiting, &held);
        let news = !synced.verdicts.is_empty();
        for (lock, verdict) in synced.verdicts {
            self.waiting
                .entry(run)
                .or_default()
                .retain(|request| request.lock != lock);
            match verdict {
                Verdict::Granted => self.held.entry(run).or_default().push(lock),
                Verdict::Refused(failure) => self.refused.entry(run).or_default().push(failure),
            }
        }
        if news {
            self.sync(run);
        }
        self.wake(synced.wake);
    }

    fn wake(&mut self, runs: Vec<WorkflowId>) {
        for workflow_id in runs {
            let number = workflow_id.as_str().trim_start_matches("run-").parse().unwrap();
            self.sync(number);
        }
    }

    fn note(&mut self, run: u8, name: &str, no_wait: bool) {
        self.now += 1;
        self.waiting.entry(run).or_default().push(Request {
            lock: lock(name),
            requested: EventId(u64::try_from(self.now).unwrap()),
            at: Timestamp::from_micros(self.now),
            no_wait,
        });
    }

    fn request(&mut self, run: u8, name: &str) {
        self.note(run, name, false);
        self.sync(run);
    }

    fn give_up(&mut self, run: u8, name: &str) {
        self.waiting
            .entry(run)
            .or_default()
            .retain(|request| request.lock != lock(name));
        self.sync(run);
    }

    fn end(&mut self, run: u8) {
        self.waiting.remove(&run);
        self.held.remove(&run);
        let wake = self.table.release(run_id(run));
        self.wake(wake);
    }

    fn holds(&self, run: u8, name: &str) -> bool {
        self.held.get(&run).is_some_and(|held| held.contains(&lock(name)))
    }

    fn line(&self, name: &str) -> Vec<u8> {
        let line = self.table.line(&lock(name));
        line.iter().map(|(_, run)| run.as_bytes()[0]).collect()
    }

    fn refusal(&self, run: u8) -> String {
        self.refused.get(&run).map_or(String::new(), |refused| {
            let last = refused.last().unwrap();
            assert!(matches!(&last.kind, FailureKind::Application(application) if application.non_retryable));
            last.to_string()
        })
    }
}

#[test]
fn a_lock_is_held_by_one_and_handed_on_in_the_order_of_the_requests() {
    let mut world = World::open();
    for run in [1, 2, 3, 4] {
        world.request(run, "a");
    }
    assert_eq!(world.line("a"), [1, 2, 3, 4]);
    assert!(world.holds(1, "a") && !world.holds(2, "a"));
    world.end(3);
    world.end(1);
    assert!(world.holds(2, "a"));
    assert_eq!(world.line("a"), [2, 4]);
    world.end(2);
    world.end(4);
    assert!(world.line("a").is_empty());
    assert!(!world.table.knows(run_id(4)));
}

#[test]
fn an_earlier_request_that_arrives_later_is_ahead() {
    let mut world = World::open();
    world.request(1, "a");
    world.note(2, "a", false);
    world.request(3, "a");
    world.sync(2);
    assert_eq!(world.line("a"), [1, 2, 3]);
}

#[test]
fn who_does_not_wait_is_told_by_whom_the_lock_is_held() {
    let mut world = World::open();
    world.request(1, "a");
    world.note(2, "a", true);
    world.sync(2);
    assert_eq!(world.refusal(2), "LockHeld: the lock \"a\" is held by \"run-1\"");
    world.end(1);
    world.note(2, "a", true);
    world.sync(2);
    assert!(world.holds(2, "a"));
}

#[test]
fn who_gives_up_and_asks_again_is_last_in_line() {
    let mut world = World::open();
    for run in [1, 2, 3] {
        world.request(run, "a");
    }
    world.give_up(2, "a");
    world.request(2, "a");
    assert_eq!(world.line("a"), [1, 3, 2]);
}

/// The run gave up at the very moment at which the lock became its own, and asks again: its new request is another one.
#[test]
fn a_grant_for_a_request_that_was_given_up_is_not_one_for_the_next() {
    let mut world = World::open();
    for run in [1, 2, 3] {
        world.request(run, "a");
    }
    world.held.remove(&1);
    // 2 is next, but is not woken in time.
    assert_eq!(world.table.release(run_id(1)), [WorkflowId::from_trusted("run-2")]);
    world.waiting.remove(&2);
    world.request(2, "a");
    assert!(world.holds(3, "a") && !world.holds(2, "a"));
    assert_eq!(world.line("a"), [3, 2]);
}

#[test]
fn a_verdict_is_repeated_until_the_run_has_taken_it() {
    let mut world = World::open();
    world.note(1, "a", false);
    let waiting = world.waiting[&1].clone();
    for _ in 0..2 {
        let synced = world.table.sync(&claimant(1), &waiting, &[]);
        assert_eq!(synced.verdicts, [(lock("a"), Verdict::Granted)]);
    }
    world.waiting.clear();
    world.held.insert(1, vec![lock("a")]);
    world.sync(1);
    assert_eq!(world.line("a"), [1]);
}

#[test]
fn a_request_that_would_never_end_is_refused_with_the_whole_circle() {
    let mut world = World::open();
    for (run, name) in [(1, "a"), (2, "b"), (3, "c"), (1, "b"), (2, "c")] {
        world.request(run, name);
    }
    world.request(3, "a");
    assert_eq!(
        world.refusal(3),
        "Deadlock: waiting for the lock \"a\" would never end: \"run-3\" waits for \"a\", which \"run-1\" holds, \"run-1\" \
         waits for \"b\", which \"run-2\" holds, \"run-2\" waits for \"c\", which \"run-3\" holds"
    );
    // The others go on when the refused one has turned back.
    world.end(3);
    assert!(world.holds(2, "c"));
    world.end(2);
    assert!(world.holds(1, "b"));
}

/// Nobody in the circle holds "a": one would get it only after the other.
#[test]
fn standing_behind_somebody_is_waiting_for_them() {
    let mut world = World::open();
    world.request(9, "a");
    world.request(1, "m");
    world.request(2, "a");
    world.request(2, "m");
    world.request(1, "a");
    assert_eq!(
        world.refusal(1),
        "Deadlock: waiting for the lock \"a\" would never end: \"run-1\" waits for \"a\" behind \"run-2\", \"run-2\" waits \
         for \"m\", which \"run-1\" holds"
    );
}

#[test]
fn a_child_that_wants_what_its_parent_holds_is_a_circle() {
    let mut world = World::open();
    world.parents.insert(2, 1);
    world.request(1, "a");
    world.request(2, "a");
    assert_eq!(
        world.refusal(2),
        "Deadlock: waiting for the lock \"a\" would never end: \"run-2\" waits for \"a\", which \"run-1\" holds, \"run-1\" \
         waits for its child \"run-2\""
    );
}

#[test]
fn a_shut_table_only_takes_notes() {
    let mut world = World::shut();
    world.request(3, "a");
    world.note(2, "a", true);
    world.sync(2);
    world.request(4, "b");
    assert!(world.held.is_empty() && world.refused.is_empty());
    // Who held it before the engine was started anew comes last, and holds it all the same.
    world.held.insert(1, vec![lock("a")]);
    world.sync(1);
    let wake = world.table.open();
    world.wake(wake);
    assert_eq!(world.line("a"), [1, 3]);
    assert!(world.holds(4, "b") && world.refusal(2).contains("run-1"));
    world.end(1);
    assert!(world.holds(3, "a"));
}

#[test]
fn a_circle_among_those_who_come_back_is_broken_at_its_youngest() {
    let mut world = World::shut();
    world.held.insert(1, vec![lock("a")]);
    world.held.insert(2, vec![lock("b")]);
    world.note(1, "b", false);
    world.note(2, "a", false);
    world.sync(2);
    world.sync(1);
    let wake = world.table.open();
    world.wake(wake);
    assert!(world.refusal(2).starts_with("Deadlock") && !world.refused.contains_key(&1));
}

#[test]
fn the_desk_opens_when_everybody_is_in() {
    let (desk, epoch) = (LockDesk::new(2), Epoch(7));
    let request = |number: u64| Request {
        lock: lock("a"),
        requested: EventId(number),
        at: Timestamp::from_micros(0),
        no_wait: false,
    };
    let sync = |run: u8, waiting: &[Request], held: &[LockName]| desk.sync(epoch, &claimant(run), waiting, held);
    assert!(desk.expect(epoch, 0, [run_id(1), run_id(2), run_id(3)]).is_empty());
    assert_eq!(sync(4, &[request(5)], &[]), Synced::default());
    assert_eq!(sync(1, &[], &[]), Synced::default());
    assert!(desk.expect(epoch, 1, []).is_empty());
    // One ended at once, and one cannot be made live: what it may hold stays its own.
    assert!(desk.release(epoch, run_id(2)).is_empty());
    let wake = desk.give_up_on(epoch, &claimant(3), || vec![lock("a")]);
    assert_eq!(wake, [claimant(4).workflow_id]);
    assert_eq!(sync(4, &[request(5)], &[]).verdicts, []);
    assert_eq!(desk.line(&lock("a")).len(), 2);
    // The store failed and is open again: everything begins anew, and actors of before have nothing to say.
    let later = Epoch(8);
    assert!(desk.expect(later, 0, []).is_empty());
    assert_eq!(sync(4, &[request(5)], &[]), Synced::default());
    assert!(desk.expect(later, 1, []).is_empty());
    let synced = desk.sync(later, &claimant(5), &[request(9)], &[]);
    assert_eq!(synced.verdicts, [(lock("a"), Verdict::Granted)]);
}

#[derive(Clone, Debug)]
enum Step {
    Request { run: u8, lock: u8, no_wait: bool },
    GiveUp { run: u8 },
    End { run: u8 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let run = 0_u8..6;
    prop_oneof![
        6 => (run.clone(), 0_u8..4, any::<bool>()).prop_map(|(run, lock, no_wait)| Step::Request { run, lock, no_wait }),
        1 => run.clone().prop_map(|run| Step::GiveUp { run }),
        3 => run.prop_map(|run| Step::End { run }),
        1 => Just(Step::Restart),
    ]
}

impl World {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Request {
                run,
                lock: name,
                no_wait,
            } => {
                let name = format!("lock-{name}");
                let asked = self
                    .waiting
                    .get(&run)
                    .is_some_and(|waiting| waiting.iter().any(|request| request.lock == lock(&name)));
                if !asked && !self.holds(run, &name) {
                    self.note(run, &name, no_wait);
                    self.sync(run);
                }
            }
            Step::GiveUp { run } => {
                self.waiting.remove(&run);
                self.sync(run);
            }
            Step::End { run } => self.end(run),
            Step::Restart => {
                self.table = LockTable::default();
                let runs: BTreeSet<u8> = self.waiting.keys().chain(self.held.keys()).copied().collect();
                runs.iter().rev().for_each(|run| self.sync(*run));
                let wake = self.table.open();
                self.wake(wake);
            }
        }
    }

    fn check(&self) {
        let mut holders = BTreeMap::new();
        for (run, held) in &self.held {
            for lock in held {
                assert_eq!(holders.insert(lock.clone(), *run), None, "two hold {lock}");
            }
        }
        for (run, waiting) in &self.waiting {
            for request in waiting {
                assert!(holders.contains_key(&request.lock), "{run} waits for a free lock");
                let line = self.line(request.lock.as_str());
                assert!(line[1..].contains(run), "{run} is not in line");
            }
        }
        for lock in holders.keys() {
            let requests = |run: &u8| {
                self.waiting[run]
                    .iter()
                    .find(|request| request.lock == *lock)
                    .unwrap()
                    .at
            };
            let times: Vec<Timestamp> = self.line(lock.as_str())[1..].iter().map(requests).collect();
            assert!(times.is_sorted(), "not in the order of the requests");
        }
    }
}

proptest! {
    #[test]
    fn one_holder_no_lost_wakeups_first_come_first_served_and_no_deadlock(steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World::open();
        for step in &steps {
            world.take(step);
            world.check();
        }
        // Whoever waits for nothing can end; if nobody waits in a circle, that lets all others end, too.
        for _ in 0..6 {
            let waits = |run: &u8| world.waiting.get(run).is_some_and(|waiting| !waiting.is_empty());
            let free: Vec<u8> = (0..6).filter(|run| !waits(run)).collect();
            for run in free {
                world.end(run);
                world.check();
            }
        }
        prop_assert!(world.waiting.values().all(Vec::is_empty), "{:?}", world.waiting);
    }
}
