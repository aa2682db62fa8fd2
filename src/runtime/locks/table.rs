//! Who holds which lock and who waits for it, over all runs of an engine. Pure: no I/O, no clock, no actors. Must not live
//! here: telling anybody (that is `LockDesk`), or what a lock means to a run (that is `machine::lock`).
//!
//! The table is *level-triggered*: a run says how it stands, as often as it likes, and is told how the table sees that. A
//! verdict is repeated until the run's own state has it, so none can be lost on the way.
//!
//! ```text
//! shut:  what comes in is only noted, nothing is granted (after a start, until all are in who may hold a lock)
//! open:  free -> granted
//!        held -> refused at once (the run does not wait, or waiting would never end), else in line, by time of request
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::model::{EventId, Failure, LockName, RunId, Timestamp, WorkflowId};

/// A run that wants or holds locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Claimant {
    pub(in crate::runtime) workflow_id: WorkflowId,
    pub(in crate::runtime) run_id: RunId,
    /// The run whose step this run is: it waits for this one's end.
    pub(in crate::runtime) parent: Option<RunId>,
}

/// A lock that a run waits for, as its own state has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Request {
    pub(in crate::runtime) lock: LockName,
    /// The requesting event: another one is another request.
    pub(in crate::runtime) requested: EventId,
    pub(in crate::runtime) at: Timestamp,
    pub(in crate::runtime) no_wait: bool,
}

/// What the table says about a request.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runtime) enum Verdict {
    Granted,
    Refused(Failure),
}

/// What follows from a change.
#[derive(Debug, Default, PartialEq)]
pub(in crate::runtime) struct Synced {
    /// For the run that said how it stands.
    pub(in crate::runtime) verdicts: Vec<(LockName, Verdict)>,
    /// Runs for which something has changed: they are to say how they stand, and are told then.
    pub(in crate::runtime) wake: Vec<WorkflowId>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LockTable {
    open: bool,
    locks: HashMap<LockName, Lock>,
    parties: HashMap<RunId, Party>,
    children: HashMap<RunId, BTreeSet<RunId>>,
    /// How many requests were noted: the order of those that were made at one time.
    requests: u64,
}

/// Invariant of an open table: somebody waits only for what somebody holds.
#[derive(Debug, Default)]
struct Lock {
    holder: Option<RunId>,
    line: BTreeMap<Place, RunId>,
}

type Place = (Timestamp, u64);

#[derive(Debug)]
struct Party {
    claimant: Claimant,
    holds: BTreeSet<LockName>,
    wants: BTreeMap<LockName, Want>,
}

#[derive(Debug)]
struct Want {
    requested: EventId,
    no_wait: bool,
    place: Place,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    /// Noted while the table is shut.
    Noted,
    InLine,
    /// Granted; the run does not know yet.
    Granted,
    Refused(Failure),
}

/// Why one run waits for another.
#[derive(Clone, Debug)]
enum Because {
    Holds(LockName),
    IsAhead(LockName),
    IsChild,
}

impl LockTable {
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn knows(&self, run: RunId) -> bool {
        self.parties.contains_key(&run)
    }

    /// Everybody is in who may hold a lock: decides what was noted so far, in the order in which it was requested.
    pub(super) fn open(&mut self) -> Vec<WorkflowId> {
        self.open = true;
        let noted = self
            .parties
            .values()
            .flat_map(|party| party.wants.iter().map(move |(lock, want)| (want.place, lock, party)));
        let mut noted: Vec<(Place, RunId, LockName)> = noted
            .map(|(place, lock, party)| (place, party.claimant.run_id, lock.clone()))
            .collect();
        noted.sort_unstable();
        noted.iter().for_each(|(_, run, lock)| self.decide(*run, lock));
        let parties = noted.iter().filter_map(|(_, run, _)| self.parties.get(run));
        let names: BTreeSet<WorkflowId> = parties.map(|party| party.claimant.workflow_id.clone()).collect();
        names.into_iter().collect()
    }

    /// A run says how it stands, durably: what it waits for, and what it holds.
    pub(super) fn sync(&mut self, claimant: &Claimant, waiting: &[Request], held: &[LockName]) -> Synced {
        let run = claimant.run_id;
        if waiting.is_empty() && held.is_empty() {
            return Synced {
                verdicts: Vec::new(),
                wake: self.release(run),
            };
        }
        let freed = self.drop_what_is_over(run, waiting, held);
        // Before new requests of the run: a lock that it gave up is not its own again before it was the others' turn.
        let wake = self.promote(freed);
        self.enter(claimant);
        held.iter().for_each(|lock| self.confirm(run, lock));
        for request in waiting {
            self.note(run, request);
        }
        Synced {
            verdicts: self.verdicts(run),
            wake,
        }
    }

    /// A run has ended: what it held goes to those who are next.
    pub(super) fn release(&mut self, run: RunId) -> Vec<WorkflowId> {
        let freed = self.drop_what_is_over(run, &[], &[]);
        if let Some(party) = self.parties.remove(&run)
            && let Some(parent) = party.claimant.parent
            && let Some(siblings) = self.children.get_mut(&parent)
        {
            siblings.remove(&run);
            if siblings.is_empty() {
                self.children.remove(&parent);
            }
        }
        self.promote(freed)
    }

    /// Who holds the lock, and who waits for it, first in line first.
    pub(super) fn line(&self, lock: &LockName) -> Vec<(WorkflowId, RunId)> {
        let Some(lock) = self.locks.get(lock) else {
            return Vec::new();
        };
        let runs = lock.holder.iter().chain(lock.line.values());
        let parties = runs.filter_map(|run| self.parties.get(run));
        parties
            .map(|party| (party.claimant.workflow_id.clone(), party.claimant.run_id))
            .collect()
    }

    fn enter(&mut self, claimant: &Claimant) {
        let run = claimant.run_id;
        if self.parties.contains_key(&run) {
            return;
        }
        if let Some(parent) = claimant.parent {
            self.children.entry(parent).or_default().insert(run);
        }
        let party = Party {
            claimant: claimant.clone(),
            holds: BTreeSet::new(),
            wants: BTreeMap::new(),
        };
        self.parties.insert(run, party);
    }

    /// Forgets what the run does not want (in this way) or hold any more; returns the locks that are free by that.
    fn drop_what_is_over(&mut self, run: RunId, waiting: &[Request], held: &[LockName]) -> Vec<LockName> {
        let Some(party) = self.parties.get_mut(&run) else {
            return Vec::new();
        };
        let mut over: Vec<(LockName, Option<Place>)> = Vec::new();
        party.wants.retain(|lock, want| {
            let still = waiting
                .iter()
                .any(|request| request.lock == *lock && request.requested == want.requested);
            if !still {
                over.push((lock.clone(), Some(want.place)));
            }
            still
        });
        party.holds.retain(|lock| {
            let granted = party
                .wants
                .get(lock)
                .is_some_and(|want| matches!(want.standing, Standing::Granted));
            let still = granted || held.contains(lock);
            if !still {
                over.push((lock.clone(), None));
            }
            still
        });
        let mut freed = Vec::new();
        for (name, place) in over {
            let Some(lock) = self.locks.get_mut(&name) else {
                continue;
            };
            if let Some(place) = place {
                lock.line.remove(&place);
            } else if lock.holder == Some(run) {
                lock.holder = None;
                freed.push(name);
            }
        }
        freed
    }

    /// The run's own state has the lock.
    fn confirm(&mut self, run: RunId, name: &LockName) {
        let lock = self.locks.entry(name.clone()).or_default();
        match lock.holder {
            Some(holder) if holder != run => {
                tracing::error!(lock = %name, %holder, %run, "two runs hold one lock");
                return;
            }
            _ => lock.holder = Some(run),
        }
        if let Some(party) = self.parties.get_mut(&run) {
            party.holds.insert(name.clone());
        }
    }

    fn note(&mut self, run: RunId, request: &Request) {
        let Some(party) = self.parties.get_mut(&run) else {
            return;
        };
        if party.wants.contains_key(&request.lock) {
            return;
        }
        self.requests += 1;
        let want = Want {
            requested: request.requested,
            no_wait: request.no_wait,
            place: (request.at, self.requests),
            standing: Standing::Noted,
        };
        party.wants.insert(request.lock.clone(), want);
        if self.open {
            self.decide(run, &request.lock);
        }
    }

    /// Grants, refuses, or puts in line what was noted.
    fn decide(&mut self, run: RunId, name: &LockName) {
        let Some((place, no_wait)) = self
            .parties
            .get(&run)
            .and_then(|party| party.wants.get(name))
            .map(|want| (want.place, want.no_wait))
        else {
            return;
        };
        let lock = self.locks.entry(name.clone()).or_default();
        let standing = match lock.holder {
            None => {
                lock.holder = Some(run);
                Standing::Granted
            }
            Some(holder) if no_wait => Standing::Refused(self.is_held(name, holder)),
            Some(_) => {
                lock.line.insert(place, run);
                match self.cycle(run) {
                    None => Standing::InLine,
                    Some(cycle) => {
                        if let Some(lock) = self.locks.get_mut(name) {
                            lock.line.remove(&place);
                        }
                        Standing::Refused(self.deadlock(name, &cycle))
                    }
                }
            }
        };
        self.stand(run, name, standing);
    }

    fn stand(&mut self, run: RunId, name: &LockName, standing: Standing) {
        let Some(party) = self.parties.get_mut(&run) else {
            return;
        };
        if matches!(standing, Standing::Granted) {
            party.holds.insert(name.clone());
        }
        if let Some(want) = party.wants.get_mut(name) {
            want.standing = standing;
        }
    }

    /// Gives free locks to the first in line; returns who has to be told.
    fn promote(&mut self, freed: Vec<LockName>) -> Vec<WorkflowId> {
        let mut wake = Vec::new();
        for name in freed {
            let next = match self.locks.get_mut(&name) {
                Some(lock) if lock.holder.is_none() => lock.line.pop_first().map(|(_, run)| run),
                _ => continue,
            };
            match next {
                Some(next) => {
                    if let Some(lock) = self.locks.get_mut(&name) {
                        lock.holder = Some(next);
                    }
                    self.stand(next, &name, Standing::Granted);
                    let party = self.parties.get(&next);
                    wake.extend(party.map(|party| party.claimant.workflow_id.clone()));
                }
                None => {
                    self.locks.remove(&name);
                }
            }
        }
        wake
    }

    fn verdicts(&self, run: RunId) -> Vec<(LockName, Verdict)> {
        let wants = self.parties.get(&run).into_iter().flat_map(|party| &party.wants);
        let decided = wants.filter_map(|(lock, want)| {
            let verdict = match &want.standing {
                Standing::Noted | Standing::InLine => return None,
                Standing::Granted => Verdict::Granted,
                Standing::Refused(failure) => Verdict::Refused(failure.clone()),
            };
            Some((lock.clone(), verdict))
        });
        decided.collect()
    }

    /// The shortest way on which a run waits for itself.
    fn cycle(&self, run: RunId) -> Option<Vec<(RunId, Because, RunId)>> {
        if !self.may_be_waited_for(run) {
            return None;
        }
        let mut came_from: HashMap<RunId, (RunId, Because)> = HashMap::new();
        let mut seen: HashSet<RunId> = HashSet::new();
        let mut next = VecDeque::from([run]);
        while let Some(waiting) = next.pop_front() {
            for (other, because) in self.waits_for(waiting) {
                if other == run {
                    let mut way = vec![(waiting, because, run)];
                    let mut at = waiting;
                    while let Some((from, because)) = came_from.get(&at) {
                        way.push((*from, because.clone(), at));
                        at = *from;
                    }
                    way.reverse();
                    return Some(way);
                }
                if seen.insert(other) {
                    came_from.insert(other, (waiting, because));
                    next.push_back(other);
                }
            }
        }
        None
    }

    /// Most runs want one lock and nothing else: whoever waits for them is found in no time.
    fn may_be_waited_for(&self, run: RunId) -> bool {
        let Some(party) = self.parties.get(&run) else {
            return false;
        };
        let somebody_behind = party.wants.iter().any(|(lock, want)| {
            let behind = (
                std::ops::Bound::Excluded(want.place),
                std::ops::Bound::<Place>::Unbounded,
            );
            let lock = self.locks.get(lock);
            lock.is_some_and(|lock| lock.line.range(behind).next().is_some())
        });
        !party.holds.is_empty() || party.claimant.parent.is_some() || somebody_behind
    }

    /// The runs that have to end before this one gets on. Of those ahead of it in a line only the nearest: the others are
    /// found from there.
    fn waits_for(&self, run: RunId) -> Vec<(RunId, Because)> {
        let mut others = Vec::new();
        let wants = self.parties.get(&run).into_iter().flat_map(|party| &party.wants);
        for (name, want) in wants {
            let Some(lock) = self.locks.get(name).filter(|lock| lock.line.contains_key(&want.place)) else {
                continue;
            };
            match lock.line.range(..want.place).next_back() {
                Some((_, ahead)) => others.push((*ahead, Because::IsAhead(name.clone()))),
                None => others.extend(lock.holder.map(|holder| (holder, Because::Holds(name.clone())))),
            }
        }
        let children = self.children.get(&run).into_iter().flatten();
        others.extend(children.map(|child| (*child, Because::IsChild)));
        others
    }

    fn name_of(&self, run: RunId) -> String {
        let party = self.parties.get(&run);
        party.map_or_else(|| run.to_string(), |party| party.claimant.workflow_id.to_string())
    }

    fn is_held(&self, lock: &LockName, holder: RunId) -> Failure {
        let message = format!("the lock {lock:?} is held by {:?}", self.name_of(holder));
        Failure::non_retryable("LockHeld", message)
    }

    fn deadlock(&self, lock: &LockName, cycle: &[(RunId, Because, RunId)]) -> Failure {
        let links = cycle.iter().map(|(waiting, because, other)| {
            let (waiting, other) = (self.name_of(*waiting), self.name_of(*other));
            match because {
                Because::Holds(lock) => format!("{waiting:?} waits for {lock:?}, which {other:?} holds"),
                Because::IsAhead(lock) => format!("{waiting:?} waits for {lock:?} behind {other:?}"),
                Because::IsChild => format!("{waiting:?} waits for its child {other:?}"),
            }
        });
        let links: Vec<String> = links.collect();
        let message = format!("waiting for the lock {lock:?} would never end: {}", links.join(", "));
        Failure::non_retryable("Deadlock", message)
    }
}
