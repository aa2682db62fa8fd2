//! The keys of a definition file. Lives here: one function per table of the file. Must not live here: how a table is
//! read (that is `table`), or checks that need more than one value.

use toml::de::{DeTable, DeValue};

use crate::model::StepKind;

use super::super::authored::{Compensation, Http, Options, Retry, Saga, Step, Work};
use super::super::locations::Problems;
use super::super::problem::did_you_mean;
use super::table::{Table, elements, wrong_type};

/// What other tools call our keys.
const SAGA_ADVICE: &[(&str, &str)] = &[
    ("steps", "write every step under a [[step]] header"),
    ("deadline", "use `run_timeout`"),
    (
        "timeout",
        "use `run_timeout` for the whole run, or `start_to_close` for each attempt of a step",
    ),
    ("id", "use `name`"),
];
const WORK_ADVICE: &[(&str, &str)] = &[
    ("depends_on", "use `after`"),
    ("needs", "use `after`"),
    ("undo", "use `compensation`"),
    ("compensate", "use `compensation`"),
    ("rollback", "use `compensation`"),
    (
        "timeout",
        "use `start_to_close` for each attempt, or `schedule_to_close` for all of them",
    ),
    ("args", "use `input`"),
    ("url", "write it inside `http`: http = { url = \"..\" }"),
    ("method", "write it inside `http`: http = { method = \"..\" }"),
    ("body", "write it inside `http`: http = { body = { .. } }"),
];
const RETRY_ADVICE: &[(&str, &str)] = &[
    ("max_attempts", "use `maximum_attempts`"),
    ("attempts", "use `maximum_attempts`"),
    ("max_interval", "use `maximum_interval`"),
    ("interval", "use `initial_interval`"),
    ("backoff_coefficient", "use `coefficient`"),
];

/// The whole file.
pub(super) fn saga(document: &DeTable<'_>, problems: &mut Problems) -> Saga {
    let mut table = Table::new("", document, problems);
    let mut saga = Saga {
        name: table.string("name", problems),
        version: table.string("version", problems),
        description: table.string("description", problems),
        run_timeout: table.duration("run_timeout", problems),
        ..Saga::default()
    };
    if let Some(config) = table.table("config", problems) {
        saga.config = config.all_json(problems);
    }
    if let Some(defaults) = table.table("defaults", problems) {
        (saga.defaults, saga.compensation_defaults) = self::defaults(defaults, problems);
    }
    saga.steps = steps(&mut table, problems);
    saga.output = table.json("output", problems);
    table.finish(SAGA_ADVICE, problems);
    saga
}

fn defaults(mut table: Table<'_>, problems: &mut Problems) -> (Options, Options) {
    let forward = options(&mut table, problems);
    let mut compensation = Options::default();
    if let Some(mut nested) = table.table("compensation", problems) {
        compensation = options(&mut nested, problems);
        nested.finish(WORK_ADVICE, problems);
    }
    table.finish(WORK_ADVICE, problems);
    (forward, compensation)
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
            DeValue::Table(table) => steps.push(step(Table::new(&place, table, problems), problems)),
            _ => wrong_type(&place, "a table", element, problems).hint(HINT),
        }
    }
    steps
}

fn step(mut table: Table<'_>, problems: &mut Problems) -> Step {
    let step = Step {
        name: table.string("name", problems),
        kind: kind(&mut table, problems),
        after: table.strings("after", problems),
        work: work(&mut table, problems),
        compensation: compensation(&mut table, problems),
    };
    table.finish(WORK_ADVICE, problems);
    step
}

fn kind(table: &mut Table<'_>, problems: &mut Problems) -> StepKind {
    const KINDS: [&str; 3] = ["compensatable", "pivot", "retriable"];
    match table.string("kind", problems).as_deref() {
        None | Some("compensatable") => StepKind::Compensatable,
        Some("pivot") => StepKind::Pivot,
        Some("retriable") => StepKind::Retriable,
        Some(other) => {
            let hint = did_you_mean(other, KINDS).unwrap_or_else(|| format!("kinds: {}", KINDS.join(", ")));
            problems
                .error(&table.at("kind"), format!("unknown kind `{other}`"))
                .hint(hint);
            StepKind::Compensatable
        }
    }
}

fn compensation(table: &mut Table<'_>, problems: &mut Problems) -> Compensation {
    let Some(value) = table.value("compensation") else {
        return Compensation::Unsaid;
    };
    let place = table.at("compensation");
    match value.get_ref() {
        DeValue::Table(nested) => {
            let mut nested = Table::new(&place, nested, problems);
            let work = work(&mut nested, problems);
            nested.finish(WORK_ADVICE, problems);
            Compensation::Work(Box::new(work))
        }
        DeValue::String(text) if text == "none" => Compensation::Nothing,
        _ => {
            wrong_type(&place, "a table or \"none\"", value, problems)
                .hint("write a [step.compensation] table with an `activity` or `http` key");
            Compensation::Nothing
        }
    }
}

fn work(table: &mut Table<'_>, problems: &mut Problems) -> Work {
    let activity = table.string("activity", problems);
    let http = table.table("http", problems).map(|nested| http(nested, problems));
    Work {
        activity,
        http,
        input: table.json("input", problems),
        options: options(table, problems),
    }
}

fn http(mut table: Table<'_>, problems: &mut Problems) -> Http {
    let http = Http {
        method: table.string("method", problems),
        url: table.string("url", problems),
        headers: match table.table("headers", problems) {
            Some(headers) => headers.all_strings(problems),
            None => Default::default(),
        },
        body: table.json("body", problems),
        success_statuses: table.statuses("success_statuses", problems),
        retryable_statuses: table.statuses("retryable_statuses", problems),
        not_applied_statuses: table.statuses("not_applied_statuses", problems),
    };
    table.finish(&[("uri", "use `url`"), ("json", "use `body`")], problems);
    http
}

fn options(table: &mut Table<'_>, problems: &mut Problems) -> Options {
    Options {
        start_to_close: table.duration("start_to_close", problems),
        schedule_to_close: table.duration("schedule_to_close", problems),
        schedule_to_start: table.duration("schedule_to_start", problems),
        heartbeat: table.duration("heartbeat", problems),
        retry: match table.table("retry", problems) {
            Some(nested) => retry(nested, problems),
            None => Retry::default(),
        },
    }
}

fn retry(mut table: Table<'_>, problems: &mut Problems) -> Retry {
    let retry = Retry {
        initial_interval: table.duration("initial_interval", problems),
        coefficient: table.number("coefficient", problems),
        maximum_interval: table.duration("maximum_interval", problems),
        maximum_attempts: table.count("maximum_attempts", problems),
        non_retryable: table.strings("non_retryable", problems),
    };
    table.finish(RETRY_ADVICE, problems);
    retry
}
