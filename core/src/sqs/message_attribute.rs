//! Message attributes: typed values beside the body.
//!
//! They carry values that a reader needs without parsing the body, such as a dead letter's reason. AWS is strict about
//! their names and types. A lax local model would accept messages that AWS refuses.

use serde::{Deserialize, Serialize};

use super::SqsError;

/// One message attribute: a data type and a value.
///
/// ```
/// use lambda_jobs_core::sqs::MessageAttribute;
///
/// assert!(MessageAttribute::string("too old").check("reason").is_ok());
/// let error = MessageAttribute::number("many").check("attempts").unwrap_err();
/// assert!(error.to_string().contains("attempts"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, optionally with a custom label after a dot.
    pub data_type: String,
    /// The value.
    pub value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// The value of a `String` or a `Number`.
    Text(String),
    /// The value of a `Binary`.
    Binary(Vec<u8>),
}

const NAME_EXPECTED: &str = "a message attribute name must have 1 to 256 characters of A-Z, a-z, 0-9, underscore, \
    hyphen and period, not start with AWS. or Amazon., and neither start nor end with a period nor have two in a row";

impl MessageAttribute {
    /// A `String`.
    #[must_use]
    pub fn string(value: impl Into<String>) -> Self {
        Self { data_type: "String".to_owned(), value: AttributeValue::Text(value.into()) }
    }

    /// A `Number`, in decimal digits.
    #[must_use]
    pub fn number(value: impl Into<String>) -> Self {
        Self { data_type: "Number".to_owned(), value: AttributeValue::Text(value.into()) }
    }

    /// A `Binary`.
    #[must_use]
    pub fn binary(value: impl Into<Vec<u8>>) -> Self {
        Self { data_type: "Binary".to_owned(), value: AttributeValue::Binary(value.into()) }
    }

    /// Checks that AWS accepts this attribute under this name.
    pub fn check(&self, name: &str) -> Result<(), SqsError> {
        if !is_name(name) {
            return Err(SqsError::parameter("MessageAttributeName", name, NAME_EXPECTED));
        }
        let refuse = |value: &str, reason: &str| {
            Err(SqsError::parameter(
                "MessageAttributes",
                value,
                format!("message attribute '{name}' {reason}"),
            ))
        };
        if self.data_type.len() > 256 {
            return refuse(&self.data_type, "has a type longer than 256 characters");
        }
        match (self.data_type.split('.').next().unwrap_or_default(), &self.value) {
            ("String", AttributeValue::Text(text)) if !text.is_empty() => check_text(text, name),
            ("Number", AttributeValue::Text(text)) if is_number(text) => Ok(()),
            ("Number", AttributeValue::Text(text)) => {
                refuse(text, "must be a number of at most 38 digits, from -10^128 to 10^126")
            }
            ("Binary", AttributeValue::Binary(bytes)) if !bytes.is_empty() => Ok(()),
            ("String", _) => refuse("", "of type String must have a non-empty StringValue"),
            ("Number", _) => refuse("", "of type Number must have a StringValue"),
            ("Binary", _) => refuse("", "of type Binary must have a non-empty BinaryValue"),
            _ => refuse(
                &self.data_type,
                "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String",
            ),
        }
    }

    /// The attribute's part of the message size, in bytes: name, type and value.
    #[must_use]
    pub fn size(&self, name: &str) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        name.len() + self.data_type.len() + value
    }
}

/// Refuses characters that SQS does not allow in a body or a text value.
pub(super) fn check_text(text: &str, field: &str) -> Result<(), SqsError> {
    let valid = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}');
    match text.chars().find(|c| !valid(*c)) {
        None => Ok(()),
        Some(found) => Err(SqsError::InvalidMessageContents {
            field: field.to_owned(),
            found: format!("#x{:X}", u32::from(found)),
        }),
    }
}

fn is_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

fn is_number(text: &str) -> bool {
    let significand = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = significand.chars().filter(char::is_ascii_digit).count();
    let in_range = |number: f64| number.is_finite() && (-1e128..=1e126).contains(&number);
    (1..=38).contains(&digits) && text.parse().is_ok_and(in_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_documented_pattern() {
        for name in ["a", "reason.code", "_x-1", &"n".repeat(256)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".a", "a.", "a..b", "AWS.x", "amazon.x", "ä", "a b", &"n".repeat(257)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn numbers_are_decimal_with_at_most_38_digits() {
        for number in ["0", "-1.5", "0230.01", "1e10", &"9".repeat(38)] {
            assert!(is_number(number), "{number}");
        }
        for number in ["", "-", "inf", "NaN", "1,5", "1e127", &"9".repeat(39)] {
            assert!(!is_number(number), "{number}");
        }
    }

    #[test]
    fn a_type_must_fit_its_value() {
        assert!(
            MessageAttribute { data_type: "Number.int".to_owned(), ..MessageAttribute::number("1") }
                .check("n")
                .is_ok()
        );
        for attribute in [
            MessageAttribute::string(""),
            MessageAttribute::binary([]),
            MessageAttribute { data_type: "Boolean".to_owned(), ..MessageAttribute::string("x") },
            MessageAttribute { data_type: "Binary".to_owned(), ..MessageAttribute::string("x") },
        ] {
            let error = attribute.check("flag").unwrap_err();
            assert_eq!(error.code(), "InvalidParameterValue");
            assert!(error.to_string().contains("'flag'"), "{error}");
        }
        let control = MessageAttribute::string("\u{1}").check("flag").unwrap_err();
        assert!(control.to_string().contains("#x1"), "{control}");
    }
}
