//! Reading the table. Must not live here: playing it.
//!
//! ```text
//! == what the row is about
//! saga    a > [b c] > p! > r+        steps in order, [in parallel]
//! a       busy, ok                   what its attempts do; the last one goes on; not said: ok
//! undo a  fail                       the same for its compensation
//! find a  yes                        and for its verification
//! limits  unwind 60s, decide 120s skip
//! when b  cancel                     what somebody does once the step's first attempt has begun (or `undo b`, `find b`)
//! stuck b retry                      what a person decides when the step (`-`: the saga) is stuck; in order
//! log     a {b c} undo:c undo:a      the attempts in the order of their beginning, {in any order}
//! ends    amended
//! ```
//!
//! Marks of a step: `!` pivot without a compensation, `^` pivot with one, `+` retriable, `-` no compensation, `?` asks when
//! it ended without an answer, `%` is verified then, `/` is fenced when the saga turns back, `*2` has two attempts (three,
//! if not said), `u1` its compensation has one (no limit, if not said).
//!
//! Attempts: `ok`; `busy` (try again; perhaps something happened), `away` (try again; nothing happened), `refuse` (for good;
//! nothing happened), `fail` (for good; perhaps something happened), `lost` (never answers: times out after 10 s), `obey`
//! (stops when it is asked to), `late` (succeeds when it is asked to stop), `yes` and `no` (of verifications).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use amends::definition::ParseOptions;
use amends::model::{Choice, Payload};
use amends::{Failure, SagaDefinition};

/// What an attempt does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Ok,
    Busy,
    Away,
    Refuse,
    Fail,
    Lost,
    Obey,
    Late,
    Yes,
    No,
}

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Cancel,
    Terminate,
}

/// One row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) name: String,
    saga: String,
    /// By `a`, `undo:a`, `find:a`.
    scripts: BTreeMap<String, Vec<Does>>,
    limits: Vec<String>,
    /// By the attempt that has to begin first.
    pub(super) deeds: Vec<(String, Deed)>,
    /// By the stuck step; empty for the saga.
    pub(super) decisions: Vec<(String, String)>,
    log: String,
    ends: String,
}

/// Every row of the table.
pub(super) fn rows() -> Vec<Row> {
    let text = include_str!("sagas.txt");
    let mut rows: Vec<Row> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            rows.push(Row {
                name: name.to_owned(),
                ..Row::default()
            });
            continue;
        }
        let row = rows
            .last_mut()
            .unwrap_or_else(|| panic!("line {number} is before the first row"));
        row.read(line)
            .unwrap_or_else(|| panic!("line {}: cannot read {line:?}", number + 1));
    }
    rows
}

impl Row {
    fn read(&mut self, line: &str) -> Option<()> {
        let (key, rest) = line.split_once(char::is_whitespace)?;
        let rest = rest.trim();
        match key {
            "saga" => self.saga = rest.to_owned(),
            "log" => self.log = rest.to_owned(),
            "ends" => self.ends = rest.to_owned(),
            "limits" => self.limits = rest.split(',').map(|limit| limit.trim().to_owned()).collect(),
            "undo" | "find" => {
                let (step, script) = rest.split_once(char::is_whitespace)?;
                self.scripts.insert(format!("{key}:{step}"), script_of(script)?);
            }
            "when" => {
                let (attempt, deed) = rest.rsplit_once(char::is_whitespace)?;
                let deed = match deed {
                    "cancel" => Deed::Cancel,
                    "terminate" => Deed::Terminate,
                    _ => return None,
                };
                self.deeds.push((attempt.trim().replace(' ', ":"), deed));
            }
            "stuck" => {
                let (step, choice) = rest.split_once(char::is_whitespace)?;
                choice_of(choice.trim())?;
                self.decisions.push((step.replace('-', ""), choice.trim().to_owned()));
            }
            step => {
                self.scripts.insert(step.to_owned(), script_of(rest)?);
            }
        }
        Some(())
    }

    /// What this attempt of an activity (`a`, `undo:a`, `find:a`) does; attempts count from 1.
    pub(super) fn does(&self, who: &str, attempt: usize) -> Does {
        let script = self.scripts.get(who).map_or(&[][..], Vec::as_slice);
        let said = script.get(attempt - 1).or(script.last());
        said.copied()
            .unwrap_or(if who.starts_with("find:") { Does::Yes } else { Does::Ok })
    }

    /// The row's steps, with the places of those that they come after.
    fn steps(&self) -> Vec<(&str, Vec<&str>)> {
        let mut steps = Vec::new();
        let mut before: Vec<&str> = Vec::new();
        for group in self.saga.split('>') {
            let names: Vec<&str> = group.trim().trim_matches(['[', ']']).split_whitespace().collect();
            steps.extend(names.iter().map(|step| (*step, before.clone())));
            before = names.iter().map(|step| name_of(step)).collect();
        }
        steps
    }

    /// The names of the steps.
    pub(super) fn names(&self) -> Vec<String> {
        self.steps()
            .into_iter()
            .map(|(step, _)| name_of(step).to_owned())
            .collect()
    }

    /// The row's saga as a definition.
    pub(super) fn definition(&self, name: &str) -> SagaDefinition {
        let text = self.toml(name);
        match SagaDefinition::parse("row.toml", &text, &ParseOptions::default()) {
            Ok((saga, _)) => saga,
            Err(error) => panic!("{}: {error}\n{text}", self.name),
        }
    }

    fn toml(&self, name: &str) -> String {
        let mut text = format!("name = \"{name}\"\n");
        for limit in &self.limits {
            let words: Vec<&str> = limit.split_whitespace().collect();
            match words[..] {
                ["run", time] => writeln!(text, "run_timeout = \"{time}\""),
                ["unwind", time] => writeln!(text, "unwind_timeout = \"{time}\""),
                ["parallel", bound] => writeln!(text, "unwind_parallel = {bound}"),
                ["decide", time, choice] => {
                    writeln!(text, "[stuck]\ndecide_after = \"{time}\"\ndecide = \"{choice}\"")
                }
                ["escalate", time] => {
                    let escalate = "escalate = { activity = \"page\" }";
                    writeln!(text, "[stuck]\nescalate_after = \"{time}\"\n{escalate}")
                }
                _ => panic!("{}: unknown limit {limit:?}", self.name),
            }
            .unwrap();
        }
        text.push_str("[defaults]\nstart_to_close = \"10s\"\nretry = { maximum_attempts = 3 }\n");
        text.push_str("[defaults.compensation]\nstart_to_close = \"10s\"\n");
        for (step, after) in self.steps() {
            step_toml(&mut text, step, &after).unwrap();
        }
        text.push_str("[output]\n");
        text
    }

    /// How what happened differs from what the row says, if it does.
    pub(super) fn misses(&self, log: &[String], ends: &str) -> Option<String> {
        let mut left = log.iter();
        let mut fits = true;
        for group in groups(&self.log) {
            let found: BTreeSet<&str> = left.by_ref().take(group.len()).map(String::as_str).collect();
            fits &= found == group.iter().map(String::as_str).collect();
        }
        fits &= left.next().is_none();
        let found = log.join(" ");
        let wanted = &self.log;
        (!fits || ends != self.ends).then(|| {
            format!(
                "== {}\nwanted: {wanted}\nfound:  {found}\nwanted: {}\nfound:  {ends}",
                self.name, self.ends
            )
        })
    }
}

fn step_toml(text: &mut String, step: &str, after: &[&str]) -> std::fmt::Result {
    let name = name_of(step);
    let marks = &step[name.len()..];
    writeln!(
        text,
        "[[step]]\nname = \"{name}\"\nactivity = \"{name}\"\nafter = {after:?}"
    )?;
    if marks.contains(['!', '^']) {
        writeln!(text, "kind = \"pivot\"")?;
    }
    if marks.contains('+') {
        writeln!(text, "kind = \"retriable\"")?;
    }
    if marks.contains('?') {
        writeln!(text, "on_ambiguous = \"ask\"")?;
    }
    if marks.contains('%') {
        let retry = "retry = { maximum_attempts = 2 }";
        let probe = format!("activity = \"find_{name}\", start_to_close = \"10s\", {retry}");
        writeln!(text, "on_ambiguous = {{ verify = {{ {probe} }} }}")?;
    }
    if marks.contains('/') {
        writeln!(text, "in_flight = \"fence\"")?;
    }
    if let Some(attempts) = number_after(marks, '*') {
        writeln!(text, "retry = {{ maximum_attempts = {attempts} }}")?;
    }
    if marks.contains('-') {
        return writeln!(text, "compensation = \"none\"");
    }
    if marks.contains(['!', '+']) {
        return Ok(());
    }
    let retry = number_after(marks, 'u').map(|attempts| format!(", retry = {{ maximum_attempts = {attempts} }}"));
    let retry = retry.unwrap_or_default();
    writeln!(text, "compensation = {{ activity = \"undo_{name}\"{retry} }}")
}

/// A step's name without its marks: its first letter.
fn name_of(step: &str) -> &str {
    &step[..1]
}

fn number_after(marks: &str, mark: char) -> Option<char> {
    marks.split_once(mark)?.1.chars().next()
}

fn script_of(text: &str) -> Option<Vec<Does>> {
    let does = |word: &str| {
        Some(match word.trim() {
            "ok" => Does::Ok,
            "busy" => Does::Busy,
            "away" => Does::Away,
            "refuse" => Does::Refuse,
            "fail" => Does::Fail,
            "lost" => Does::Lost,
            "obey" => Does::Obey,
            "late" => Does::Late,
            "yes" => Does::Yes,
            "no" => Does::No,
            _ => return None,
        })
    };
    text.split(',').map(does).collect()
}

/// `a {b c} d` as groups whose members come in any order.
fn groups(log: &str) -> Vec<Vec<String>> {
    let mut groups = Vec::new();
    let mut open: Option<Vec<String>> = None;
    for word in log.split_whitespace() {
        let name = word.trim_matches(['{', '}']).to_owned();
        match (&mut open, word.starts_with('{')) {
            (None, true) => open = Some(vec![name]),
            (None, false) => groups.push(vec![name]),
            (Some(group), _) => group.push(name),
        }
        if word.ends_with('}') {
            groups.extend(open.take());
        }
    }
    groups
}

/// A decision by its word.
pub(super) fn choice_of(word: &str) -> Option<Choice> {
    let data = Payload::json("by hand").unwrap();
    Some(match word {
        "retry" => Choice::Retry,
        "retry-with" => Choice::RetryWith { input: data },
        "skip" => Choice::Skip,
        "mark-done" => Choice::MarkDone { output: data },
        "go-forward" => Choice::GoForward,
        "go-back" => Choice::GoBack,
        "abandon" => Choice::Abandon,
        _ => return None,
    })
}

impl Does {
    /// What the attempt ends with, if it ends at once.
    pub(super) fn at_once(self) -> Option<Result<Payload, Failure>> {
        Some(match self {
            Does::Ok => Ok(Payload::null()),
            Does::Busy => Err(Failure::new("Busy", "try again")),
            Does::Away => Err(Failure::new("Away", "not reached").without_effect()),
            Does::Refuse => Err(Failure::not_applied("Refused", "no")),
            Does::Fail => Err(Failure::non_retryable("Broken", "perhaps")),
            Does::Yes => Ok(Payload::json(&amends::model::Verdict::applied("found")).unwrap()),
            Does::No => Ok(Payload::json(&amends::model::Verdict::<()>::not_applied()).unwrap()),
            Does::Lost | Does::Obey | Does::Late => return None,
        })
    }

    /// What the attempt ends with when it is asked to stop, if it heeds that.
    pub(super) fn when_asked(self) -> Option<Result<Payload, Failure>> {
        match self {
            Does::Obey => Some(Err(Failure::canceled("as asked"))),
            Does::Late => Some(Ok(Payload::null())),
            _ => None,
        }
    }
}
