//! The control item, schedules, unique keys, and the fleet's shared states.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::JobConfig;
use lambda_jobs_core::Queue;
use lambda_jobs_core::breaker::{Breaker, BreakerPolicy, Counts, Window};
use lambda_jobs_core::control::Control;
use lambda_jobs_core::families::webhook::Endpoint;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_core::ports::{
    Advance, ControlStore, KeyClaim, ScheduleStore, StoredSchedule, UniqueKeys, VersionedStore,
};
use lambda_jobs_core::schedule::{Schedule, ScheduleState};
use lambda_jobs_core::unique::KeyHold;
use lambda_jobs_core::versioned::VersionedState;
use lambda_jobs_infra::{Dynamo, DynamoControlStore, DynamoSchedules, DynamoUniqueKeys, DynamoVersioned};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Shapes, check, now, put};
use crate::dynamo::dynamo;

const TABLE: &str = "lambda-jobs-state";

#[tokio::test]
async fn the_control_is_stored_as_ever() {
    let dynamo = dynamo().await;
    let store = DynamoControlStore::new(dynamo.clone());
    let one = Control::default().pause(Some(Queue::Webhooks), "deploy".parse().ok(), now());
    let all = one.pause(None, None, now());
    let disabled = all.noting(false, now());
    let settings = disabled.with_first_settings(&JobConfig::default().deployed(), now());
    for control in [&one, &all, &disabled, &settings] {
        store.save(control).await.unwrap();
    }
    check("control", &dynamo, TABLE).await;
    store.save(&settings.resume(None)).await.unwrap();
    check("control-resumed", &dynamo, TABLE).await;
}

fn schedule(fields: Value) -> Schedule {
    Schedule::from_json(fields).unwrap()
}

#[tokio::test]
async fn schedules_are_stored_as_ever() {
    let dynamo = dynamo().await;
    let store = DynamoSchedules::new(dynamo.clone());
    let job = json!({
        "name": "digest", "payload": { "kind": "daily" }, "priority": 2, "maxRetries": 1, "timeout": 60_000,
        "tags": ["mail"], "tenant": "acme", "queue": "low",
    });
    let full = json!({
        "id": "full", "cron": "0 30 1 * * *", "zone": "Europe/London", "gap": "skip", "repeat": "both",
        "overlap": "skip", "missed": "all", "window": 86_400_000, "enabled": false,
        "start": "2026-11-23T00:00:00Z", "end": "2027-11-23T00:00:00Z", "job": job,
    });
    let often = |id: &str| json!({ "id": id, "rate": "5 minutes", "job": { "name": "poll" } });
    for fields in [full, often("least"), often("advanced")] {
        let schedule = schedule(fields);
        let state = ScheduleState::new(&schedule, now());
        assert!(store.put(&StoredSchedule { schedule, state }, None).await.unwrap());
    }
    let next_at = "2026-11-23T08:05:00Z".parse().ok();
    let state = ScheduleState {
        revision: 1,
        edition: 1,
        last: Some(now()),
        ahead: next_at,
        next_at,
        withdrawing: next_at.into_iter().collect(),
        made_until: next_at,
    };
    for advanced in store.advance(&[Advance { id: "advanced".parse().unwrap(), state }]).await {
        assert!(advanced.unwrap());
    }
    check("schedules", &dynamo, TABLE).await;
}

#[tokio::test]
async fn unique_keys_are_stored_as_ever() {
    let dynamo = dynamo().await;
    let store = DynamoUniqueKeys::new(dynamo.clone());
    let hold = |key: &str, job: &str, until| KeyHold {
        key: key.to_owned(),
        job: job.parse().unwrap(),
        since: now(),
        until,
    };
    let day = Some(now() + TimeDelta::days(1));
    let first = [hold("invoice/42", "j-1", None), hold("for a day", "j-2", day), hold("taken", "j-3", day)];
    let over = KeyClaim { hold: hold("taken", "j-4", None), replacing: Some(first[2].clone()) };
    let claims: Vec<KeyClaim> = first.map(|hold| KeyClaim { hold, replacing: None }).into();
    for claims in [claims, vec![over]] {
        for held in store.hold(&claims).await {
            held.unwrap();
        }
    }
    check("unique-keys", &dynamo, TABLE).await;
}

/// A breaker that failures in a row opened, with waiting jobs.
fn open() -> Breaker {
    let policy = BreakerPolicy::default().failure_count(2).unwrap();
    let mut calls = Window::new();
    calls.count(now(), Counts { calls: 40, failures: 3, slow: 1 }, Duration::from_mins(5));
    calls.count(now(), Counts { calls: 2, failures: 2, slow: 0 }, Duration::from_mins(5));
    Breaker::new("open".parse().unwrap(), now()).recorded(&calls, &policy, now())
}

/// A breaker with a bulkhead, which one batch holds.
fn crowded() -> Value {
    json!({
        "name": "crowded",
        "revision": 1,
        "writer": u64::MAX,
        "phase": { "state": "closed", "forced": false },
        "since": "2026-11-23T08:00:00Z",
        "openings": 0,
        "window": "",
        "line": { "from": "2026-11-23T08:00:00Z", "given": 0 },
        "bulkhead": {
            "isPrompt": false,
            "places": [{
                "holder": 7, "jobs": 1,
                "since": "2026-11-23T08:00:00Z", "leaseUntil": "2026-11-23T08:01:35.5Z",
            }],
            "holdMillis": 1500,
            "lineEnds": "2026-11-23T08:00:30Z",
        },
        "writtenAt": "2026-11-23T08:00:00Z",
    })
}

/// A concurrency limit that one batch uses.
fn limit(revision: u64) -> LimitState {
    from(json!({
        "key": "mail/tenant=acme",
        "revision": revision,
        "writer": u64::MAX,
        "fullAt": "2026-11-23T08:00:05.123456789Z",
        "bookedUntil": "2026-11-23T08:00:07Z",
        "places": [{
            "holder": 7, "jobs": 10,
            "since": "2026-11-23T08:00:00Z", "leaseUntil": "2026-11-23T08:01:35.5Z",
        }],
        "holdMillis": 1500,
        "lineEnds": "2026-11-23T08:00:09Z",
        "writtenAt": "2026-11-23T08:00:00.1Z",
    }))
}

fn from<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

async fn save<T: VersionedState>(store: &DynamoVersioned<T>, states: &[T]) {
    for saved in store.save(states).await {
        saved.unwrap();
    }
}

#[tokio::test]
async fn breakers_and_limits_are_stored_as_ever() {
    let dynamo = dynamo().await;
    let breakers = DynamoVersioned::new(dynamo.clone());
    save(&breakers, &[open(), from(crowded())]).await;
    let forced = Breaker::new("forced".parse().unwrap(), now()).forced_open(now());
    save(&breakers, std::slice::from_ref(&forced)).await;
    save(&breakers, &[forced.forced_closed(now())]).await;
    let limits = DynamoVersioned::new(dynamo.clone());
    for state in [limit(1), limit(2)] {
        save(&limits, &[state]).await;
    }
    check("breakers-and-limits", &dynamo, TABLE).await;
}

/// An endpoint with every field set.
fn endpoint(id: &str) -> Endpoint {
    from(json!({
        "id": id,
        "revision": 1,
        "writer": u64::MAX,
        "spec": {
            "url": "https://example.com/hook", "eventTypes": ["invoice.*"], "tenant": "acme",
            "description": "the shop", "method": "PATCH", "headers": { "authorization": "Bearer t" },
            "rateLimit": { "deliveries": 10, "per": 1000 }, "retry": "long", "maxAttempts": 12,
            "confirmations": 0,
        },
        "secrets": [{
            "secret": "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "since": "2026-11-23T08:00:00Z",
        }],
        "warned": false,
        "createdAt": "2026-11-23T08:00:00Z",
        "updatedAt": "2026-11-23T08:00:00Z",
    }))
}

#[tokio::test]
async fn endpoints_are_stored_as_ever() {
    let dynamo = dynamo().await;
    let store = DynamoVersioned::in_data(dynamo.clone());
    save(&store, &[endpoint("shop"), endpoint("deleted")]).await;
    save(&store, &[endpoint("deleted").deleted(now())]).await;
    check("endpoints", &dynamo, "lambda-jobs-data").await;
}

async fn read_all(dynamo: &Dynamo) -> Shapes {
    let breakers: Vec<Breaker> = DynamoVersioned::new(dynamo.clone()).list().await.unwrap();
    let limits: Vec<LimitState> = DynamoVersioned::new(dynamo.clone()).list().await.unwrap();
    let control = DynamoControlStore::new(dynamo.clone()).load().await.unwrap();
    let schedules = DynamoSchedules::new(dynamo.clone()).list().await.unwrap();
    let schedules: Vec<_> = schedules.into_iter().map(|one| (one.schedule, one.state)).collect();
    Shapes::of("states-read")
        .written("breakers", &breakers)
        .written("limits", &limits)
        .written("control", &control)
        .written("schedules", &schedules)
}

#[tokio::test]
async fn states_of_an_older_release_are_read() {
    let dynamo = dynamo().await;
    let mut breaker = crowded();
    breaker.as_object_mut().unwrap().remove("bulkhead");
    let limit = json!({
        "key": "mail", "revision": 1, "writer": 7, "fullAt": "2026-11-23T08:00:05Z",
        "lineEnds": "2026-11-23T08:00:09Z", "writtenAt": "2026-11-23T08:00:00Z",
    });
    let schedule = json!({ "id": "often", "rate": "5 minutes", "job": { "name": "poll" }, "unheardOf": 1 });
    let items = [
        json!({ "pk": { "S": "breaker#0" }, "sk": { "S": "crowded" }, "state": { "S": breaker.to_string() } }),
        json!({ "pk": { "S": "limit#0" }, "sk": { "S": "mail" }, "state": { "S": limit.to_string() } }),
        json!({
            "pk": { "S": "control" }, "sk": { "S": "control" }, "revision": { "N": "3" },
            "all": { "M": { "since": { "S": "2026-11-23T08:00:00" } } },
            "queues": { "M": { "unheardOf": { "M": { "since": { "S": "2026-11-23T08:00:00" } } } } },
        }),
        json!({
            "pk": { "S": "schedule#0" }, "sk": { "S": "often" }, "revision": { "N": "0" },
            "schedule": { "S": schedule.to_string() },
        }),
    ];
    for item in &items {
        put(&dynamo, TABLE, item).await;
    }
    read_all(&dynamo).await.check();
}
