//! Identifiers. Each kind has a type of its own, so that no two can be mixed up.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::{Entropy, whole_second};
use crate::invalid::Invalid;

/// A type for a text that is checked when it is made, and is written and read as text.
macro_rules! checked_text {
    ($(#[$docs:meta])* $name:ident, $field:literal, $most:literal, $what:literal, $is_allowed:expr) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The longest text, in bytes.
            pub const MAX_LEN: usize = $most;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                let is_allowed: fn(char) -> bool = $is_allowed;
                if (1..=Self::MAX_LEN).contains(&text.len()) && text.chars().all(is_allowed) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Invalid::text($field, concat!("1 to ", $most, " ", $what), text))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
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
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    JobId,
    "id",
    256,
    "visible ASCII characters without spaces",
    |c| c.is_ascii_graphic()
);

checked_text!(
    /// The identity of a schedule: 1 to [`ScheduleId::MAX_LEN`] visible ASCII characters without spaces, `@`
    /// and `#`, which separate it from suffixes.
    ///
    /// ```
    /// use lambda_jobs_core::job::ScheduleId;
    ///
    /// let id: ScheduleId = "daily".parse()?;
    /// assert_eq!(id.job_at("2026-11-23T08:00:00Z".parse()?)?.as_str(), "daily@2026-11-23T08:00:00Z");
    /// assert_eq!(
    ///     "a@b".parse::<ScheduleId>().unwrap_err().to_string(),
    ///     r#"id: expected 1 to 100 visible ASCII characters without spaces, @ and #, got "a@b""#,
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ScheduleId,
    "id",
    100,
    "visible ASCII characters without spaces, @ and #",
    |c| c.is_ascii_graphic() && !matches!(c, '@' | '#')
);

checked_text!(
    /// The name of a breaker: 1 to [`BreakerName::MAX_LEN`] visible ASCII characters without spaces. The whole fleet
    /// shares one breaker per name.
    ///
    /// ```
    /// use lambda_jobs_core::job::BreakerName;
    ///
    /// assert_eq!("webhook-example.com".parse::<BreakerName>()?.as_str(), "webhook-example.com");
    /// assert_eq!(
    ///     "two words".parse::<BreakerName>().unwrap_err().to_string(),
    ///     r#"breaker: expected 1 to 200 visible ASCII characters without spaces, got "two words""#,
    /// );
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    BreakerName,
    "breaker",
    200,
    "visible ASCII characters without spaces",
    |c| c.is_ascii_graphic()
);

checked_text!(
    /// The key of a limit: 1 to [`LimitKey::MAX_LEN`] bytes without control characters. The whole fleet shares one
    /// limit per key.
    ///
    /// ```
    /// use lambda_jobs_core::job::LimitKey;
    ///
    /// assert_eq!("send-email/tenant=acme".parse::<LimitKey>()?.as_str(), "send-email/tenant=acme");
    /// assert_eq!(
    ///     "".parse::<LimitKey>().unwrap_err().to_string(),
    ///     r#"limit key: expected 1 to 512 bytes without control characters, got """#,
    /// );
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    LimitKey,
    "limit key",
    512,
    "bytes without control characters",
    |c| !c.is_control()
);

impl JobId {
    /// A new id: a UUID of version 7, so that ids sort by the time they were made.
    #[must_use]
    pub fn generate(now: DateTime<Utc>, entropy: &dyn Entropy) -> Self {
        Self(uuid_v7(now, entropy))
    }
}

impl ScheduleId {
    /// The job of the occurrence at this instant: `<schedule>@<instant>`, in whole seconds of UTC. The same
    /// occurrence has the same job however often it is fired, and so it runs once.
    ///
    /// Fails for no instant of the years 0 to 9999.
    pub fn job_at(&self, instant: DateTime<Utc>) -> Result<JobId, Invalid> {
        let instant = whole_second(instant).to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("{}@{instant}", self.0).parse()
    }

    /// The unique key that occurrences share if only one of them may be unfinished.
    pub(crate) fn unique_key(&self) -> String {
        format!("schedule:{}", self.0)
    }
}

impl LimitKey {
    /// The key of this text, which is not empty. Control characters and the backslash are escaped, so that no two
    /// texts become the same key, and one that is too long ends in a hash of all of it.
    pub(crate) fn of(text: &str) -> Self {
        let mut plain = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_control() || c == '\\' { plain.extend(c.escape_default()) } else { plain.push(c) }
        }
        if plain.len() > Self::MAX_LEN {
            // FNV-1a: the same in every release, because the key is stored.
            let hash = plain.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let end = (0..=Self::MAX_LEN - 17).rev().find(|at| plain.is_char_boundary(*at)).unwrap_or(0);
            plain.truncate(end);
            plain = format!("{plain}#{hash:016x}");
        }
        Self(plain)
    }
}

/// The identity of one claim of one job, new for every claim.
///
/// Settling is conditional on it (the fence), so an environment that lost its lease can't overwrite
/// its successor's settlement.
///
/// It ends in the number of its batch. So whoever has the record of a running job knows the key of what the batch says
/// about its jobs, and the record needs no place for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(String);

impl ClaimId {
    /// A new claim id, in a batch of its own. Every claim and every settlement sends it, so it is short: the time tells
    /// the claims of a job apart, and 41 random bits those of one millisecond.
    #[must_use]
    pub fn generate(now: DateTime<Utc>, entropy: &dyn Entropy) -> Self {
        Self::in_batch(now, Self::batch_of(entropy))
    }

    /// The number of a new batch, which its claims can hold.
    pub(crate) fn batch_of(entropy: &dyn Entropy) -> u64 {
        entropy.next_u64() % 36_u64.pow(DIGITS)
    }

    /// A new claim id in a batch, which claims each job once in a millisecond.
    pub(crate) fn in_batch(now: DateTime<Utc>, batch: u64) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Self(last_digits(millis) + &last_digits(batch))
    }

    /// The number of the batch that made it; `None` if an id of another kind can't be read.
    #[must_use]
    pub fn batch(&self) -> Option<u64> {
        let digits = self.0.get(self.0.len().checked_sub(DIGITS as usize)?..)?;
        u64::from_str_radix(digits, 36).ok()
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

/// How many digits of the time, and of the batch, a claim id has.
const DIGITS: u32 = 8;

/// The last digits of a number in base 36.
fn last_digits(number: u64) -> String {
    let digit = |at: u32| char::from_digit(u32::try_from(number / 36_u64.pow(at) % 36).unwrap_or(0), 36);
    (0..DIGITS).rev().filter_map(digit).collect()
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
    fn a_claim_id_tells_its_batch() {
        let entropy = SeededEntropy::new(7);
        for _ in 0..100 {
            let batch = ClaimId::batch_of(&entropy);
            let claim = ClaimId::in_batch(DateTime::UNIX_EPOCH, batch);
            assert_eq!((claim.batch(), claim.as_str().len()), (Some(batch), 16));
        }
        for unknown in ["", "short", "an id of another kind", "ü-ü-ü-ü"] {
            assert_eq!(ClaimId::from(unknown.to_owned()).batch(), None, "{unknown}");
        }
    }

    #[test]
    fn an_id_that_could_break_a_url_or_a_log_line_is_refused() {
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(257)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
    }
}
