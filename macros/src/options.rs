//! What may stand in the parentheses of the attributes. Must not live here: the code that comes of it (`expand`).

use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Lit, LitInt, LitStr, Path, Token, parenthesized};

use crate::duration;

const ACTIVITY_OPTIONS: &str =
    "name, start_to_close, schedule_to_close, schedule_to_start, heartbeat, retry(..), compensate";
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
    pub(crate) compensate: Option<Path>,
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
}

impl Parse for ActivityOptions {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        each(input, |key, input| match key.to_string().as_str() {
            "name" => once(&mut options.name, key, name(input)?),
            "start_to_close" => once(&mut options.start_to_close, key, limit(input)?),
            "schedule_to_close" => once(&mut options.schedule_to_close, key, limit(input)?),
            "schedule_to_start" => once(&mut options.schedule_to_start, key, limit(input)?),
            "heartbeat" => once(&mut options.heartbeat, key, limit(input)?),
            "compensate" => once(&mut options.compensate, key, value(input)?),
            "retry" => {
                let content;
                parenthesized!(content in input);
                once(&mut options.retry, key, content.parse()?)
            }
            _ => Err(unknown(key, ACTIVITY_OPTIONS)),
        })?;
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
            _ => Err(unknown(key, "name")),
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
        ] {
            let refusal = refusal(attribute);
            assert!(refusal.contains(told), "{attribute}: {refusal}");
        }
    }
}
