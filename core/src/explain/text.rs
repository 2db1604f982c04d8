//! Instants and foreign texts within a sentence.

use chrono::{DateTime, SecondsFormat, Utc};

/// The longest foreign text, in characters.
const SHOWN: usize = 200;

/// An instant, to its last digit: a second too early would be wrong.
pub(super) fn at(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A foreign text: on one line, without control characters, and shortened.
pub(super) fn quoted(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(clean).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}
