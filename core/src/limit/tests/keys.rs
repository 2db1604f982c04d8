//! Keys, and the errors of invalid settings.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Limit, LimitBy, Rate};
use crate::invalid::Invalid;
use crate::job::{JobDefinition, JobSpec, LimitKey};

fn job(name: &str, payload: &Value) -> JobDefinition {
    let definition =
        json!({ "id": "j", "name": name, "type": "immediate", "payload": payload, "priority": 5 });
    serde_json::from_value(definition).unwrap()
}

/// The job with another spec.
fn with(mut job: JobDefinition, change: impl FnOnce(&mut JobSpec)) -> JobDefinition {
    change(&mut job.spec);
    job
}

fn of_tenant(tenant: &str) -> JobDefinition {
    with(job("send", &json!({})), |spec| spec.tenant = Some(tenant.parse().unwrap()))
}

fn at_once(by: LimitBy) -> Limit {
    Limit::concurrency(by, 5).unwrap()
}

fn by(pointer: &str) -> Limit {
    at_once(LimitBy::Payload(pointer.to_owned()))
}

fn key(limit: &Limit, job: &JobDefinition) -> Option<String> {
    limit.key(job).map(|key| key.as_str().to_owned())
}

#[test]
fn a_key_says_what_is_counted_together() {
    let rate = Limit::rate(LimitBy::Tenant, Rate::new(1, Duration::from_secs(1)).unwrap());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(key(&at_once(LimitBy::Name), &of_tenant("acme")), some("at-once:send"));
    assert_eq!(key(&at_once(LimitBy::Tenant), &of_tenant("acme")), some("at-once:send/tenant=acme"));
    assert_eq!(key(&rate, &of_tenant("acme")), some("rate:send/tenant=acme"));
    assert_eq!(key(&rate, &job("send", &json!({ "tenant": "acme" }))), None, "a job without a tenant");
    let shared = rate.shared("mail").unwrap();
    assert_eq!(key(&shared, &of_tenant("acme")), some("rate:mail/tenant=acme"));
    let elsewhere = with(of_tenant("acme"), |spec| "post".clone_into(&mut spec.name));
    assert_eq!(shared.key(&elsewhere), shared.key(&of_tenant("acme")));
}

#[test]
fn a_place_in_the_payload_is_found_by_its_pointer() {
    let payload =
        json!({ "customer": { "id": 7, "vip": true, "name": "a b" }, "list": [1], "none": null, "a/b": "x" });
    let job = job("send", &payload);
    for (pointer, expected) in [
        ("/customer/id", "at-once:send/payload/customer/id=7"),
        ("customer/id", "at-once:send/payload/customer/id=7"),
        ("/customer/vip", "at-once:send/payload/customer/vip=true"),
        ("/customer/name", "at-once:send/payload/customer/name=a b"),
        ("/list/0", "at-once:send/payload/list/0=1"),
        ("/a~1b", "at-once:send/payload/a~1b=x"),
    ] {
        assert_eq!(key(&by(pointer), &job).as_deref(), Some(expected), "{pointer}");
    }
    let exact = r#"{"wei":12345678901234567890123,"half":"\ud800"}"#;
    let exact = with(job.clone(), |spec| spec.payload = exact.parse().unwrap());
    assert_eq!(key(&by("/wei"), &exact).as_deref(), Some("at-once:send/payload/wei=12345678901234567890123"));
    assert_eq!(key(&by("/half"), &exact).as_deref(), Some(r#"at-once:send/payload/half="\\ud800""#));
    for pointer in ["/customer", "/list", "/none", "/nobody", ""] {
        assert_eq!(by(pointer).key(&job), None, "{pointer}");
    }
    assert_eq!(
        by("").key(&with(job, |spec| spec.payload = json!("all").into())).unwrap().as_str(),
        "at-once:send/payload=all"
    );
}

#[test]
fn a_tenant_and_a_field_of_that_name_are_counted_apart() {
    let job = with(of_tenant("acme"), |spec| spec.payload = json!({ "tenant": "acme" }).into());
    assert_ne!(at_once(LimitBy::Tenant).key(&job), by("/tenant").key(&job));
}

#[test]
fn a_long_value_ends_in_a_hash_of_all_of_it() {
    let of = |value: String| by("/v").key(&job("send", &json!({ "v": value }))).unwrap();
    let (one, other) = (of("🦀".repeat(300)), of("🦀".repeat(301)));
    assert!(one != other && one.as_str().len() <= LimitKey::MAX_LEN && one.as_str().len() > 500);
    assert_eq!(of("x".repeat(5_000)).as_str().len(), LimitKey::MAX_LEN);
    // The key is stored: it must be the same in every release.
    assert!(of("x".repeat(5_000)).as_str().ends_with("xxx#36005372089eb271"), "{}", of("x".repeat(5_000)));
}

fn message<T: std::fmt::Debug>(result: Result<T, Invalid>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_setting_that_cannot_be_is_named_with_what_was_expected() {
    let second = Duration::from_secs(1);
    let rate = || Rate::new(1, second).unwrap();
    let scope = |scope: &str| message(at_once(LimitBy::Name).shared(scope));
    for (message, expected) in [
        (message(Limit::concurrency(LimitBy::Name, 0)), "limit: expected 1 to 1000 jobs at once, got 0"),
        (
            message(Limit::concurrency(LimitBy::Name, 1_001)),
            "limit: expected 1 to 1000 jobs at once, got 1001",
        ),
        (message(Rate::new(0, second)), "rate: expected 1 to 100000 jobs, got 0"),
        (message(Rate::new(100_001, second)), "rate: expected 1 to 100000 jobs, got 100001"),
        (message(Rate::new(1, Duration::ZERO)), "rate: expected a time of 1ms to 86400s, got 0ns"),
        (message(Rate::new(1, second * 86_401)), "rate: expected a time of 1ms to 86400s, got 86401s"),
        (message(rate().burst(0)), "burst: expected 1 to 100000 jobs, got 0"),
        (message(rate().burst(100_001)), "burst: expected 1 to 100000 jobs, got 100001"),
        (scope(""), r#"limit scope: expected 1 to 128 bytes without control characters, got """#),
        (scope("a\tb"), r#"limit scope: expected 1 to 128 bytes without control characters, got "a\tb""#),
        (
            message("a\0".parse::<LimitKey>()),
            r#"limit key: expected 1 to 512 bytes without control characters, got "a\0""#,
        ),
    ] {
        assert_eq!(message, expected);
    }
    let shown = format!("got \"{}\"...", "é".repeat(120));
    assert!(scope(&"é".repeat(200)).ends_with(&format!("{shown} (400 bytes)")));
    assert!(message("é".repeat(300).parse::<LimitKey>()).ends_with(&format!("{shown} (600 bytes)")));
}

#[test]
fn a_rate_lets_as_many_start_at_once_as_in_a_second() {
    let rate = |jobs, millis| Rate::new(jobs, Duration::from_millis(millis)).unwrap();
    assert_eq!(rate(10, 1_000).burst(1).unwrap().most_at_once(), 10);
    assert_eq!(rate(10, 60_000).most_at_once(), 10);
    assert_eq!(rate(10, 60_000).burst(1).unwrap().most_at_once(), 1);
    assert_eq!(rate(3, 1_000).interval().num_nanoseconds(), Some(333_333_334));
    assert_eq!(rate(100_000, 1).most_at_once(), 100_000_000);
}

proptest! {
    #[test]
    fn every_value_has_a_key_and_each_its_own(one: String, other: String, times in 1..200_usize) {
        let of = |value: &str| by("/v").key(&job("send", &json!({ "v": value }))).unwrap();
        for text in [one.as_str(), &one.repeat(times), &format!("\u{0}{one}\u{7f}\u{85}")] {
            let key = of(text);
            prop_assert_eq!(key.as_str().parse::<LimitKey>(), Ok(key.clone()));
        }
        prop_assert_eq!(of(&one) == of(&other), one == other);
        prop_assert_ne!(of(&format!("{one}\n")), of(&format!("{one}\\n")));
    }
}
