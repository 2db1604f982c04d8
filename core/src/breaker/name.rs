//! What a breaker is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a breaker: 1 to [`BreakerName::MAX_LEN`] visible ASCII characters without spaces. Everybody in
/// the fleet who says this name means the same breaker.
///
/// ```
/// use lambda_jobs_core::breaker::BreakerName;
///
/// assert_eq!("webhook-example.com".parse::<BreakerName>()?.as_str(), "webhook-example.com");
/// assert_eq!(
///     "two words".parse::<BreakerName>().unwrap_err().to_string(),
///     r#"breaker: expected 1 to 200 visible ASCII characters without spaces, got "two words""#,
/// );
/// # Ok::<(), lambda_jobs_core::breaker::InvalidBreaker>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BreakerName(String);

/// How much of a wrong name its error shows.
const SHOWN: usize = 80;

impl BreakerName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 200;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BreakerName {
    type Err = InvalidBreaker;

    fn from_str(text: &str) -> Result<Self, InvalidBreaker> {
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidBreaker::name(text))
        }
    }
}

impl TryFrom<String> for BreakerName {
    type Error = InvalidBreaker;

    fn try_from(text: String) -> Result<Self, InvalidBreaker> {
        text.parse()
    }
}

impl From<BreakerName> for String {
    fn from(name: BreakerName) -> Self {
        name.0
    }
}

impl fmt::Display for BreakerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A breaker's name or setting that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {got}")]
pub struct InvalidBreaker {
    field: &'static str,
    expected: String,
    got: String,
}

impl InvalidBreaker {
    pub(super) const fn new(field: &'static str, expected: String, got: String) -> Self {
        Self { field, expected, got }
    }

    fn name(text: &str) -> Self {
        let expected = format!("1 to {} visible ASCII characters without spaces", BreakerName::MAX_LEN);
        let shown: String = text.chars().take(SHOWN).collect();
        Self::new("breaker", expected, format!("{shown:?}"))
    }
}
