//! Schedules as JSON: written by users, shown and stored.

use lambda_jobs_core::JobSchedule;
use lambda_jobs_core::schedule::{Schedule, ScheduleState, preview};
use serde_json::{Value, json};

use super::{Shapes, at, now};

fn least() -> Value {
    json!({ "id": "often", "rate": "5 minutes", "job": { "name": "poll" } })
}

fn full() -> Value {
    json!({
        "id": "daily",
        "cron": "0 30 1 * * *",
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

fn schedule(json: Value) -> Schedule {
    Schedule::from_json(json).unwrap()
}

#[test]
fn schedules_are_as_ever() {
    let mut tomorrows = full();
    tomorrows["unheardOf"] = json!(1);
    tomorrows["job"]["unheardOf"] = json!([2]);
    Shapes::of("schedules")
        .both("of the least", &schedule(least()))
        .both("of every field", &schedule(full()))
        .written("job of the least", &schedule(least()).job.clone())
        .written("job of every field", &schedule(full()).job.clone())
        .read::<Schedule>("read with fields of tomorrow", tomorrows)
        .check();
}

#[test]
fn schedules_and_their_states_are_shown_as_ever() {
    let (rate, cron) = (schedule(least()), schedule(full()));
    let new = ScheduleState::new(&rate, now());
    let fired = ScheduleState {
        revision: 7,
        edition: 3,
        last: Some(at("2026-11-23T08:00:00Z")),
        ahead: Some(at("2026-11-23T08:02:00Z")),
        next_at: Some(at("2026-11-23T08:05:00Z")),
        withdrawing: vec![at("2026-11-23T08:03:00Z")],
        made_until: Some(at("2026-11-23T08:04:00Z")),
    };
    Shapes::of("schedule-states")
        .both("new", &new)
        .both("fired", &fired)
        .both("disabled", &fired.revised(&rate, &cron, now()))
        .read::<ScheduleState>("read of the least", json!({ "revision": 0 }))
        .both("shown new", &JobSchedule::of(&rate, &new, now()))
        .both("shown fired", &JobSchedule::of(&rate, &fired, now()))
        .both("shown disabled", &JobSchedule::of(&cron, &fired, now()))
        .read::<JobSchedule>(
            "shown by an older release",
            json!({ "jobId": "often", "cronExpression": "rate(5 minutes)", "enabled": true }),
        )
        .check();
}

#[test]
fn previews_are_as_ever() {
    let mut next_gap = full();
    next_gap["gap"] = json!("next");
    let from = at("2027-03-27T00:00:00Z");
    Shapes::of("previews")
        .written("skipping a gap", &preview(&schedule(full()), from, 3))
        .written("moved out of a gap", &preview(&schedule(next_gap), from, 3))
        .written("of a repeated hour", &preview(&schedule(full()), at("2027-10-30T12:00:00Z"), 3))
        .check();
}

#[test]
fn an_occurrence_is_a_message_as_ever() {
    let job = schedule(full()).job(at("2026-11-23T01:30:00Z")).unwrap();
    let world = crate::world::World::new(|_| ());
    let accepted = world.clock.run(world.manager.enqueue(job)).unwrap();
    Shapes::of("occurrence")
        .written("accepted", &accepted)
        .written("shown", &world.status(&accepted.job_id))
        .check();
}
