//! A breaker and the bulkhead that it holds.

use chrono::TimeDelta;

use super::{at, failing, new, secs};
use crate::breaker::{Breaker, BreakerPolicy};
use crate::bulkhead::{BulkheadDecision, BulkheadTerms, RampRequest, StalledCall};

const TERMS: BulkheadTerms = BulkheadTerms { prompt: std::time::Duration::from_secs(2), batches: 2 };

fn decision(breaker: &Breaker, holder: Option<u64>, second: i64) -> BulkheadDecision {
    breaker.bulkhead_decision(Some(TERMS), holder, at(second))
}

/// One that two batches call, the second of them a second later.
fn full() -> Breaker {
    new().entered(1, at(95), at(0)).entered(2, at(96), at(1))
}

#[test]
fn it_is_nothing_to_a_breaker_that_is_not_closed_or_that_an_operator_keeps() {
    let open = failing(full(), 1_000, &BreakerPolicy::default(), 2);
    for breaker in [
        open.clone(),
        open.probing(7, at(200), at(100)),
        full().forced_open(at(2)),
        full().forced_closed(at(2)),
    ] {
        assert_eq!(decision(&breaker, None, 2), BulkheadDecision::Open, "{:?}", breaker.phase);
    }
    assert_eq!(
        decision(&full().reset(at(2)), None, 2),
        BulkheadDecision::Available,
        "as if nothing had happened yet"
    );
    assert_eq!(full().bulkhead_decision(None, None, at(5)), BulkheadDecision::Open, "the policy sets none");
}

#[test]
fn every_change_of_its_bulkhead_is_the_next_revision() {
    let (called, at_six) = (full(), at(6));
    assert_eq!((called.revision, called.written_at, called.callers(at(5))), (2, at(1), 2));
    let call = StalledCall { holder: 3, called_at: at(3), lease_until: at(99) };
    let request = RampRequest { jobs: 1, latest: at(900) };
    for next in [
        called.clone().left(1, at_six).unwrap(),
        called.clone().stalled(TERMS, call, at_six),
        called.clone().joined_bulkhead_ramp(TERMS, request, at_six, || 0).0,
    ] {
        assert_eq!((next.revision, next.written_at), (3, at_six));
    }
    assert_eq!(called.clone().left(3, at_six), None, "nothing to write");
    let prompt = called.answered(true);
    assert!(!prompt.needs_answer(at(5)) && new().needs_answer(at(5)));
    assert!(prompt.needs_answer(at(2) + TimeDelta::days(1)), "before it is forgotten");
}

#[test]
fn what_was_stored_before_there_were_bulkheads_is_read_and_what_says_nothing_is_not_written() {
    let stored = serde_json::to_value(new()).unwrap();
    assert!(stored.get("bulkhead").is_none());
    assert_eq!(serde_json::from_value::<Breaker>(stored).unwrap(), new());
    let stored = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<Breaker>(&stored).unwrap(), full());
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let refused =
        |prompt, batches| BreakerPolicy::default().bulkhead(prompt, batches).unwrap_err().to_string();
    assert_eq!(refused(secs(2), 0), "batches: expected 1 to 1000, got 0");
    assert_eq!(refused(secs(901), 1), "prompt answer: expected 1ms to 900s, got 901s");
    assert_eq!(BreakerPolicy::default().bulkhead_terms(), None);
}
