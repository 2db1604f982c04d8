//! Reading one JSON object field by field, each with an error that says what is wrong with it.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Why a message is refused: the field, what was expected, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {found}")]
pub struct DecodeError {
    field: &'static str,
    expected: String,
    found: String,
}

impl DecodeError {
    pub(super) fn new(field: &'static str, expected: &str, found: &Value) -> Self {
        Self { field, expected: expected.to_owned(), found: excerpt(&found.to_string()) }
    }

    /// The same fault, with more to say about what was expected.
    pub(super) fn expecting(self, expected: String) -> Self {
        Self { expected, ..self }
    }

    pub(super) fn missing(field: &'static str, expected: &str) -> Self {
        Self { field, expected: expected.to_owned(), found: "nothing".to_owned() }
    }

    pub(super) fn not_json(body: &str, error: &serde_json::Error) -> Self {
        let expected = format!("a JSON object nested at most 127 deep ({error})");
        Self { field: "body", expected, found: excerpt(&format!("{body:?}")) }
    }

    pub(crate) fn too_large(bytes: usize) -> Self {
        let expected = format!(
            "at most {} bytes; keep large data elsewhere and send a reference to it",
            super::MAX_BODY_BYTES
        );
        Self { field: "body", expected, found: format!("{bytes} bytes") }
    }

    /// The field at fault; `body` where the message as a whole is.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

/// Enough of a value to recognize it by; job data is hostile and may be huge.
fn excerpt(text: &str) -> String {
    const LIMIT: usize = 80;
    let short = match text.char_indices().nth(LIMIT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
    };
    // SQS takes neither in the attribute that holds the reason.
    short.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The fields of a message that have not been read yet. `null` counts as absent.
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
    ) -> Result<Option<T>, DecodeError> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => match parse(&value) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(DecodeError::new(field, expected, &value)),
            },
        }
    }

    pub(super) fn text(
        &mut self,
        field: &'static str,
        expected: &str,
        bytes: RangeInclusive<usize>,
    ) -> Result<Option<String>, DecodeError> {
        self.read(field, expected, |value| {
            let text = value.as_str()?;
            let printable = !text.chars().any(char::is_control);
            (bytes.contains(&text.len()) && printable).then(|| text.to_owned())
        })
    }

    pub(super) fn integer(&mut self, field: &'static str, max: u64) -> Result<Option<u64>, DecodeError> {
        let expected = format!("an integer from 0 to {max}");
        self.read(field, &expected, |value| value.as_u64().filter(|number| *number <= max))
    }

    pub(super) fn millis(
        &mut self,
        field: &'static str,
        max: Duration,
    ) -> Result<Option<Duration>, DecodeError> {
        let max = max.as_millis();
        let expected = format!("whole milliseconds from 0 to {max}");
        self.read(field, &expected, |value| {
            value.as_u64().filter(|millis| u128::from(*millis) <= max).map(Duration::from_millis)
        })
    }

    pub(super) fn instant(&mut self, field: &'static str) -> Result<Option<DateTime<Utc>>, DecodeError> {
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
    ) -> Result<Vec<String>, DecodeError> {
        let expected = format!("a list of at most {max} texts of at most {bytes} bytes each");
        let words = self.read(field, &expected, |value| {
            let list = value.as_array().filter(|list| list.len() <= max)?;
            list.iter()
                .map(|word| word.as_str().filter(|word| word.len() <= bytes).map(str::to_owned))
                .collect()
        })?;
        Ok(words.unwrap_or_default())
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.read(field, "true or false", Value::as_bool)?.unwrap_or(false))
    }
}
