//! Which characters of a stranger's text may reach a terminal or a page.

/// Whether a character is harmless: no control character, nothing that breaks a line or turns the direction of
/// writing.
///
/// ```
/// use lambda_jobs_core::job::is_printable;
///
/// assert!("Läuft 🦀".chars().all(is_printable));
/// assert!(!"\u{1b}\u{202e}\u{2028}".chars().any(is_printable));
/// ```
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}
