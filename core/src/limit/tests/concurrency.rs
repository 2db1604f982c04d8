//! Concurrency: leases that batches hold, and return whatever happens.

use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{LimitRequest, LimitState, Quota};
use super::{at, take, unused, wanted};
use crate::versioned::VersionedState;

const TWO: Quota = Quota::Concurrency(2);

fn of(holder: u64, fresh: u32, lease_until: i64) -> LimitRequest {
    LimitRequest { returning: 0, fresh, holder, lease_until: at(lease_until) }
}

#[test]
fn so_many_run_at_once_and_one_more_for_each_that_is_over() {
    let mut state = unused();
    let (_, fresh, later) = take(&mut state, TWO, of(1, 3, 90_000), 0);
    assert_eq!((fresh, later), (2, vec![at(1_000)]));
    assert_eq!(take(&mut state, TWO, of(2, 1, 90_000), 1).1, 0);
    let before = state.revision;
    state = state.returned(1, 1, at(4_000)).unwrap();
    assert_eq!((state.revision, state.written_at), (before + 1, at(4_000)));
    assert_eq!(take(&mut state, TWO, of(2, 2, 90_000), 4_000).1, 1);
    assert_eq!(state.clone().returned(3, 1, at(4_001)), None, "who holds nothing gives nothing back");
    state = state.returned(1, 5, at(4_001)).unwrap();
    assert_eq!(state.leases.len(), 1, "no more than he has");
}

#[test]
fn a_crashed_holders_places_are_free_when_its_lease_ends() {
    let mut state = unused();
    assert_eq!(take(&mut state, TWO, of(1, 2, 50_000), 0).1, 2);
    assert_eq!(take(&mut state, TWO, of(2, 1, 90_000), 49_999).1, 0);
    assert_eq!(state.next_free_at(TWO, at(49_999)), Some(at(50_000)));
    assert_eq!(state.next_free_at(TWO, at(50_000)), None);
    assert_eq!(take(&mut state, TWO, of(2, 1, 90_000), 50_000).1, 1);
    assert_eq!(state.returned(1, 2, at(50_001)), None, "it comes too late");
}

#[test]
fn those_of_a_batch_that_have_waited_go_before_the_others() {
    let mut state = unused();
    let (returning, fresh, _) = take(&mut state, TWO, wanted(1, 5), 0);
    assert_eq!((returning, fresh), (1, 1));
}

#[test]
fn the_next_free_place_is_there_when_enough_leases_have_ended() {
    let mut state = unused();
    take(&mut state, Quota::Concurrency(3), of(1, 1, 10_000), 0);
    take(&mut state, Quota::Concurrency(3), of(2, 2, 20_000), 0);
    let next = |most| state.next_free_at(Quota::Concurrency(most), at(0));
    assert_eq!(
        [next(4), next(3), next(2), next(1)],
        [None, Some(at(10_000)), Some(at(20_000)), Some(at(20_000))]
    );
    assert_eq!(next(0), Some(at(20_000)), "a limit that nobody can make lets nobody through");
    assert_eq!(take(&mut state, Quota::Concurrency(0), of(3, 1, 10_000), 0).1, 0);
}

#[test]
fn the_line_moves_as_fast_as_places_were_given_back_lately() {
    let mut state = unused();
    for _ in 0..40 {
        take(&mut state, TWO, of(1, 1, 90_000), 0);
        state = state.returned(1, 1, at(8_000)).unwrap();
    }
    assert_eq!(state.hold_millis, 8_000);
    assert_eq!(take(&mut state, TWO, of(1, 2, 90_000), 8_000).1, 2);
    let later = take(&mut state, TWO, of(2, 3, 90_000), 8_000).2;
    assert_eq!(later, [12_000, 16_000, 20_000].map(at));
    let wild = LimitState { hold_millis: u64::MAX, ..state };
    let (wild, _) = wild.acquired(TWO, &of(2, 3, 90_000), at(8_000));
    assert!(wild.returned(1, 1, at(9_000)).is_some());
}

#[test]
fn it_is_remembered_for_a_day_after_its_last_lease() {
    let mut state = unused();
    take(&mut state, TWO, of(1, 2, 50_000), 0);
    assert_eq!(state.expires_at(), Some(at(50_000) + TimeDelta::days(1)));
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<LimitState>(&json).unwrap(), state);
}

proptest! {
    #[test]
    fn never_do_more_run_than_may(
        most in 1..6_u32, steps in vec((0..3_000_i64, 0..4_u32, 0..4_u32, 1..20_000_i64, 0..6_usize), 1..80),
    ) {
        let quota = Quota::Concurrency(most);
        let (mut state, mut now, mut line) = (unused(), 0, Vec::new());
        // Each holder, how many jobs it runs, and when they surely end.
        let mut running: Vec<(u64, u32, i64)> = Vec::new();
        for (holder, (wait, returning, fresh, lease, end)) in (0..).zip(steps) {
            now += wait;
            running.retain(|(_, _, until)| *until > now);
            if end < running.len() {
                let (holder, jobs, _) = &mut running[end];
                *jobs -= 1;
                state = state.returned(*holder, 1, at(now)).unwrap();
                running.retain(|(_, jobs, _)| *jobs > 0);
            }
            let wanted = LimitRequest { returning, fresh, holder, lease_until: at(now + lease) };
            let (returning, fresh, later) = take(&mut state, quota, wanted, now);
            line.extend(later);
            if returning + fresh > 0 {
                running.push((holder, returning + fresh, now + lease));
            }
            let held: u32 = running.iter().map(|(_, jobs, _)| jobs).sum();
            prop_assert!(held <= most, "{held} of {most}");
            prop_assert_eq!(state.next_free_at(quota, at(now)).is_some(), held >= most);
        }
        prop_assert!(line.is_sorted());
    }
}
