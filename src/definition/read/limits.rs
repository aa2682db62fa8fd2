//! Limits of activity types, as definition files and the configuration of an engine write them. Must not live here: keeping them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::model::{ActivityLimits, Breaker, Rate};

use super::super::locations::Problems;
use super::table::Table;

const ADVICE: &[(&str, &str)] = &[
    ("concurrency", "use `max_concurrent`"),
    ("max_concurrent_activities", "use `max_concurrent`"),
    ("circuit_breaker", "use `breaker`"),
    ("rate_limit", "use `rate`"),
];

/// A table with a table for each activity type.
pub(crate) fn activity_limits(table: Table<'_>, problems: &mut Problems) -> BTreeMap<String, ActivityLimits> {
    let types = table.all_tables(problems);
    types
        .into_iter()
        .map(|(activity, table)| (activity, limits_of(table, problems)))
        .collect()
}

fn limits_of(mut table: Table<'_>, problems: &mut Problems) -> ActivityLimits {
    let before = problems.errors();
    let limits = ActivityLimits {
        max_concurrent: at_least_one("max_concurrent", &mut table, problems),
        rate: rate("rate", &mut table, problems),
        breaker: table
            .table("breaker", problems)
            .and_then(|nested| breaker(nested, problems)),
    };
    let place = table.place().to_owned();
    table.finish(ADVICE, problems);
    // Of what has errors of its own nobody knows what was meant; errors elsewhere do not matter.
    if limits == ActivityLimits::default() && problems.errors() == before {
        let hint = "say `max_concurrent`, `rate` or `breaker`";
        problems.error(&place, "nothing is limited").hint(hint);
    }
    limits
}

/// `rate = { attempts = 100, per = "1s" }`.
pub(crate) fn rate(key: &'static str, table: &mut Table<'_>, problems: &mut Problems) -> Option<Rate> {
    let mut nested = table.table(key, problems)?;
    let (place, before) = (table.at(key), problems.errors());
    let attempts = at_least_one("attempts", &mut nested, problems);
    let per = nested.duration("per", problems);
    nested.finish(&[], problems);
    match (attempts, per) {
        (Some(attempts), Some(per)) if !per.is_zero() => Some(Rate { attempts, per }),
        _ if problems.errors() > before => None,
        _ => {
            let hint = "say how many in how much time: { attempts = 100, per = \"1s\" }";
            problems.error(&place, "not a rate").hint(hint);
            None
        }
    }
}

fn breaker(mut table: Table<'_>, problems: &mut Problems) -> Option<Breaker> {
    let before = problems.errors();
    let failures = at_least_one("failures", &mut table, problems);
    let open_for = table.duration("open_for", problems);
    let place = table.place().to_owned();
    table.finish(&[], problems);
    let Some(failures) = failures else {
        if problems.errors() == before {
            let hint = "say after how many failures in a row: { failures = 5, open_for = \"30s\" }";
            problems.error(&place, "not a breaker").hint(hint);
        }
        return None;
    };
    let breaker = Breaker::after(failures.get());
    Some(open_for.map_or(breaker, |pause| breaker.open_for(pause)))
}

/// A whole number from one on.
pub(crate) fn at_least_one(key: &'static str, table: &mut Table<'_>, problems: &mut Problems) -> Option<NonZeroU32> {
    let count = table.count(key, problems)?;
    let number = NonZeroU32::new(count);
    if number.is_none() {
        problems.error(&table.at(key), "must be at least 1");
    }
    number
}
