//! Durations as people write them in attributes: `"10s"`, `"500ms"`, `"1h 30m"`. Must not live here: what they limit.

use std::time::Duration;

use syn::LitStr;

/// Reads the text, with an error that points at it.
pub(crate) fn parse(text: &LitStr) -> syn::Result<Duration> {
    read(&text.value()).map_err(|problem| {
        let message = format!("{problem}; write a duration such as \"10s\", \"500ms\", \"5m\" or \"1h 30m\"");
        syn::Error::new(text.span(), message)
    })
}

fn read(text: &str) -> Result<Duration, String> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("the duration is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, later) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| format!("{text:?} is not a duration"))?;
        let millis = match unit {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("{text:?} has no unit")),
            other => return Err(format!("{other:?} is not a unit of time")),
        };
        let part = number.checked_mul(millis).map(Duration::from_millis);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("{text:?} is too long"))?;
        rest = later.trim_start();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_or_refused_with_a_reason() {
        for (text, millis) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("1h 30m", 5_400_000),
            ("1d", 86_400_000),
            ("2 min", 120_000),
        ] {
            assert_eq!(read(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, problem) in [
            ("", "empty"),
            ("10", "no unit"),
            ("10x", "not a unit"),
            ("s", "not a duration"),
            ("-1s", "not a duration"),
            ("1.5s", "no unit"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(read("99999999999999999999s").is_err() && read("18446744073709551615d").is_err());
    }
}
