//! The reason for a deferral: a breaker or a limit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BreakerName, LimitKey};
use crate::invalid::Invalid;

/// The breaker or limit that a deferred job waits for. As text it is `breaker:<name>` or `limit:<key>`.
///
/// ```
/// use lambda_jobs_core::job::Blocker;
///
/// let blocker: Blocker = "breaker:webhook-example.com".parse()?;
/// assert_eq!(blocker, Blocker::Breaker("webhook-example.com".parse()?));
/// assert_eq!(
///     "rain".parse::<Blocker>().unwrap_err().to_string(),
///     r#"blocked: expected breaker:<name> or limit:<key>, got "rain""#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Blocker {
    /// A breaker is open, or half-open with its probe under way.
    Breaker(BreakerName),
    /// A limit is used up: as many jobs as it allows run, or were started just now.
    Limit(LimitKey),
}

impl FromStr for Blocker {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parsed = match text.split_once(':') {
            Some(("breaker", name)) => name.parse().ok().map(Self::Breaker),
            Some(("limit", key)) => key.parse().ok().map(Self::Limit),
            _ => None,
        };
        parsed.ok_or_else(|| Invalid::text("blocked", "breaker:<name> or limit:<key>", text))
    }
}

impl TryFrom<String> for Blocker {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Blocker> for String {
    fn from(blocker: Blocker) -> Self {
        blocker.to_string()
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breaker(name) => write!(f, "breaker:{name}"),
            Self::Limit(key) => write!(f, "limit:{key}"),
        }
    }
}
