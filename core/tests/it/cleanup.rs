//! Pruning finished work.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::manager::{CleanupOptions, CleanupReport, JobFilter, RetryOutcome};
use lambda_jobs_core::ports::JobStore;
use lambda_jobs_core::{JobConfig, JobDefinition, JobId, JobRecord, JobStatus, NewJob, Queue, Retention};
use serde_json::{Value, json};

use crate::handlers::scripted;
use crate::world::World;

fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

fn run(world: &World, id: &str, payload: &Value) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "script", "id": id, "payload": payload, "maxRetries": 0 }));
    world.settle();
    world.advance(1);
    id.parse().unwrap()
}

fn cleanup(world: &World, keep: usize) -> CleanupReport {
    let options = CleanupOptions { keep_details: Some(keep), ..CleanupOptions::default() };
    world.clock.run(world.manager.cleanup(options)).unwrap()
}

#[test]
fn what_is_older_than_the_retention_of_its_outcome_is_removed_with_its_history() {
    let retention = Retention::new(days(15), days(30), days(15)).unwrap();
    let config = JobConfig { retention, ..JobConfig::default() };
    let world = World::with_config(config, |registry| drop(scripted(registry)));
    let completed = run(&world, "completed", &json!({}));
    let failed = run(&world, "failed", &json!({ "permanent": true }));
    world.advance(15 * 86_400);
    let waiting =
        world.clock.run(world.manager.enqueue(NewJob::new("script").delay(days(100)))).unwrap().job_id;
    let report = cleanup(&world, 100);
    let expected = CleanupReport {
        examined: 2,
        removed: 1,
        history_removed: 1,
        details_kept: 100,
        complete: true,
        ..CleanupReport::default()
    };
    assert_eq!(report, expected);
    assert_eq!(world.find(&completed), None);
    assert_eq!(world.status(&failed).status, JobStatus::Failed);
    world.advance(15 * 86_400);
    assert_eq!(cleanup(&world, 100).removed, 1);
    assert_eq!(world.status(&waiting).status, JobStatus::Scheduled, "what has not finished is not touched");
    let filter = JobFilter { status: Some(JobStatus::Completed), name: None, limit: 10, cursor: None };
    assert_eq!(world.clock.run(world.manager.list(&filter)).unwrap().items, []);
}

#[test]
fn all_but_the_newest_lose_payload_result_and_error_and_nothing_else() {
    let world = World::new(|registry| drop(scripted(registry)));
    let ids: Vec<JobId> =
        (0..30).map(|at| run(&world, &format!("job-{at}"), &json!({ "work": at }))).collect();
    let failed = run(&world, "failed", &json!({ "permanent": true }));
    run(&world, "last", &json!({}));
    let report = cleanup(&world, 12);
    let expected = CleanupReport {
        // The old ones, and the last that keeps its details.
        examined: 21,
        trimmed: 20,
        details_kept: 12,
        complete: true,
        ..CleanupReport::default()
    };
    assert_eq!(report, expected);
    for (at, id) in ids.iter().enumerate() {
        let job = world.status(id);
        assert_eq!(job.status, JobStatus::Completed);
        assert_eq!((job.trimmed, job.result.is_none(), job.payload.is_null()), (at < 20, at < 20, at < 20));
        assert!(job.completed_at.is_some() && job.name == "script");
    }
    assert_eq!(world.status(&failed).error.as_deref(), Some("no use"));
    assert_eq!(cleanup(&world, 12).trimmed, 0, "a second time there is nothing to do");
    assert_eq!(cleanup(&world, 0).trimmed, 12);
    assert_eq!(world.status(&failed).error, None);
}

#[test]
fn a_second_cleanup_examines_only_what_is_new() {
    let world = World::new(|registry| drop(scripted(registry)));
    let permanent = json!({ "permanent": true });
    for at in 0..40 {
        run(&world, &format!("early-{at}"), if at % 4 == 0 { &permanent } else { &Value::Null });
    }
    let cancelled: JobId = "cancelled".parse().unwrap();
    world.clock.run(world.manager.cancel(&cancelled)).unwrap();
    world.advance(2 * 3_600);
    assert_eq!(cleanup(&world, 10).trimmed, 31);
    let again = cleanup(&world, 10);
    assert_eq!((again.trimmed, again.complete), (0, true));
    assert!(again.examined <= 4, "the last that keeps its details, and what ended with it: {again:?}");
    for at in 0..5 {
        run(&world, &format!("late-{at}"), &json!({}));
    }
    world.advance(2 * 3_600);
    let third = cleanup(&world, 10);
    assert_eq!(third.trimmed, 5, "as many of the early ones are old now");
    assert!(third.examined <= 12, "{third:?}");
    assert_eq!(cleanup(&world, 3).trimmed, 7, "who asks for fewer gets fewer");
    assert_eq!(cleanup(&world, 10).trimmed, 0);
}

#[test]
fn a_job_that_ends_after_a_cleanup_with_an_earlier_end_is_trimmed_by_the_next() {
    let world = World::new(|registry| drop(scripted(registry)));
    let slow = json!({ "work": 80_000 });
    world.send(Queue::Normal, &json!({ "name": "script", "id": "slow", "payload": slow }));
    world.send(Queue::Normal, &json!({ "name": "script", "id": "quick", "payload": {} }));
    world.settle();
    assert_eq!(cleanup(&world, 1).trimmed, 1);
    let failed = run(&world, "again", &json!({ "permanent": true }));
    run(&world, "newest", &json!({}));
    assert_eq!(cleanup(&world, 2).trimmed, 1);
    world.clock.run(world.manager.retry(&failed)).unwrap();
    world.settle();
    assert_eq!(cleanup(&world, 0).trimmed, 2, "its second end counts, not its first");
    assert!(world.status(&failed).trimmed);
}

#[test]
fn a_cleanup_with_too_much_to_do_goes_on_with_the_next_call() {
    let world = World::new(|registry| drop(scripted(registry)));
    let now = world.now();
    let definition = |at: usize| JobDefinition::new(format!("c-{at:05}").parse().unwrap(), "script");
    let cancelled = (0..10_500).map(|at| {
        let record = JobRecord::accepted(definition(at), Queue::Normal, now, now);
        record.cancelled("why", now + TimeDelta::milliseconds(i64::try_from(at).unwrap()))
    });
    world.clock.run(world.store.inner.insert(&cancelled.collect::<Vec<_>>()));
    world.advance(3 * 3_600);
    let first = cleanup(&world, 0);
    assert!(!first.complete && (10_000..10_500).contains(&first.trimmed), "{first:?}");
    let second = cleanup(&world, 0);
    assert!(second.complete && second.examined <= 10_500 - first.trimmed + 1, "{second:?}");
    assert_eq!(first.trimmed + second.trimmed, 10_500);
    world.advance(15 * 86_400);
    let mut removed = 0;
    while removed < 10_500 {
        let report = cleanup(&world, 0);
        assert!(report.removed > 0, "{report:?}");
        removed += report.removed;
    }
    assert!(cleanup(&world, 0).complete);
}

#[test]
fn g2_a_late_duplicate_of_a_trimmed_job_runs_nothing() {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    let id = run(&world, "order-7", &json!({}));
    assert_eq!(cleanup(&world, 0).trimmed, 1);
    world.advance(14 * 86_400);
    assert_eq!(cleanup(&world, 0).removed, 0, "SQS may still deliver its message");
    world.send(Queue::Normal, &json!({ "name": "script", "id": "order-7" }));
    assert_eq!(world.step(Queue::Normal).summary.duplicates, 1);
    assert_eq!(journal.unwrap().started("order-7"), 1);
    let again = NewJob::new("script").id(id);
    assert!(world.clock.run(world.manager.enqueue(again)).unwrap().duplicate);
}

#[test]
fn a_trimmed_job_is_not_retried_because_its_payload_is_gone() {
    let world = World::new(|registry| drop(scripted(registry)));
    let id = run(&world, "failed", &json!({ "permanent": true }));
    cleanup(&world, 0);
    assert_eq!(world.clock.run(world.manager.retry(&id)).unwrap(), RetryOutcome::Trimmed);
    assert_eq!(world.status(&id).status, JobStatus::Failed);
}

#[test]
fn a_job_in_a_dead_letter_queue_keeps_its_details_until_it_is_forgotten() {
    let world = World::new(|registry| drop(scripted(registry)));
    let id = world.send(Queue::Normal, &json!({ "name": "nobody", "payload": { "cents": 7 } }));
    world.step(Queue::Normal);
    assert_eq!(cleanup(&world, 0).trimmed, 0);
    assert_eq!(world.status(&id).payload, json!({ "cents": 7 }));
    world.clock.advance((TimeDelta::days(15) + TimeDelta::seconds(1)).to_std().unwrap());
    assert_eq!(cleanup(&world, 0).removed, 1);
}

#[test]
fn a_report_is_json_in_camel_case() {
    let report = serde_json::to_value(CleanupReport { removed: 1, ..CleanupReport::default() }).unwrap();
    let expected = json!({
        "examined": 0, "removed": 1, "trimmed": 0, "historyRemoved": 0, "changed": 0, "detailsKept": 0,
        "complete": false
    });
    assert_eq!(report, expected);
}
