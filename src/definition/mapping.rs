//! How the input of an activity is made. Lives here: the compiled mappings of steps, compensations, verifications and
//! escalations. Must not live here: the expression language.

mod child;
mod exec;
mod http;

use crate::model::{Payload, StepName};

use super::canonical::{self, Action};
use super::expression::{Environment, Expression, Extras, Fault, Names, Reference, Template, UndoPart};
use super::locations::Problems;
use child::ChildMapping;
use exec::ExecMapping;
use http::HttpMapping;

/// How an input is made.
#[derive(Clone, Debug)]
pub(super) enum Mapping {
    /// Nothing was said: a step gets the saga's input, a compensation or a verification its step's undo, an escalation the
    /// notice.
    Default,
    /// The value of a template.
    Template(Template),
    /// An HTTP request.
    Http(Box<HttpMapping>),
    /// A program.
    Exec(Box<ExecMapping>),
    /// A child saga.
    Child(Box<ChildMapping>),
}

impl Mapping {
    /// Compiles the mapping of what is done at a place.
    pub(super) fn compile(work: &canonical::Work, place: &str, names: &Names<'_>, problems: &mut Problems) -> Self {
        let sending = Names {
            extras: Extras {
                secret: true,
                ..names.extras
            },
            ..*names
        };
        let mapping = match (&work.action, &work.input) {
            (Action::Http(http), _) => {
                let place = format!("{place}.http");
                Mapping::Http(Box::new(HttpMapping::compile(http, &place, &sending, problems)))
            }
            (Action::Exec(exec), _) => {
                let place = format!("{place}.exec");
                Mapping::Exec(Box::new(ExecMapping::compile(exec, &place, &sending, problems)))
            }
            (Action::Saga(child), _) => {
                let place = format!("{place}.saga");
                Mapping::Child(Box::new(ChildMapping::compile(child, &place, names, problems)))
            }
            (Action::Activity(_), Some(input)) => {
                Mapping::Template(Template::compile(input, &format!("{place}.input"), names, problems))
            }
            (Action::Activity(_) | Action::Signal(_) | Action::Timer(_), _) => Mapping::Default,
        };
        if names.extras.undo {
            mapping.warn_of_missing_output(place, problems);
        }
        mapping
    }

    /// The payload; `None`: nothing was said.
    pub(super) fn payload(
        &self,
        step: Option<&StepName>,
        environment: &mut Environment<'_>,
    ) -> Option<Result<Payload, Fault>> {
        Some(match self {
            Mapping::Default => return None,
            Mapping::Template(template) => template.payload(environment),
            Mapping::Http(http) => http.payload(environment),
            Mapping::Exec(exec) => exec.payload(environment),
            Mapping::Child(child) => child.payload(step?, environment),
        })
    }

    /// The saga that is run.
    pub(super) fn child_saga(&self) -> Option<&str> {
        match self {
            Mapping::Child(child) => Some(child.workflow()),
            _ => None,
        }
    }

    /// Calls back for every expression, with whether it is embedded in a text.
    pub(super) fn each_expression(&self, visit: &mut dyn FnMut(&Expression, bool)) {
        match self {
            Mapping::Default => {}
            Mapping::Template(template) => template.each_expression(visit),
            Mapping::Http(http) => http.each_expression(visit),
            Mapping::Exec(exec) => exec.each_expression(visit),
            Mapping::Child(child) => child.each_expression(visit),
        }
    }

    /// A step that timed out has no output, and exactly then its compensation matters most.
    fn warn_of_missing_output(&self, place: &str, problems: &mut Problems) {
        let mut trusting: Option<String> = None;
        self.each_expression(&mut |expression: &Expression, embedded| {
            if expression.trusts(Reference::Undo(UndoPart::Output), embedded) {
                trusting.get_or_insert_with(|| expression.source().trim().to_owned());
            }
        });
        if let Some(source) = trusting {
            problems
                .warning(
                    place,
                    format!("`{source}` fails when the step never answered: then `undo.output` is null"),
                )
                .hint("undo by something known beforehand, such as `undo.input` or `run.workflow_id`");
        }
    }
}
