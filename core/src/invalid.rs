//! The one error of input that can't be: the field, what was expected of it, and what was found.

use std::fmt::Display;

/// A value that can't be. It reads `field: expected X, got Y`.
///
/// A field inside another is named with both, as in `cron: minute` or `job: name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {value}")]
pub struct Invalid {
    field: String,
    expected: String,
    value: String,
}

impl Invalid {
    /// For a value that reads well as it is.
    pub fn new(field: impl Into<String>, expected: impl Into<String>, value: impl Display) -> Self {
        Self { field: field.into(), expected: expected.into(), value: excerpt(&value.to_string()) }
    }

    /// For a value that is text: it is quoted.
    pub fn text(field: impl Into<String>, expected: impl Into<String>, value: &str) -> Self {
        Self::new(field, expected, format!("{value:?}"))
    }

    /// The same, inside another field.
    #[must_use]
    pub fn inside(self, outer: &str) -> Self {
        Self { field: format!("{outer}: {}", self.field), ..self }
    }

    /// The field at fault.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// Enough of a value to recognize it by; what comes from outside may be huge.
fn excerpt(text: &str) -> String {
    const LIMIT: usize = 120;
    match text.char_indices().nth(LIMIT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
    }
}
