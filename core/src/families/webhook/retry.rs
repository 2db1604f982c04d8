//! When a failed delivery is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ports::Entropy;
use crate::retry::RetryPolicy;

/// How long a receiver may be away before a delivery to it is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetrySchedule {
    /// The seed's: 5 s, doubled each time, at most 5 min; four attempts.
    #[default]
    Short,
    /// As the guide of Standard Webhooks asks for: ten attempts over about three days.
    Long,
}

/// The waits of the long schedule, in seconds.
const LONG: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

impl RetrySchedule {
    /// How often a delivery is tried.
    #[must_use]
    pub const fn default_attempts(self) -> u32 {
        match self {
            Self::Short => 4,
            Self::Long => LONG.len() as u32 + 1,
        }
    }

    /// How long to wait after this attempt, from 1, at the longest.
    #[must_use]
    pub fn longest_wait(self, attempt: u32) -> Duration {
        let before = attempt.saturating_sub(1);
        match self {
            Self::Short => RetryPolicy::default().longest_backoff(before),
            Self::Long => {
                let at = usize::try_from(before).unwrap_or(usize::MAX).min(LONG.len() - 1);
                Duration::from_secs(LONG[at])
            }
        }
    }

    /// How long to wait after this attempt: somewhat less than the longest, so that deliveries which failed
    /// together do not come back together.
    #[must_use]
    pub fn wait(self, attempt: u32, entropy: &dyn Entropy) -> Duration {
        let longest = self.longest_wait(attempt);
        match self {
            Self::Short => RetryPolicy::default().backoff(attempt.saturating_sub(1), entropy),
            Self::Long => {
                let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
                Duration::from_millis(millis - entropy.next_u64() % (millis / 5).max(1))
            }
        }
    }
}
