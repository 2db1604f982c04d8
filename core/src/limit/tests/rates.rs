//! Rates: never exceeded, and every job gets its turn.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{LimitState, Quota, Rate};
use super::{at, take, unused, wanted};
use crate::versioned::VersionedState;

fn rate(jobs: u32, millis: u64, burst: u32) -> Rate {
    Rate::new(jobs, Duration::from_millis(millis)).unwrap().burst(burst).unwrap()
}

#[test]
fn a_burst_starts_at_once_and_the_rest_at_the_rate() {
    let (mut state, quota) = (unused(), Quota::Rate(rate(10, 1_000, 20)));
    let (_, fresh, later) = take(&mut state, quota, wanted(0, 25), 0);
    assert_eq!((fresh, later), (20, [1_000, 1_100, 1_200, 1_300, 1_400].map(at).to_vec()));
    let (_, fresh, later) = take(&mut state, quota, wanted(0, 1), 1);
    assert_eq!((fresh, later), (0, vec![at(1_500)]), "behind the others");
    assert_eq!(state.next_free_at(quota, at(1)), Some(at(700)), "ten tokens are promised");
}

#[test]
fn those_who_have_waited_go_before_new_ones() {
    let (mut state, quota) = (unused(), Quota::Rate(rate(2, 1_000, 2)));
    let (_, fresh, later) = take(&mut state, quota, wanted(0, 4), 0);
    assert_eq!((fresh, later), (2, vec![at(1_000), at(1_500)]));
    assert_eq!(take(&mut state, quota, wanted(0, 1), 999).1, 0, "the token of 500 ms is promised");
    let (returning, fresh, later) = take(&mut state, quota, wanted(2, 1), 1_500);
    assert_eq!((returning, fresh, later.len()), (2, 0, 1));
}

#[test]
fn after_a_rush_new_jobs_within_the_rate_start_at_once_again() {
    let (mut state, quota) = (unused(), Quota::Rate(rate(100, 1_000, 100)));
    let mut due: BTreeMap<DateTime<Utc>, u32> = BTreeMap::new();
    let (_, _, later) = take(&mut state, quota, wanted(0, 200), 0);
    for place in later {
        *due.entry(place).or_default() += 1;
    }
    let mut deferred_late = 0;
    for step in 1..500 {
        let now = step * 20;
        let waiting = due.split_off(&(at(now) + TimeDelta::nanoseconds(1)));
        let returning = std::mem::replace(&mut due, waiting).into_values().sum();
        let (_, fresh, later) = take(&mut state, quota, wanted(returning, 1), now);
        for place in later {
            *due.entry(place).or_default() += 1;
        }
        deferred_late += u32::from(now > 5_000) * (1 - fresh);
    }
    assert_eq!(deferred_late, 0, "half the rate comes, so nobody need wait for ever");
}

#[test]
fn tokens_that_nobody_comes_for_are_given_to_others_in_time() {
    let (mut state, quota) = (unused(), Quota::Rate(rate(10, 1_000, 10)));
    assert_eq!(take(&mut state, quota, wanted(0, 110), 0).1, 10);
    assert_eq!(take(&mut state, quota, wanted(0, 1), 9_000).1, 0, "kept for those who wait");
    assert_eq!(take(&mut state, quota, wanted(0, 1), 12_000).1, 1, "they were cancelled");
}

#[test]
fn a_thousand_jobs_are_through_in_their_time_and_each_comes_back_a_few_times_at_most() {
    let quota = Quota::Rate(rate(10, 1_000, 10));
    let mut state = unused();
    // How often each job has come, by the second in which SQS shows it again.
    let mut hidden: BTreeMap<i64, Vec<u32>> = BTreeMap::from([(0, vec![0; 1_000])]);
    let (mut started, mut most, mut last) = (0, 0, 0);
    while let Some((second, jobs)) = hidden.pop_first() {
        for (at_once, batch) in jobs.chunks(10).enumerate() {
            let now = second * 1_000 + i64::try_from(at_once).unwrap();
            let count = u32::try_from(batch.len()).unwrap();
            let asked = if second == 0 { wanted(0, count) } else { wanted(count, 0) };
            let (returning, fresh, later) = take(&mut state, quota, asked, now);
            let passed = returning + fresh;
            started += passed;
            last = if passed > 0 { second } else { last };
            for (times, place) in batch[passed as usize..].iter().zip(later) {
                let seconds = (place - at(now)).num_milliseconds().cast_unsigned().div_ceil(1_000);
                hidden.entry(second + seconds.cast_signed()).or_default().push(times + 1);
                most = most.max(times + 1);
            }
        }
    }
    assert_eq!(started, 1_000);
    assert!((99..=101).contains(&last), "{last} s");
    assert!(most <= 3, "one came back {most} times");
}

#[test]
fn it_is_remembered_for_a_day_after_the_last_that_waits() {
    let (mut state, quota) = (unused(), Quota::Rate(rate(1, 1_000, 1)));
    take(&mut state, quota, wanted(0, 10), 0);
    assert_eq!(state.expires_at(), Some(at(10_000) + TimeDelta::days(1)));
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<LimitState>(&json).unwrap(), state);
}

#[test]
fn a_rate_that_changes_or_a_clock_that_is_wrong_lets_nobody_through_too_soon_nor_ends_the_process() {
    let slow = Quota::Rate(rate(1, 86_400_000, 100_000));
    let mut state = unused();
    assert_eq!(take(&mut state, slow, wanted(0, 100_000), 0).1, 100_000);
    assert_eq!(take(&mut state, Quota::Rate(rate(10, 1_000, 10)), wanted(5, 5), 1).0, 0);
    for instant in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
        let wrong = LimitState { full_at: instant, ramp_ends: instant, booked_until: instant, ..unused() };
        let (wrong, taken) = wrong.acquired(slow, &wanted(1, 1), at(0));
        assert_eq!(taken.returning + taken.fresh, if instant > at(0) { 0 } else { 2 });
        let _ = (wrong.next_free_at(slow, at(0)), wrong.acquired(slow, &wanted(1, 1), instant));
    }
}

proptest! {
    #[test]
    fn in_no_time_start_more_than_the_rate_and_a_burst(
        jobs in 1..500_u32, millis in 1..100_000_u64, burst in 1..50_u32,
        steps in vec((0..2_000_i64, 0..20_u32, 0..20_u32), 1..60),
    ) {
        let rate = rate(jobs, millis, burst);
        let (mut state, mut now, mut line) = (unused(), 0, Vec::new());
        let mut starts: Vec<(i64, u64)> = Vec::new();
        for (wait, returning, fresh) in steps {
            now += wait;
            let (returning, fresh, later) = take(&mut state, Quota::Rate(rate), wanted(returning, fresh), now);
            starts.push((now, u64::from(returning + fresh)));
            line.extend(later);
        }
        for (from, first) in starts.iter().enumerate() {
            let mut sum = 0;
            for (until, started) in &starts[from..] {
                sum += started;
                let time = u128::try_from(until - first.0).unwrap();
                let most = u128::from(jobs) * time / u128::from(millis) + u128::from(rate.most_at_once());
                prop_assert!(u128::from(sum) <= most, "{sum} in {time} ms, {most} allowed");
            }
        }
        for pair in line.windows(2) {
            prop_assert!(pair[1] - pair[0] >= rate.interval(), "places are paced at the rate");
        }
    }
}
