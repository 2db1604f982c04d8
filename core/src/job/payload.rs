//! A payload: JSON as text.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::invalid::Invalid;
use crate::json::{at, has_unsendable, sendable, without_mark};

/// A handler's input: JSON, kept as the text that was sent.
///
/// The text goes from the door to the handler without a change. So numbers keep all their digits, a copy of a message
/// is as large as its original, and a hostile payload costs no more memory than its bytes, however deep it is. The
/// handler's own type parses it, once.
///
/// A clone shares the text. Two payloads are equal if their texts are. In JSON, a payload is the value that it holds.
///
/// ```
/// use lambda_jobs_core::Payload;
/// use serde_json::json;
///
/// let payload = Payload::from(json!({ "invoice": 42 }));
/// assert_eq!(payload.as_str(), r#"{"invoice":42}"#);
/// assert_eq!(payload.parse::<std::collections::BTreeMap<String, u64>>()?["invoice"], 42);
///
/// let exact: Payload = r#"{"wei": 12345678901234567890123}"#.parse()?;
/// assert_eq!(exact.to_string(), r#"{"wei": 12345678901234567890123}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Payload {
    /// The payload's text, and perhaps the message around it.
    text: Arc<str>,
    /// Where the payload is in it.
    at: Range<usize>,
}

/// Why a payload is not what its handler wants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// It has another shape, or a value that the type refuses.
    #[error(transparent)]
    Data(serde_json::Error),
    /// It is nested deeper than a type may be read.
    #[error("nested more than 127 deep; a handler that takes a Payload gets it as text ({0})")]
    Depth(serde_json::Error),
    /// It has a number that no number type of the reader holds.
    #[error("a number is too large for its type; a handler that takes a Payload gets it as text ({0})")]
    Number(serde_json::Error),
    /// It has a string with half of a surrogate pair, which no Rust string can hold.
    #[error("a string has half of a surrogate pair; a handler that takes a Payload gets it as text ({0})")]
    Surrogate(serde_json::Error),
}

impl Payload {
    /// The JSON of a value.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Invalid> {
        let refused = |error| Invalid::new("payload", "a value that JSON can hold", error);
        serde_json::to_string(value).map(Self::from_json).map_err(refused)
    }

    /// The payload `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::from_json("null".to_owned())
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.get(self.at.clone()).unwrap_or_default()
    }

    /// Reads it into a type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(self.as_str()).map_err(PayloadError::of)
    }

    /// The text of the value in this place, by a JSON pointer (RFC 6901).
    pub(crate) fn pointer(&self, pointer: &str) -> Option<&str> {
        at(self.as_str(), pointer)
    }

    /// A payload that is a part of a text, which it shares.
    pub(crate) fn within(text: &Arc<str>, part: &str) -> Self {
        if !has_unsendable(part)
            && let Some(start) = part.as_ptr().addr().checked_sub(text.as_ptr().addr())
            && text.get(start..start + part.len()).is_some_and(|found| found == part)
        {
            return Self { text: Arc::clone(text), at: start..start + part.len() };
        }
        Self::from_json(part.to_owned())
    }

    /// The text must be JSON without space around it.
    fn from_json(json: String) -> Self {
        let text: Arc<str> = sendable(json).into();
        let at = 0..text.len();
        Self { text, at }
    }
}

impl PayloadError {
    /// The text is JSON, so a wrong syntax can only be what JSON allows and a type does not hold.
    fn of(error: serde_json::Error) -> Self {
        let text = error.to_string();
        match error {
            error if !error.is_syntax() => Self::Data(error),
            error if text.starts_with("recursion limit") => Self::Depth(error),
            error if text.starts_with("number out of range") => Self::Number(error),
            error => Self::Surrogate(error),
        }
    }
}

/// An empty object.
impl Default for Payload {
    fn default() -> Self {
        Self::from_json("{}".to_owned())
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::from_json(value.to_string())
    }
}

/// Reads JSON text. A byte order mark and space around the value are left out; all else stays as it is.
impl FromStr for Payload {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let json = without_mark(text);
        match serde_json::from_str::<&RawValue>(json) {
            Ok(value) => Ok(Self::from_json(value.get().to_owned())),
            Err(error) => Err(Invalid::text("payload", format!("JSON ({error})"), json)),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Payload {}

/// Whether it reads as this value, however it is written.
impl PartialEq<Value> for Payload {
    fn eq(&self, other: &Value) -> bool {
        serde_json::from_str::<Value>(self.as_str()).is_ok_and(|value| value == *other)
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.as_str()).map_err(S::Error::custom)?.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json: Box<str> = Box::<RawValue>::deserialize(from)?.into();
        Ok(Self::from_json(json.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(text: &str) -> Payload {
        text.parse().unwrap()
    }

    #[test]
    fn a_payload_is_the_text_that_was_sent() {
        for text in [
            r#"{"wei":12345678901234567890123}"#,
            r#"{ "b" : 1.50, "a" : 1e400, "b" : 2 }"#,
            r#"["\ud800", "\u00e9", "\/"]"#,
            "-0.0",
        ] {
            assert_eq!(payload(text).as_str(), text);
            assert_eq!(serde_json::to_string(&payload(text)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Payload>(text).unwrap(), payload(text));
        }
        assert_eq!(payload("\u{feff} [1] \n").as_str(), "[1]");
        assert_eq!(Payload::default().as_str(), "{}");
        let refused = "{\"a\":".parse::<Payload>().unwrap_err().to_string();
        assert_eq!(
            refused,
            "payload: expected JSON (EOF while parsing a value at line 1 column 5), got \"{\\\"a\\\":\""
        );
    }

    #[test]
    fn what_sqs_refuses_is_escaped_once_and_for_all() {
        let escaped = payload("[\"\u{ffff}\"]");
        assert_eq!(escaped.as_str(), r#"["\uffff"]"#);
        assert_eq!(escaped, json!(["\u{ffff}"]));
        let body: Arc<str> = "[\"\u{fffe}\"]".into();
        assert_eq!(Payload::within(&body, &body[1..6]).as_str(), r#""\ufffe""#);
    }

    #[test]
    fn a_part_of_a_message_is_shared_with_it() {
        let body: Arc<str> = r#"{"payload":[1,2]}"#.into();
        let part = Payload::within(&body, &body[11..16]);
        assert_eq!(part.as_str(), "[1,2]");
        assert_eq!(Arc::strong_count(&body), 2);
        assert_eq!(Payload::within(&body, "[3]").as_str(), "[3]");
    }

    #[test]
    fn a_type_that_cannot_hold_it_says_why() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let why = |text: &str| payload(text).parse::<Value>().unwrap_err().to_string();
        assert!(why(&deep).starts_with("nested more than 127 deep"), "{}", why(&deep));
        assert!(why("[1e400]").starts_with("a number is too large for its type"), "{}", why("[1e400]"));
        for half in [r#""\ud800""#, r#""\udc00""#, r#"{"\ud800\u0041":1}"#] {
            assert!(why(half).starts_with("a string has half of a surrogate pair"), "{}", why(half));
        }
        let misfit = payload("7").parse::<String>().unwrap_err();
        assert_eq!(misfit.to_string(), "invalid type: integer `7`, expected a string at line 1 column 1");
        assert_eq!(payload(&deep).parse::<Payload>().unwrap(), payload(&deep));
    }
}
