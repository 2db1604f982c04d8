//! Stored schedules and their firings.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use lambda_jobs_core::manager::JobFilter;
use lambda_jobs_core::ports::StoredSchedule;
use lambda_jobs_core::schedule::{JobSchedule, Schedule};
use lambda_jobs_core::{JobDefinition, JobId, JobStatus, JobType, Queue};
use serde_json::{Value, json};

use crate::handlers::{Journal, scripted};
use crate::world::World;

fn world() -> (World, Journal) {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    (world, journal.unwrap())
}

pub(crate) fn put(world: &World, text: Value) -> StoredSchedule {
    world.clock.run(world.manager.put_schedule(Schedule::from_json(text).unwrap())).unwrap()
}

fn every(minutes: u64) -> Value {
    json!({ "id": "often", "cron": format!("*/{minutes} * * * *"), "job": { "name": "script" } })
}

/// Advances time: one tick each minute, and every message once it is visible.
pub(crate) fn live(world: &World, time: Duration) {
    let end = world.now() + time;
    let mut tick = world.now();
    loop {
        let visible =
            Queue::ALL.into_iter().filter_map(|one| world.queue.next_visible_at(one).unwrap()).min();
        let next = visible.map_or(tick, |visible| visible.min(tick)).max(world.now());
        if next > end {
            break;
        }
        world.clock.advance((next - world.now()).to_std().unwrap());
        if tick <= world.now() {
            world.tick();
            tick = world.now().duration_trunc(TimeDelta::minutes(1)).unwrap() + TimeDelta::minutes(1);
        }
        for queue in Queue::ALL {
            world.step(queue);
        }
    }
    world.clock.advance((end - world.now()).to_std().unwrap());
}

fn completed(world: &World) -> Vec<String> {
    let filter = JobFilter { status: Some(JobStatus::Completed), name: None, limit: 10_000, cursor: None };
    let mut ids: Vec<String> = world
        .clock
        .run(world.manager.list(&filter))
        .unwrap()
        .items
        .into_iter()
        .map(|job| job.job_id.to_string())
        .collect();
    ids.sort();
    ids
}

fn at(hour: u32, minute: u32) -> String {
    format!("often@2026-11-23T{hour:02}:{minute:02}:00Z")
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn g5_every_occurrence_runs_once_and_on_time() {
    let (world, journal) = world();
    put(&world, every(5));
    live(&world, Duration::from_mins(61));
    let expected: Vec<String> = (1..=12).map(|five| at(8 + five * 5 / 60, five * 5 % 60)).collect();
    assert_eq!(completed(&world), expected);
    for id in &expected {
        assert_eq!(journal.started(id), 1);
        let job = world.status(&id.parse().unwrap());
        let late = job.started_at.unwrap() - instant(id.split_once('@').unwrap().1);
        assert!(late >= TimeDelta::zero() && late <= TimeDelta::seconds(2), "{id} is {late} late");
    }
}

#[test]
fn g5_an_occurrence_exists_once_however_often_and_by_whomever_it_is_fired() {
    let (world, journal) = world();
    put(&world, every(5));
    world.advance(60);
    let stale = world.clock.run(world.manager.schedules()).unwrap();
    world.tick();
    world.tick();
    // A dispatcher that read the schedule earlier fires it now.
    let revived = world.schedules.clone();
    world.clock.run(async {
        use lambda_jobs_core::ports::ScheduleStore;
        let id = &stale[0].schedule.id;
        let present = revived.get(id).await.unwrap().unwrap();
        let mut again = stale[0].clone();
        again.state.revision = present.state.revision + 1;
        assert!(revived.put(&again, Some(present.state.revision)).await.unwrap());
    });
    world.tick();
    live(&world, Duration::from_mins(10));
    assert_eq!(completed(&world), [at(8, 5), at(8, 10)]);
    assert_eq!(journal.started(&at(8, 5)), 1);
}

#[test]
fn g1_a_schedule_whose_jobs_could_not_be_made_is_fired_by_the_next_tick() {
    let (world, _) = world();
    put(&world, json!({ "id": "often", "cron": "30 9 * * *", "job": { "name": "script" } }));
    world.advance(86 * 60);
    world.sends.refused.store(1, Ordering::SeqCst);
    assert_eq!((world.tick().fired, world.tick().fired), (0, 1));
    world.settle();
    assert_eq!(completed(&world), [at(9, 30)]);
}

#[test]
fn ticks_that_are_late_doubled_or_left_out_leave_no_occurrence_out() {
    let (world, _) = world();
    put(&world, every(1));
    for gap in [60, 0, 120, 1, 119, 60, 60] {
        world.advance(gap);
        world.tick();
        world.settle();
    }
    live(&world, Duration::from_mins(1));
    let ids = completed(&world);
    let minutes = (world.now() - instant("2026-11-23T08:00:00Z")).num_minutes();
    assert!(i64::try_from(ids.len()).unwrap() >= minutes, "{ids:?} in {minutes} minutes");
}

#[test]
fn a_schedule_that_nobody_fired_for_days_does_what_it_was_told_to_about_missed_occurrences() {
    for (missed, expected) in [("skip", 0), ("latest", 1), ("all", 3)] {
        let (world, _) = world();
        let daily = json!({
            "id": "daily", "cron": "0 12 * * *", "missed": missed, "job": { "name": "script" }
        });
        put(&world, daily);
        world.advance(3 * 86_400);
        world.tick();
        world.settle();
        assert_eq!(completed(&world).len(), expected, "{missed}");
    }
}

#[test]
fn what_a_schedule_makes_has_its_template_and_is_recurring() {
    let (world, _) = world();
    let text = json!({
        "id": "often", "cron": "0 9 * * *",
        "job": {
            "name": "script", "payload": { "fail": 1 }, "priority": 2, "maxRetries": 4, "timeout": 20_000,
            "tags": ["nightly"], "tenant": "acme",
        },
    });
    put(&world, text);
    live(&world, Duration::from_mins(58));
    let job = world.status(&at(9, 0).parse().unwrap());
    assert_eq!((job.queue, job.priority.get(), job.max_retries), (Queue::High, 2, Some(4)));
    assert_eq!(
        (job.job_type, job.tags, job.tenant),
        (JobType::Recurring, vec!["nightly".to_owned()], Some("acme".to_owned()))
    );
    live(&world, Duration::from_mins(10));
    assert_eq!(world.status(&at(9, 0).parse().unwrap()).attempt, 2);
}

#[test]
fn a_new_schedule_fires_within_its_first_minute_without_a_tick() {
    let (world, _) = world();
    put(&world, json!({ "id": "often", "rate": "rate(1 minute)", "job": { "name": "script" } }));
    world.settle();
    assert_eq!(completed(&world).len(), 5, "what comes within five minutes is made at once");
}

#[test]
fn a_schedule_that_is_disabled_deleted_or_moved_takes_back_what_it_made_ahead() {
    let changes = [
        json!({ "id": "often", "cron": "*/5 * * * *", "enabled": false, "job": { "name": "script" } }),
        json!({ "id": "often", "cron": "0 23 * * *", "job": { "name": "script" } }),
        Value::Null,
    ];
    for change in changes {
        let (world, journal) = world();
        put(&world, every(5));
        world.advance(120);
        world.tick();
        assert!(world.find(&at(8, 5).parse().unwrap()).is_some(), "it is made ahead");
        if change.is_null() {
            world.clock.run(world.manager.delete_schedule(&"often".parse().unwrap())).unwrap();
        } else {
            put(&world, change.clone());
        }
        live(&world, Duration::from_mins(20));
        assert_eq!(journal.started(&at(8, 5)), 0, "{change}");
        assert!(completed(&world).is_empty(), "{change}");
    }
}

#[test]
fn a_backfill_makes_what_is_missing_and_nothing_twice() {
    let (world, journal) = world();
    put(&world, json!({ "id": "often", "cron": "0 * * * *", "missed": "skip", "job": { "name": "script" } }));
    world.advance(5 * 3600 + 60);
    let id = "often".parse().unwrap();
    let backfill =
        |from: &str, to: &str| world.clock.run(world.manager.backfill(&id, instant(from), instant(to)));
    let made = backfill("2026-11-23T09:00:00Z", "2026-11-23T11:00:00Z").unwrap();
    let duplicates: Vec<bool> = made.into_iter().map(|one| one.unwrap().duplicate).collect();
    assert_eq!(duplicates, [false, false, false]);
    world.settle();
    let made = backfill("2026-11-23T08:30:00Z", "2026-11-23T12:30:00Z").unwrap();
    let duplicates: Vec<bool> = made.into_iter().map(|one| one.unwrap().duplicate).collect();
    assert_eq!(duplicates, [true, true, true, false]);
    world.settle();
    assert_eq!(completed(&world), [at(9, 0), at(10, 0), at(11, 0), at(12, 0)]);
    assert_eq!(journal.started(&at(9, 0)), 1);

    let refusal = |from, to| backfill(from, to).unwrap_err().to_string();
    assert_eq!(
        refusal("2026-11-01T00:00:00Z", "2026-11-23T12:00:00Z"),
        "from: expected an instant from 2026-11-08T13:01:00+00:00 on, because earlier jobs may be forgotten and \
         would run again, got 2026-11-01T00:00:00+00:00"
    );
    assert_eq!(
        refusal("2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z"),
        "to: expected an instant from 2026-11-23T09:00:00+00:00 to 2026-11-23T13:01:00+00:00, got \
         2026-11-24T09:00:00+00:00"
    );
    let unknown = world.clock.run(world.manager.backfill(&"no".parse().unwrap(), world.now(), world.now()));
    assert_eq!(unknown.unwrap_err().to_string(), "id: expected the id of a schedule, got \"no\"");
}

#[test]
fn a_schedule_whose_jobs_would_be_refused_is_refused() {
    let (world, _) = world();
    let text = json!({ "id": "x", "cron": "0 8 * * *", "job": { "name": "script", "timeout": 300_000 } });
    let refused = world.clock.run(world.manager.put_schedule(Schedule::from_json(text).unwrap()));
    let message = refused.unwrap_err().to_string();
    assert!(message.starts_with("job: timeout: expected at most 85000 ms"), "{message}");
}

#[test]
fn the_seeds_schedule_job_makes_a_definition_recur() {
    let (world, _) = world();
    let mut definition = JobDefinition::new("digest-8".parse().unwrap(), "script");
    definition.spec.payload = json!({ "work": 5 }).into();
    let schedule = |cron, zone| world.clock.run(world.manager.schedule_job(&definition, cron, zone));
    let stored = schedule("0 0 8 * * *", "Asia/Kolkata").unwrap();
    let view = serde_json::to_value(JobSchedule::of(&stored.schedule, &stored.state, world.now()));
    let view = view.unwrap();
    let expected = json!({
        "jobId": "digest-8", "cronExpression": "0 0 8 * * *", "enabled": true, "timezone": "Asia/Kolkata",
        "nextRun": "2026-11-24T02:30:00Z",
    });
    assert_eq!(view, expected);
    live(&world, Duration::from_hours(24));
    assert_eq!(completed(&world), ["digest-8@2026-11-24T02:30:00Z"]);
    assert!(schedule("0 0 8 30 2 *", "UTC").unwrap_err().to_string().contains("never"));
    assert!(schedule("0 0 8 * * *", "Mars/Olympus").unwrap_err().to_string().contains("Mars/Olympus"));
}

#[test]
fn ten_thousand_schedules_due_in_one_minute_are_fired_by_one_tick() {
    let (world, _) = world();
    let job = json!({ "name": "script" });
    for number in 0..10_000 {
        let text = json!({ "id": format!("s{number}"), "cron": "0 9 * * *", "job": job });
        put(&world, text);
    }
    world.advance(57 * 60);
    let report = world.tick();
    assert_eq!((report.fired, report.failed, report.is_partial), (10_000, 0, false));
    let id: JobId = "s77@2026-11-23T09:00:00Z".parse().unwrap();
    assert_eq!(world.status(&id).run_at, Some(instant("2026-11-23T09:00:00Z")));
    assert_eq!(world.tick().fired, 0);
}

#[test]
fn an_occurrence_that_comes_due_while_the_last_one_is_unfinished_is_skipped_and_the_one_after_it_runs() {
    let (world, journal) = world();
    let job = json!({ "name": "script", "payload": { "fail": 1, "retryAfter": 400_000 } });
    put(&world, json!({ "id": "often", "cron": "*/5 * * * *", "overlap": "skip", "job": job }));
    live(&world, Duration::from_mins(16));
    let [first, skipped, third] = [5, 10, 15].map(|minute| at(8, minute));
    // The first fails at 8:05, and its retry is at 8:11:40.
    assert_eq!((world.status(&first.parse().unwrap()).attempt, completed(&world)), (2, vec![first.clone()]));
    let job = world.status(&skipped.parse().unwrap());
    assert_eq!((job.status, job.note), (JobStatus::Cancelled, Some(format!("duplicate of {first}"))));
    assert_eq!((journal.started(&skipped), journal.started(&third)), (0, 1));

    // A backfill ignores all of these.
    let (from, to) = (instant("2026-11-23T07:50:00Z"), instant("2026-11-23T07:55:00Z"));
    let made = world.clock.run(world.manager.backfill(&"often".parse().unwrap(), from, to)).unwrap();
    assert!(made.iter().all(|one| !one.as_ref().unwrap().duplicate));
    world.step(Queue::Normal);
    assert_eq!(made.iter().map(|one| journal.started(one.as_ref().unwrap().job_id.as_str())).sum::<u32>(), 2);
}
