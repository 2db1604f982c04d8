//! The reason of a pause, in an operator's words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;
use crate::job::is_printable;

/// A reason: 1 to 200 printable characters on one line.
///
/// It is stored, logged and shown to other people, so it can't contain characters that break a line, a terminal or a
/// page's layout.
///
/// ```
/// use lambda_jobs_core::control::PauseReason;
///
/// assert_eq!("  endpoint is down ".parse::<PauseReason>()?.as_str(), "endpoint is down");
/// assert_eq!(
///     "two\nlines".parse::<PauseReason>().unwrap_err().to_string(),
///     r#"reason: expected 1 to 200 printable characters on one line, got "two\nlines""#,
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PauseReason(String);

/// The longest reason, in characters.
const MAX_CHARS: usize = 200;
/// How much of a refused reason its error shows, in characters.
const SHOWN: usize = 60;

impl PauseReason {
    /// The reason's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PauseReason {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if (1..=MAX_CHARS).contains(&text.chars().count()) && text.chars().all(is_printable) {
            Ok(Self(text.to_owned()))
        } else {
            let expected = format!("1 to {MAX_CHARS} printable characters on one line");
            Err(Invalid::text("reason", expected, &text.chars().take(SHOWN).collect::<String>()))
        }
    }
}

impl TryFrom<String> for PauseReason {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PauseReason> for String {
    fn from(reason: PauseReason) -> Self {
        reason.0
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_disturb_whoever_reads_it_is_refused() {
        for wrong in ["", "  ", "a\u{1b}[2Jb", "a\tb", "a\u{202e}b", &"x".repeat(201)] {
            let error = wrong.parse::<PauseReason>().unwrap_err().to_string();
            assert!(
                error.starts_with("reason: expected 1 to 200 printable characters on one line, got \""),
                "{error}"
            );
            assert!(error.len() < 150, "{error}");
        }
        assert!("Grüße 日本語 🦀".parse::<PauseReason>().is_ok());
        assert!("ä".repeat(200).parse::<PauseReason>().is_ok());
    }
}
