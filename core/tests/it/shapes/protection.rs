//! Breakers and limits as JSON: stored, shown and reported.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::breaker::{Breaker, BreakerConfig, BreakerPolicy, Counts, Window, Wish};
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::ports::{EventKind, JobEvent, VersionedStore};
use serde_json::{Value, json};

use super::{Shapes, now};
use crate::world::World;

fn policy() -> BreakerPolicy {
    BreakerPolicy::default().failure_count(2).unwrap()
}

fn calls() -> Window {
    let mut window = Window::new();
    window.count(now(), Counts { calls: 40, failures: 3, slow: 1 }, policy().monitoring_period());
    window.count(
        now() + TimeDelta::minutes(1),
        Counts { calls: 7, failures: 0, slow: 0 },
        policy().monitoring_period(),
    );
    window
}

fn closed() -> Breaker {
    Breaker { writer: u64::MAX, ..Breaker::new("mail".parse().unwrap(), now()) }
}

/// A breaker that two failures in a row opened.
pub(super) fn open() -> Breaker {
    let mut failures = Window::new();
    let at = now() + TimeDelta::minutes(2);
    failures.count(at, Counts { calls: 2, failures: 2, slow: 0 }, policy().monitoring_period());
    closed().recorded(&calls(), &policy(), now()).recorded(&failures, &policy(), now())
}

/// A breaker whose dependency asked for no calls: of one tenant, and of all.
fn held() -> Breaker {
    let wish = |tenant: Option<&str>, seconds| Wish {
        tenant: tenant.map(ToOwned::to_owned),
        until: now() + TimeDelta::seconds(seconds),
    };
    closed().held(wish(Some("billing"), 30), now()).held(wish(None, 10), now()).joined(3, now()).0
}

/// A breaker that lets a probe through.
pub(super) fn half_open() -> Breaker {
    open().probing(7, now() + TimeDelta::seconds(95), now())
}

/// A breaker as an older release wrote it, with these additional fields.
fn stored_breaker(fields: &Value) -> Value {
    let mut json = json!({
        "name": "mail",
        "revision": 7,
        "writer": u64::MAX,
        "phase": { "state": "closed", "forced": false },
        "since": "2026-11-23T08:00:00Z",
        "openings": 0,
        "window": "",
        "line": { "from": "2026-11-23T08:00:00Z", "given": 0 },
        "writtenAt": "2026-11-23T08:00:00Z",
    });
    json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json
}

/// A breaker with a bulkhead, which two batches hold.
fn crowded() -> Value {
    let place = |holder: u64| {
        json!({
            "holder": holder, "jobs": 1,
            "since": "2026-11-23T08:00:00Z", "leaseUntil": "2026-11-23T08:01:35.5Z",
        })
    };
    stored_breaker(&json!({ "bulkhead": {
        "isPrompt": false, "places": [place(1), place(u64::MAX)], "holdMillis": 1500,
        "lineEnds": "2026-11-23T08:00:30Z",
    } }))
}

fn prompt() -> Value {
    let bulkhead = json!({ "isPrompt": true, "holdMillis": 0, "lineEnds": "1970-01-01T00:00:00Z" });
    stored_breaker(&json!({ "bulkhead": bulkhead }))
}

#[test]
fn breakers_are_stored_as_ever() {
    let open_phase =
        json!({ "phase": { "state": "open", "probeAt": "2026-11-23T08:01:00Z" }, "openings": 3 });
    Shapes::of("breakers")
        .both("closed", &closed())
        .both("open", &open())
        .both("half-open", &half_open())
        .both("waited for", &open().joined(5, now()).0)
        .both("held", &held())
        .both("forced open", &closed().forced_open(now()))
        .both("forced closed", &closed().forced_closed(now()))
        .both("reset", &open().reset(now()))
        .both("window", &calls())
        .read::<Breaker>("read of the least", stored_breaker(&json!({})))
        .read::<Breaker>("read open", stored_breaker(&open_phase))
        .read::<Breaker>("read with fields of tomorrow", stored_breaker(&json!({ "unheardOf": 1 })))
        .read::<Breaker>("read with a prompt dependency", prompt())
        .read::<Breaker>("read with a crowd", crowded())
        .check();
}

#[test]
fn breakers_are_configured_as_ever() {
    let full = json!({
        "failureThreshold": 3, "recoveryTimeout": 30_000, "monitoringPeriod": 60_000,
        "expectedErrors": ["NotFound"],
    });
    Shapes::of("breaker-configs")
        .both("default", &BreakerConfig::default())
        .read::<BreakerConfig>("read of nothing", json!({}))
        .read::<BreakerConfig>("read of every field", full)
        .check();
}

#[test]
fn breakers_are_shown_and_told_as_ever() {
    let world = World::new(|_| ());
    let save = |json: Value, name: &str| {
        let mut breaker: Breaker = serde_json::from_value(json).unwrap();
        (breaker.name, breaker.revision) = (name.parse().unwrap(), 1);
        for saved in world.clock.run(world.breakers.save(&[breaker])) {
            saved.unwrap();
        }
    };
    save(crowded(), "crowded");
    save(serde_json::to_value(open().joined(5, now()).0).unwrap(), "open");
    save(serde_json::to_value(half_open()).unwrap(), "half-open");
    let mut shapes = Shapes::of("breakers-shown");
    shapes = shapes.written("all", &world.clock.run(world.manager.breakers()).unwrap());
    let name = "mail".parse().unwrap();
    shapes = shapes.written("unknown", &world.clock.run(world.manager.breaker(&name)).unwrap());
    shapes = shapes.written("opened", &world.clock.run(world.manager.open_breaker(&name)).unwrap());
    shapes = shapes.written("closed", &world.clock.run(world.manager.close_breaker(&name)).unwrap());
    shapes = shapes.written("reset", &world.clock.run(world.manager.reset_breaker(&name)).unwrap());
    shapes.written("told", &world.events.all()).check();
}

/// A stored limit, with these additional fields.
fn stored_limit(fields: &Value) -> Value {
    let mut json = json!({
        "key": "mail/tenant=acme",
        "revision": 7,
        "writer": u64::MAX,
        "fullAt": "2026-11-23T08:00:05.123456789Z",
        "bookedUntil": "2026-11-23T08:00:07Z",
        "holdMillis": 1500,
        "lineEnds": "2026-11-23T08:00:09Z",
        "writtenAt": "2026-11-23T08:00:00.1Z",
    });
    json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json
}

fn places() -> Value {
    json!({ "places": [{
        "holder": u64::MAX, "jobs": 10,
        "since": "2026-11-23T08:00:00Z", "leaseUntil": "2026-11-23T08:01:35.5Z",
    }] })
}

/// A concurrency limit in use.
pub(super) fn limited() -> LimitState {
    serde_json::from_value(stored_limit(&places())).unwrap()
}

#[test]
fn limits_are_stored_as_ever() {
    let mut oldest = stored_limit(&json!({}));
    for field in ["bookedUntil", "holdMillis"] {
        oldest.as_object_mut().unwrap().remove(field);
    }
    Shapes::of("limits")
        .both("new", &LimitState::new("mail".parse().unwrap(), now()))
        .both("with leases", &limited())
        .read::<LimitState>("read of a rate", stored_limit(&json!({})))
        .read::<LimitState>("read of the least", oldest)
        .read::<LimitState>("read with fields of tomorrow", stored_limit(&json!({ "unheardOf": 1 })))
        .check();
}

#[test]
fn events_are_as_ever() {
    let kinds = [
        EventKind::BreakerOpened,
        EventKind::BreakerHalfOpened,
        EventKind::BreakerClosed,
        EventKind::EndpointFailing,
        EventKind::EndpointDisabled,
        EventKind::LimitThrottled,
    ];
    let event = |job_id: Option<&str>| JobEvent {
        kind: EventKind::LimitThrottled,
        job_id: job_id.map(|id| id.parse().unwrap()),
        timestamp: now() + Duration::from_secs(1),
        data: json!({ "limit": "mail", "jobs": 3 }),
    };
    Shapes::of("events")
        .both("kinds", &kinds.to_vec())
        .both("of a job", &event(Some("j-1")))
        .both("of no job", &event(None))
        .check();
}
