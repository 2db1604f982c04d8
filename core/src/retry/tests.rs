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

/// From zero, through the shortest and the usual, to more than the longest possible wait.
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

/// Every possible policy, with full jitter.
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
            Err(error) if error.field() == "max retries" => {
                prop_assert!(retries > MAX_RETRIES);
                let expected = format!("max retries: expected at most {MAX_RETRIES}, got {retries}");
                prop_assert_eq!(error.to_string(), expected);
            }
            Err(error) => {
                prop_assert_eq!(error.field(), "retry delay cap");
                prop_assert!(cap < base);
            }
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
