//! Wishes of a dependency: whose calls they hold, until when, and how many there are.

use chrono::{DateTime, Utc};

use super::super::{Admission, Breaker, BreakerPolicy, Phase, ProbeEnd, Wish};
use super::{CLOSED, at, failing, new, open_until, opened};

fn wish(tenant: Option<&str>, second: i64) -> Wish {
    Wish { tenant: tenant.map(ToOwned::to_owned), until: at(second) }
}

fn held(breaker: Breaker, tenant: Option<&str>, until: i64) -> Breaker {
    breaker.held(wish(tenant, until), at(0))
}

fn refused(until: i64) -> Admission {
    Admission::Refused(Some(at(until)))
}

fn seconds(instants: &[DateTime<Utc>]) -> Vec<i64> {
    instants.iter().map(|instant| (*instant - at(0)).num_seconds()).collect()
}

#[test]
fn no_call_is_made_until_then_and_the_breaker_stays_closed() {
    let breaker = held(new(), None, 30);
    assert_eq!((breaker.phase, breaker.openings, breaker.revision), (CLOSED, 0, 1));
    assert_eq!(breaker.admission_of(Some("ada"), at(29)), refused(30));
    assert_eq!(breaker.admission_of(None, at(29)), refused(30));
    assert_eq!(breaker.admission_of(None, at(30)), Admission::Admitted);
    assert_eq!(failing(breaker, 4, &BreakerPolicy::default(), 1).phase, CLOSED, "it is no failure");
}

#[test]
fn a_tenant_that_is_held_holds_up_no_other() {
    let breaker = held(held(new(), Some("ada"), 30), Some("bob"), 50);
    let admission = |tenant, second| breaker.admission_of(tenant, at(second));
    assert_eq!([admission(Some("ada"), 1), admission(Some("bob"), 40)], [refused(30), refused(50)]);
    assert_eq!(
        [admission(Some("ada"), 30), admission(Some("eve"), 1), admission(None, 1)],
        [Admission::Admitted; 3]
    );
    let all = held(breaker, None, 40);
    assert_eq!(all.admission_of(Some("eve"), at(1)), refused(40));
    assert_eq!(all.admission_of(Some("bob"), at(1)), refused(50), "the longer of both");
}

#[test]
fn a_wish_that_is_heeded_already_needs_no_write() {
    let breaker = held(new(), Some("ada"), 30);
    assert!(breaker.heeds(&wish(Some("ada"), 30), at(1)) && breaker.heeds(&wish(Some("ada"), 29), at(1)));
    assert!(breaker.heeds(&wish(None, 1), at(1)), "it has passed");
    assert!(!breaker.heeds(&wish(Some("ada"), 31), at(1)) && !breaker.heeds(&wish(None, 30), at(1)));
    assert!(held(breaker, None, 60).heeds(&wish(Some("bob"), 60), at(1)));
}

#[test]
fn jobs_that_are_held_come_back_on_a_ramp_of_their_own() {
    let breaker = held(held(new(), Some("ada"), 30), Some("bob"), 10);
    let (breaker, ada) = breaker.joined_by(Some("ada"), 4, at(1));
    let (breaker, bob) = breaker.joined_by(Some("bob"), 2, at(2));
    let (breaker, more) = breaker.joined_by(Some("ada"), 1, at(3));
    assert_eq!(
        [seconds(&ada), seconds(&bob), seconds(&more)],
        [vec![30, 31, 31, 32], vec![10, 11], vec![32]]
    );
    assert_eq!((breaker.deferred(at(3)), breaker.deferred(at(12)), breaker.deferred(at(40))), (7, 5, 0));
}

#[test]
fn a_breaker_that_is_open_lets_no_probe_through_before_the_end_of_a_hold() {
    let open = held(opened(&BreakerPolicy::default(), 0), None, 90);
    assert_eq!(
        (open.phase, open.admission(at(60)), open.admission(at(90))),
        (open_until(60), refused(90), Admission::Probe)
    );
    assert_eq!(seconds(&open.joined(1, at(1)).1), [90]);
    let short = held(opened(&BreakerPolicy::default(), 0), None, 20);
    assert_eq!(seconds(&short.joined(1, at(1)).1), [60]);
}

#[test]
fn a_probe_that_meets_a_wish_tells_nothing_and_the_next_comes_after_it() {
    let policy = BreakerPolicy::default();
    let half_open = opened(&policy, 0).probing(7, at(150), at(60));
    let asked = half_open.held(wish(None, 80), at(61)).probed(7, ProbeEnd::Unused, &policy, at(61)).unwrap();
    assert_eq!(
        (asked.openings, asked.admission(at(62)), asked.admission(at(80))),
        (1, refused(80), Admission::Probe)
    );
}

#[test]
fn an_operator_overrules_a_hold() {
    let breaker = held(new(), None, 30);
    assert_eq!(breaker.clone().forced_closed(at(1)).admission(at(2)), Admission::Admitted);
    assert_eq!(breaker.clone().reset(at(1)).admission(at(2)), Admission::Admitted);
    let forced = breaker.forced_open(at(1));
    assert_eq!(
        (forced.phase, forced.admission(at(2))),
        (Phase::Open { probe_at: None }, Admission::Refused(None))
    );
    assert_eq!(seconds(&forced.joined(1, at(2)).1), [0_i64; 0]);
}

#[test]
fn a_thousand_tenants_that_ask_make_no_large_state() {
    let name = |tenant: i64| format!("tenant-{tenant}");
    let breaker = (0..1_000).fold(new(), |breaker, tenant| held(breaker, Some(&name(tenant)), 100 + tenant));
    assert_eq!(breaker.holds.len(), 8);
    assert_eq!(breaker.admission_of(Some("tenant-999"), at(1)), refused(1_099), "the longest are kept");
    assert!(serde_json::to_string(&breaker).unwrap().len() < 1_024);
    let ended = breaker.held(wish(None, 9_000), at(5_000));
    assert_eq!(ended.holds.len(), 1, "those that have ended are gone");
}
