//! Lists and counts of runs, by queries. Must not live here: the language (`visibility`), where runs are found (`store`).

use std::collections::{BTreeMap, BinaryHeap};
use std::ops::{ControlFlow, Deref};

use serde_json::{Value, json};

use crate::model::{NamespaceName, RunId, RunStatus, SearchAttributeTypes, limits};
use crate::store::{ListQuery, RunHead, Store};
use crate::visibility::{Known, Order, Query, QuerySyntaxError, SortKey, SortValue};

use super::Error;

/// Which runs are asked for, and how many of them.
///
/// ```no_run
/// # use amends::{Client, engine::RunQuery};
/// # async fn look(client: Client) -> Result<(), amends::Error> {
/// let expensive = RunQuery::new("WorkflowType = 'order' AND Amount > 100 ORDER BY CloseTime DESC").limit(20);
/// let mut page = client.list(expensive.clone()).await?;
/// while let Some(next) = page.next.take() {
///     page = client.list(expensive.clone().page(next)).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    text: String,
    heads: ListQuery,
    page: Option<PageToken>,
}

/// Where a list goes on: handed out with a page, and given back for the next one. Runs that begin or end meanwhile do not move
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken(String);

/// One page of a list of runs.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// The runs, in the order of the list.
    pub runs: Vec<RunHead>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<PageToken>,
}

/// How many runs a query means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunCount {
    /// All of them.
    pub runs: u64,
    /// How many of each status; statuses that no run has are left out.
    pub by_status: BTreeMap<RunStatus, u64>,
    /// Whether the query asked for the statuses.
    pub is_grouped: bool,
}

impl RunQuery {
    /// The runs that the query means, a hundred for each page. An empty one means all runs.
    #[must_use]
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            text: query.into(),
            ..Self::default()
        }
    }

    /// The same, but only those of the runs so far that this query means.
    #[must_use]
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.text = query.into();
        self
    }

    /// At most so many runs on a page; at most 10,000.
    #[must_use]
    pub fn limit(mut self, runs: usize) -> Self {
        self.heads.limit = runs;
        self
    }

    /// The same in this namespace only.
    pub(super) fn of_namespace(mut self, namespace: NamespaceName) -> Self {
        self.heads.namespace = Some(namespace);
        self
    }

    /// The page that this token leads to. The query must be that of the page before.
    #[must_use]
    pub fn page(mut self, token: PageToken) -> Self {
        self.page = Some(token);
        self
    }
}

impl From<&str> for RunQuery {
    fn from(query: &str) -> Self {
        Self::new(query)
    }
}

impl From<String> for RunQuery {
    fn from(query: String) -> Self {
        Self::new(query)
    }
}

impl From<&ListQuery> for RunQuery {
    fn from(heads: &ListQuery) -> Self {
        Self {
            text: String::new(),
            heads: heads.clone(),
            page: None,
        }
    }
}

impl Deref for RunPage {
    type Target = Vec<RunHead>;

    fn deref(&self) -> &Vec<RunHead> {
        &self.runs
    }
}

impl<'a> IntoIterator for &'a RunPage {
    type Item = &'a RunHead;
    type IntoIter = std::slice::Iter<'a, RunHead>;

    fn into_iter(self) -> Self::IntoIter {
        self.runs.iter()
    }
}

impl IntoIterator for RunPage {
    type Item = RunHead;
    type IntoIter = std::vec::IntoIter<RunHead>;

    fn into_iter(self) -> Self::IntoIter {
        self.runs.into_iter()
    }
}

impl std::fmt::Display for PageToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for PageToken {
    type Err = Error;

    /// # Errors
    /// [`Error::PageToken`] when it is none.
    fn from_str(token: &str) -> Result<Self, Error> {
        let token = PageToken(token.to_owned());
        token.read().map(|_| token.clone()).ok_or(Error::PageToken)
    }
}

impl PageToken {
    /// After this run in a list that is sorted so; in one that is newest first, only the run says where.
    fn after(key: &SortKey) -> Self {
        let values: Vec<Value> = key.values.iter().map(|(value, _)| value.to_json()).collect();
        let text = match values.is_empty() {
            true => String::new(),
            false => json!(values).to_string(),
        };
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        match hex.is_empty() {
            true => PageToken(key.run_id.to_string()),
            false => PageToken(format!("{}~{hex}", key.run_id)),
        }
    }

    fn read(&self) -> Option<(RunId, Vec<SortValue>)> {
        let (run_id, hex) = self.0.split_once('~').unwrap_or((&self.0, ""));
        let run_id = run_id.parse().ok()?;
        if hex.is_empty() {
            return Some((run_id, Vec::new()));
        }
        let pairs = hex.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let values: Vec<Value> = serde_json::from_slice(&bytes.collect::<Option<Vec<u8>>>()?).ok()?;
        let values = values.iter().map(SortValue::from_json).collect::<Option<_>>()?;
        Some((run_id, values))
    }

    /// The place in a list that is sorted so.
    fn key(&self, order: &[Order]) -> Result<SortKey, Error> {
        let (run_id, values) = self.read().ok_or(Error::PageToken)?;
        if values.len() != order.len() {
            return Err(Error::PageToken);
        }
        let values = values.into_iter().zip(order);
        Ok(SortKey {
            values: values.map(|(value, order)| (value, order.descending)).collect(),
            run_id,
        })
    }
}

fn parse(store: &dyn Store, types: &SearchAttributeTypes, text: &str) -> Result<Query, Error> {
    let known = |others| Known {
        types: types.clone(),
        others,
    };
    // The names that runs have are looked for only when there is one that is not known otherwise.
    match Query::parse(text, &known(std::collections::BTreeSet::new())) {
        Ok(query) => Ok(query),
        Err(_) => Query::parse(text, &known(store.search_attribute_names()?)).map_err(Error::from),
    }
}

/// A page of the runs that are meant.
pub(super) fn list(store: &dyn Store, types: &SearchAttributeTypes, query: RunQuery) -> Result<RunPage, Error> {
    let parsed = parse(store, types, &query.text)?;
    let mut heads = query.heads;
    heads.limit = heads.limit.min(limits::LIST_PAGE_MAX);
    heads.filter = Some(parsed.filter);
    if parsed.by_status {
        return Err(Error::RunQuery(QuerySyntaxError {
            column: query.text.chars().count(),
            query: query.text,
            what: "GROUP BY is for counting, not for a list".to_owned(),
        }));
    }
    let after = query.page.map(|token| token.key(&parsed.order)).transpose()?;
    if !parsed.order.is_empty() {
        return sorted(store, &heads, &parsed.order, after.as_ref());
    }
    if let Some(after) = after {
        heads.before = Some(after.run_id);
    }
    let runs = store.list(&heads)?;
    let last = runs.last().filter(|_| runs.len() == heads.limit);
    let next = last.map(|last| PageToken(last.run_id.to_string()));
    Ok(RunPage { runs, next })
}

/// Looks at all runs that are meant, and keeps those of the page.
fn sorted(store: &dyn Store, heads: &ListQuery, order: &[Order], after: Option<&SortKey>) -> Result<RunPage, Error> {
    /// By its place only.
    struct Placed(SortKey, RunHead);
    impl PartialEq for Placed {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Placed {}
    impl PartialOrd for Placed {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Placed {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }
    let mut first: BinaryHeap<Placed> = BinaryHeap::new();
    store.visit(heads, &mut |head| {
        let key = Order::key(order, &head.subject());
        let is_before = first.len() < heads.limit || first.peek().is_some_and(|last| key < last.0);
        if is_before && after.is_none_or(|after| key > *after) {
            first.push(Placed(key, head.clone()));
            if first.len() > heads.limit {
                first.pop();
            }
        }
        ControlFlow::Continue(())
    })?;
    let placed = first.into_sorted_vec();
    let next = placed.last().filter(|_| placed.len() == heads.limit);
    let next = next.map(|last| PageToken::after(&last.0));
    Ok(RunPage {
        runs: placed.into_iter().map(|placed| placed.1).collect(),
        next,
    })
}

/// How many runs are meant.
pub(super) fn count(store: &dyn Store, types: &SearchAttributeTypes, query: &RunQuery) -> Result<RunCount, Error> {
    let parsed = parse(store, types, &query.text)?;
    let heads = ListQuery {
        filter: Some(parsed.filter),
        ..query.heads.clone()
    };
    let mut count = RunCount {
        is_grouped: parsed.by_status,
        ..RunCount::default()
    };
    store.visit(&heads, &mut |head| {
        count.runs += 1;
        *count.by_status.entry(head.status).or_default() += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

impl From<QuerySyntaxError> for Error {
    fn from(error: QuerySyntaxError) -> Self {
        Error::RunQuery(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_say_where_a_list_goes_on_and_anything_else_is_refused() {
        let run_id = RunId::from_bytes([7; 16]);
        let values = vec![(SortValue::Text("ö".to_owned()), true), (SortValue::Missing, false)];
        for key in [
            SortKey {
                values: Vec::new(),
                run_id,
            },
            SortKey { values, run_id },
        ] {
            let token: PageToken = PageToken::after(&key).to_string().parse().unwrap();
            let read = token.read().unwrap();
            assert_eq!(read.0, run_id);
            assert_eq!(
                read.1,
                key.values.iter().map(|(value, _)| value.clone()).collect::<Vec<_>>()
            );
        }
        let run = run_id.to_string();
        for token in [
            "",
            "x",
            "~",
            &format!("{run}~1"),
            &format!("{run}~zz"),
            &format!("{run}~7b7d"),
            &format!("{run}ö"),
        ] {
            assert!(token.parse::<PageToken>().is_err(), "{token}");
        }
    }
}
