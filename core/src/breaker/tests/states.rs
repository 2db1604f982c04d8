//! What opens a breaker, what closes it, and who may call meanwhile.

use chrono::TimeDelta;

use super::super::{
    Admission, Breaker, BreakerConfig, BreakerPolicy, Counts, MAX_RECOVERY, Phase, ProbeEnd, Window,
};
use super::{CLOSED, at, calls, failing, new, open_until, opened, secs};
use crate::invalid::Invalid;
use crate::job::BreakerName;
use crate::versioned::VersionedState;

fn policy() -> BreakerPolicy {
    BreakerPolicy::default()
}

#[test]
fn it_opens_at_the_fifth_failure_and_not_before() {
    let four = failing(new(), 4, &policy(), 1);
    assert_eq!((four.phase, four.admission(at(1))), (CLOSED, Admission::Admitted));
    let five = failing(four, 1, &policy(), 2);
    assert_eq!((five.phase, five.since, five.openings), (open_until(62), at(2), 1));
    assert_eq!(five.admission(at(2)), Admission::Refused(Some(at(62))));
    assert_eq!(five.admission(at(62)), Admission::Probe);
    assert_eq!(five.next_probe_at(), Some(at(62)));
}

/// One to which these calls happened, one after the other, five a second: `f` fails, `s` succeeds.
fn after(calls_in_order: &str) -> Breaker {
    let happened = |breaker: Breaker, (fifth, call)| {
        let now = at(0) + TimeDelta::milliseconds(200) * fifth;
        let mut window = Window::new();
        window.count(now, Counts::one(call == 'f', false), policy().monitoring_period());
        breaker.recorded(&window, &policy(), now)
    };
    (0..).zip(calls_in_order.chars()).fold(new(), happened)
}

fn opens(calls_in_order: &str) -> bool {
    let before = after(&calls_in_order[..calls_in_order.len() - 1]);
    assert_eq!(before.phase, CLOSED, "{calls_in_order}");
    after(calls_in_order).phase != CLOSED
}

#[test]
fn a_dependency_that_mostly_answers_stays_open_to_calls() {
    for rest in ["sssf", "ssf", "sfs", "fssffsssss"] {
        assert_eq!(after(&rest.repeat(50)).phase, CLOSED, "{rest}");
    }
}

#[test]
fn half_of_the_calls_open_it_and_among_few_calls_a_clear_majority() {
    assert!(opens(&"sf".repeat(25)), "half of 50");
    assert!(!opens(&("sf".repeat(24) + "s")));
    assert!(opens(&("sff".repeat(8) + "sfff")), "19 of 28: ten more than successes");
    assert!(!opens(&"sff".repeat(9)), "18 of 27");
}

#[test]
fn a_majority_counts_only_after_the_workers_have_told_their_successes() {
    let mut window = Window::new();
    window.count(at(1), Counts { calls: 60, failures: 40, slow: 0 }, policy().monitoring_period());
    let breaker = new().recorded(&window, &policy(), at(1));
    assert_eq!(breaker.phase, CLOSED);
    assert_eq!(failing(breaker.clone(), 1, &policy(), 3).phase, CLOSED);
    assert_eq!(failing(breaker, 1, &policy(), 4).phase, open_until(64));
}

#[test]
fn five_in_a_row_open_it_whatever_it_was_before_and_ten_if_it_was_not_well() {
    let well = "s".repeat(1_000);
    assert!(opens(&(well.clone() + "fffff")));
    assert!(!opens(&(well + "ffffsffff")), "an answer between");
    let unwell = "sssf".repeat(50) + "s";
    assert!(!opens(&(unwell.clone() + "fffffffff")), "a quarter fails anyhow");
    assert!(opens(&(unwell + "ffffffffff")));
}

#[test]
fn failures_in_a_row_go_on_from_one_write_to_the_next() {
    let policy = policy();
    let write = |breaker: Breaker, text: &str| {
        let mut window = Window::new();
        for call in text.chars() {
            window.count(at(1), Counts::one(call == 'f', false), policy.monitoring_period());
        }
        breaker.recorded(&window, &policy, at(1))
    };
    let run = |breaker: &Breaker| breaker.window.failures_in_a_row(at(1), secs(300));
    let three = ["ssssssssssf", "ff"].into_iter().fold(new(), write);
    assert_eq!(run(&three), 3);
    assert_eq!(run(&write(three.clone(), "sf")), 1);
    assert_eq!(run(&write(three.clone(), "s")), 0);
    let text = serde_json::to_string(&three).unwrap();
    assert_eq!(serde_json::from_str::<Breaker>(&text).unwrap(), three);
    assert_eq!(write(three, "ff").phase, open_until(61));
}

#[test]
fn failures_count_for_as_long_as_the_window_is() {
    let spaced = |seconds: i64| (0..5).fold(new(), |one, time| failing(one, 1, &policy(), time * seconds));
    assert_eq!(spaced(70).phase, open_until(340));
    assert_eq!(spaced(74).phase.as_str(), "open", "296 s");
    assert_eq!(spaced(75).phase, CLOSED, "300 s: the first has left");
    assert_eq!(spaced(75).window.total(at(300), secs(300)).failures, 4);
}

#[test]
fn a_share_of_failures_opens_it_once_there_are_enough_calls() {
    let policy = policy().failure_rate(50, 20).unwrap();
    let after = |all, failed| new().recorded(&calls(1, all, failed, 0), &policy, at(1)).phase;
    assert_eq!([after(19, 19), after(21, 10), after(20, 9)], [CLOSED; 3]);
    assert_eq!([after(20, 10), after(40, 20)], [open_until(61); 2]);
    let healthy = policy.failure_rate(1, 1).unwrap();
    assert_eq!(new().recorded(&calls(1, 50, 0, 0), &healthy, at(1)).phase, CLOSED, "no failure at all");
}

#[test]
fn a_share_of_slow_calls_opens_it_too() {
    let policy = policy().failure_rate(100, 1_000).unwrap().slow_calls(secs(10), 80, 10).unwrap();
    let after = |all, slow| new().recorded(&calls(1, all, 0, slow), &policy, at(1)).phase;
    assert_eq!([after(9, 9), after(10, 7)], [CLOSED; 2]);
    assert_eq!(after(10, 8), open_until(61));
    assert!(!policy.is_slow(secs(10)) && policy.is_slow(secs(10) + std::time::Duration::from_nanos(1)));
    assert!(policy.opens_by_share() && !BreakerPolicy::default().opens_by_share());
    assert!(!BreakerPolicy::default().is_slow(secs(900)));
}

#[test]
fn expected_errors_are_told_by_a_part_of_their_text() {
    let policy = policy().expecting(["NotFound", "422"]).unwrap();
    assert!(policy.is_expected("HTTP 422: no") && policy.is_expected("UserNotFound"));
    assert!(!policy.is_expected("notfound") && !policy.is_expected("") && !policy.is_expected("HTTP 500"));
}

#[test]
fn it_stays_open_longer_each_time_up_to_the_longest_and_briefly_after_a_quiet_window() {
    let policy = policy().recovery(secs(30)).unwrap().growing(2, secs(100)).unwrap();
    let mut breaker = opened(&policy, 0);
    let (mut now, mut waits) = (0, Vec::new());
    for probe in 0..4 {
        let wait = (breaker.next_probe_at().unwrap() - at(now)).num_seconds();
        now += wait;
        waits.push(wait);
        breaker = breaker.probing(probe, at(now + 90), at(now));
        breaker = breaker.probed(probe, ProbeEnd::Failed, &policy, at(now)).unwrap();
    }
    assert_eq!(waits, [30, 60, 100, 100]);
    now += 100;
    breaker = breaker.probing(9, at(now + 90), at(now));
    let closed = breaker.probed(9, ProbeEnd::Succeeded, &policy, at(now)).unwrap();
    let soon = failing(closed.clone(), 5, &policy, now + 299);
    assert_eq!((soon.phase, soon.openings), (open_until(now + 399), 6));
    let late = failing(closed, 5, &policy, now + 300);
    assert_eq!((late.phase, late.openings), (open_until(now + 330), 1));
    assert_eq!((policy.recovery_after(0), policy.recovery_after(u32::MAX)), (secs(30), secs(100)));
}

#[test]
fn a_probe_that_succeeds_closes_it_and_forgets_the_failures() {
    let half_open = opened(&policy(), 0).probing(7, at(90), at(60));
    assert_eq!(half_open.phase, Phase::HalfOpen { probe: 7, lease_until: at(90) });
    assert_eq!(half_open.admission(at(60)), Admission::Refused(Some(at(90))));
    let closed = half_open.probed(7, ProbeEnd::Succeeded, &policy(), at(62)).unwrap();
    assert_eq!((closed.phase, closed.since, closed.next_probe_at()), (CLOSED, at(62), None));
    assert!(closed.window.is_empty());
    assert_eq!(failing(closed, 4, &policy(), 63).phase, CLOSED, "it counts from nothing");
}

#[test]
fn a_probe_that_fails_opens_it_anew_and_with_it_the_line() {
    let (waiting, _) = opened(&policy(), 0).joined(10, at(1));
    let half_open = waiting.probing(7, at(90), at(60));
    let open = half_open.probed(7, ProbeEnd::Failed, &policy(), at(61)).unwrap();
    assert_eq!((open.phase, open.since, open.openings), (open_until(121), at(61), 2));
    let (_, places) = open.joined(2, at(62));
    assert_eq!(places, [at(121), at(122)]);
}

#[test]
fn an_unused_probe_is_given_back_at_once() {
    let half_open = opened(&policy(), 0).probing(7, at(90), at(60));
    let open = half_open.probed(7, ProbeEnd::Unused, &policy(), at(61)).unwrap();
    assert_eq!((open.phase, open.openings), (open_until(61), 1));
    assert_eq!(open.admission(at(61)), Admission::Probe);
}

#[test]
fn the_lease_of_a_crashed_prober_runs_out_and_what_he_says_later_changes_nothing() {
    let crashed = opened(&policy(), 0).probing(7, at(90), at(60));
    assert_eq!(crashed.admission(at(89)), Admission::Refused(Some(at(90))));
    assert_eq!(crashed.admission(at(90)), Admission::Probe);
    let next = crashed.probing(8, at(180), at(90));
    assert_eq!(next.since, at(60), "half-open all the while");
    for end in [ProbeEnd::Succeeded, ProbeEnd::Failed, ProbeEnd::Unused] {
        assert_eq!(next.clone().probed(7, end, &policy(), at(91)), None, "{end:?}");
        assert_eq!(opened(&policy(), 0).probed(7, end, &policy(), at(91)), None, "{end:?} of an open one");
        assert_eq!(new().probed(0, end, &policy(), at(91)), None, "{end:?} of a closed one");
    }
    assert!(next.probed(8, ProbeEnd::Succeeded, &policy(), at(91)).is_some());
}

#[test]
fn late_outcomes_of_calls_begun_before_it_opened_change_nothing_but_the_counts() {
    let open = opened(&policy(), 0);
    let half_open = open.clone().probing(7, at(90), at(60));
    for breaker in [open, half_open] {
        let late = failing(breaker.clone(), 50, &policy(), 61);
        assert_eq!((late.phase, late.since, late.openings), (breaker.phase, breaker.since, breaker.openings));
        assert_eq!(late.ramp, breaker.ramp);
    }
}

#[test]
fn failures_from_before_it_closed_again_do_not_open_it_when_they_are_written_late() {
    let half_open = opened(&policy(), 0).probing(7, at(90), at(60));
    let closed = half_open.probed(7, ProbeEnd::Succeeded, &policy(), at(62)).unwrap();
    let late = closed.clone().recorded(&calls(61, 50, 50, 0), &policy(), at(63));
    assert_eq!((late.phase, late.window.is_empty()), (CLOSED, true));
    let new = closed.recorded(&calls(62, 50, 50, 0), &policy(), at(63));
    assert_eq!(new.phase.as_str(), "open");
    let first = Breaker::new("mail".parse().unwrap(), at(10)).recorded(&calls(9, 5, 5, 0), &policy(), at(10));
    assert_eq!(first.phase.as_str(), "open", "one that never opened counts what was before it was written");
}

#[test]
fn an_operator_opens_closes_and_resets_it() {
    let forced = new().forced_open(at(5));
    assert_eq!((forced.phase, forced.since), (Phase::Open { probe_at: None }, at(5)));
    assert_eq!(forced.admission(at(1_000_000)), Admission::Refused(None));
    assert_eq!((forced.next_probe_at(), forced.is_forced()), (None, true));
    assert_eq!(failing(forced.clone(), 50, &policy(), 6).phase, forced.phase);

    let (same, places) = forced.clone().joined(3, at(6));
    assert_eq!((same, places), (forced.clone(), Vec::new()), "nobody knows when");

    let closed = forced.forced_closed(at(7));
    assert_eq!((closed.phase, closed.since), (Phase::Closed { forced: true }, at(7)));
    let failing = failing(closed, 50, &policy(), 8);
    assert_eq!((failing.admission(at(8)), failing.is_forced()), (Admission::Admitted, true));

    let (waiting, _) = opened(&policy(), 0).joined(10, at(1));
    let reset = Breaker { openings: 4, ..waiting.clone() }.reset(at(9));
    let expected = Breaker {
        revision: waiting.revision + 1,
        ramp: waiting.ramp,
        ..Breaker::new(reset.name.clone(), at(9))
    };
    assert_eq!(reset, expected, "a waiting job keeps its instant");
}

#[test]
fn an_operator_interrupts_a_probe() {
    let half_open = opened(&policy(), 0).probing(7, at(90), at(60));
    for forced in [half_open.clone().forced_open(at(61)), half_open.forced_closed(at(61))] {
        assert_eq!(forced.probed(7, ProbeEnd::Succeeded, &policy(), at(62)), None);
    }
}

#[test]
fn it_is_remembered_for_15_days_after_it_was_written_and_a_forced_one_for_ever() {
    let breaker = opened(&policy(), 100);
    assert_eq!((breaker.written_at, breaker.expires_at()), (at(100), Some(at(100) + TimeDelta::days(15))));
    assert_eq!(breaker.clone().forced_open(at(1)).expires_at(), None);
    assert_eq!(breaker.clone().forced_closed(at(1)).expires_at(), None);
    assert!(breaker.forced_open(at(1)).reset(at(2)).expires_at().is_some());
}

#[test]
fn its_json_says_where_it_stands() {
    let breaker = opened(&policy(), 0).probing(7, at(90), at(60));
    let json = serde_json::to_value(&breaker).unwrap();
    let expected = serde_json::json!({
        "name": "mail", "revision": 2, "writer": 0,
        "phase": { "state": "half_open", "probe": 7, "leaseUntil": "2024-10-04T00:01:30Z" },
        "since": "2024-10-04T00:01:00Z", "openings": 1, "window": "m1tyl1c0.rs.rs ~rs.m1tyl1c0.0",
        "line": { "from": "2024-10-04T00:01:00Z", "given": 0 }, "writtenAt": "2024-10-04T00:01:00Z",
    });
    assert_eq!(json, expected);
    let phase = |breaker: Breaker| serde_json::to_value(breaker).unwrap()["phase"].clone();
    assert_eq!(phase(new()), serde_json::json!({ "state": "closed", "forced": false }));
    assert_eq!(phase(new().forced_open(at(1))), serde_json::json!({ "state": "open", "probeAt": null }));
}

#[test]
fn a_number_that_cannot_grow_does_not_end_the_process() {
    let most = Breaker { revision: u64::MAX, openings: u32::MAX, ..new() };
    let open = Breaker { openings: u32::MAX, ..failing(most, 5, &policy(), 1) };
    let half_open = open.probing(7, at(90), at(60));
    let again = half_open.probed(7, ProbeEnd::Failed, &policy(), at(61)).unwrap();
    assert_eq!((again.revision, again.openings), (u64::MAX, u32::MAX));
}

fn message<T: std::fmt::Debug>(result: Result<T, Invalid>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_setting_that_cannot_be_is_named_with_what_was_expected() {
    let (long, many) = ("x".repeat(201), vec!["x"; 51]);
    for (message, expected) in [
        (message(policy().failure_count(0)), "failure threshold: expected 1 to 1000, got 0"),
        (message(policy().failure_count(1_001)), "failure threshold: expected 1 to 1000, got 1001"),
        (message(policy().failure_rate(0, 1)), "failure rate: expected 1 to 100 percent, got 0 percent"),
        (message(policy().failure_rate(101, 1)), "failure rate: expected 1 to 100 percent, got 101 percent"),
        (
            message(policy().failure_rate(50, 0)),
            "failure rate: expected a minimum of 1 to 1000 calls, got 0 calls",
        ),
        (
            message(policy().slow_calls(secs(1), 50, 1_001)),
            "slow call rate: expected a minimum of 1 to 1000 calls, got 1001 calls",
        ),
        (message(policy().slow_calls(secs(0), 50, 1)), "slow call: expected 1ms to 900s, got 0ns"),
        (message(policy().slow_calls(secs(901), 50, 1)), "slow call: expected 1ms to 900s, got 901s"),
        (message(policy().window(secs(0))), "monitoring period: expected 1s to 86400s, got 0ns"),
        (message(policy().recovery(secs(601))), "recovery timeout: expected 1s to 600s, got 601s"),
        (message(policy().growing(0, secs(60))), "recovery growth: expected 1 to 10, got 0"),
        (message(policy().growing(11, secs(60))), "recovery growth: expected 1 to 10, got 11"),
        (message(policy().growing(2, secs(59))), "longest recovery timeout: expected 60s to 600s, got 59s"),
        (message(policy().expecting(many)), "expected errors: expected at most 50 texts, got 51 texts"),
        (message(policy().expecting([""])), "expected errors: expected texts of 1 to 200 bytes, got 0 bytes"),
        (
            message(policy().expecting([long.as_str()])),
            "expected errors: expected texts of 1 to 200 bytes, got 201 bytes",
        ),
    ] {
        assert_eq!(message, expected);
    }
    assert_eq!(policy().recovery(MAX_RECOVERY).unwrap().recovery_after(1), MAX_RECOVERY);
}

#[test]
fn the_seeds_configuration_is_checked_as_a_policy_is() {
    assert_eq!(BreakerPolicy::try_from(BreakerConfig::default()), Ok(policy()));
    let config = |json: &str| serde_json::from_str::<BreakerConfig>(json).unwrap();
    for (json, expected) in [
        (r#"{"failureThreshold":0}"#, "failure threshold: expected 1 to 1000, got 0"),
        (r#"{"recoveryTimeout":999}"#, "recovery timeout: expected 1s to 600s, got 999ms"),
        (r#"{"monitoringPeriod":86400001}"#, "monitoring period: expected 1s to 86400s, got 86400.001s"),
        (r#"{"expectedErrors":[""]}"#, "expected errors: expected texts of 1 to 200 bytes, got 0 bytes"),
    ] {
        assert_eq!(message(BreakerPolicy::try_from(config(json))), expected);
    }
    let all = config(
        r#"{"failureThreshold":2,"recoveryTimeout":1000,"monitoringPeriod":2000,"expectedErrors":["x"]}"#,
    );
    let expected = policy().failure_count(2).unwrap().recovery(secs(1)).unwrap().window(secs(2)).unwrap();
    assert_eq!(BreakerPolicy::try_from(all), expected.expecting(["x"]));
}

#[test]
fn a_name_is_visible_ascii() {
    let parse = |text: &str| text.parse::<BreakerName>();
    assert!(parse("~!/#=webhook-example.com").is_ok() && parse(&"x".repeat(200)).is_ok());
    for (wrong, shown) in [
        (String::new(), r#""""#.to_owned()),
        ("a b".to_owned(), r#""a b""#.to_owned()),
        ("é".to_owned(), r#""é""#.to_owned()),
        ("a\n".to_owned(), r#""a\n""#.to_owned()),
        ("x".repeat(201), format!("\"{}\"... (201 bytes)", "x".repeat(120))),
    ] {
        let expected =
            format!("breaker: expected 1 to 200 visible ASCII characters without spaces, got {shown}");
        assert_eq!(message(parse(&wrong)), expected);
        let json = serde_json::to_string(&wrong).unwrap();
        assert_eq!(serde_json::from_str::<BreakerName>(&json).unwrap_err().to_string(), expected);
    }
}
