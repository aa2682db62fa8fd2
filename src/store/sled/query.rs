//! Lists of runs: from memory what is there, from the database everything else, by an index where one helps. Must not live
//! here: what queries mean (`visibility`), changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use super::index::StoredHead;
use super::pages::Page;
use super::state::ATTRIBUTE_NAMES_MAX;
use super::{Shared, keys};
use crate::model::{NamespaceName, RunId, WorkflowId};
use crate::store::maps::IdSet;
use crate::store::{Error, ListQuery, RunHead};
use crate::visibility::Narrow;

/// Runs that an index may give: for more than that, the newest of all runs are looked at until the page is full.
const CANDIDATES_MAX: usize = 65_536;

/// Where the runs in the database are looked for.
enum Way {
    /// All of them, newest first.
    All,
    /// These, newest first.
    These(Vec<RunId>),
}

/// Told of heads, one by one, until it has enough.
type Each<'a> = &'a mut dyn FnMut(&RunHead) -> ControlFlow<()>;

impl Shared {
    pub(super) fn list_runs(&self, query: &ListQuery) -> Result<Vec<RunHead>, Error> {
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let mut newest = Newest::new(query.limit);
        let seen = self.each_in_memory(query, &mut |head| {
            newest.add(head);
            ControlFlow::Continue(())
        });
        let mut in_memory = newest.into_heads().into_iter().peekable();
        let mut page = Vec::new();
        self.each_stored(query, &seen, &mut |stored| {
            while page.len() < query.limit
                && let Some(newer) = in_memory.next_if(|head| head.run_id > stored.run_id)
            {
                page.push(newer);
            }
            if page.len() >= query.limit {
                return ControlFlow::Break(());
            }
            page.push(stored.clone());
            ControlFlow::Continue(())
        })?;
        page.extend(in_memory);
        page.truncate(query.limit);
        Ok(page)
    }

    pub(super) fn visit_runs(&self, query: &ListQuery, each: Each<'_>) -> Result<(), Error> {
        let mut enough = false;
        let seen = self.each_in_memory(query, &mut |head| {
            let flow = each(head);
            enough = flow.is_break();
            flow
        });
        match enough {
            true => Ok(()),
            false => self.each_stored(query, &seen, each),
        }
    }

    /// The matching runs in memory, in no order; gives those of which what the database has does not count: all in memory,
    /// whether they match or not, and those that were deleted. They are asked first: a run that moves to the database
    /// meanwhile was seen here, and one that comes back with another turn is seen there as it was.
    fn each_in_memory(&self, query: &ListQuery, each: Each<'_>) -> IdSet<RunId> {
        let live = self.live();
        let mut seen = live.deleted.clone();
        seen.extend(live.runs.keys().copied());
        let matching = live.runs.values().map(|run| &run.head);
        let _ = matching.filter(|head| query.matches(head)).try_for_each(each);
        seen
    }

    /// Two lists, both in the order of the ids: what is in memory counts, and the heads in the database of all others.
    pub(super) fn oldest_runs(&self, after: Option<RunId>, below: RunId, limit: usize) -> Result<Vec<RunHead>, Error> {
        let is_meant = |run: RunId| run < below && after.is_none_or(|after| run > after);
        let (mut heads, mut hidden) = (Vec::new(), IdSet::default());
        {
            let live = self.live();
            hidden.extend(live.deleted.iter().copied().filter(|run| is_meant(*run)));
            for (id, run) in live.runs.iter().filter(|(id, _)| is_meant(**id)) {
                hidden.insert(*id);
                heads.push(run.head.clone());
            }
        }
        let mut stored = 0;
        let mut last = after;
        'pages: for page in self.disk.pages_from(&keys::head(after.unwrap_or(RunId::NIL)))? {
            let (key, value) = page?;
            for (key, content) in Page::open(&key, &value)?.entries()? {
                let run = keys::run_at_end(key).unwrap_or(below);
                if stored >= limit || run >= below {
                    break 'pages;
                }
                // A page that was split since the one before was read has some of that one's runs again.
                if last.is_some_and(|last| run <= last) || hidden.contains(&run) {
                    continue;
                }
                last = Some(run);
                stored += 1;
                heads.push(StoredHead::decode(key, content)?.head);
            }
        }
        heads.sort_unstable_by_key(|head| head.run_id);
        heads.truncate(limit);
        Ok(heads)
    }

    /// The names of the search attributes that runs have.
    pub(super) fn attribute_names(&self) -> Result<BTreeSet<String>, Error> {
        let in_memory = self.live().attribute_names.clone();
        let mut names = self.disk.attribute_names(ATTRIBUTE_NAMES_MAX)?;
        names.extend(in_memory);
        Ok(names)
    }

    /// The matching heads in the database, newest first, but for those that were seen.
    fn each_stored(&self, query: &ListQuery, seen: &IdSet<RunId>, each: Each<'_>) -> Result<(), Error> {
        match self.way(query)? {
            Way::All => self.each_of_all(query, seen, each),
            Way::These(runs) => {
                for run in runs.iter().filter(|run| !seen.contains(run)) {
                    let Some(stored) = self.disk.head(*run)? else { continue };
                    if query.matches(&stored.head) && each(&stored.head).is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    fn each_of_all(&self, query: &ListQuery, seen: &IdSet<RunId>, each: Each<'_>) -> Result<(), Error> {
        let lowest = keys::head(RunId::NIL);
        let upper = keys::head(query.before.unwrap_or(RunId::from_bytes([u8::MAX; 16])));
        let mut below = query.before;
        for found in self.disk.pages_back(&lowest, Bound::Included(&upper)) {
            let (key, value) = found?;
            self.sizes.step("page read");
            for (key, content) in Page::open(&key, &value)?.entries()?.into_iter().rev() {
                let stored = StoredHead::decode(key, content)?.head;
                // A page that was split since the one before was read has some of that one's runs again.
                if below.is_some_and(|below| stored.run_id >= below) {
                    continue;
                }
                below = Some(stored.run_id);
                if query.matches(&stored) && !seen.contains(&stored.run_id) && each(&stored).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The way on which the fewest runs are met.
    fn way(&self, query: &ListQuery) -> Result<Way, Error> {
        let mut best: Option<Vec<RunId>> = None;
        for narrow in query.filter.iter().flat_map(|filter| filter.narrow()) {
            let most = best.as_ref().map_or(CANDIDATES_MAX, Vec::len);
            if let Some(runs) = self.candidates(&narrow, query.namespace.as_ref(), most)? {
                best = Some(runs);
            }
        }
        let Some(mut runs) = best else { return Ok(Way::All) };
        runs.retain(|run| query.before.is_none_or(|before| *run < before));
        runs.sort_unstable_by(|one, other| other.cmp(one));
        runs.dedup();
        Ok(Way::These(runs))
    }

    /// The runs in the database that have this, and perhaps more; `None` when there are more than `most`.
    fn candidates(
        &self,
        narrow: &Narrow,
        namespace: Option<&NamespaceName>,
        most: usize,
    ) -> Result<Option<Vec<RunId>>, Error> {
        match narrow {
            Narrow::Open => {
                let (lower, upper) = (keys::open(RunId::NIL), keys::open(RunId::from_bytes([u8::MAX; 16])));
                let mut runs = Vec::new();
                let found = self.disk.runs_between(&lower, &upper, most, &mut runs)?;
                Ok(found.is_continue().then_some(runs))
            }
            Narrow::RunIds(ids) => Ok(Some(ids.iter().filter_map(|id| id.parse().ok()).collect())),
            Narrow::WorkflowIds(ids) => {
                // Which runs of all namespaces have them, no index says.
                let Some(namespace) = namespace else { return Ok(None) };
                let mut runs = Vec::new();
                for id in ids {
                    let Ok(id) = WorkflowId::new(id) else { continue };
                    let (lower, upper) = keys::names(&id.in_namespace(namespace));
                    if self.disk.runs_between(&lower, &upper, most, &mut runs)?.is_break() {
                        return Ok(None);
                    }
                }
                Ok(Some(runs))
            }
            Narrow::Attribute { name, ranges } => self.disk.runs_with(name, ranges, most),
        }
    }
}

/// The newest so many of the heads that come by, in any order.
struct Newest {
    most: usize,
    heads: BTreeMap<RunId, RunHead>,
}

impl Newest {
    fn new(most: usize) -> Self {
        Self {
            most,
            heads: BTreeMap::new(),
        }
    }

    fn add(&mut self, head: &RunHead) {
        if self.heads.len() >= self.most {
            match self.heads.first_key_value() {
                Some((oldest, _)) if *oldest < head.run_id => drop(self.heads.pop_first()),
                _ => return,
            }
        }
        self.heads.insert(head.run_id, head.clone());
    }

    fn into_heads(self) -> Vec<RunHead> {
        self.heads.into_values().rev().collect()
    }
}
