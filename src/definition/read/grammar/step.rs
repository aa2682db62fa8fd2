//! The keys of a step. Must not live here: the keys of what it does (those are `work`).

use toml::Spanned;
use toml::de::DeValue;

use crate::model::{InFlight, StepKind};

use super::super::super::authored::{Compensation, Foreach, OnAmbiguous, Step};
use super::super::super::locations::Problems;
use super::super::super::problem::did_you_mean;
use super::super::table::{Table, wrong_type};
use super::work::{Kinds, WORK_ADVICE, work};

pub(super) fn step(mut table: Table<'_>, problems: &mut Problems) -> Step {
    let step = Step {
        name: table.string("name", problems),
        kind: kind(&mut table, problems),
        after: table.strings("after", problems),
        when: table.string("when", problems),
        foreach: table.table("foreach", problems).map(|nested| foreach(nested, problems)),
        work: work(&mut table, Kinds::All, problems),
        compensation: compensation(&mut table, problems),
        on_ambiguous: on_ambiguous(&mut table, problems),
        in_flight: in_flight(&mut table, problems),
    };
    table.finish(WORK_ADVICE, problems);
    step
}

fn kind(table: &mut Table<'_>, problems: &mut Problems) -> Option<StepKind> {
    const KINDS: &[(&str, StepKind)] = &[
        (StepKind::Compensatable.as_str(), StepKind::Compensatable),
        (StepKind::Pivot.as_str(), StepKind::Pivot),
        (StepKind::Retriable.as_str(), StepKind::Retriable),
    ];
    let written = table.string("kind", problems)?;
    let found = word(&written, KINDS);
    if found.is_none() {
        unknown_word(&table.at("kind"), "kind", &written, KINDS, problems);
    }
    Some(found.unwrap_or_default())
}

pub(super) fn in_flight(table: &mut Table<'_>, problems: &mut Problems) -> Option<InFlight> {
    const POLICIES: &[(&str, InFlight)] = &[("wait", InFlight::Wait), ("fence", InFlight::Fence)];
    let written = table.string("in_flight", problems)?;
    let found = word(&written, POLICIES);
    if found.is_none() {
        unknown_word(&table.at("in_flight"), "policy", &written, POLICIES, problems);
    }
    found
}

fn word<T: Copy>(written: &str, known: &[(&str, T)]) -> Option<T> {
    let mut known = known.iter();
    known.find(|(name, _)| *name == written).map(|(_, value)| *value)
}

fn unknown_word<T>(place: &str, what: &str, written: &str, known: &[(&str, T)], problems: &mut Problems) {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let plural = if what == "policy" { "policies" } else { "kinds" };
    let hint =
        did_you_mean(written, names.iter().copied()).unwrap_or_else(|| format!("{plural}: {}", names.join(", ")));
    problems.error(place, format!("unknown {what} `{written}`")).hint(hint);
}

/// In the defaults there is nothing yet that could be verified.
pub(super) fn default_on_ambiguous(table: &mut Table<'_>, problems: &mut Problems) -> Option<OnAmbiguous> {
    let value = table.value("on_ambiguous")?;
    let place = table.at("on_ambiguous");
    match value.get_ref() {
        DeValue::Table(_) => {
            problems
                .error(&place, "`verify` is not a default")
                .hint("write it in each step: what is asked depends on the step");
            None
        }
        _ => on_ambiguous_word(&place, value, "\"compensate\" or \"ask\"", problems),
    }
}

fn on_ambiguous(table: &mut Table<'_>, problems: &mut Problems) -> Option<OnAmbiguous> {
    let value = table.value("on_ambiguous")?;
    let place = table.at("on_ambiguous");
    let DeValue::Table(nested) = value.get_ref() else {
        const EXPECTED: &str = "\"compensate\", \"ask\" or { verify = { .. } }";
        return on_ambiguous_word(&place, value, EXPECTED, problems);
    };
    let mut nested = Table::new(&place, nested, problems);
    let verify = nested.table("verify", problems).map(|mut table| {
        let work = work(&mut table, Kinds::OfActivities, problems);
        table.finish(WORK_ADVICE, problems);
        OnAmbiguous::Verify(Box::new(work))
    });
    nested.finish(&[], problems);
    if verify.is_none() && !problems.was_written(&format!("{place}.verify")) {
        problems
            .error(&place, "nothing to verify with")
            .hint("write on_ambiguous = { verify = { activity = \"..\" } }");
    }
    verify
}

fn on_ambiguous_word(
    place: &str,
    value: &Spanned<DeValue<'_>>,
    expected: &str,
    problems: &mut Problems,
) -> Option<OnAmbiguous> {
    match value.get_ref().as_str() {
        Some("compensate") => Some(OnAmbiguous::Compensate),
        Some("ask") => Some(OnAmbiguous::Ask),
        Some("verify") => {
            problems
                .error(place, "`verify` needs to know how")
                .hint("write on_ambiguous = { verify = { activity = \"..\" } }");
            None
        }
        Some(other) => {
            unknown_word(
                place,
                "policy",
                other,
                &[("compensate", ()), ("ask", ()), ("verify", ())],
                problems,
            );
            None
        }
        None => {
            wrong_type(place, expected, value, problems);
            None
        }
    }
}

fn foreach(mut table: Table<'_>, problems: &mut Problems) -> Foreach {
    let foreach = Foreach {
        items: table.string("items", problems),
        concurrency: table.count("concurrency", problems),
    };
    const ADVICE: &[(&str, &str)] = &[
        ("list", "use `items`"),
        ("in", "use `items`"),
        ("parallel", "use `concurrency`"),
        ("max_parallel", "use `concurrency`"),
    ];
    table.finish(ADVICE, problems);
    foreach
}

fn compensation(table: &mut Table<'_>, problems: &mut Problems) -> Compensation {
    let Some(value) = table.value("compensation") else {
        return Compensation::Unsaid;
    };
    let place = table.at("compensation");
    match value.get_ref() {
        DeValue::Table(nested) => {
            let mut nested = Table::new(&place, nested, problems);
            let work = work(&mut nested, Kinds::OfActivities, problems);
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
