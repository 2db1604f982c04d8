//! When a failed delivery is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Entropy;
use crate::retry::RetryPolicy;

/// How long deliveries to an endpoint are retried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetrySchedule {
    /// As all jobs by default: 5 s, doubled each time, at most 5 min; four attempts.
    #[default]
    Short,
    /// As the guide of Standard Webhooks recommends: ten attempts over about three days.
    Long,
}

/// The waits of the long schedule, in seconds.
const LONG: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

impl RetrySchedule {
    /// The number of attempts at a delivery.
    #[must_use]
    pub const fn default_attempts(self) -> u32 {
        match self {
            Self::Short => 4,
            Self::Long => 10,
        }
    }

    /// The wait after this attempt (the first is 1). It is spread, so that deliveries that failed together do not
    /// return together.
    #[must_use]
    pub fn wait(self, attempt: u32, jobs: &RetryPolicy, entropy: &dyn Entropy) -> Duration {
        let before = attempt.saturating_sub(1);
        match self {
            Self::Short => jobs.backoff(before, entropy),
            Self::Long => {
                let at = usize::try_from(before).unwrap_or(usize::MAX).min(LONG.len() - 1);
                let millis = LONG[at] * 1_000;
                Duration::from_millis(millis - entropy.next_u64() % (millis / 5))
            }
        }
    }
}
