//! Who may call what does not answer promptly, and when the others come back.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::{Breaker, BreakerPolicy, BulkheadDecision, BulkheadTerms};
use super::{at, failing, new, secs};

const TERMS: BulkheadTerms = BulkheadTerms { prompt: std::time::Duration::from_secs(2), batches: 2 };

fn passage(breaker: &Breaker, holder: Option<u64>, second: i64) -> BulkheadDecision {
    breaker.passage(Some(TERMS), holder, at(second))
}

/// One that two batches call, the second of them a second later.
fn crowded() -> Breaker {
    new().entered(1, at(95), at(0)).entered(2, at(96), at(1))
}

#[test]
fn as_many_call_as_may_until_one_leaves_or_its_lease_is_over() {
    assert_eq!(passage(&new(), None, 0), BulkheadDecision::Vacant);
    assert_eq!(passage(&new().entered(1, at(95), at(0)), None, 0), BulkheadDecision::Vacant);
    assert_eq!(passage(&crowded(), None, 5), BulkheadDecision::Crowded(at(0)));
    assert_eq!(passage(&crowded(), Some(3), 5), BulkheadDecision::Crowded(at(0)));
    assert_eq!(passage(&crowded(), Some(2), 5), BulkheadDecision::Inside);
    assert_eq!(passage(&crowded().left(1, at(6)).unwrap(), None, 6), BulkheadDecision::Vacant);
    assert_eq!(
        (passage(&crowded(), None, 94), passage(&crowded(), None, 95)),
        (BulkheadDecision::Crowded(at(0)), BulkheadDecision::Vacant)
    );
    assert_eq!(crowded().left(3, at(6)), None, "nothing to write");
    assert_eq!(new().passage(None, None, at(0)), BulkheadDecision::Free, "where the policy says nothing");
}

#[test]
fn a_prompt_answer_lets_everybody_in_and_one_that_stalls_keeps_the_others_out() {
    let prompt = crowded().answered(true);
    assert_eq!((passage(&prompt, None, 5), prompt.bulkhead.places.len()), (BulkheadDecision::Free, 0));
    assert!(!prompt.awaits_a_prompt_answer(at(5)) && new().awaits_a_prompt_answer(at(5)));
    assert!(prompt.awaits_a_prompt_answer(at(2) + TimeDelta::days(1)), "before it is forgotten");
    let stall = |breaker: Breaker, holder| breaker.stalled(TERMS, holder, (at(8), at(99)), at(10));
    let once = stall(prompt, 1);
    assert_eq!(passage(&once, None, 10), BulkheadDecision::Free, "it may have been a single slow answer");
    let stalled = (2..=5).fold(once, stall);
    assert_eq!(passage(&stalled, None, 10), BulkheadDecision::Crowded(at(8)));
    assert_eq!(passage(&stalled, Some(5), 10), BulkheadDecision::Inside, "whoever waits already goes on");
    let few = (1..=3).fold(stalled, |breaker, holder| breaker.left(holder, at(20)).unwrap());
    assert_eq!(passage(&few, None, 20), BulkheadDecision::Crowded(at(8)), "as many as may");
}

#[test]
fn it_is_nothing_to_a_breaker_that_is_not_closed_or_that_an_operator_keeps() {
    let open = failing(crowded(), 1_000, &BreakerPolicy::default(), 2);
    for breaker in [
        open.clone(),
        open.probing(7, at(200), at(100)),
        crowded().forced_open(at(2)),
        crowded().forced_closed(at(2)),
    ] {
        assert_eq!(passage(&breaker, None, 2), BulkheadDecision::Free, "{:?}", breaker.phase);
    }
    assert_eq!(
        passage(&crowded().reset(at(2)), None, 2),
        BulkheadDecision::Vacant,
        "as if nothing had happened yet"
    );
}

fn seconds(places: &[DateTime<Utc>]) -> Vec<i64> {
    places.iter().map(|place| (*place - at(0)).num_seconds()).collect()
}

/// The breaker after so many more wait at this second, and when they come back.
fn waiting(breaker: Breaker, jobs: usize, second: i64) -> (Breaker, Vec<i64>) {
    let (next, places) = breaker.waiting_for_a_place(TERMS, jobs, (at(second), at(second + 870)), || 12_345);
    (next, seconds(&places))
}

#[test]
fn those_who_wait_come_back_together_at_the_pace_at_which_places_become_free() {
    let (next, places) = waiting(crowded(), 10, 2);
    assert_eq!(places, [3; 10], "a place is thought to be held for as long as a prompt answer takes");
    assert_eq!(waiting(next, 10, 2).1, [4; 10], "one of two places is free a second later");
    let slow = crowded().left(1, at(20)).unwrap().entered(3, at(115), at(20));
    let (next, places) = waiting(slow, 25, 20);
    let expected = [vec![30; 20], vec![40; 5]].concat();
    assert_eq!(places, expected, "two places, twenty seconds: fifteen jobs for every ten");
    assert_eq!(waiting(next, 1, 20).1, [40]);
    let again = crowded().left(1, at(20)).unwrap().left(2, at(21)).unwrap().entered(3, at(130), at(30));
    assert_eq!(waiting(again, 1, 31).1, [50], "when the place may be free, and not every second until then");
    let dying = new().entered(1, at(95), at(0)).entered(2, at(95), at(0));
    let (_, places) = waiting(dying, 10, 91);
    assert!(places.iter().all(|place| *place <= 95), "their leases are about to end: {places:?}");
}

#[test]
fn a_line_that_is_full_is_no_longer_for_those_who_come_again_and_again() {
    let slow = crowded().left(1, at(20)).unwrap().entered(3, at(115), at(20));
    let (full, _) = waiting(slow, 1_250, 20);
    let end = full.bulkhead.line_ends;
    assert!(at(840) < end && end <= at(890), "{end}");
    let (still, places) = waiting(full, 100, 20);
    assert_eq!((still.bulkhead.line_ends, places[0], places[99]), (end, 40, 40), "anywhere, by chance");
    let (next, places) = waiting(still, 5, 60);
    assert!(next.bulkhead.line_ends > end && places[0] > 840, "later there is room at the end: {places:?}");
}

#[test]
fn what_was_stored_before_there_were_bulkheads_is_read_and_what_says_nothing_is_not_written() {
    let stored = serde_json::to_value(new()).unwrap();
    assert!(stored.get("bulkhead").is_none());
    assert_eq!(serde_json::from_value::<Breaker>(stored).unwrap(), new());
    let stored = serde_json::to_string(&crowded()).unwrap();
    assert_eq!(serde_json::from_str::<Breaker>(&stored).unwrap(), crowded());
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let refused =
        |prompt, batches| BreakerPolicy::default().bulkhead(prompt, batches).unwrap_err().to_string();
    assert_eq!(refused(secs(2), 0), "batches: expected 1 to 1000, got 0");
    assert_eq!(refused(secs(901), 1), "prompt answer: expected 1ms to 900s, got 901s");
    assert_eq!(BreakerPolicy::default().bulkhead_terms(), None);
}
