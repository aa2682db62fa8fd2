//! How the input of an activity is made. Lives here: the compiled mappings of steps and compensations, HTTP requests
//! among them. Must not live here: the expression language.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Payload;

use super::canonical::{self, Action};
use super::expression::{Environment, Fault, Names, Template, TextTemplate};
use super::http::{HttpRequest, is_header_value, is_url, percent_encode};
use super::locations::{Part, Problems};

/// How an input is made.
#[derive(Clone, Debug)]
pub(super) enum Mapping {
    /// Nothing was said: a step gets the saga's input, a compensation its step's undo.
    Default,
    /// The value of a template.
    Template(Template),
    /// An HTTP request.
    Http(Box<HttpMapping>),
}

/// An HTTP request with expressions in it.
#[derive(Clone, Debug)]
pub(super) struct HttpMapping {
    /// Everything that has no expressions.
    fixed: HttpRequest,
    url: TextTemplate,
    headers: BTreeMap<String, TextTemplate>,
    body: Option<Template>,
}

impl Mapping {
    /// Compiles the mapping of a step or compensation at a place.
    pub(super) fn compile(work: &canonical::Work, place: &str, names: &Names<'_>, problems: &mut Problems) -> Self {
        let mapping = match (&work.action, &work.input) {
            (Action::Http(http), _) => Mapping::Http(Box::new(HttpMapping::compile(
                http,
                &format!("{place}.http"),
                names,
                problems,
            ))),
            (Action::Activity(_), Some(input)) => {
                Mapping::Template(Template::compile(input, &format!("{place}.input"), names, problems))
            }
            (Action::Activity(_), None) => Mapping::Default,
        };
        if names.in_compensation {
            mapping.warn_of_missing_output(place, problems);
        }
        mapping
    }

    /// A step that timed out has no output, and exactly then its compensation matters most.
    fn warn_of_missing_output(&self, place: &str, problems: &mut Problems) {
        let mut trusting: Option<String> = None;
        let mut visit = |expression: &super::expression::Expression, embedded: bool| {
            if expression.trusts_undo_output(embedded) {
                trusting.get_or_insert_with(|| expression.source().trim().to_owned());
            }
        };
        match self {
            Mapping::Default => {}
            Mapping::Template(template) => template.each_expression(&mut visit),
            Mapping::Http(http) => {
                http.url.each_expression(&mut visit);
                http.headers
                    .values()
                    .for_each(|value| value.each_expression(&mut visit));
                http.body.iter().for_each(|body| body.each_expression(&mut visit));
            }
        }
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

impl HttpMapping {
    fn compile(http: &canonical::Http, place: &str, names: &Names<'_>, problems: &mut Problems) -> Self {
        let url_place = format!("{place}.url");
        let url = TextTemplate::compile(&http.url, &url_place, names, problems);
        let start = url.known_start(names.config);
        if let Some(start) = start.filter(|start| !http.url.is_empty() && !is_url(start)) {
            problems
                .error_in(
                    &url_place,
                    Part::Value,
                    format!("`{start}` is not the beginning of a URL"),
                )
                .hint("a URL begins with http:// or https:// and has no spaces");
        }
        let headers = http
            .headers
            .iter()
            .map(|(name, value)| {
                let place = format!("{place}.headers.{name}");
                (name.clone(), TextTemplate::compile(value, &place, names, problems))
            })
            .collect();
        let body = http.body.as_ref();
        Self {
            fixed: HttpRequest {
                method: http.method.clone(),
                url: String::new(),
                headers: BTreeMap::new(),
                body: None,
                success_statuses: http.success_statuses.clone(),
                retryable_statuses: http.retryable_statuses.clone(),
                not_applied_statuses: http.not_applied_statuses.clone(),
            },
            url,
            headers,
            body: body.map(|body| Template::compile(body, &format!("{place}.body"), names, problems)),
        }
    }

    /// The request. What is embedded in the URL is percent-encoded, except at its very start, where the base URL is.
    pub(super) fn payload(&self, environment: &mut Environment<'_>) -> Result<Payload, Fault> {
        let url = self.url.evaluate(environment, |part, text| match part {
            0 => text.to_owned(),
            _ => {
                let mut encoded = String::with_capacity(text.len());
                percent_encode(text, &mut encoded);
                encoded
            }
        })?;
        if !is_url(&url) {
            return Err(Fault::result(format!("`{url}` is not a URL that can be requested")));
        }
        let mut headers = BTreeMap::new();
        for (name, template) in &self.headers {
            let value = template.evaluate(environment, |_, text| text.to_owned())?;
            if !is_header_value(&value) {
                return Err(Fault::result(format!(
                    "the value of header `{name}` has a control character"
                )));
            }
            headers.insert(name.clone(), value);
        }
        let body: Option<Value> = match &self.body {
            Some(body) => Some(body.evaluate(environment)?),
            None => None,
        };
        let request = HttpRequest {
            url,
            headers,
            body,
            ..self.fixed.clone()
        };
        Ok(Payload::json(&request)?)
    }
}
