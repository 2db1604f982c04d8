//! The identity of an endpoint.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::excerpt;
use crate::invalid::Invalid;

/// The identity of an endpoint: 1 to 64 letters, digits, `-` and `_`.
///
/// It holds no dot, so that the id of a delivery, `<event>.<endpoint>`, is unique. No endpoint may be called
/// `replay-<N>`, because the jobs of replays are called `<delivery>.replay-<N>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(String);

impl EndpointId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that no delivery to it has the name of another delivery's replay.
    pub(in crate::families::webhook) fn check(&self) -> Result<(), Invalid> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if self.0.strip_prefix("replay-").is_some_and(is_number) {
            let expected = "no \"replay-\" with a number, which ends the names of replays' jobs";
            return Err(Invalid::new("id", expected.to_owned(), excerpt(&self.0)));
        }
        Ok(())
    }
}

impl FromStr for EndpointId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            let expected = format!("1 to {} letters, digits, hyphens or underscores", Self::MAX_LEN);
            Err(Invalid::new("id", expected, excerpt(text)))
        }
    }
}

impl TryFrom<String> for EndpointId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<EndpointId> for String {
    fn from(id: EndpointId) -> Self {
        id.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
