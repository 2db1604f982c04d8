//! Schedules as JSON.

use lambda_jobs_core::schedule::{JobSchedule, Missed, Schedule, ScheduleState};
use lambda_jobs_core::{Priority, Queue};
use serde_json::{Value, json};

use super::utc;

fn full() -> Value {
    json!({
        "id": "daily",
        "cron": "0 0 8 * * *",
        "zone": "Europe/London",
        "gap": "skip",
        "repeat": "both",
        "overlap": "skip",
        "missed": "all",
        "window": 86_400_000,
        "enabled": false,
        "start": "2026-11-23T00:00:00Z",
        "end": "2027-11-23T00:00:00Z",
        "job": {
            "name": "digest",
            "payload": { "kind": "daily" },
            "priority": 2,
            "maxRetries": 1,
            "timeout": 60_000,
            "tags": ["mail"],
            "tenant": "acme",
            "queue": "low",
        },
    })
}

#[test]
fn a_schedule_survives_a_round_trip() {
    let schedule = Schedule::from_json(full()).unwrap();
    assert_eq!(serde_json::to_value(&schedule).unwrap(), full());
    assert_eq!(serde_json::from_value::<Schedule>(full()).unwrap(), schedule);
    let job = schedule.job(utc("2026-11-23T08:00:00Z")).unwrap();
    assert_eq!(job.id.unwrap().as_str(), "daily@2026-11-23T08:00:00Z");
    assert_eq!((job.run_at, job.queue), (Some(utc("2026-11-23T08:00:00Z")), Some(Queue::Low)));
    assert_eq!(job.spec.tenant.as_deref(), Some("acme"));
}

#[test]
fn the_least_that_is_a_schedule_has_a_default_for_the_rest() {
    let least = json!({ "id": "often", "rate": "5 minutes", "zone": null, "job": { "name": "poll" } });
    let schedule = Schedule::from_json(least).unwrap();
    assert_eq!(
        serde_json::to_value(&schedule).unwrap(),
        json!({
            "id": "often", "rate": "5 minutes", "zone": "UTC", "gap": "next", "repeat": "first",
            "overlap": "allow", "missed": "latest", "window": 1_296_000_000, "enabled": true,
            "job": { "name": "poll", "payload": {}, "priority": 5 },
        }),
    );
    assert_eq!((schedule.missed, schedule.job.spec.priority), (Missed::Latest, Priority::default()));
}

#[test]
fn a_wrong_field_is_named_with_what_it_takes() {
    let refused = |field: &str, value: Value| {
        let mut object = full();
        object[field] = value;
        Schedule::from_json(object).unwrap_err().to_string()
    };
    let in_job = |field: &str, value: Value| {
        let mut object = full();
        object["job"][field] = value;
        Schedule::from_json(object).unwrap_err().to_string()
    };
    assert_eq!(refused("id", json!(7)), "id: expected text, got 7");
    assert_eq!(refused("id", Value::Null), "id: expected the id of a schedule, got nothing");
    assert_eq!(refused("cron", Value::Null), "cron: expected an expression here or in rate, got nothing");
    assert_eq!(
        refused("rate", json!("5 minutes")),
        r#"rate: expected nothing where cron is set: one of the two, got "5 minutes""#,
    );
    assert_eq!(
        refused("zone", json!("Mars")),
        r#"zone: expected an IANA time zone such as Europe/London, got "Mars""#
    );
    assert_eq!(refused("window", json!("1 day")), r#"window: expected whole milliseconds, got "1 day""#);
    assert_eq!(refused("enabled", json!("no")), r#"enabled: expected true or false, got "no""#);
    assert_eq!(
        refused("start", json!("today")),
        r#"start: expected an RFC 3339 instant such as 2026-11-23T08:00:00Z, got "today""#,
    );
    assert_eq!(refused("job", Value::Null), "job: expected a JSON object, got null");
    assert_eq!(
        refused("misssed", json!("all")),
        "fields: expected no others than id, cron, rate, job, zone, gap, repeat, overlap, missed, window, \
         enabled, start, end, got \"misssed\"",
    );
    assert_eq!(in_job("name", Value::Null), "job: name: expected the name of a job, got nothing");
    assert_eq!(
        in_job("priority", json!(11)),
        "job: priority: expected an integer from 1 (most urgent) to 10, got 11"
    );
    assert_eq!(in_job("maxRetries", json!(-1)), "job: maxRetries: expected an integer from 0 to 100, got -1");
    assert_eq!(in_job("tags", json!("a")), r#"job: tags: expected a list of texts, got "a""#);
    assert_eq!(
        in_job("queue", json!("fast")),
        r#"job: queue: expected high, normal, low or webhooks, got "fast""#
    );
    assert_eq!(
        in_job("cron", json!("x")),
        "job: fields: expected no others than name, payload, priority, maxRetries, timeout, tags, tenant, \
         queue, got \"cron\"",
    );
    assert_eq!(
        Schedule::from_json(json!([])).unwrap_err().to_string(),
        "schedule: expected a JSON object, got []"
    );
}

#[test]
fn what_a_newer_release_stored_is_read_without_what_is_new() {
    let mut stored = full();
    stored["jitter"] = json!(5);
    assert!(Schedule::from_json(stored.clone()).is_err());
    assert!(serde_json::from_value::<Schedule>(stored).is_ok());
}

#[test]
fn callers_of_the_older_system_read_the_shape_they_know() {
    let mut enabled = full();
    enabled["enabled"] = json!(true);
    let schedule = Schedule::from_json(enabled).unwrap();
    let state = ScheduleState {
        last: Some(utc("2026-11-23T08:00:00Z")),
        ..ScheduleState::new(&schedule, utc("2026-11-23T09:00:00Z"))
    };
    assert_eq!(
        serde_json::to_value(JobSchedule::of(&schedule, &state, utc("2026-11-23T09:00:00Z"))).unwrap(),
        json!({
            "jobId": "daily", "cronExpression": "0 0 8 * * *", "enabled": true,
            "lastRun": "2026-11-23T08:00:00Z", "nextRun": "2026-11-24T08:00:00Z",
            "timezone": "Europe/London",
        }),
    );
}
