//! Reading a message's JSON object field by field. Each error names the field, the expectation and the value.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::invalid::Invalid;

/// The error for a field with an unreadable value.
pub(super) fn refused(field: &str, expected: &str, found: &Value) -> Invalid {
    Invalid::new(field, expected, excerpt(&found.to_string()))
}

/// The error for a missing field.
pub(super) fn missing(field: &str, expected: &str) -> Invalid {
    Invalid::new(field, expected, "nothing")
}

/// The error for a body that is no JSON.
pub(super) fn not_json(body: &str, error: &serde_json::Error) -> Invalid {
    let expected = format!("a JSON object nested at most 127 deep ({error})");
    Invalid::new("body", expected, excerpt(&format!("{body:?}")))
}

/// The error for a body that is too large.
pub(crate) fn too_large(bytes: usize) -> Invalid {
    let expected = format!(
        "at most {} bytes; keep large data elsewhere and send a reference to it",
        super::MAX_BODY_BYTES
    );
    Invalid::new("body", expected, format!("{bytes} bytes"))
}

/// The beginning of a value: job data is hostile and may be huge.
fn excerpt(text: &str) -> String {
    const LIMIT: usize = 80;
    let short = match text.char_indices().nth(LIMIT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
    };
    // SQS accepts neither in the attribute with the reason.
    short.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The unread fields of a message. `null` counts as absent.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) const fn new(object: Map<String, Value>) -> Self {
        Self(object)
    }

    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
    }

    pub(super) fn read<T>(
        &mut self,
        field: &'static str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => match parse(&value) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(refused(field, expected, &value)),
            },
        }
    }

    pub(super) fn text(
        &mut self,
        field: &'static str,
        expected: &str,
        bytes: RangeInclusive<usize>,
    ) -> Result<Option<String>, Invalid> {
        self.read(field, expected, |value| {
            let text = value.as_str()?;
            let printable = !text.chars().any(char::is_control);
            (bytes.contains(&text.len()) && printable).then(|| text.to_owned())
        })
    }

    pub(super) fn integer(&mut self, field: &'static str, max: u64) -> Result<Option<u64>, Invalid> {
        let expected = format!("an integer from 0 to {max}");
        self.read(field, &expected, |value| value.as_u64().filter(|number| *number <= max))
    }

    pub(super) fn millis(&mut self, field: &'static str, max: Duration) -> Result<Option<Duration>, Invalid> {
        let max = max.as_millis();
        let expected = format!("whole milliseconds from 0 to {max}");
        self.read(field, &expected, |value| {
            value.as_u64().filter(|millis| u128::from(*millis) <= max).map(Duration::from_millis)
        })
    }

    pub(super) fn instant(&mut self, field: &'static str) -> Result<Option<DateTime<Utc>>, Invalid> {
        let expected = "an RFC 3339 instant of the years 1970 to 9999, such as 2026-11-23T08:00:00Z";
        self.read(field, expected, |value| {
            let instant = DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc();
            (0..=253_402_300_799).contains(&instant.timestamp()).then_some(instant)
        })
    }

    pub(super) fn words(
        &mut self,
        field: &'static str,
        max: usize,
        bytes: usize,
    ) -> Result<Vec<String>, Invalid> {
        let expected = format!("a list of at most {max} texts of at most {bytes} bytes each");
        let words = self.read(field, &expected, |value| {
            let list = value.as_array().filter(|list| list.len() <= max)?;
            list.iter()
                .map(|word| word.as_str().filter(|word| word.len() <= bytes).map(str::to_owned))
                .collect()
        })?;
        Ok(words.unwrap_or_default())
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, Invalid> {
        Ok(self.read(field, "true or false", Value::as_bool)?.unwrap_or(false))
    }
}
