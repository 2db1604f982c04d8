use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::*;
use crate::breaker::{BreakerPolicy, Counts, ProbeEnd, Window, Wish};
use crate::job::{Blocker, Claim, ClaimId, JobDefinition, Queue};
use crate::limit::{LimitRequest, Quota};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn record(due_in: i64) -> JobRecord {
    let definition = JobDefinition::new("job-1".parse().unwrap(), "n");
    JobRecord::accepted(definition, Queue::Normal, at(0), at(due_in))
}

fn claimed(alone: bool, lease: i64) -> JobRecord {
    let claim = Claim { id: ClaimId::from("c".to_owned()), lease_until: at(lease), alone };
    record(0).claimed(claim, at(0))
}

fn deferred(by: &str, due_in: i64) -> JobRecord {
    record(0).deferred(at(due_in), by.parse().unwrap(), at(0))
}

fn breaker(name: &str) -> Breaker {
    Breaker::new(name.parse().unwrap(), at(0))
}

fn open(name: &str) -> Breaker {
    let policy = BreakerPolicy::default().failure_count(1).unwrap();
    let mut calls = Window::new();
    calls.count(at(0), Counts::one(true, false), policy.monitoring_period());
    breaker(name).recorded(&calls, &policy, at(0))
}

fn half_open(name: &str, since: i64, lease: i64) -> Breaker {
    open(name).probing(7, at(lease), at(since))
}

/// The explanation of a record at an instant, as JSON.
fn said(record: &JobRecord, control: &Control, breakers: &[Breaker], now: i64) -> (String, String, Value) {
    let explanation = explain(Some(record), control, breakers, &[], at(now));
    told(&explanation)
}

fn told(explanation: &Explanation) -> (String, String, Value) {
    let json = serde_json::to_value(explanation).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 3, "all fields are always there: {json}");
    let text = |field: &str| json[field].as_str().unwrap().to_owned();
    (text("reason"), text("detail"), json["nextEligibleAt"].clone())
}

fn alone(record: &JobRecord, now: i64) -> (String, String, Value) {
    said(record, &Control::default(), &[], now)
}

fn expect(said: &(String, String, Value), reason: &str, detail: &str, next: Option<&str>) {
    let expected = (reason.to_owned(), detail.to_owned(), json!(next));
    assert_eq!(*said, expected);
}

/// Reason and instant, in seconds, where the words don't matter.
fn short(record: &JobRecord, breakers: &[Breaker], now: i64) -> (Reason, Option<i64>) {
    let explanation = explain(Some(record), &Control::default(), breakers, &[], at(now));
    (explanation.reason, explanation.next_eligible_at.map(|next| (next - at(0)).num_seconds()))
}

#[test]
fn every_reason_is_written_as_it_is_shown() {
    let all = [
        Reason::Paused,
        Reason::Breaker,
        Reason::Limit,
        Reason::Delayed,
        Reason::Leased,
        Reason::Duplicate,
        Reason::Cancelled,
        Reason::Exhausted,
        Reason::Unknown,
        Reason::Ready,
        Reason::Completed,
    ];
    for reason in all {
        assert_eq!(serde_json::to_value(reason).unwrap(), json!(reason.to_string()));
    }
}

#[test]
fn a_job_without_a_record_is_unknown() {
    let detail = "there is no record of this job; a bare message gets one when a worker receives it";
    expect(&told(&explain(None, &Control::default(), &[], &[], at(0))), "unknown", detail, None);
}

#[test]
fn what_has_ended_never_starts_and_says_how_it_ended() {
    let took = Duration::ZERO;
    let completed = claimed(true, 95).completed(json!(1), at(3), took);
    expect(&alone(&completed, 9), "completed", "it completed at 1970-01-01T00:00:03Z, at attempt 1", None);
    let cancelled = record(0).cancelled("cancelled by an operator", at(3));
    expect(&alone(&cancelled, 9), "cancelled", "cancelled by an operator", None);
    let duplicate = record(0).cancelled("duplicate of job-0", at(3));
    let detail = "job job-0 held its unique key, so this job is a duplicate of it";
    expect(&alone(&duplicate, 9), "duplicate", detail, None);
}

#[test]
fn a_failed_job_says_how_often_it_was_tried_and_what_can_still_be_done() {
    let took = Some(Duration::ZERO);
    let once = claimed(true, 95).failed("no use".to_owned(), at(3), took);
    expect(&alone(&once, 9), "exhausted", "its only attempt failed: no use", None);
    let twice = record(0).retrying("early".to_owned(), at(1), took).failed("late".to_owned(), at(3), took);
    expect(&alone(&twice, 9), "exhausted", "all 2 attempts failed: late", None);
    let detail = "all 2 attempts failed; a cleanup removed its payload, so it can't be retried";
    expect(&alone(&twice.trimmed(), 9), "exhausted", detail, None);
    let letter = record(0).dead_lettered("name: no handler".to_owned(), at(3));
    let detail = "its message is in the dead-letter queue of queue normal: name: no handler";
    expect(&alone(&letter, 9), "exhausted", detail, None);
}

#[test]
fn a_running_job_can_be_taken_over_when_its_lease_ends_and_not_before() {
    let begins = "a worker runs attempt 1 since 1970-01-01T00:00:00Z; if it dies,";
    let alone_then =
        format!("{begins} the attempt counts as failed when its lease ends at 1970-01-01T00:01:35Z");
    let running = claimed(true, 95);
    expect(&alone(&running, 94), "leased", &alone_then, Some("1970-01-01T00:01:35Z"));
    let then = format!("{begins} another may take it over when its lease ends at 1970-01-01T00:01:35Z");
    let running = claimed(false, 95);
    expect(&alone(&running, 94), "leased", &then, Some("1970-01-01T00:01:35Z"));
    let detail = "its worker's lease ended at 1970-01-01T00:01:35Z without a result, so its message comes back; it \
         then runs alone, once a batch has time for it";
    expect(&alone(&running, 95), "ready", detail, Some("1970-01-01T00:01:35Z"));
}

#[test]
fn a_job_that_was_cancelled_while_it_ran_never_starts_again() {
    let running = claimed(false, 95).cancel_requested();
    let detail = "a worker runs attempt 1 since 1970-01-01T00:00:00Z; somebody cancelled the job, so there is no \
                  further attempt";
    expect(&alone(&running, 94), "leased", detail, None);
    let detail = "somebody cancelled it while it ran; its record changes when its message comes back";
    expect(&alone(&running, 95), "cancelled", detail, None);
    let too_late = running.retrying("down".to_owned(), at(5), None);
    expect(&alone(&too_late, 1), "cancelled", detail, None);
}

#[test]
fn a_pause_comes_before_everything_else_and_nobody_knows_its_end() {
    let control = Control::default().pause(Some(Queue::Normal), "deploy".parse().ok(), at(1));
    let detail = "queue normal is paused since 1970-01-01T00:00:01Z: deploy";
    let kept = deferred("breaker:mail", 2);
    expect(&said(&kept, &control, &[open("mail")], 2), "paused", detail, None);
    let detail =
        "queue normal is paused since 1970-01-01T00:00:01Z: deploy; it is due at 1970-01-01T00:01:00Z";
    expect(&said(&record(60), &control, &[], 2), "paused", detail, None);
    let disabled = Control::default().noting(false, at(1));
    let detail = "jobs are disabled since 1970-01-01T00:00:01Z: ENABLE_JOBS is false";
    expect(&said(&record(0), &disabled, &[], 2), "paused", detail, None);
    let other = Control::default().pause(Some(Queue::High), None, at(1));
    assert_eq!(said(&record(0), &other, &[], 2).0, "ready");
    assert_eq!(said(&claimed(true, 95), &control, &[], 2).0, "leased", "it runs all the same");
    assert_eq!(said(&claimed(true, 95), &control, &[], 95).0, "paused");
}

#[test]
fn a_job_waits_for_its_place_behind_an_open_breaker_or_for_a_later_probe() {
    let first = deferred("breaker:mail", 60);
    let detail =
        "breaker mail is open since 1970-01-01T00:00:00Z, and lets a probe through at 1970-01-01T00:01:00Z";
    let probe_at = Some("1970-01-01T00:01:00Z");
    expect(
        &said(&deferred("breaker:mail", 5), &Control::default(), &[open("mail")], 1),
        "breaker",
        detail,
        probe_at,
    );
    let detail = "it waits for its turn at 1970-01-01T00:01:00Z behind breaker mail, which is open";
    expect(&said(&first, &Control::default(), &[open("mail")], 1), "breaker", detail, probe_at);
    assert_eq!(short(&deferred("breaker:mail", 63), &[open("mail")], 1), (Reason::Breaker, Some(63)));
    assert_eq!(short(&first, &[open("mail")], 60), (Reason::Ready, Some(60)), "it may be the probe");
    let again =
        half_open("mail", 60, 150).probed(7, ProbeEnd::Failed, &BreakerPolicy::default(), at(62)).unwrap();
    assert_eq!(short(&deferred("breaker:mail", 63), &[again], 62), (Reason::Breaker, Some(122)));
}

#[test]
fn a_dependency_that_asked_for_no_calls_holds_its_jobs_until_then() {
    let hold = |tenant: Option<&str>, until| {
        let wish = Wish { tenant: tenant.map(ToOwned::to_owned), until: at(until) };
        breaker("mail").held(wish, at(0))
    };
    let detail =
        "breaker mail lets no call through until 1970-01-01T00:00:30Z: its dependency asked for that";
    let answer = said(&record(0), &Control::default(), &[hold(None, 30)], 1);
    expect(&answer, "breaker", detail, Some("1970-01-01T00:00:30Z"));
    let turn = said(&deferred("breaker:mail", 31), &Control::default(), &[hold(None, 30)], 1);
    let detail = "it waits for its turn at 1970-01-01T00:00:31Z behind breaker mail, which is closed, and lets no call \
                  through until 1970-01-01T00:00:30Z: its dependency asked for that";
    expect(&turn, "breaker", detail, Some("1970-01-01T00:00:31Z"));
    let mut ada = record(0);
    ada.definition.spec.tenant = Some("ada".to_owned());
    let detail =
        "breaker mail lets no call of ada through until 1970-01-01T00:00:30Z: its dependency asked for that";
    let answer = said(&ada, &Control::default(), &[hold(Some("ada"), 30)], 1);
    expect(&answer, "breaker", detail, Some("1970-01-01T00:00:30Z"));
    assert_eq!(short(&ada, &[hold(Some("bob"), 30)], 1), (Reason::Ready, Some(1)), "another tenant's");
    assert_eq!(short(&ada, &[hold(None, 30)], 30), (Reason::Ready, Some(30)));
    assert_eq!(short(&ada, &[hold(None, 30).forced_closed(at(0))], 1), (Reason::Ready, Some(1)));
}

#[test]
fn a_breaker_that_the_job_declares_keeps_it_only_beyond_its_own_instant() {
    assert_eq!(short(&record(0), &[open("mail")], 1), (Reason::Breaker, Some(60)));
    assert_eq!(short(&record(59), &[open("mail")], 1), (Reason::Breaker, Some(60)));
    assert_eq!(short(&record(60), &[open("mail")], 1), (Reason::Delayed, Some(60)));
    let lapsed = claimed(true, 30);
    assert_eq!(short(&lapsed, &[open("mail")], 30), (Reason::Breaker, Some(60)));
    let later = half_open("card", 60, 200);
    assert_eq!(short(&record(0), &[later, open("mail")], 10), (Reason::Breaker, Some(200)), "the longest");
}

#[test]
fn a_probe_under_way_keeps_what_is_due_until_its_lease_ends_and_the_others_to_their_turn() {
    let probing = [half_open("mail", 60, 150)];
    let detail = "breaker mail is half-open since 1970-01-01T00:01:00Z: one job probes; the others follow if \
                  that succeeds, and another may probe at 1970-01-01T00:02:30Z";
    let due = said(&deferred("breaker:mail", 60), &Control::default(), &probing, 61);
    expect(&due, "breaker", detail, Some("1970-01-01T00:02:30Z"));
    let detail = "it waits for its turn at 1970-01-01T00:01:02Z behind breaker mail, which is half-open";
    let next = said(&deferred("breaker:mail", 62), &Control::default(), &probing, 61);
    expect(&next, "breaker", detail, Some("1970-01-01T00:01:02Z"));
    assert_eq!(short(&deferred("breaker:mail", 60), &probing, 150), (Reason::Ready, Some(150)));
}

#[test]
fn a_breaker_that_has_closed_keeps_nobody_beyond_his_turn() {
    let closed =
        half_open("mail", 60, 150).probed(7, ProbeEnd::Succeeded, &BreakerPolicy::default(), at(61)).unwrap();
    for breakers in [vec![closed], vec![breaker("mail").forced_closed(at(0))], Vec::new()] {
        assert_eq!(short(&deferred("breaker:mail", 62), &breakers, 61), (Reason::Breaker, Some(62)));
        assert_eq!(short(&deferred("breaker:mail", 62), &breakers, 62), (Reason::Ready, Some(62)));
        assert_eq!(short(&record(0), &breakers, 62), (Reason::Ready, Some(62)));
    }
    let forgotten = TimeDelta::days(16).num_seconds();
    assert_eq!(short(&record(0), &[half_open("mail", 60, 2_000_000)], forgotten).0, Reason::Ready);
}

#[test]
fn nobody_knows_when_an_operator_lets_a_breaker_go() {
    let kept = [breaker("mail").forced_open(at(1)), half_open("card", 60, 200)];
    let detail =
        "an operator keeps breaker mail open since 1970-01-01T00:00:01Z, until somebody closes or resets it";
    for job in [record(0), record(60), deferred("breaker:mail", 6)] {
        expect(&said(&job, &Control::default(), &kept, 2), "breaker", detail, None);
    }
}

#[test]
fn a_job_over_a_limit_waits_for_its_turn() {
    let job = deferred("limit:at-once:n", 4);
    let detail = "it waits for its turn at 1970-01-01T00:00:04Z under limit at-once:n";
    expect(&alone(&job, 3), "limit", detail, Some("1970-01-01T00:00:04Z"));
    let Some(Blocker::Limit(key)) = job.blocked.clone() else { panic!("a limit") };
    let wanted = LimitRequest { returning: 0, fresh: 3, holder: 1, lease_until: at(95) };
    let (limit, _) = LimitState::new(key, at(0)).acquired(Quota::Concurrency(2), &wanted, at(0));
    let explain_at =
        |now| told(&explain(Some(&job), &Control::default(), &[], std::slice::from_ref(&limit), at(now)));
    let detail =
        "it waits for its turn at 1970-01-01T00:00:04Z under limit at-once:n, of which 2 jobs hold leases";
    expect(&explain_at(3), "limit", detail, Some("1970-01-01T00:00:04Z"));
    assert_eq!(explain_at(4).0, "ready");
}

#[test]
fn a_job_that_is_not_due_says_what_it_waits_for() {
    expect(
        &alone(&record(5), 4),
        "delayed",
        "it is due at 1970-01-01T00:00:05Z",
        Some("1970-01-01T00:00:05Z"),
    );
    let retrying = claimed(true, 95).retrying("it timed out".to_owned(), at(5), None);
    let detail = "it is due at 1970-01-01T00:00:05Z; attempt 1 failed: it timed out";
    expect(&alone(&retrying, 4), "delayed", detail, Some("1970-01-01T00:00:05Z"));
    let snoozed = claimed(true, 95).snoozed(at(5), "no report yet");
    let detail =
        "it is due at 1970-01-01T00:00:05Z; its note says: snoozed until 1970-01-01T00:00:05Z: no report yet";
    expect(&alone(&snoozed, 4), "delayed", detail, Some("1970-01-01T00:00:05Z"));
}

#[test]
fn what_is_due_is_ready_at_the_instant_and_not_a_millisecond_before() {
    let now = at(5) - TimeDelta::milliseconds(1);
    assert_eq!(explain(Some(&record(5)), &Control::default(), &[], &[], now).reason, Reason::Delayed);
    let detail =
        "nothing has held it up since 1970-01-01T00:00:05Z: its message is in the queue, or on its way back";
    expect(&alone(&record(5), 6), "ready", detail, Some("1970-01-01T00:00:06Z"));
    let detail = "nothing has held it up since 1970-01-01T00:00:05Z: its message is about to be sent";
    expect(&alone(&record(5).parked(), 6), "ready", detail, Some("1970-01-01T00:00:06Z"));
}

#[test]
fn a_detail_is_one_short_line_whatever_the_error_says() {
    let hostile = "down\n\u{1b}[2J".repeat(10_000);
    for job in [
        record(0).failed(hostile.clone(), at(1), None),
        record(0).retrying(hostile.clone(), at(9), None),
        record(0).cancelled(hostile.clone(), at(1)),
        record(0).cancelled(format!("duplicate of {hostile}"), at(1)),
        claimed(true, 95).snoozed(at(9), &hostile),
        deferred(&format!("limit:{}", "k".repeat(512)), 9),
        deferred(&format!("breaker:{}", "b".repeat(200)), 9),
    ] {
        let (_, detail, _) = alone(&job, 2);
        assert!(detail.len() < 400 && !detail.chars().any(char::is_control), "{detail}");
    }
}
