//! What is done: exactly one kind of work, and the checks and defaults of each. Must not live here: expressions.

use serde_json::{Value, json};

use crate::model::ActivityOptions;

use super::super::authored::{Child, Exec, Signal, Timer, Work};
use super::super::canonical::{self, Action};
use super::super::exec::{
    ExecOutput, NOT_APPLIED_CODES, RESERVED_ENV, RETRYABLE_CODES, SUCCESS_CODES, is_variable_name,
};
use super::super::http::GONE_STATUSES;
use super::super::locations::{Part, Problems};
use super::super::problem::did_you_mean;
use super::http::http;
use super::options::{check_duration, check_options, with_options};
use super::{check_not_empty, mapping};

/// What something is done for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Step,
    Compensation,
    Verification,
    Escalation,
}

impl Purpose {
    /// What a program reads, or a child gets, that was not told otherwise: the same as a registered activity would.
    fn default_input(self) -> Value {
        match self {
            Purpose::Step => json!("${ input }"),
            Purpose::Compensation | Purpose::Verification => json!("${ undo }"),
            Purpose::Escalation => json!("${ notice }"),
        }
    }
}

pub(super) fn work(
    work: &Work,
    place: &str,
    purpose: Purpose,
    defaults: &ActivityOptions,
    problems: &mut Problems,
) -> canonical::Work {
    check_not_empty(work.activity.as_ref(), &format!("{place}.activity"), problems);
    check_options(&work.options, place, problems);
    let action = action(work, place, purpose, problems);
    if work.input.is_some() {
        refuse_input(&action, place, problems);
    }
    let waits = matches!(action, Action::Signal(_) | Action::Timer(_));
    canonical::Work {
        action,
        input: mapping(work.input.as_ref(), &format!("{place}.input"), problems),
        options: (!waits).then(|| (&with_options(defaults.clone(), &work.options)).into()),
    }
}

fn action(work: &Work, place: &str, purpose: Purpose, problems: &mut Problems) -> Action {
    let at = |key: &str| format!("{place}.{key}");
    let mut found: Vec<(&str, Action)> = Vec::new();
    if let Some(activity) = &work.activity {
        found.push(("activity", Action::Activity(activity.clone())));
    }
    if let Some(request) = &work.http {
        let gone: &[u16] = if purpose == Purpose::Compensation {
            &GONE_STATUSES
        } else {
            &[]
        };
        let mut request = http(request, &at("http"), gone, problems);
        let sends = !matches!(request.method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS");
        if purpose == Purpose::Escalation && request.body.is_none() && sends {
            request.body = Some(purpose.default_input());
        }
        found.push(("http", Action::Http(request)));
    }
    if let Some(program) = &work.exec {
        found.push(("exec", Action::Exec(exec(program, &at("exec"), purpose, problems))));
    }
    if let Some(child) = &work.saga {
        found.push(("saga", Action::Saga(saga(child, &at("saga"), problems))));
    }
    if let Some(wait) = &work.signal {
        found.push(("signal", Action::Signal(signal(wait, &at("signal"), problems))));
    }
    if let Some(wait) = &work.timer {
        found.push(("timer", Action::Timer(timer(wait, &at("timer"), problems))));
    }
    let kinds: &[&str] = match purpose {
        Purpose::Step => &["activity", "http", "exec", "saga", "signal", "timer"],
        _ => &["activity", "http", "exec"],
    };
    if let [(first, _), (second, _), ..] = found.as_slice() {
        let message = format!("both `{first}` and `{second}`: one of them is enough");
        problems.error_in(&at(second), Part::Key, message);
        // What either of them would allow is not known.
        return Action::Activity(String::new());
    }
    if let Some((_, action)) = found.pop() {
        return action;
    }
    if !kinds.iter().any(|kind| problems.was_written(&at(kind))) {
        let (last, others) = kinds.split_last().unwrap_or((&"activity", &[]));
        let others: Vec<String> = others.iter().map(|kind| format!("`{kind}`")).collect();
        problems
            .error(place, format!("nothing to do: no {} or `{last}`", others.join(", ")))
            .hint("write activity = \"a_registered_activity\" or http = { url = \"http://..\" }");
    }
    Action::Activity(String::new())
}

fn refuse_input(action: &Action, place: &str, problems: &mut Problems) {
    let (what, hint) = match action {
        Action::Activity(_) => return,
        Action::Http(_) => ("an `http`", "what is sent is `http.body`"),
        Action::Exec(_) => ("an `exec`", "what the program reads is `exec.stdin`"),
        Action::Saga(_) => ("a `saga`", "what the child gets is `saga.input`"),
        Action::Signal(_) => ("a `signal`", "its output is what comes with the signal"),
        Action::Timer(_) => ("a `timer`", "it only waits"),
    };
    problems
        .error_in(
            &format!("{place}.input"),
            Part::Key,
            format!("{what} step has no `input`"),
        )
        .hint(hint);
}

fn exec(exec: &Exec, place: &str, purpose: Purpose, problems: &mut Problems) -> canonical::Exec {
    let command = exec.command.clone().unwrap_or_default();
    if command.is_empty() && (exec.command.is_some() || !problems.was_written(&format!("{place}.command"))) {
        problems
            .error(place, "`exec` has no `command`")
            .hint("write command = [\"program\", \"argument\"]");
    }
    check_not_empty(command.first(), &format!("{place}.command[0]"), problems);
    for name in exec.env.keys() {
        let place = format!("{place}.env.{name}");
        if !is_variable_name(name) {
            let message = format!("`{name}` cannot be the name of an environment variable");
            problems.error_in(&place, Part::Key, message);
        } else if name.starts_with(RESERVED_ENV) {
            problems
                .error_in(&place, Part::Key, format!("`{name}` is set by amends"))
                .hint(format!("names that begin with {RESERVED_ENV} are its own"));
        }
    }
    check_not_empty(exec.cwd.as_ref(), &format!("{place}.cwd"), problems);
    check_codes(exec, place, problems);
    let codes = |written: &Option<Vec<u8>>, default: &[u8]| {
        let mut codes = written.clone().unwrap_or_else(|| default.to_vec());
        codes.sort_unstable();
        codes.dedup();
        codes
    };
    canonical::Exec {
        command,
        env: exec.env.clone(),
        cwd: exec.cwd.clone(),
        stdin: mapping(exec.stdin.as_ref(), &format!("{place}.stdin"), problems)
            .unwrap_or_else(|| purpose.default_input()),
        success_codes: codes(&exec.success_codes, &SUCCESS_CODES),
        retryable_codes: codes(&exec.retryable_codes, &RETRYABLE_CODES),
        not_applied_codes: codes(&exec.not_applied_codes, &NOT_APPLIED_CODES),
        output: output(exec, place, problems),
    }
}

fn output(exec: &Exec, place: &str, problems: &mut Problems) -> ExecOutput {
    const OUTPUTS: [&str; 2] = ["json", "text"];
    match exec.output.as_deref() {
        None | Some("json") => ExecOutput::Json,
        Some("text") => ExecOutput::Text,
        Some(other) => {
            let hint = did_you_mean(other, OUTPUTS).unwrap_or_else(|| format!("outputs: {}", OUTPUTS.join(", ")));
            problems
                .error(&format!("{place}.output"), format!("unknown output `{other}`"))
                .hint(hint);
            ExecOutput::Json
        }
    }
}

/// A code cannot mean two things that were both written.
fn check_codes(exec: &Exec, place: &str, problems: &mut Problems) {
    let lists = [
        ("success_codes", &exec.success_codes),
        ("retryable_codes", &exec.retryable_codes),
        ("not_applied_codes", &exec.not_applied_codes),
    ];
    let mut meanings = std::collections::BTreeMap::new();
    for (key, codes) in lists {
        for (index, code) in codes.iter().flatten().enumerate() {
            if let Some(earlier) = meanings.insert(*code, key)
                && earlier != key
            {
                problems.error(
                    &format!("{place}.{key}[{index}]"),
                    format!("exit code {code} is also in `{earlier}`"),
                );
            }
        }
    }
}

fn saga(child: &Child, place: &str, problems: &mut Problems) -> canonical::Child {
    check_not_empty(child.name.as_ref(), &format!("{place}.name"), problems);
    check_not_empty(child.id.as_ref(), &format!("{place}.id"), problems);
    if child.name.is_none() && !problems.was_written(&format!("{place}.name")) {
        problems
            .error(place, "`saga` has no `name`")
            .hint("which saga is to be run: name = \"book-trip\"");
    }
    canonical::Child {
        name: child.name.clone().unwrap_or_default(),
        id: child.id.clone(),
        input: mapping(child.input.as_ref(), &format!("{place}.input"), problems)
            .unwrap_or_else(|| Purpose::Step.default_input()),
    }
}

fn signal(signal: &Signal, place: &str, problems: &mut Problems) -> canonical::Signal {
    check_not_empty(signal.name.as_ref(), &format!("{place}.name"), problems);
    if signal.name.is_none() && !problems.was_written(&format!("{place}.name")) {
        problems.error(place, "`signal` has no `name`");
    }
    if let Some(timeout) = signal.timeout {
        check_duration(timeout, &format!("{place}.timeout"), problems);
    } else if signal.default.is_some() && !problems.was_written(&format!("{place}.timeout")) {
        problems
            .error_in(&format!("{place}.default"), Part::Key, "`default` without `timeout`")
            .hint("the default is the output when no signal comes in time");
    }
    canonical::Signal {
        name: signal.name.clone().unwrap_or_default(),
        timeout_us: signal.timeout.map(canonical::micros),
        default: mapping(signal.default.as_ref(), &format!("{place}.default"), problems),
    }
}

fn timer(timer: &Timer, place: &str, problems: &mut Problems) -> canonical::Timer {
    match (timer.after, &timer.until) {
        (Some(after), None) => {
            check_duration(after, &format!("{place}.after"), problems);
            canonical::Timer::AfterUs(canonical::micros(after))
        }
        (None, Some(until)) => canonical::Timer::Until(until.clone()),
        (Some(_), Some(_)) => {
            let message = "both `after` and `until`: one of them is enough";
            problems.error_in(&format!("{place}.until"), Part::Key, message);
            canonical::Timer::AfterUs(0)
        }
        (None, None) => {
            if !problems.was_written(&format!("{place}.after")) {
                problems
                    .error(place, "`timer` has neither `after` nor `until`")
                    .hint("write after = \"10m\" or until = \"${ input.date }\"");
            }
            canonical::Timer::AfterUs(0)
        }
    }
}
