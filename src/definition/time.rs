//! Points in time as definitions and their data write them. Must not live here: reading any clock.

use serde_json::Value;

use crate::model::Timestamp;

/// A point in time: an RFC 3339 text with its zone, or seconds since 1970.
///
/// # Errors
/// Why it is none.
pub(super) fn moment(value: &Value) -> Result<Timestamp, String> {
    const EXPECTED: &str = "expected a time such as \"2027-01-31T12:00:00Z\", or the seconds since 1970";
    let micros = match value {
        Value::String(text) => {
            let time = Timestamp::parse(text);
            return time.ok_or_else(|| format!("`{text}` is not a time; {EXPECTED}"));
        }
        Value::Number(seconds) => match (seconds.as_i64(), seconds.as_f64()) {
            (Some(whole), _) => whole.saturating_mul(1_000_000),
            // Saturates, and not-a-number is no JSON.
            (None, Some(seconds)) => (seconds * 1e6) as i64,
            (None, None) => return Err(EXPECTED.to_owned()),
        },
        other => return Err(format!("the result is {}; {EXPECTED}", super::evaluate::kind_of(other))),
    };
    Ok(Timestamp::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_with_their_zone_and_seconds_as_they_are() {
        let read = |value: Value| moment(&value).map(|moment| moment.to_string());
        assert_eq!(
            read(json!("1970-01-01T00:00:00Z")).unwrap(),
            "1970-01-01T00:00:00.000000Z"
        );
        assert_eq!(
            read(json!("2024-02-29T23:30:00.25+02:00")).unwrap(),
            "2024-02-29T21:30:00.250000Z"
        );
        assert_eq!(
            read(json!("2100-03-01T00:00:00-01:00")).unwrap(),
            "2100-03-01T01:00:00.000000Z"
        );
        assert_eq!(read(json!(1_700_000_000)).unwrap(), "2023-11-14T22:13:20.000000Z");
        assert_eq!(read(json!(1.5)).unwrap(), "1970-01-01T00:00:01.500000Z");
        for wrong in [
            json!("tomorrow"),
            json!("2024-01-01T00:00:00"),
            json!("2024-01-01"),
            json!(null),
        ] {
            assert!(read(wrong.clone()).unwrap_err().contains("expected a time"), "{wrong}");
        }
    }
}
