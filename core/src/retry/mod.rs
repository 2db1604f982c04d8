//! When a failed job is retried.
//!
//! Jobs that failed together would come back together and fail together again. So by default each waits a random part of
//! its backoff (full jitter). Without jitter the wait is exactly base delay x 2^(retries so far), capped.

use std::time::Duration;

use crate::clock::Entropy;
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_DELAY, MAX_RETRIES};

/// How often and how soon a failed job is retried. A policy that exists is valid.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::{Jitter, RetryPolicy, memory::SeededEntropy};
///
/// let policy = RetryPolicy::default().with_jitter(Jitter::None);
/// let entropy = SeededEntropy::new(1);
/// let waits: Vec<u64> = (0..8).map(|retries| policy.backoff(retries, &entropy).as_secs()).collect();
/// assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    max_retries: u32,
    base_delay: Duration,
    cap: Duration,
    jitter: Jitter,
}

/// How a wait is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// The wait is exactly the backoff.
    None,
    /// The wait is random, up to the backoff.
    #[default]
    Full,
}

impl RetryPolicy {
    /// The cap on one wait, unless a policy sets another: 5 minutes.
    pub const DEFAULT_CAP: Duration = Duration::from_mins(5);

    /// A policy of at most `max_retries` retries, the first after `base_delay`, each wait twice the
    /// last and at most `cap`, with full jitter.
    pub fn new(max_retries: u32, base_delay: Duration, cap: Duration) -> Result<Self, Invalid> {
        if max_retries > MAX_RETRIES {
            return Err(Invalid::new("max retries", format!("at most {MAX_RETRIES}"), max_retries));
        }
        if cap < base_delay {
            let expected = format!("at least the base delay of {base_delay:?}");
            return Err(Invalid::new("retry delay cap", expected, format!("{cap:?}")));
        }
        Ok(Self { max_retries, base_delay, cap, jitter: Jitter::Full })
    }

    /// The same policy with another jitter.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// How many retries may follow a job's first attempt.
    #[must_use]
    pub const fn max_retries(&self) -> u32 {
        self.max_retries
    }

    /// The longest [`backoff`](Self::backoff) after so many retries.
    #[must_use]
    pub fn longest_backoff(&self, retries: u32) -> Duration {
        let limit = self.cap.min(MAX_DELAY);
        let factor = 1_u128.checked_shl(retries).unwrap_or(u128::MAX);
        let nanos = self.base_delay.as_nanos().saturating_mul(factor).min(limit.as_nanos());
        u64::try_from(nanos).map_or(limit, Duration::from_nanos)
    }

    /// How long to wait after a failed attempt, if `retries` retries came before it (0 for the first attempt). Never
    /// longer than a job can be delayed, whatever the cap.
    #[must_use]
    pub fn backoff(&self, retries: u32, entropy: &dyn Entropy) -> Duration {
        let full = self.longest_backoff(retries);
        match self.jitter {
            Jitter::None => full,
            Jitter::Full => {
                let millis = u64::try_from(full.as_millis()).unwrap_or(u64::MAX);
                Duration::from_millis(entropy.next_u64() % millis.saturating_add(1))
            }
        }
    }
}

impl Default for RetryPolicy {
    /// Three retries, the first after 5 s.
    fn default() -> Self {
        Self {
            max_retries: 3,
            base_delay: Duration::from_secs(5),
            cap: Self::DEFAULT_CAP,
            jitter: Jitter::Full,
        }
    }
}

#[cfg(test)]
mod tests;
