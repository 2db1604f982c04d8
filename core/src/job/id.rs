//! Identifiers. Two different strings must never be mixed up by position, so each kind has a type.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ports::Entropy;

/// The identity of a job: chosen by the caller, made by [`JobId::generate`], or, for a bare SQS
/// message without an `id`, the SQS message id.
///
/// 1 to [`JobId::MAX_LEN`] visible ASCII characters without spaces, so that an id can stand in a URL,
/// a shell command and a table key as it is.
///
/// ```
/// use lambda_jobs_core::JobId;
///
/// let id: JobId = "invoice-2026-11@2026-11-23T08:00:00Z".parse()?;
/// assert_eq!(id.as_str(), "invoice-2026-11@2026-11-23T08:00:00Z");
/// assert_eq!(
///     "two words".parse::<JobId>().unwrap_err().to_string(),
///     r#"id: expected 1 to 256 visible ASCII characters without spaces, got "two words""#,
/// );
/// # Ok::<(), lambda_jobs_core::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// The longest id that is accepted, in bytes.
    pub const MAX_LEN: usize = 256;

    /// A new id: a UUID of version 7, so that ids sort by the time they were made.
    #[must_use]
    pub fn generate(now: DateTime<Utc>, entropy: &dyn Entropy) -> Self {
        Self(uuid_v7(now, entropy))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && !text.is_empty() && text.len() <= Self::MAX_LEN {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId(text.chars().take(64).collect()))
        }
    }
}

impl TryFrom<String> for JobId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that can't be a [`JobId`]. Holds its first 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id: expected 1 to 256 visible ASCII characters without spaces, got {0:?}")]
pub struct InvalidId(String);

/// The identity of one claim of one job, new for every claim.
///
/// Settling is conditional on it (the fence), so an environment that lost its lease can't overwrite
/// what its successor wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(String);

impl ClaimId {
    /// A new claim id.
    #[must_use]
    pub fn generate(now: DateTime<Utc>, entropy: &dyn Entropy) -> Self {
        Self(uuid_v7(now, entropy))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClaimId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

fn uuid_v7(now: DateTime<Utc>, entropy: &dyn Entropy) -> String {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&entropy.next_u64().to_le_bytes());
    random[8..].copy_from_slice(&entropy.next_u64().to_le_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SeededEntropy;

    #[test]
    fn generated_ids_differ_within_one_millisecond_and_sort_by_time() {
        let entropy = SeededEntropy::new(7);
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
        let first = JobId::generate(now, &entropy);
        let second = JobId::generate(now, &entropy);
        let later = JobId::generate(now + chrono::TimeDelta::milliseconds(1), &entropy);
        assert_ne!(first, second);
        assert!(later > first && later > second);
    }

    #[test]
    fn an_id_that_could_break_a_url_or_a_log_line_is_refused() {
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(257)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
    }
}
