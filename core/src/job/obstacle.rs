//! What keeps a job from running that is neither its time nor a pause.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::breaker::BreakerName;
use crate::limit::LimitKey;

/// What a deferred job waits for. As text it is `breaker:<name>` or `limit:<key>`.
///
/// ```
/// use lambda_jobs_core::job::Obstacle;
///
/// let obstacle: Obstacle = "breaker:webhook-example.com".parse()?;
/// assert_eq!(obstacle, Obstacle::Breaker("webhook-example.com".parse()?));
/// assert_eq!(
///     "rain".parse::<Obstacle>().unwrap_err().to_string(),
///     r#"blocked: expected breaker:<name> or limit:<key>, got "rain""#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Obstacle {
    /// A breaker is open, or half-open with its probe under way.
    Breaker(BreakerName),
    /// As many jobs as a limit allows are under way, or were started just now.
    Limit(LimitKey),
}

impl FromStr for Obstacle {
    type Err = InvalidObstacle;

    fn from_str(text: &str) -> Result<Self, InvalidObstacle> {
        let parsed = match text.split_once(':') {
            Some(("breaker", name)) => name.parse().ok().map(Self::Breaker),
            Some(("limit", key)) => key.parse().ok().map(Self::Limit),
            _ => None,
        };
        parsed.ok_or_else(|| InvalidObstacle(text.to_owned()))
    }
}

impl TryFrom<String> for Obstacle {
    type Error = InvalidObstacle;

    fn try_from(text: String) -> Result<Self, InvalidObstacle> {
        text.parse()
    }
}

impl From<Obstacle> for String {
    fn from(obstacle: Obstacle) -> Self {
        obstacle.to_string()
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breaker(name) => write!(f, "breaker:{name}"),
            Self::Limit(key) => write!(f, "limit:{key}"),
        }
    }
}

/// A text that is no [`Obstacle`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("blocked: expected breaker:<name> or limit:<key>, got {0:?}")]
pub struct InvalidObstacle(String);
