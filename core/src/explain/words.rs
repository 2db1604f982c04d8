//! How instants and other people's texts stand in a sentence.

use chrono::{DateTime, SecondsFormat, Utc};

/// The longest text that is repeated, in characters.
const SHOWN: usize = 200;

/// An instant, as exactly as it is known: a second too early would be wrong.
pub(super) fn at(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Somebody else's text: on one line, without control characters, and shortened.
pub(super) fn quoted(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(clean).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}
