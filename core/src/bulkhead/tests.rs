//! Which batches may call a dependency that does not answer promptly, and when the jobs of others come back.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Bulkhead, BulkheadDecision, BulkheadTerms, RampRequest, StalledCall};

const TERMS: BulkheadTerms = BulkheadTerms { prompt: std::time::Duration::from_secs(2), batches: 2 };

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn decide(bulkhead: &Bulkhead, holder: Option<u64>, second: i64) -> BulkheadDecision {
    bulkhead.decide(TERMS, holder, at(second))
}

/// One that two batches call, the second of them a second later.
fn full() -> Bulkhead {
    Bulkhead::new().enter(1, at(95), at(0)).enter(2, at(96), at(1))
}

#[test]
fn as_many_call_as_may_until_one_leaves_or_its_lease_is_over() {
    assert_eq!(decide(&Bulkhead::new(), None, 0), BulkheadDecision::Available);
    assert_eq!(decide(&Bulkhead::new().enter(1, at(95), at(0)), None, 0), BulkheadDecision::Available);
    assert_eq!(decide(&full(), None, 5), BulkheadDecision::Full(at(0)));
    assert_eq!(decide(&full(), Some(3), 5), BulkheadDecision::Full(at(0)));
    assert_eq!(decide(&full(), Some(2), 5), BulkheadDecision::Held);
    assert_eq!(decide(&full().leave(1, at(6)).unwrap(), None, 6), BulkheadDecision::Available);
    assert_eq!(
        (decide(&full(), None, 94), decide(&full(), None, 95)),
        (BulkheadDecision::Full(at(0)), BulkheadDecision::Available)
    );
    assert_eq!(full().leave(3, at(6)), None, "nothing to write");
}

#[test]
fn a_prompt_answer_lets_everybody_in_and_one_that_stalls_keeps_the_others_out() {
    let prompt = full().answer(true);
    assert_eq!((decide(&prompt, None, 5), prompt.leases.len()), (BulkheadDecision::Open, 0));
    assert!(!prompt.needs_answer(at(1), at(5)) && Bulkhead::new().needs_answer(at(0), at(5)));
    assert!(prompt.needs_answer(at(1), at(2) + TimeDelta::days(1)), "before it is forgotten");
    let stall = |bulkhead: Bulkhead, holder| {
        bulkhead.stall(TERMS, StalledCall { holder, called_at: at(8), lease_until: at(99) }, at(10))
    };
    let once = stall(prompt, 1);
    assert_eq!(decide(&once, None, 10), BulkheadDecision::Open, "it may have been a single slow answer");
    let stalled = (2..=5).fold(once, stall);
    assert_eq!(decide(&stalled, None, 10), BulkheadDecision::Full(at(8)));
    assert_eq!(decide(&stalled, Some(5), 10), BulkheadDecision::Held, "a batch that waits already goes on");
    let few = (1..=3).fold(stalled, |bulkhead, holder| bulkhead.leave(holder, at(20)).unwrap());
    assert_eq!(decide(&few, None, 20), BulkheadDecision::Full(at(8)), "as many as may");
}

fn seconds(instants: &[DateTime<Utc>]) -> Vec<i64> {
    instants.iter().map(|instant| (*instant - at(0)).num_seconds()).collect()
}

/// The bulkhead after so many more jobs wait at this second, and when they come back.
fn waiting(bulkhead: Bulkhead, jobs: usize, second: i64) -> (Bulkhead, Vec<i64>) {
    let request = RampRequest { jobs, latest: at(second + 870) };
    let (next, instants) = bulkhead.join_ramp(TERMS, request, at(second), || 12_345);
    (next, seconds(&instants))
}

#[test]
fn those_who_wait_come_back_together_at_the_pace_at_which_places_become_free() {
    let (next, instants) = waiting(full(), 10, 2);
    assert_eq!(instants, [3; 10], "a lease is thought to be held for as long as a prompt answer takes");
    assert_eq!(waiting(next, 10, 2).1, [4; 10], "one of two leases is free a second later");
    let slow = full().leave(1, at(20)).unwrap().enter(3, at(115), at(20));
    let (next, instants) = waiting(slow, 25, 20);
    let expected = [vec![30; 20], vec![40; 5]].concat();
    assert_eq!(instants, expected, "two leases, twenty seconds: fifteen jobs for every ten");
    assert_eq!(waiting(next, 1, 20).1, [40]);
    let again = full().leave(1, at(20)).unwrap().leave(2, at(21)).unwrap().enter(3, at(130), at(30));
    assert_eq!(waiting(again, 1, 31).1, [50], "when the lease may be free, and not every second until then");
    let dying = Bulkhead::new().enter(1, at(95), at(0)).enter(2, at(95), at(0));
    let (_, instants) = waiting(dying, 10, 91);
    assert!(instants.iter().all(|instant| *instant <= 95), "their leases are about to end: {instants:?}");
}

#[test]
fn a_line_that_is_full_is_no_longer_for_those_who_come_again_and_again() {
    let slow = full().leave(1, at(20)).unwrap().enter(3, at(115), at(20));
    let (full, _) = waiting(slow, 1_250, 20);
    let end = full.ramp_ends;
    assert!(at(840) < end && end <= at(890), "{end}");
    let (still, instants) = waiting(full, 100, 20);
    assert_eq!((still.ramp_ends, instants[0], instants[99]), (end, 40, 40), "anywhere, by chance");
    let (next, instants) = waiting(still, 5, 60);
    assert!(next.ramp_ends > end && instants[0] > 840, "later there is room at the end: {instants:?}");
}
