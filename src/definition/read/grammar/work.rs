//! The keys of what is done: activities, requests, programs, child sagas, waits, and their options. Must not live here: the
//! keys of the step around it.

use super::super::super::authored::{Child, Exec, Http, Options, Retry, Signal, Timer, Work};
use super::super::super::locations::Problems;
use super::super::table::Table;

/// What other tools call our keys.
pub(super) const WORK_ADVICE: &[(&str, &str)] = &[
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
    ("if", "use `when`"),
    ("condition", "use `when`"),
    ("for_each", "use `foreach`"),
    ("idempotency", "use `on_ambiguous`"),
    ("queue", "use `task_queue`"),
    ("command", "write it inside `exec`: exec = { command = [\"..\"] }"),
    ("run", "use `exec`: exec = { command = [\"..\"] }"),
    ("wait", "use `signal` or `timer`"),
    ("sleep", "use `timer`: timer = { after = \"..\" }"),
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

/// Which kinds of work a table may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    /// All, as a step may.
    All,
    /// Those that are activities, as what is done for a step may.
    OfActivities,
}

pub(super) fn work(table: &mut Table<'_>, kinds: Kinds, problems: &mut Problems) -> Work {
    let mut work = Work {
        activity: table.string("activity", problems),
        http: table.table("http", problems).map(|nested| http(nested, problems)),
        exec: table.table("exec", problems).map(|nested| exec(nested, problems)),
        ..Work::default()
    };
    if kinds == Kinds::All {
        work.saga = table.table("saga", problems).map(|nested| saga(nested, problems));
        work.signal = table.table("signal", problems).map(|nested| signal(nested, problems));
        work.timer = table.table("timer", problems).map(|nested| timer(nested, problems));
    }
    work.input = table.json("input", problems);
    work.options = options(table, problems);
    work
}

fn exec(mut table: Table<'_>, problems: &mut Problems) -> Exec {
    let exec = Exec {
        command: table.strings("command", problems),
        env: match table.table("env", problems) {
            Some(env) => env.all_strings(problems),
            None => Default::default(),
        },
        cwd: table.string("cwd", problems),
        stdin: table.json("stdin", problems),
        success_codes: table.exit_codes("success_codes", problems),
        retryable_codes: table.exit_codes("retryable_codes", problems),
        not_applied_codes: table.exit_codes("not_applied_codes", problems),
        output: table.string("output", problems),
    };
    const ADVICE: &[(&str, &str)] = &[
        (
            "args",
            "write the arguments after the program: command = [\"program\", \"argument\"]",
        ),
        ("dir", "use `cwd`"),
        ("input", "use `stdin`"),
        ("stdout", "use `output`"),
    ];
    table.finish(ADVICE, problems);
    exec
}

fn saga(mut table: Table<'_>, problems: &mut Problems) -> Child {
    let child = Child {
        name: table.string("name", problems),
        input: table.json("input", problems),
        id: table.string("id", problems),
    };
    const ADVICE: &[(&str, &str)] = &[
        ("version", "write it after the name: name = \"x@2\""),
        ("workflow", "use `name`"),
        ("workflow_id", "use `id`"),
    ];
    table.finish(ADVICE, problems);
    child
}

fn signal(mut table: Table<'_>, problems: &mut Problems) -> Signal {
    let signal = Signal {
        name: table.string("name", problems),
        timeout: table.duration("timeout", problems),
        default: table.json("default", problems),
    };
    table.finish(&[("after", "use `timeout`")], problems);
    signal
}

fn timer(mut table: Table<'_>, problems: &mut Problems) -> Timer {
    let timer = Timer {
        after: table.duration("after", problems),
        until: table.json("until", problems),
    };
    table.finish(&[("at", "use `until`"), ("for", "use `after`")], problems);
    timer
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

pub(super) fn options(table: &mut Table<'_>, problems: &mut Problems) -> Options {
    Options {
        start_to_close: table.duration("start_to_close", problems),
        schedule_to_close: table.duration("schedule_to_close", problems),
        schedule_to_start: table.duration("schedule_to_start", problems),
        heartbeat: table.duration("heartbeat", problems),
        retry: match table.table("retry", problems) {
            Some(nested) => retry(nested, problems),
            None => Retry::default(),
        },
        task_queue: table.string("task_queue", problems),
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
