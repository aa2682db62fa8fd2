//! Secrets, put in their places just before a request is sent or a program is run, and taken out again of whatever comes
//! back. Lives here: the source, the door to the environment, replacing and scrubbing. Must not live here: who sends what,
//! or which places of a definition may hold a secret (that is `definition`).

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use serde_json::{Number, Value};

use crate::definition::{EXEC_ACTIVITY, HTTP_ACTIVITY, SECRET_CLOSE, SECRET_OPEN, SagaDefinition};
use crate::model::{ActivityType, Failure, FailureKind, Payload};
use crate::sdk::ActivityContext;

/// Shorter pieces of a secret at a cut are not looked for: too much else looks like them.
const PIECE_BYTES_MIN: usize = 4;

/// What of the engine's environment programs get to see; everything else is the engine's own business.
const PASSED_ON: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Where an engine finds the secrets that its saga definitions name. Asked each time, so that a secret can be changed
/// while the engine runs. A closure is one, too.
///
/// ```
/// use amends::{Amends, runtime::SecretSource};
///
/// let vault = |name: &str| (name == "API_KEY").then(|| "k-123".to_owned());
/// assert_eq!(vault.secret("API_KEY").as_deref(), Some("k-123"));
/// let builder = Amends::builder().memory().secrets(vault);
/// # let _ = builder;
/// ```
pub trait SecretSource: Send + Sync + 'static {
    /// The secret of this name; `None` when there is none (now).
    fn secret(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String> + Send + Sync + 'static> SecretSource for F {
    fn secret(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// Secrets are environment variables of the engine's process. What an engine uses when it is given nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvironmentSecrets;

impl SecretSource for EnvironmentSecrets {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door to the environment: secrets, by the names that a definition allows"
    )]
    fn secret(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

/// The part of the engine's environment that programs get to see.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the door to the environment: programs need their PATH"
)]
pub(super) fn passed_on() -> impl Iterator<Item = (&'static str, OsString)> {
    PASSED_ON
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// An engine's source of secrets. Shows nothing of them.
#[derive(Clone)]
pub(crate) struct Secrets(Arc<dyn SecretSource>);

/// The secrets that the definition of a run declares; no other is revealed, and without a definition none.
#[derive(Clone, Debug)]
pub(super) struct Declared(Arc<[String]>);

/// The secrets that one attempt has used.
pub(super) struct Revealed {
    source: Secrets,
    declared: Option<Arc<Declared>>,
    used: Vec<(String, String)>,
}

impl Secrets {
    pub(crate) fn new(source: impl SecretSource) -> Self {
        Self(Arc::new(source))
    }

    /// For one attempt: replaces what the definition of its run has declared.
    pub(super) fn for_attempt(&self, cx: &ActivityContext) -> Revealed {
        Revealed {
            source: self.clone(),
            declared: cx.state::<Declared>(),
            used: Vec::new(),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Declared {
    /// Whether secrets are put in the input of such an activity at all.
    pub(super) fn concerns(activity_type: &ActivityType) -> bool {
        matches!(activity_type.as_str(), HTTP_ACTIVITY | EXEC_ACTIVITY)
    }

    /// What this definition declares. (It has checked that no data of a run brings a placeholder of its own.)
    pub(super) fn by(definition: &SagaDefinition) -> Self {
        Self::these(definition.secrets())
    }

    pub(super) fn these(names: &[String]) -> Self {
        Self(names.into())
    }
}

impl Revealed {
    /// The text with each placeholder replaced by its secret, in the form that its surroundings need; `first` is true for a
    /// secret that the text begins with.
    pub(super) fn fill_with(&mut self, text: &str, form: impl Fn(&str, bool) -> String) -> Result<String, Failure> {
        let Some(declared) = self.declared.clone() else {
            return Ok(text.to_owned());
        };
        let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, after)) = rest.split_once(SECRET_OPEN) {
            let Some((name, after)) = after.split_once(SECRET_CLOSE) else {
                break;
            };
            if !declared.0.iter().any(|known| known == name) {
                return Err(not_declared(name));
            }
            let value = self.source.0.secret(name).ok_or_else(|| missing(name))?;
            filled.push_str(before);
            let first = filled.is_empty();
            filled.push_str(&form(&value, first));
            self.used.push((name.to_owned(), value));
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// The text with each placeholder replaced by its secret.
    pub(super) fn fill(&mut self, text: &str) -> Result<String, Failure> {
        self.fill_with(text, |value, _| value.to_owned())
    }

    /// The same for every text in a value, but for the names of fields.
    pub(super) fn fill_value(&mut self, value: Value) -> Result<Value, Failure> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(&text)?),
            Value::Array(elements) => {
                let filled = elements.into_iter().map(|element| self.fill_value(element));
                Value::Array(filled.collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let filled = fields
                    .into_iter()
                    .map(|(name, value)| Ok::<_, Failure>((name, self.fill_value(value)?)));
                Value::Object(filled.collect::<Result<_, _>>()?)
            }
            other => other,
        })
    }

    /// The text without the secrets that were used.
    fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in self.forms() {
            if text.contains(&value) {
                text = text.replace(&value, &stand_in(name));
            }
        }
        text
    }

    /// The same for a text that was cut off, perhaps in the middle of a secret.
    pub(super) fn scrub_cut(&self, text: &str) -> String {
        let (text, mark) = match text.strip_suffix(Failure::CUT) {
            Some(text) => (text, Failure::CUT),
            None => (text, ""),
        };
        let mut text = self.scrub(text);
        for (name, value) in self.forms() {
            if let Some(piece) = pieces(&value, true).find(|piece| text.ends_with(piece)) {
                text.truncate(text.len() - piece.len());
                text.push_str(&stand_in(name));
            }
            if let Some(piece) = pieces(&value, false).find(|piece| text.starts_with(piece)) {
                text.replace_range(..piece.len(), &stand_in(name));
            }
        }
        text + mark
    }

    /// A number that is a secret, whole: a participant may well answer `1234` to the PIN `"1234"`.
    fn scrub_number(&self, number: Number) -> Value {
        let text = number.to_string();
        match self.used.iter().find(|(_, secret)| *secret == text) {
            Some((name, _)) if text.len() >= PIECE_BYTES_MIN => Value::String(stand_in(name)),
            _ => Value::Number(number),
        }
    }

    /// Every text of a value, its names of fields too, by `scrub`.
    fn scrub_all(&self, value: Value, scrub: &impl Fn(&str) -> String) -> Value {
        match value {
            Value::String(text) => Value::String(scrub(&text)),
            Value::Number(number) => self.scrub_number(number),
            Value::Array(elements) => elements
                .into_iter()
                .map(|element| self.scrub_all(element, scrub))
                .collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter();
                fields
                    .map(|(name, value)| (scrub(&name), self.scrub_all(value, scrub)))
                    .collect()
            }
            other => other,
        }
    }

    /// Every form of every secret that was used, the longest first: a secret may be a part of another one.
    fn forms(&self) -> Vec<(&str, String)> {
        let mut used: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.used {
            used.extend(forms(value).into_iter().map(|form| (name.as_str(), form)));
        }
        used.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        used
    }

    /// What an attempt ended with, without the secrets that were used.
    ///
    /// # Errors
    /// The attempt's own failure, or that its result is too large.
    pub(super) fn scrubbed(&self, ended: Result<Value, Failure>) -> Result<Payload, Failure> {
        match ended {
            Ok(value) => Ok(Payload::json(&self.scrub_value(value))?),
            Err(failure) => Err(self.scrub_failure(failure)),
        }
    }

    /// A result without the secrets that were used, in its texts and its names of fields.
    fn scrub_value(&self, value: Value) -> Value {
        match self.used.is_empty() {
            true => value,
            false => self.scrub_all(value, &|text| self.scrub(text)),
        }
    }

    /// The failure without the secrets that were used.
    fn scrub_failure(&self, mut failure: Failure) -> Failure {
        if self.used.is_empty() {
            return failure;
        }
        failure.message = self.scrub_cut(&failure.message);
        if let FailureKind::Application(application) = &mut failure.kind {
            application.type_name = self.scrub_cut(&application.type_name);
            // Details are JSON of our own making; what is not is left out.
            let details = application.details.take();
            let details = details.and_then(|details| details.to::<Value>().ok());
            application.details =
                details.and_then(|details| Payload::json(&self.scrub_all(details, &|text| self.scrub_cut(text))).ok());
        }
        failure.cause = failure.cause.map(|cause| Box::new(self.scrub_failure(*cause)));
        failure
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.used.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Revealed").field("used", &names).finish_non_exhaustive()
    }
}

fn missing(name: &str) -> Failure {
    let message =
        format!("the secret {name:?} is not set: set the environment variable, or give the engine its secrets");
    Failure::new("SecretMissing", message).without_effect()
}

fn not_declared(name: &str) -> Failure {
    let message = format!("the saga's definition does not list the secret {name:?} in `secrets`");
    Failure::not_applied("SecretNotDeclared", message)
}

fn stand_in(name: &str) -> String {
    format!("[secret {name}]")
}

/// How a secret may look where it comes back: as it is, inside JSON, or in a URL.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    let quoted = Value::from(value).to_string();
    forms.extend(
        quoted
            .strip_prefix('"')
            .and_then(|quoted| quoted.strip_suffix('"'))
            .filter(|inner| *inner != value)
            .map(str::to_owned),
    );
    #[cfg(feature = "http")]
    {
        let mut in_url = String::new();
        crate::definition::percent_encode(value, &mut in_url);
        forms.extend((in_url != value).then_some(in_url));
    }
    forms.retain(|form| !form.is_empty());
    forms
}

/// The beginnings (or the ends) of a secret, the longest first.
fn pieces(value: &str, beginnings: bool) -> impl Iterator<Item = &str> {
    let cuts = value.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
    let mut pieces: Vec<&str> = cuts
        .filter_map(|at| match beginnings {
            true => value.get(..at),
            false => value.get(at..),
        })
        .filter(|piece| piece.len() >= PIECE_BYTES_MIN)
        .collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    pieces.into_iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sdk::SharedState;

    fn vault(name: &str) -> Option<String> {
        match name {
            "KEY" => Some("s3cr\"et-key".to_owned()),
            "LONG" => Some("s3cr\"et-key-and-more".to_owned()),
            "PIN" => Some("4711".to_owned()),
            _ => None,
        }
    }

    fn revealed() -> Revealed {
        let names = ["KEY", "LONG", "PIN", "NONE"].map(str::to_owned);
        let cx = ActivityContext::for_test().state(Declared::these(&names)).build();
        Secrets::new(vault).for_attempt(&cx)
    }

    #[test]
    fn placeholders_are_replaced_and_a_missing_secret_is_named() {
        let mut revealed = revealed();
        let filled = revealed
            .fill("Bearer {{amends:secret:KEY}}, {{amends:secret:LONG}}; {{amends:secret:")
            .unwrap();
        assert_eq!(filled, "Bearer s3cr\"et-key, s3cr\"et-key-and-more; {{amends:secret:");
        let filled = revealed
            .fill_value(json!({"a": ["x{{amends:secret:KEY}}"], "n": 1}))
            .unwrap();
        assert_eq!(filled, json!({"a": ["xs3cr\"et-key"], "n": 1}));
        let failure = revealed.fill("{{amends:secret:NONE}}").unwrap_err();
        assert!(
            failure.is_type("SecretMissing") && failure.is_not_applied(),
            "{failure}"
        );
        assert!(failure.message.contains("\"NONE\""), "{failure}");
        let failure = revealed.fill("{{amends:secret:PATH}}").unwrap_err();
        assert!(failure.is_type("SecretNotDeclared"), "{failure}");
        assert!(!format!("{revealed:?} {:?}", Secrets::new(vault)).contains("s3cr"));
    }

    #[test]
    fn without_a_definition_nothing_is_replaced() {
        let cx = ActivityContext::new(
            ActivityContext::for_test().build().info().clone(),
            SharedState::new(),
            crate::sdk::CancelFlag::new(),
            None,
        );
        let mut revealed = Secrets::new(vault).for_attempt(&cx);
        let text = "{{amends:secret:KEY}}";
        assert_eq!(revealed.fill(text).unwrap(), text);
    }

    #[test]
    fn secrets_are_taken_out_of_what_comes_back() {
        let mut revealed = revealed();
        revealed.fill("{{amends:secret:KEY}}{{amends:secret:LONG}}").unwrap();
        for (text, expected) in [
            ("no", "no"),
            ("a s3cr\"et-key b", "a [secret KEY] b"),
            ("s3cr\"et-key-and-more!", "[secret LONG]!"),
            (r#"{"k": "s3cr\"et-key"}"#, r#"{"k": "[secret KEY]"}"#),
            ("cut s3cr\"et", "cut [secret LONG]"),
            ("-and-more was cut", "[secret LONG] was cut"),
            ("a message s3cr\"et ... (cut)", "a message [secret LONG] ... (cut)"),
        ] {
            assert_eq!(revealed.scrub_cut(text), expected);
        }
        // A result is not cut off, and may well begin like a secret.
        assert_eq!(revealed.scrub_value(json!(["s3cr"])), json!(["s3cr"]));
        revealed.fill("{{amends:secret:PIN}}").unwrap();
        let echoed = revealed.scrub_value(json!([4711, 47_110, "4711"]));
        assert_eq!(echoed, json!(["[secret PIN]", 47_110, "[secret PIN]"]));
        let details = Payload::json(&json!({"body": {"echo": "s3cr\"et-key"}})).unwrap();
        let failure = Failure::new("T", "bad s3cr\"et-key").with_details(details);
        let failure = revealed.scrub_failure(failure.clone().caused_by(failure));
        assert!(!format!("{failure:?}").contains("et-key"), "{failure:?}");
    }
}
