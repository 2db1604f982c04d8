//! Why something was paused, in a person's words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A reason: 1 to 200 printable characters on one line.
///
/// It is stored, logged and shown to other people, so it must not be able to break a line, a terminal or a
/// page's layout.
///
/// ```
/// use lambda_jobs_core::control::Reason;
///
/// assert_eq!("  endpoint is down ".parse::<Reason>()?.as_str(), "endpoint is down");
/// assert_eq!(
///     "two\nlines".parse::<Reason>().unwrap_err().to_string(),
///     r#"reason: expected 1 to 200 printable characters on one line, got "two\nlines""#,
/// );
/// # Ok::<(), lambda_jobs_core::control::InvalidReason>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// The longest reason, in characters.
const MAX_CHARS: usize = 200;
/// How much of a wrong reason its error shows.
const SHOWN: usize = 60;

impl Reason {
    /// The reason's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        let text = text.trim();
        if (1..=MAX_CHARS).contains(&text.chars().count()) && text.chars().all(is_printable) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidReason(text.chars().take(SHOWN).collect()))
        }
    }
}

/// Whether a character stays where it is put: no controls, and nothing that turns the direction of writing
/// or breaks a line.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

impl TryFrom<String> for Reason {
    type Error = InvalidReason;

    fn try_from(text: String) -> Result<Self, InvalidReason> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no [`Reason`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reason: expected 1 to {MAX_CHARS} printable characters on one line, got {0:?}")]
pub struct InvalidReason(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_disturb_whoever_reads_it_is_refused() {
        for wrong in ["", "  ", "a\u{1b}[2Jb", "a\tb", "a\u{202e}b", &"x".repeat(201)] {
            let error = wrong.parse::<Reason>().unwrap_err().to_string();
            assert!(
                error.starts_with("reason: expected 1 to 200 printable characters on one line, got \""),
                "{error}"
            );
            assert!(error.len() < 150, "{error}");
        }
        assert!("Grüße 日本語 🦀".parse::<Reason>().is_ok());
        assert!("ä".repeat(200).parse::<Reason>().is_ok());
    }
}
