//! JSON-like values whose strings may hold expressions. Lives here: compiling and evaluating them. Must not live here:
//! the expressions themselves.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Payload;

use super::super::locations::{Part, Problems};
use super::super::secret::{SECRET_OPEN, placeholders};
use super::compile::Expression;
use super::environment::Environment;
use super::error::Fault;
use super::names::{Names, Reference};
use super::split::{Piece, split};

/// A value with expressions in it, compiled.
#[derive(Clone, Debug)]
pub(in crate::definition) enum Template {
    /// A value without expressions.
    Literal(Value),
    /// A string that is one expression: the result keeps its type.
    Expression(Box<Expression>),
    /// A string with expressions in it: the result is a string.
    Text(TextTemplate),
    /// An array with expressions in it.
    Array(Vec<Template>),
    /// An object with expressions in it.
    Object(BTreeMap<String, Template>),
}

/// A string with expressions in it, compiled.
#[derive(Clone, Debug)]
pub(in crate::definition) struct TextTemplate(Vec<TextPart>);

#[derive(Clone, Debug)]
enum TextPart {
    Literal(String),
    Expression(Expression),
}

impl Template {
    /// Compiles a value; what is wrong with its expressions is reported at their place.
    pub(in crate::definition) fn compile(
        value: &Value,
        place: &str,
        names: &Names<'_>,
        problems: &mut Problems,
    ) -> Template {
        match value {
            Value::String(text) => Self::of_text(TextTemplate::compile(text, place, names, problems)),
            Value::Array(elements) => {
                let elements = elements.iter().enumerate();
                let templates: Vec<Template> = elements
                    .map(|(index, element)| Self::compile(element, &format!("{place}[{index}]"), names, problems))
                    .collect();
                match templates.iter().all(Template::is_literal) {
                    true => Template::Literal(templates.into_iter().map(Template::into_literal).collect()),
                    false => Template::Array(templates),
                }
            }
            Value::Object(map) => {
                let templates: BTreeMap<String, Template> = map
                    .iter()
                    .map(|(key, value)| {
                        let template = Self::compile(value, &format!("{place}.{key}"), names, problems);
                        (key.clone(), template)
                    })
                    .collect();
                match templates.values().all(Template::is_literal) {
                    true => templates
                        .into_iter()
                        .map(|(key, template)| (key, template.into_literal()))
                        .collect::<Value>()
                        .into(),
                    false => Template::Object(templates),
                }
            }
            other => Template::Literal(other.clone()),
        }
    }

    fn of_text(text: TextTemplate) -> Template {
        let mut parts = text.0;
        match (parts.pop(), parts.is_empty()) {
            (None, _) => Template::Literal(Value::from("")),
            (Some(TextPart::Literal(text)), true) => Template::Literal(Value::from(text)),
            (Some(TextPart::Expression(expression)), true) => Template::Expression(Box::new(expression)),
            (Some(last), false) => {
                parts.push(last);
                Template::Text(TextTemplate(parts))
            }
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Template::Literal(_))
    }

    /// The value, when it has no expressions.
    pub(in crate::definition) fn as_literal(&self) -> Option<&Value> {
        match self {
            Template::Literal(value) => Some(value),
            _ => None,
        }
    }

    fn into_literal(self) -> Value {
        match self {
            Template::Literal(value) => value,
            _ => Value::Null,
        }
    }

    /// The value as a payload. A mapping that is one whole payload hands it on as it is, whatever its encoding.
    pub(in crate::definition) fn payload(&self, environment: &mut Environment<'_>) -> Result<Payload, Fault> {
        if let Template::Expression(expression) = self
            && let Some((reference, [])) = expression.as_path()
            && let Some(payload) = environment.payload(reference)?
        {
            return Ok(payload);
        }
        let value = self.evaluate(environment)?;
        Ok(Payload::json(&value)?)
    }

    /// The value of what may hold secrets.
    pub(in crate::definition) fn evaluate_to_send(&self, environment: &mut Environment<'_>) -> Result<Value, Fault> {
        match self {
            Template::Expression(expression) => {
                let value = expression.evaluate(environment)?;
                match !expression.is_secret() && is_forged(&value) {
                    true => Err(forged()),
                    false => Ok(value),
                }
            }
            Template::Array(elements) => elements
                .iter()
                .map(|element| element.evaluate_to_send(environment))
                .collect(),
            Template::Object(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.evaluate_to_send(environment)?)))
                .collect(),
            Template::Literal(_) | Template::Text(_) => self.evaluate(environment),
        }
    }

    /// The value.
    pub(in crate::definition) fn evaluate(&self, environment: &mut Environment<'_>) -> Result<Value, Fault> {
        match self {
            Template::Literal(value) => Ok(value.clone()),
            Template::Expression(expression) => expression.evaluate(environment),
            Template::Text(text) => text.evaluate(environment, |_, text| text.to_owned()).map(Value::from),
            Template::Array(elements) => elements.iter().map(|element| element.evaluate(environment)).collect(),
            Template::Object(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.evaluate(environment)?)))
                .collect(),
        }
    }

    /// Calls back for every expression, with whether it is embedded in a text.
    pub(in crate::definition) fn each_expression(&self, visit: &mut dyn FnMut(&Expression, bool)) {
        match self {
            Template::Literal(_) => {}
            Template::Expression(expression) => visit(expression, false),
            Template::Text(text) => text.each_expression(visit),
            Template::Array(elements) => elements.iter().for_each(|element| element.each_expression(visit)),
            Template::Object(entries) => entries.values().for_each(|value| value.each_expression(visit)),
        }
    }
}

impl From<Value> for Template {
    fn from(value: Value) -> Self {
        Template::Literal(value)
    }
}

impl From<TextTemplate> for Template {
    fn from(text: TextTemplate) -> Self {
        Template::of_text(text)
    }
}

impl TextTemplate {
    /// Compiles a string; what is wrong with its expressions is reported at their place.
    pub(in crate::definition) fn compile(text: &str, place: &str, names: &Names<'_>, problems: &mut Problems) -> Self {
        let pieces = match split(text) {
            Ok(pieces) => pieces,
            Err(unclosed) => {
                problems
                    .error_in(place, Part::Text(unclosed.offset), "`${` without its `}`")
                    .hint("write `$${` for a literal `${`");
                return Self(Vec::new());
            }
        };
        let mut parts = Vec::with_capacity(pieces.len());
        let count = pieces.len();
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.push(TextPart::Literal(text)),
                Piece::Expression { source, offset } => match Expression::compile(&source, names) {
                    Ok(expression) => parts.push(TextPart::Expression(expression)),
                    Err(issues) => issues.into_iter().for_each(|issue| {
                        let message = format!("in `${{{source}}}`: {}", issue.message);
                        // `${` has two bytes.
                        let at = issue.offset.map_or(offset, |inside| offset + 2 + inside);
                        let problem = problems.error_in(place, Part::Text(at), message);
                        problem.maybe_hint(issue.hint);
                    }),
                },
            }
        }
        // With a part missing, the rest is not what was meant.
        if parts.len() < count {
            parts.clear();
        }
        Self(parts)
    }

    /// The text; every embedded value, with the number of its part, goes through `embed`.
    pub(in crate::definition) fn evaluate(
        &self,
        environment: &mut Environment<'_>,
        embed: impl Fn(usize, &str) -> String,
    ) -> Result<String, Fault> {
        let mut result = String::new();
        for (index, part) in self.0.iter().enumerate() {
            match part {
                TextPart::Literal(text) => result.push_str(text),
                TextPart::Expression(expression) => {
                    let value = expression.evaluate(environment)?;
                    let text = text_of(&value).map_err(|fault| fault.in_expression(expression.source()))?;
                    match expression.is_secret() {
                        // Whoever puts the secret in its place knows what it is embedded in.
                        true => result.push_str(&text),
                        false => result.push_str(&embed(index, &text)),
                    }
                }
            }
        }
        let secrets = self.0.iter().filter(|part| part.is_secret()).count();
        match placeholders(&result) <= secrets {
            true => Ok(result),
            false => Err(forged()),
        }
    }

    /// Whether the text is something else than one expression as a whole. (Of a broken text that is not known.)
    pub(in crate::definition) fn is_more_or_less_than_one_expression(&self) -> bool {
        !matches!(self.0.as_slice(), [] | [TextPart::Expression(_)])
    }

    /// How the text begins, as far as that is known before any run: up to the first expression that is not config.
    pub(in crate::definition) fn known_start(&self, config: &BTreeMap<String, Value>) -> Option<String> {
        match self.0.first()? {
            TextPart::Literal(text) => Some(text.clone()),
            TextPart::Expression(expression) => match expression.as_path()? {
                (Reference::Config, [key]) => text_of(config.get(key)?).ok(),
                _ => None,
            },
        }
    }

    /// Calls back for every expression; all of them are embedded in a text.
    pub(in crate::definition) fn each_expression(&self, visit: &mut dyn FnMut(&Expression, bool)) {
        for part in &self.0 {
            if let TextPart::Expression(expression) = part {
                visit(expression, true);
            }
        }
    }
}

impl TextPart {
    fn is_secret(&self) -> bool {
        matches!(self, TextPart::Expression(expression) if expression.is_secret())
    }
}

/// A run's data must not be able to ask for a secret: only the definition says where one goes.
fn forged() -> Fault {
    Fault::result(format!(
        "a value holds `{SECRET_OPEN}`, which only stands for secrets of the definition"
    ))
}

fn is_forged(value: &Value) -> bool {
    match value {
        Value::String(text) => placeholders(text) > 0,
        Value::Array(elements) => elements.iter().any(is_forged),
        Value::Object(map) => map.iter().any(|(key, value)| placeholders(key) > 0 || is_forged(value)),
        _ => false,
    }
}

/// A value inside a string. Null, arrays and objects there are mistakes: `order-null` helps nobody.
fn text_of(value: &Value) -> Result<String, Fault> {
    let kind = match value {
        Value::String(text) => return Ok(text.clone()),
        Value::Number(number) => return Ok(number.to_string()),
        Value::Bool(boolean) => return Ok(boolean.to_string()),
        Value::Null => "null",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Err(Fault::result(format!(
        "is {kind}, which cannot be embedded in a string"
    )))
}
