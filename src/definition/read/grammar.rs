//! The keys of a definition file. Lives here: one function per table of the file, those of the saga itself. Must not live
//! here: how a table is read (that is `table`), or checks that need more than one value.

mod step;
mod work;

use toml::de::{DeTable, DeValue};

use super::super::authored::{Saga, Step, Stuck};
use super::super::locations::Problems;
use super::limits::activity_limits;
use super::table::{Table, elements, wrong_type};
use work::{Kinds, WORK_ADVICE, options};

/// What other tools call our keys.
const SAGA_ADVICE: &[(&str, &str)] = &[
    ("steps", "write every step under a [[step]] header"),
    ("deadline", "use `run_timeout`"),
    (
        "timeout",
        "use `run_timeout` for the whole run, or `start_to_close` for each attempt of a step",
    ),
    ("id", "use `name`"),
    ("lock", "use `locks`, a list"),
    ("schema", "use `input_schema`"),
    ("parallel", "use `unwind_parallel`"),
    ("queue", "use `task_queue`"),
    ("limits", "use `[activity_limits.<activity>]`"),
    ("activities", "use `[activity_limits.<activity>]`"),
];
const STUCK_ADVICE: &[(&str, &str)] = &[
    ("after", "use `escalate_after` or `decide_after`"),
    ("notify", "use `escalate`"),
    ("alert", "use `escalate`"),
];
/// The whole file.
pub(super) fn saga(document: &DeTable<'_>, problems: &mut Problems) -> Saga {
    let mut table = Table::new("", document, problems);
    let mut saga = Saga {
        name: table.string("name", problems),
        version: table.string("version", problems),
        description: table.string("description", problems),
        task_queue: table.string("task_queue", problems),
        run_timeout: table.duration("run_timeout", problems),
        unwind_timeout: table.duration("unwind_timeout", problems),
        unwind_parallel: table.count("unwind_parallel", problems),
        locks: table.strings("locks", problems).unwrap_or_default(),
        lock_timeout: table.duration("lock_timeout", problems),
        lock_wait: table.boolean("lock_wait", problems),
        secrets: table.strings("secrets", problems).unwrap_or_default(),
        input_schema: table.json("input_schema", problems),
        ..Saga::default()
    };
    if let Some(config) = table.table("config", problems) {
        saga.config = config.all_json(problems);
    }
    if let Some(attributes) = table.table("search_attributes", problems) {
        saga.search_attributes = attributes.all_json(problems);
    }
    if let Some(nested) = table.table("activity_limits", problems) {
        saga.activity_limits = activity_limits(nested, problems);
    }
    if let Some(nested) = table.table("stuck", problems) {
        saga.stuck = stuck(nested, problems);
    }
    if let Some(nested) = table.table("defaults", problems) {
        defaults(nested, &mut saga, problems);
    }
    saga.steps = steps(&mut table, problems);
    saga.output = table.json("output", problems);
    table.finish(SAGA_ADVICE, problems);
    saga
}

fn defaults(mut table: Table<'_>, saga: &mut Saga, problems: &mut Problems) {
    saga.defaults = options(&mut table, problems);
    if let Some(mut nested) = table.table("compensation", problems) {
        saga.compensation_defaults = options(&mut nested, problems);
        nested.finish(WORK_ADVICE, problems);
    }
    saga.default_on_ambiguous = step::default_on_ambiguous(&mut table, problems);
    saga.default_in_flight = step::in_flight(&mut table, problems);
    table.finish(WORK_ADVICE, problems);
}

fn stuck(mut table: Table<'_>, problems: &mut Problems) -> Stuck {
    let stuck = Stuck {
        escalate_after: table.duration("escalate_after", problems),
        escalate: table.table("escalate", problems).map(|mut nested| {
            let work = work::work(&mut nested, Kinds::OfActivities, problems);
            nested.finish(WORK_ADVICE, problems);
            work
        }),
        decide_after: table.duration("decide_after", problems),
        decide: table.string("decide", problems),
    };
    table.finish(STUCK_ADVICE, problems);
    stuck
}

fn steps(table: &mut Table<'_>, problems: &mut Problems) -> Vec<Step> {
    const HINT: &str = "write every step under a [[step]] header, with two brackets";
    let Some(value) = table.value("step") else {
        return Vec::new();
    };
    let place = table.at("step");
    let DeValue::Array(array) = value.get_ref() else {
        wrong_type(&place, "an array of tables", value, problems).hint(HINT);
        return Vec::new();
    };
    let mut steps = Vec::with_capacity(array.len());
    for (place, element) in elements(&place, array, problems) {
        match element.get_ref() {
            DeValue::Table(table) => steps.push(step::step(Table::new(&place, table, problems), problems)),
            _ => wrong_type(&place, "a table", element, problems).hint(HINT),
        }
    }
    steps
}
