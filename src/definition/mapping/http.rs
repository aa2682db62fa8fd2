//! HTTP requests with expressions in them. Must not live here: what a response means.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Payload;

use super::super::canonical;
use super::super::expression::{Environment, Expression, Fault, Names, Template, TextTemplate};
use super::super::http::{HttpRequest, is_header_value, is_url, percent_encode};
use super::super::locations::{Part, Problems};
use super::super::secret::SECRET_OPEN;

/// An HTTP request with expressions in it.
#[derive(Clone, Debug)]
pub(in crate::definition) struct HttpMapping {
    /// Everything that has no expressions.
    fixed: HttpRequest,
    url: TextTemplate,
    headers: BTreeMap<String, TextTemplate>,
    body: Option<Template>,
}

impl HttpMapping {
    pub(super) fn compile(http: &canonical::Http, place: &str, names: &Names<'_>, problems: &mut Problems) -> Self {
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

    pub(super) fn each_expression(&self, visit: &mut dyn FnMut(&Expression, bool)) {
        self.url.each_expression(visit);
        self.headers.values().for_each(|value| value.each_expression(visit));
        self.body.iter().for_each(|body| body.each_expression(visit));
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
        // Where a secret says where the service is, only whoever fills it in can tell.
        if !url.starts_with(SECRET_OPEN) && !is_url(&url) {
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
            Some(body) => Some(body.evaluate_to_send(environment)?),
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
