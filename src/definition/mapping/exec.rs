//! Programs with expressions in their arguments. Must not live here: what an exit code means.

use std::collections::BTreeMap;

use crate::model::Payload;

use super::super::canonical;
use super::super::exec::ExecRequest;
use super::super::expression::{Environment, Expression, Extras, Fault, Names, Template, TextTemplate};
use super::super::locations::Problems;

/// A program with expressions in its parts.
#[derive(Clone, Debug)]
pub(in crate::definition) struct ExecMapping {
    /// Everything that has no expressions.
    fixed: ExecRequest,
    command: Vec<TextTemplate>,
    env: BTreeMap<String, TextTemplate>,
    cwd: Option<TextTemplate>,
    stdin: Template,
}

impl ExecMapping {
    pub(super) fn compile(exec: &canonical::Exec, place: &str, names: &Names<'_>, problems: &mut Problems) -> Self {
        // Arguments can be read by everybody on the machine, the environment of a process cannot.
        let open = Names {
            extras: Extras {
                secret: false,
                ..names.extras
            },
            ..*names
        };
        let command = exec.command.iter().enumerate();
        Self {
            fixed: ExecRequest {
                command: Vec::new(),
                env: BTreeMap::new(),
                cwd: None,
                stdin: serde_json::Value::Null,
                success_codes: exec.success_codes.clone(),
                retryable_codes: exec.retryable_codes.clone(),
                not_applied_codes: exec.not_applied_codes.clone(),
                output: exec.output,
            },
            command: command
                .map(|(index, text)| TextTemplate::compile(text, &format!("{place}.command[{index}]"), &open, problems))
                .collect(),
            env: exec
                .env
                .iter()
                .map(|(name, text)| {
                    let place = format!("{place}.env.{name}");
                    (name.clone(), TextTemplate::compile(text, &place, names, problems))
                })
                .collect(),
            cwd: exec
                .cwd
                .as_ref()
                .map(|text| TextTemplate::compile(text, &format!("{place}.cwd"), &open, problems)),
            stdin: Template::compile(&exec.stdin, &format!("{place}.stdin"), names, problems),
        }
    }

    pub(super) fn each_expression(&self, visit: &mut dyn FnMut(&Expression, bool)) {
        let texts = self.command.iter().chain(self.env.values()).chain(&self.cwd);
        for text in texts {
            text.each_expression(visit);
        }
        self.stdin.each_expression(visit);
    }

    pub(super) fn payload(&self, environment: &mut Environment<'_>) -> Result<Payload, Fault> {
        let mut text = |template: &TextTemplate, what: &str| {
            let text = template.evaluate(environment, |_, text| text.to_owned())?;
            match text.contains('\0') {
                true => Err(Fault::result(format!("{what} has a NUL character"))),
                false => Ok(text),
            }
        };
        let mut request = self.fixed.clone();
        for argument in &self.command {
            request.command.push(text(argument, "an argument of the program")?);
        }
        for (name, value) in &self.env {
            let value = text(value, "a variable of the program's environment")?;
            request.env.insert(name.clone(), value);
        }
        if let Some(cwd) = &self.cwd {
            request.cwd = Some(text(cwd, "`cwd`")?);
        }
        request.stdin = self.stdin.evaluate_to_send(environment)?;
        Ok(Payload::json(&request)?)
    }
}
