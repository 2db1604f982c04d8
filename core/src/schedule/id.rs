//! What a schedule and its occurrences are called.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::InvalidSchedule;
use super::interval::whole_second;
use crate::job::{InvalidId, JobId};

/// The identity of a schedule: 1 to [`ScheduleId::MAX_LEN`] visible ASCII characters without spaces, `@`
/// and `#`, which separate it from what is put behind it.
///
/// ```
/// use lambda_jobs_core::schedule::ScheduleId;
///
/// let id: ScheduleId = "daily".parse()?;
/// assert_eq!(id.job_at("2026-11-23T08:00:00Z".parse()?)?.as_str(), "daily@2026-11-23T08:00:00Z");
/// assert_eq!(
///     "a@b".parse::<ScheduleId>().unwrap_err().to_string(),
///     r#"id: expected 1 to 100 visible ASCII characters without spaces, @ and #, got "a@b""#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScheduleId(String);

impl ScheduleId {
    /// The longest id that is accepted, in bytes.
    pub const MAX_LEN: usize = 100;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The job of the occurrence at this instant: `<schedule>@<instant>`, in whole seconds of UTC. The same
    /// occurrence has the same job however often it is fired, and so it runs once.
    ///
    /// Fails for no instant of the years 0 to 9999.
    pub fn job_at(&self, instant: DateTime<Utc>) -> Result<JobId, InvalidId> {
        let instant = whole_second(instant).to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("{}@{instant}", self.0).parse()
    }

    /// The key that occurrences have in common of which only one may be unfinished.
    pub(crate) fn unique_key(&self) -> String {
        format!("schedule:{}", self.0)
    }
}

impl FromStr for ScheduleId {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let allowed = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'#'));
        if allowed && (1..=Self::MAX_LEN).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            let expected = "1 to 100 visible ASCII characters without spaces, @ and #";
            Err(InvalidSchedule::text("id", expected, text))
        }
    }
}

impl TryFrom<String> for ScheduleId {
    type Error = InvalidSchedule;

    fn try_from(text: String) -> Result<Self, InvalidSchedule> {
        text.parse()
    }
}

impl From<ScheduleId> for String {
    fn from(id: ScheduleId) -> Self {
        id.0
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
