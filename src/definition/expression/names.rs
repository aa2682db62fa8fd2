//! The variables that mappings have, and which of them a mapping may use. Must not live here: finding them in an
//! expression, or their values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::problem::did_you_mean;
use super::references::{Chain, Issue};

/// The variables that every definition has; also the names that a local variable cannot have.
pub(super) const ROOTS: [&str; 5] = ["input", "steps", "undo", "config", "run"];

/// One value that an expression refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::definition) enum Reference {
    /// `input`: the saga's.
    Input,
    /// `steps.<name>.input` or `.output`.
    Step(usize, StepSide),
    /// `undo.input`, `.output` or `.failure`.
    Undo(UndoPart),
    /// `config`.
    Config,
    /// `run.workflow_id`.
    WorkflowId,
    /// `run.run_id`.
    RunId,
    /// `run.namespace`.
    Namespace,
    /// `item`: the element of the list that a `foreach` step works on.
    Item,
    /// `index`: its place in the list, 0 for the first.
    Index,
    /// `notice`: what an escalation tells.
    Notice,
    /// `secret.<name>`, by its place among the definition's secrets.
    Secret(usize),
}

impl Reference {
    /// What a step returned.
    pub(in crate::definition) fn output_of(step: usize) -> Self {
        Reference::Step(step, StepSide::Output)
    }
}

/// Which value of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::definition) enum StepSide {
    /// What it was given.
    Input,
    /// What it returned.
    Output,
}

/// Which value of the step that is being undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::definition) enum UndoPart {
    /// What it was given.
    Input,
    /// What it returned; null when it never answered.
    Output,
    /// How it failed, as text; null when it did not.
    Failure,
}

/// What a mapping may refer to.
#[derive(Clone, Copy, Debug)]
pub(in crate::definition) struct Names<'a> {
    /// Every step's index by its name.
    pub(in crate::definition) steps: &'a BTreeMap<String, usize>,
    /// The steps that have certainly completed when the mapping is evaluated; `None`: all of them.
    pub(in crate::definition) completed: Option<&'a BTreeSet<usize>>,
    /// The step that the mapping belongs to.
    pub(in crate::definition) this_step: Option<usize>,
    /// What there is beside what every mapping may refer to.
    pub(in crate::definition) extras: Extras,
    /// The definition's config.
    pub(in crate::definition) config: &'a BTreeMap<String, Value>,
    /// The definition's secrets, in order.
    pub(in crate::definition) secrets: &'a [String],
}

/// What only some mappings may refer to.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::definition) struct Extras {
    /// `undo`: in a compensation or a verification.
    pub(in crate::definition) undo: bool,
    /// `item` and `index`: in what a `foreach` step does for an element.
    pub(in crate::definition) item: bool,
    /// `notice`: in an escalation.
    pub(in crate::definition) notice: bool,
    /// `secret`: in what leaves the process.
    pub(in crate::definition) secret: bool,
    /// Nothing but `input` and `config`: evaluated before the run exists.
    pub(in crate::definition) only_input: bool,
}

impl Names<'_> {
    /// The values that a chain of selections refers to, and how many of its keys name them.
    pub(super) fn resolve(&self, chain: &Chain<'_>) -> Result<(Vec<Reference>, usize), Issue> {
        let key = chain.keys.first().copied();
        if self.extras.only_input && ["steps", "run", "undo"].contains(&chain.root) {
            let message = format!("`{}` before the run has begun", chain.root);
            return Err(Issue::new(message, Some("use `input` or `config`".to_owned())));
        }
        match chain.root {
            "input" => Ok((vec![Reference::Input], 0)),
            "config" => self.config(key).map(|()| (vec![Reference::Config], 0)),
            "steps" => self.step(chain).map(|reference| (vec![reference], 2)),
            "undo" => self.undo(key),
            "run" => match key {
                None => Ok((vec![Reference::WorkflowId, Reference::RunId, Reference::Namespace], 0)),
                Some("workflow_id") => Ok((vec![Reference::WorkflowId], 1)),
                Some("run_id") => Ok((vec![Reference::RunId], 1)),
                Some("namespace") => Ok((vec![Reference::Namespace], 1)),
                Some(other) => Err(Issue::new(
                    format!("`run` has no `{other}`"),
                    Some("use `run.workflow_id`, `run.run_id` or `run.namespace`".to_owned()),
                )),
            },
            "item" if self.extras.item => Ok((vec![Reference::Item], 0)),
            "index" if self.extras.item => Ok((vec![Reference::Index], 0)),
            "notice" if self.extras.notice => notice(key).map(|()| (vec![Reference::Notice], 0)),
            "secret" => self.secret(key).map(|reference| (vec![reference], 1)),
            other => Err(self.unknown(other)),
        }
    }

    fn unknown(&self, name: &str) -> Issue {
        let elsewhere = match name {
            "item" | "index" => Some("only what a `foreach` step does for an element has it"),
            "notice" => Some("only `stuck.escalate` has it"),
            _ => None,
        };
        if let Some(hint) = elsewhere {
            return Issue::new(format!("there is no `{name}` here"), Some(hint.to_owned()));
        }
        let mut known = match self.extras.only_input {
            true => vec!["input", "config"],
            false => ROOTS.to_vec(),
        };
        known.extend(self.extras.item.then_some(["item", "index"]).into_iter().flatten());
        known.extend(self.extras.notice.then_some("notice"));
        known.extend(
            self.extras
                .secret
                .then_some("secret")
                .filter(|_| !self.secrets.is_empty()),
        );
        let hint =
            did_you_mean(name, known.iter().copied()).unwrap_or_else(|| format!("variables: {}", known.join(", ")));
        Issue::new(format!("unknown variable `{name}`"), Some(hint))
    }

    fn secret(&self, key: Option<&str>) -> Result<Reference, Issue> {
        if !self.extras.secret {
            let hint = "it would be journaled; secrets go into `url`, `headers` and `body` of `http`, and into `env` and \
                        `stdin` of `exec`";
            return Err(Issue::new("a secret cannot be used here", Some(hint.to_owned())));
        }
        let Some(name) = key else {
            return Err(Issue::new(
                "`secret` without a name",
                Some("write `secret.NAME`".to_owned()),
            ));
        };
        let found = self.secrets.iter().position(|secret| secret == name);
        found.map(Reference::Secret).ok_or_else(|| {
            let hint = did_you_mean(name, self.secrets.iter().map(String::as_str))
                .unwrap_or_else(|| format!("declare it at the top of the definition: secrets = [\"{name}\"]"));
            Issue::new(format!("unknown secret `{name}`"), Some(hint))
        })
    }

    fn config(&self, key: Option<&str>) -> Result<(), Issue> {
        let Some(key) = key.filter(|key| !self.config.contains_key(*key)) else {
            return Ok(());
        };
        let hint = did_you_mean(key, self.config.keys().map(String::as_str))
            .unwrap_or_else(|| format!("add `{key}` with its default value to the [config] table"));
        Err(Issue::new(format!("unknown config key `{key}`"), Some(hint)))
    }

    fn undo(&self, key: Option<&str>) -> Result<(Vec<Reference>, usize), Issue> {
        if !self.extras.undo {
            let hint = "`undo` is the step being undone; only its compensation has it";
            return Err(Issue::new("`undo` outside a compensation", Some(hint.to_owned())));
        }
        let part = match key {
            None => {
                let parts = [UndoPart::Input, UndoPart::Output, UndoPart::Failure];
                return Ok((parts.map(Reference::Undo).to_vec(), 0));
            }
            Some("input") => UndoPart::Input,
            Some("output") => UndoPart::Output,
            Some("failure") => UndoPart::Failure,
            Some(other) => {
                return Err(Issue::new(
                    format!("`undo` has no `{other}`"),
                    Some("use `undo.input`, `undo.output` or `undo.failure`".to_owned()),
                ));
            }
        };
        Ok((vec![Reference::Undo(part)], 1))
    }

    fn step(&self, chain: &Chain<'_>) -> Result<Reference, Issue> {
        let Some(name) = chain.keys.first().copied() else {
            let hint = "write `steps.<name>.output`, or `steps[\"<name>\"].output`".to_owned();
            return Err(Issue::new("`steps` without a step's name", Some(hint)));
        };
        let Some(step) = self.steps.get(name).copied() else {
            let hint = did_you_mean(name, self.steps.keys().map(String::as_str));
            return Err(Issue::new(format!("unknown step `{name}`"), hint));
        };
        let side = match chain.keys.get(1).copied() {
            Some("output") => StepSide::Output,
            Some("input") => StepSide::Input,
            other => {
                let message = match other {
                    Some(other) => format!("`steps.{name}` has no `{other}`"),
                    None => format!("`steps.{name}` is not a value"),
                };
                let hint = format!("use `steps.{name}.output` or `steps.{name}.input`");
                return Err(Issue::new(message, Some(hint)));
            }
        };
        if Some(step) == self.this_step {
            let hint = match (self.extras.undo, side) {
                (true, StepSide::Output) => "a compensation sees its own step as `undo.output`",
                (true, StepSide::Input) => "a compensation sees its own step as `undo.input`",
                (false, _) => "a step's input comes from the steps before it",
            };
            return Err(Issue::new(
                format!("step `{name}` refers to itself"),
                Some(hint.to_owned()),
            ));
        }
        if self.completed.is_some_and(|completed| !completed.contains(&step)) {
            let hint = match self.this_step {
                Some(_) => format!("add \"{name}\" to this step's `after`"),
                None => "use `input`, `config` or `run`".to_owned(),
            };
            let message = format!("step `{name}` may not have completed when this is evaluated");
            return Err(Issue::new(message, Some(hint)));
        }
        Ok(Reference::Step(step, side))
    }
}

/// Whether a notice has this key.
fn notice(key: Option<&str>) -> Result<(), Issue> {
    const KEYS: [&str; 8] = [
        "workflow_id",
        "run_id",
        "namespace",
        "workflow_type",
        "step",
        "reason",
        "failure",
        "choices",
    ];
    let Some(key) = key.filter(|key| !KEYS.contains(key)) else {
        return Ok(());
    };
    let hint = did_you_mean(key, KEYS).unwrap_or_else(|| format!("it has {}", KEYS.join(", ")));
    Err(Issue::new(format!("`notice` has no `{key}`"), Some(hint)))
}
