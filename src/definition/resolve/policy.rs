//! How a saga is undone and what happens when a person is needed. Must not live here: what a single step says about it.

use crate::model::{ActivityOptions, ChoiceKind};

use super::super::authored::Saga;
use super::super::canonical;
use super::super::locations::{Part, Problems};
use super::super::problem::did_you_mean;
use super::limit;
use super::options::with_options;
use super::work::{Purpose, work};

/// The choices that need nothing but themselves.
const AUTOMATIC: [&str; 5] = ["retry", "skip", "go-forward", "go-back", "abandon"];

pub(super) fn of_saga(authored: &Saga, saga: &mut canonical::Saga, problems: &mut Problems) {
    saga.unwind_timeout_us = limit(authored.unwind_timeout, "unwind_timeout", problems);
    saga.unwind_parallel = authored.unwind_parallel;
    if authored.unwind_parallel == Some(0) {
        problems.error("unwind_parallel", "must be at least 1");
    }
    escalation(authored, saga, problems);
    decision(authored, saga, problems);
}

fn escalation(authored: &Saga, saga: &mut canonical::Saga, problems: &mut Problems) {
    let stuck = &authored.stuck;
    let Some(escalate) = &stuck.escalate else {
        if stuck.escalate_after.is_some() && !problems.was_written("stuck.escalate") {
            problems
                .error_in("stuck.escalate_after", Part::Key, "`escalate_after` without `escalate`")
                .hint("write escalate = { activity = \"..\" }: what tells somebody");
        }
        return;
    };
    saga.stuck.escalate_after_us = limit(stuck.escalate_after, "stuck.escalate_after", problems).unwrap_or(0);
    // Like a compensation, it is tried until it succeeds: somebody has to be told.
    let defaults = with_options(ActivityOptions::for_compensation(), &authored.compensation_defaults);
    saga.stuck.escalate = Some(work(
        escalate,
        "stuck.escalate",
        Purpose::Escalation,
        &defaults,
        problems,
    ));
}

fn decision(authored: &Saga, saga: &mut canonical::Saga, problems: &mut Problems) {
    let stuck = &authored.stuck;
    match (&stuck.decide, stuck.decide_after) {
        (None, None) => {}
        (Some(_), None) => {
            if !problems.was_written("stuck.decide_after") {
                problems
                    .error_in("stuck.decide", Part::Key, "`decide` without `decide_after`")
                    .hint("say how long a person has: decide_after = \"1h\"");
            }
        }
        (None, Some(_)) => {
            if !problems.was_written("stuck.decide") {
                problems
                    .error_in("stuck.decide_after", Part::Key, "`decide_after` without `decide`")
                    .hint(format!("say what is decided then: {}", AUTOMATIC.join(", ")));
            }
        }
        (Some(_), Some(_)) => {}
    }
    saga.stuck.decide_after_us = limit(stuck.decide_after, "stuck.decide_after", problems).unwrap_or(0);
    let Some(word) = &stuck.decide else { return };
    if !AUTOMATIC.contains(&word.as_str()) {
        let needs_data = ChoiceKind::from_word(word).is_some();
        let message = match needs_data {
            true => format!("`{word}` needs data, so only a person can decide it"),
            false => format!("unknown decision `{word}`"),
        };
        let hint = did_you_mean(word, AUTOMATIC).unwrap_or_else(|| format!("decisions: {}", AUTOMATIC.join(", ")));
        problems.error("stuck.decide", message).hint(hint);
    }
    saga.stuck.decide = Some(word.clone());
}
