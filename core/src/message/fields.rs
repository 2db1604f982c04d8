//! Reading a message's JSON object field by field. Each error names the field, the expectation and the value.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::invalid::Invalid;
use crate::json::{Object, list, string, whole};

/// The error for a field with an unreadable value, whose JSON it quotes.
pub(super) fn refused(field: &str, expected: &str, found: &str) -> Invalid {
    Invalid::new(field, expected, excerpt(found))
}

/// The error for a missing field.
pub(super) fn missing(field: &str, expected: &str) -> Invalid {
    Invalid::new(field, expected, "nothing")
}

/// The error for a body that is no JSON.
pub(super) fn not_json(body: &str, error: &serde_json::Error) -> Invalid {
    let expected = format!("a JSON object ({error})");
    // Escaped before it is cut: an escape may be ten times as long as its character.
    let quoted = format!("{:?}", body.chars().take(SHOWN).collect::<String>());
    Invalid::new("body", expected, cut(&quoted, body.len()))
}

/// The error for a body that is too large.
pub(crate) fn too_large(bytes: usize) -> Invalid {
    let expected = format!(
        "at most {} bytes; keep large data elsewhere and send a reference to it",
        super::MAX_BODY_BYTES
    );
    Invalid::new("body", expected, format!("{bytes} bytes"))
}

/// How much of a wrong value is shown, in characters: job data is hostile and may be huge.
const SHOWN: usize = 80;

/// The beginning of a value, on one line.
fn excerpt(text: &str) -> String {
    cut(text, text.len())
}

/// The beginning of a text that stands for this many bytes.
fn cut(text: &str, bytes: usize) -> String {
    let (shown, rest) = match text.char_indices().nth(SHOWN) {
        None => (text, String::new()),
        Some((end, _)) => (&text[..end], format!("... ({bytes} bytes)")),
    };
    // SQS accepts neither of the two last in the attribute with the reason.
    let shown = shown.replace(['\n', '\r', '\t'], " ").replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    shown + &rest
}

/// The unread fields of a message. `null` counts as absent.
pub(super) struct Fields<'a>(Object<'a>);

impl<'a> Fields<'a> {
    pub(super) const fn new(object: Object<'a>) -> Self {
        Self(object)
    }

    /// Takes the JSON of a field.
    pub(super) fn take(&mut self, field: &'static str) -> Option<&'a str> {
        self.0.take(field)
    }

    pub(super) fn read<T>(
        &mut self,
        field: &'static str,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        match self.take(field) {
            None => Ok(None),
            Some(text) => match parse(text) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(refused(field, expected, text)),
            },
        }
    }

    pub(super) fn text(
        &mut self,
        field: &'static str,
        expected: &str,
        bytes: RangeInclusive<usize>,
    ) -> Result<Option<String>, Invalid> {
        self.read(field, expected, |text| {
            let text = string(text)?;
            let printable = !text.chars().any(char::is_control);
            (bytes.contains(&text.len()) && printable).then(|| text.into_owned())
        })
    }

    pub(super) fn integer(&mut self, field: &'static str, max: u64) -> Result<Option<u64>, Invalid> {
        let expected = format!("an integer from 0 to {max}");
        self.read(field, &expected, |text| whole(text).filter(|number| *number <= max))
    }

    pub(super) fn millis(&mut self, field: &'static str, max: Duration) -> Result<Option<Duration>, Invalid> {
        let max = max.as_millis();
        let expected = format!("whole milliseconds from 0 to {max}");
        self.read(field, &expected, |text| {
            whole(text).filter(|millis| u128::from(*millis) <= max).map(Duration::from_millis)
        })
    }

    pub(super) fn instant(&mut self, field: &'static str) -> Result<Option<DateTime<Utc>>, Invalid> {
        let expected = "an RFC 3339 instant of the years 1970 to 9999, such as 2026-11-23T08:00:00Z";
        self.read(field, expected, |text| {
            let instant = DateTime::parse_from_rfc3339(&string(text)?).ok()?.to_utc();
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
        let words = self.read(field, &expected, |text| {
            let word = |text| string(text).filter(|word| word.len() <= bytes);
            list(text, max)?.into_iter().map(|text| Some(word(text)?.into_owned())).collect()
        })?;
        Ok(words.unwrap_or_default())
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, Invalid> {
        Ok(self.read(field, "true or false", |text| text.parse().ok())?.unwrap_or(false))
    }
}
