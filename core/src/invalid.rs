//! The one error for invalid input: the field, the expectation and the value.

use std::fmt::Display;

/// A refused value. It reads `field: expected X, got Y`.
///
/// A field inside another is named with both, as in `cron: minute` or `job: name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {value}")]
pub struct Invalid {
    field: String,
    expected: String,
    value: String,
}

/// How much of a wrong value is shown, in characters.
const SHOWN: usize = 120;

impl Invalid {
    /// An error for a value that reads well unquoted.
    pub fn new(field: impl Into<String>, expected: impl Into<String>, value: impl Display) -> Self {
        let value = value.to_string();
        let (shown, rest) = excerpt(&value);
        Self { field: field.into(), expected: expected.into(), value: format!("{shown}{rest}") }
    }

    /// An error for a text value, which is quoted.
    ///
    /// ```
    /// use lambda_jobs_core::Invalid;
    ///
    /// let invalid = Invalid::text("zone", "an IANA time zone such as Europe/London", "Mars");
    /// assert_eq!(invalid.to_string(), r#"zone: expected an IANA time zone such as Europe/London, got "Mars""#);
    /// ```
    pub fn text(field: impl Into<String>, expected: impl Into<String>, value: &str) -> Self {
        let (shown, rest) = excerpt(value);
        Self { field: field.into(), expected: expected.into(), value: format!("{shown:?}{rest}") }
    }

    /// The same, inside another field.
    #[must_use]
    pub fn inside(self, outer: &str) -> Self {
        Self { field: format!("{outer}: {}", self.field), ..self }
    }

    /// The same error, with more about the expectation.
    #[must_use]
    pub(crate) fn expecting(self, expected: String) -> Self {
        Self { expected, ..self }
    }

    /// The field at fault; `body` if that is the message as a whole.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// The beginning of a value, and an ellipsis for the rest: input may be huge.
fn excerpt(text: &str) -> (&str, String) {
    match text.char_indices().nth(SHOWN) {
        None => (text, String::new()),
        Some((end, _)) => (&text[..end], format!("... ({} bytes)", text.len())),
    }
}
