//! When a failed job is tried again.
//!
//! Jobs that failed together would come back together and fail together once more, so by default
//! each waits a random part of its backoff (full jitter). Without jitter the wait is exactly the
//! seed's formula: base delay x 2^(retries so far), capped.

use std::time::Duration;

use crate::clock::Entropy;
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_DELAY, MAX_RETRIES};

/// How often and how soon a failed job is tried again. One that exists is valid.
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
    /// The seed's cap on one wait: 5 minutes.
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

    /// How often a job may be tried again after its first attempt.
    #[must_use]
    pub const fn max_retries(&self) -> u32 {
        self.max_retries
    }

    /// The longest that [`backoff`](Self::backoff) can be after so many retries.
    #[must_use]
    pub fn longest_backoff(&self, retries: u32) -> Duration {
        let limit = self.cap.min(MAX_DELAY);
        let factor = 1_u128.checked_shl(retries).unwrap_or(u128::MAX);
        let nanos = self.base_delay.as_nanos().saturating_mul(factor).min(limit.as_nanos());
        u64::try_from(nanos).map_or(limit, Duration::from_nanos)
    }

    /// How long to wait after an attempt failed that `retries` retries came before (0 for the first):
    /// never longer than a job can be delayed, whatever the cap.
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
    /// The seed's: three retries, the first after 5 s.
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
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::memory::SeededEntropy;

    #[test]
    fn an_impossible_policy_is_refused_with_what_is_wrong() {
        let second = Duration::from_secs(1);
        assert_eq!(
            RetryPolicy::new(101, second, second).unwrap_err().to_string(),
            "max retries: expected at most 100, got 101"
        );
        assert_eq!(
            RetryPolicy::new(1, second * 2, second).unwrap_err().to_string(),
            "retry delay cap: expected at least the base delay of 2s, got 1s"
        );
    }

    #[test]
    fn the_wildest_policy_waits_no_longer_than_a_job_can_be_delayed() {
        let policy = RetryPolicy::new(3, Duration::MAX, Duration::MAX).unwrap().with_jitter(Jitter::None);
        assert_eq!(policy.backoff(2, &SeededEntropy::new(1)), MAX_DELAY);
    }

    /// The formula, step by step: twice the wait for each retry, until it meets a limit.
    fn doubled(base: Duration, cap: Duration, retries: u32) -> Duration {
        let limit = cap.min(MAX_DELAY);
        let mut wait = base.min(limit);
        for _ in 0..retries {
            if wait.is_zero() || wait == limit {
                break;
            }
            wait = wait.saturating_mul(2).min(limit);
        }
        wait
    }

    /// From nothing over the shortest and the usual to more than there is time.
    fn wait() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            Just(Duration::MAX),
            (0_u32..64).prop_map(|bits| Duration::from_nanos(1 << bits)),
            any::<u64>().prop_map(Duration::from_nanos),
            (0_u64..100_000).prop_map(Duration::from_millis),
            any::<Duration>(),
        ]
    }

    fn retries() -> impl Strategy<Value = u32> {
        prop_oneof![0_u32..130, any::<u32>()]
    }

    /// Every policy that there can be, with full jitter.
    fn policy() -> impl Strategy<Value = RetryPolicy> {
        (0..=MAX_RETRIES, wait(), wait())
            .prop_map(|(retries, a, b)| RetryPolicy::new(retries, a.min(b), a.max(b)).unwrap())
    }

    #[test]
    fn a_short_first_wait_goes_on_doubling_up_to_a_long_cap() {
        let policy = RetryPolicy::new(100, Duration::from_millis(1), MAX_DELAY).unwrap();
        let exact = policy.with_jitter(Jitter::None);
        let waits = [31, 32, 33, 34, 35, 100].map(|retries| exact.backoff(retries, &SeededEntropy::new(1)));
        let millis = [1_u64 << 31, 1 << 32, 1 << 33, 1 << 34].map(Duration::from_millis);
        assert_eq!(waits[..4], millis);
        assert_eq!(waits[4..], [MAX_DELAY, MAX_DELAY]);
    }

    proptest! {
        #[test]
        fn a_policy_is_made_where_it_is_valid_and_only_there(retries in retries(), base in wait(), cap in wait()) {
            match RetryPolicy::new(retries, base, cap) {
                Ok(policy) => {
                    prop_assert!(retries <= MAX_RETRIES && base <= cap);
                    prop_assert_eq!(policy.max_retries(), retries);
                }
                Err(error) if error.field() == "max retries" => prop_assert!(retries > MAX_RETRIES),
                Err(_) => prop_assert!(cap < base),
            }
        }

        #[test]
        fn without_jitter_each_wait_is_twice_the_last_up_to_the_cap(policy in policy(), retries in retries()) {
            let exact = policy.with_jitter(Jitter::None);
            let wait = exact.backoff(retries, &SeededEntropy::new(1));
            prop_assert_eq!(wait, doubled(policy.base_delay, policy.cap, retries));
            prop_assert!(wait <= policy.cap && wait <= MAX_DELAY);
            prop_assert!(wait <= exact.backoff(retries.saturating_add(1), &SeededEntropy::new(1)));
        }

        #[test]
        fn a_jittered_wait_is_never_longer_than_the_exact_one(
            policy in policy(), retries in retries(), seed: u64,
        ) {
            let exact = policy.with_jitter(Jitter::None).backoff(retries, &SeededEntropy::new(seed));
            let waits = |seed| {
                let entropy = SeededEntropy::new(seed);
                [0; 4].map(|_| policy.backoff(retries, &entropy))
            };
            prop_assert!(waits(seed).iter().all(|wait| *wait <= exact));
            prop_assert_eq!(waits(seed), waits(seed));
        }
    }

    #[test]
    fn full_jitter_reaches_both_ends_of_the_wait() {
        let millis = Duration::from_millis(3);
        let policy = RetryPolicy::new(0, millis, millis).unwrap();
        let entropy = SeededEntropy::new(1);
        let waits: BTreeSet<Duration> = (0..100).map(|_| policy.backoff(0, &entropy)).collect();
        assert_eq!(waits, (0..=3).map(Duration::from_millis).collect());
    }
}
