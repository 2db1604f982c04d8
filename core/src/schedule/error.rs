//! Why a schedule, or a part of one, is refused.

/// A schedule that can't be: the field, what was expected of it, and what was found.
///
/// A field inside another is named with both, as in `cron: minute` or `job: name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {got}")]
pub struct InvalidSchedule {
    field: String,
    expected: String,
    got: String,
}

impl InvalidSchedule {
    /// For a value that is text: it is quoted.
    pub(super) fn text(field: impl Into<String>, expected: impl Into<String>, got: &str) -> Self {
        Self::new(field, expected, excerpt(&format!("{got:?}")))
    }

    /// For a value that reads well as it is.
    pub(super) fn new(
        field: impl Into<String>,
        expected: impl Into<String>,
        got: impl std::fmt::Display,
    ) -> Self {
        Self { field: field.into(), expected: expected.into(), got: excerpt(&got.to_string()) }
    }

    /// The same, inside another field.
    #[must_use]
    pub(super) fn inside(self, outer: &str) -> Self {
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
