//! What may stand in the parentheses of the attributes. Must not live here: the code that comes of it (`expand`).

use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Lit, LitInt, LitStr, Path, Token, parenthesized};

use crate::duration;

const ACTIVITY_OPTIONS: &str = "name, start_to_close, schedule_to_close, schedule_to_start, heartbeat, retry(..), task_queue, compensate, verify, \
     on_ambiguous, in_flight, cancellation, isolated";
const WORKFLOW_OPTIONS: &str = "name, version, task_queue, unwind_timeout, unwind_parallel, allow_nondeterminism";
const RETRY_OPTIONS: &str = "initial_interval, coefficient, maximum_interval, max_attempts, non_retryable(..)";

/// `#[activity(..)]`
#[derive(Default)]
pub(crate) struct ActivityOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) start_to_close: Option<Duration>,
    pub(crate) schedule_to_close: Option<Duration>,
    pub(crate) schedule_to_start: Option<Duration>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) retry: Option<RetryOptions>,
    pub(crate) task_queue: Option<LitStr>,
    pub(crate) compensate: Option<Path>,
    pub(crate) verify: Option<Path>,
    pub(crate) on_ambiguous: Option<OnAmbiguous>,
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) cancellation: Option<Cancellation>,
    pub(crate) isolated: bool,
}

/// `on_ambiguous = ".."`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum OnAmbiguous {
    Compensate,
    Verify,
    Ask,
}

/// `in_flight = ".."`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum InFlight {
    Wait,
    Fence,
}

/// `cancellation = ".."`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cancellation {
    TryCancel,
    WaitCancellationCompleted,
    Abandon,
}

/// `retry(..)`
#[derive(Default)]
pub(crate) struct RetryOptions {
    pub(crate) initial_interval: Option<Duration>,
    pub(crate) coefficient: Option<f64>,
    pub(crate) maximum_interval: Option<Duration>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) non_retryable: Option<Vec<LitStr>>,
}

/// `#[workflow(..)]`
#[derive(Default)]
pub(crate) struct WorkflowOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    pub(crate) task_queue: Option<LitStr>,
    pub(crate) unwind_timeout: Option<Duration>,
    pub(crate) unwind_parallel: Option<u32>,
    /// Why its body is not looked through.
    pub(crate) allow_nondeterminism: Option<LitStr>,
}

impl Parse for ActivityOptions {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        let mut on_ambiguous: Option<(OnAmbiguous, Span)> = None;
        each(input, |key, input| match key.to_string().as_str() {
            "name" => once(&mut options.name, key, name(input)?),
            "start_to_close" => once(&mut options.start_to_close, key, limit(input)?),
            "schedule_to_close" => once(&mut options.schedule_to_close, key, limit(input)?),
            "schedule_to_start" => once(&mut options.schedule_to_start, key, limit(input)?),
            "heartbeat" => once(&mut options.heartbeat, key, limit(input)?),
            "task_queue" => once(&mut options.task_queue, key, name(input)?),
            "compensate" => once(&mut options.compensate, key, value(input)?),
            "verify" => once(&mut options.verify, key, value(input)?),
            "on_ambiguous" => {
                let policies = [
                    ("compensate", OnAmbiguous::Compensate),
                    ("verify", OnAmbiguous::Verify),
                    ("ask", OnAmbiguous::Ask),
                ];
                once(&mut on_ambiguous, key, word(input, &policies)?)
            }
            "in_flight" => {
                let policies = [("wait", InFlight::Wait), ("fence", InFlight::Fence)];
                once(&mut options.in_flight, key, word(input, &policies)?.0)
            }
            "cancellation" => {
                let types = [
                    ("try_cancel", Cancellation::TryCancel),
                    ("wait_cancellation_completed", Cancellation::WaitCancellationCompleted),
                    ("abandon", Cancellation::Abandon),
                ];
                once(&mut options.cancellation, key, word(input, &types)?.0)
            }
            "isolated" => match std::mem::replace(&mut options.isolated, true) {
                true => Err(syn::Error::new(key.span(), "`isolated` is given twice")),
                false => Ok(()),
            },
            "retry" => {
                let content;
                parenthesized!(content in input);
                once(&mut options.retry, key, content.parse()?)
            }
            _ => Err(unknown(key, ACTIVITY_OPTIONS)),
        })?;
        if let Some((policy, span)) = on_ambiguous {
            check_policy(policy, options.verify.is_some()).map_err(|message| syn::Error::new(span, message))?;
            options.on_ambiguous = Some(policy);
        }
        Ok(options)
    }
}

impl Parse for RetryOptions {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        each(input, |key, input| match key.to_string().as_str() {
            "initial_interval" => once(&mut options.initial_interval, key, limit(input)?),
            "maximum_interval" => once(&mut options.maximum_interval, key, limit(input)?),
            "coefficient" => once(&mut options.coefficient, key, coefficient(input)?),
            "max_attempts" => once(&mut options.max_attempts, key, attempts(input)?),
            "non_retryable" => {
                let content;
                parenthesized!(content in input);
                let types = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
                once(&mut options.non_retryable, key, types.into_iter().collect())
            }
            _ => Err(unknown(key, RETRY_OPTIONS)),
        })?;
        Ok(options)
    }
}

impl Parse for WorkflowOptions {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        each(input, |key, input| match key.to_string().as_str() {
            "name" => once(&mut options.name, key, name(input)?),
            "version" => once(&mut options.version, key, name(input)?),
            "task_queue" => once(&mut options.task_queue, key, name(input)?),
            "unwind_timeout" => once(&mut options.unwind_timeout, key, limit(input)?),
            "unwind_parallel" => once(&mut options.unwind_parallel, key, parallel(input)?),
            "allow_nondeterminism" => once(&mut options.allow_nondeterminism, key, reason(input)?),
            _ => Err(unknown(key, WORKFLOW_OPTIONS)),
        })?;
        Ok(options)
    }
}

/// Reads `key..., key...`, each key's value by `read`.
fn each(input: ParseStream<'_>, mut read: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>) -> syn::Result<()> {
    while !input.is_empty() {
        let key = input.call(Ident::parse_any)?;
        read(&key, input)?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

fn once<T>(place: &mut Option<T>, key: &Ident, value: T) -> syn::Result<()> {
    if place.replace(value).is_some() {
        return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
    }
    Ok(())
}

fn unknown(key: &Ident, known: &str) -> syn::Error {
    syn::Error::new(key.span(), format!("`{key}` is not an option here; there are: {known}"))
}

fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn name(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let name: LitStr = value(input)?;
    let text = name.value();
    // The same rule as for every id of amends, told at compile time.
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        let message = "a name has 1 to 255 bytes and no control characters";
        return Err(syn::Error::new(name.span(), message));
    }
    Ok(name)
}

fn reason(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let reason: LitStr = value(input)?;
    if reason.value().trim().is_empty() {
        let message = "say why what is not the same on replay does no harm here";
        return Err(syn::Error::new(reason.span(), message));
    }
    Ok(reason)
}

/// One of the words, written as text, and where it stands.
fn word<T: Copy>(input: ParseStream<'_>, words: &[(&str, T)]) -> syn::Result<(T, Span)> {
    let text: LitStr = value(input)?;
    let given = text.value();
    match words.iter().find(|(word, _)| *word == given) {
        Some((_, meaning)) => Ok((*meaning, text.span())),
        None => {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let message = format!("{given:?} is not possible here; there are: {}", words.join(", "));
            Err(syn::Error::new(text.span(), message))
        }
    }
}

/// Whether the policy goes with there being a verification, or none. With one, a person is asked when it fails.
fn check_policy(policy: OnAmbiguous, verified: bool) -> Result<(), &'static str> {
    match (policy, verified) {
        (OnAmbiguous::Verify, false) => Err("say which activity finds out: `verify = function`"),
        (OnAmbiguous::Compensate, true) => {
            Err("`verify` finds out what happened, `\"compensate\"` does without: leave one of them out")
        }
        _ => Ok(()),
    }
}

fn limit(input: ParseStream<'_>) -> syn::Result<Duration> {
    let text: LitStr = value(input)?;
    let limit = duration::parse(&text)?;
    if limit.is_zero() {
        return Err(syn::Error::new(text.span(), "a time of zero leaves no time at all"));
    }
    Ok(limit)
}

fn coefficient(input: ParseStream<'_>) -> syn::Result<f64> {
    let literal: Lit = value(input)?;
    let (number, span): (Option<f64>, Span) = match &literal {
        Lit::Float(float) => (float.base10_parse().ok(), float.span()),
        Lit::Int(integer) => (integer.base10_parse().ok(), integer.span()),
        other => (None, other.span()),
    };
    number
        .filter(|number| number.is_finite() && *number >= 1.0)
        .ok_or_else(|| {
            syn::Error::new(
                span,
                "the coefficient is a number of at least 1: the delay must not shrink",
            )
        })
}

fn parallel(input: ParseStream<'_>) -> syn::Result<u32> {
    let number: LitInt = value(input)?;
    match number.base10_parse() {
        Ok(0) => {
            let message = "with none at once, nothing would ever be undone; leave it out for the default";
            Err(syn::Error::new(number.span(), message))
        }
        other => other,
    }
}

fn attempts(input: ParseStream<'_>) -> syn::Result<u32> {
    let number: LitInt = value(input)?;
    match number.base10_parse() {
        Ok(0) => {
            let message = "at least one attempt is made; leave `max_attempts` out for no limit";
            Err(syn::Error::new(number.span(), message))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(attribute: &str) -> String {
        syn::parse_str::<ActivityOptions>(attribute).err().unwrap().to_string()
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"start_to_close = "10s", schedule_to_close = "1h", schedule_to_start = "1m", heartbeat = "5s",
            name = "reserve", compensate = stock::release, retry(initial_interval = "2s", coefficient = 1.5,
            maximum_interval = "1m", max_attempts = 5, non_retryable("A", "B")),"#;
        let options: ActivityOptions = syn::parse_str(text).unwrap();
        assert_eq!(options.start_to_close, Some(Duration::from_secs(10)));
        let retry = options.retry.unwrap();
        assert_eq!((retry.coefficient, retry.max_attempts), (Some(1.5), Some(5)));
        assert_eq!(retry.non_retryable.unwrap().len(), 2);
        assert!(syn::parse_str::<ActivityOptions>("").unwrap().compensate.is_none());
    }

    #[test]
    fn policies_of_steps_and_sagas_can_be_said() {
        for (text, policy) in [
            ("on_ambiguous = \"ask\"", Some(OnAmbiguous::Ask)),
            ("verify = probe, on_ambiguous = \"ask\"", Some(OnAmbiguous::Ask)),
            ("on_ambiguous = \"verify\", verify = probe", Some(OnAmbiguous::Verify)),
            ("verify = probe", None),
        ] {
            let options: ActivityOptions = syn::parse_str(text).unwrap();
            assert_eq!(
                (options.on_ambiguous, options.verify.is_some()),
                (policy, text.contains("probe")),
                "{text}"
            );
        }
        let options: ActivityOptions = syn::parse_str("in_flight = \"fence\"").unwrap();
        assert_eq!(options.in_flight, Some(InFlight::Fence));
        let options: WorkflowOptions = syn::parse_str("unwind_timeout = \"10m\", unwind_parallel = 4").unwrap();
        assert_eq!(options.unwind_timeout, Some(Duration::from_secs(600)));
        assert_eq!(options.unwind_parallel, Some(4));
        let refusal = |text: &str| syn::parse_str::<WorkflowOptions>(text).err().unwrap().to_string();
        assert!(refusal("unwind_parallel = 0").contains("nothing would ever be undone"));
        assert!(refusal("allow_nondeterminism = \"\"").contains("say why"));
        assert!(
            refusal("deadline = \"1s\"")
                .contains("there are: name, version, task_queue, unwind_timeout, unwind_parallel")
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (attribute, told) in [
            ("timeout = \"1s\"", "`timeout` is not an option"),
            ("start_to_close = \"soon\"", "not a duration"),
            ("start_to_close = \"0s\"", "no time at all"),
            ("name = \"\"", "1 to 255 bytes"),
            ("name = \"a\", name = \"b\"", "given twice"),
            ("retry(attempts = 1)", "`attempts` is not an option"),
            ("retry(coefficient = 0.5)", "must not shrink"),
            ("retry(max_attempts = 0)", "no limit"),
            ("retry(), retry()", "given twice"),
            (
                "on_ambiguous = \"guess\"",
                "\"guess\" is not possible here; there are: \"compensate\", \"verify\", \"ask\"",
            ),
            ("on_ambiguous = \"verify\"", "`verify = function`"),
            ("on_ambiguous = \"compensate\", verify = probe", "leave one of them out"),
            ("on_ambiguous = \"ask\", on_ambiguous = \"ask\"", "given twice"),
            ("in_flight = \"kill\"", "there are: \"wait\", \"fence\""),
            ("in_flight = fence", "expected string literal"),
        ] {
            let refusal = refusal(attribute);
            assert!(refusal.contains(told), "{attribute}: {refusal}");
        }
    }
}
