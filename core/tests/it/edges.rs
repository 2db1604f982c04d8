//! Histories at the edges: where two rules meet, and where a service or a handler behaves at its worst.

use std::time::Duration;

use lambda_jobs_core::{JobConfig, JobStatus, NewJob, Queue};
use serde_json::json;

use crate::handlers::scripted;
use crate::world::World;

#[test]
fn g4_a_delay_outlasts_the_time_in_which_jobs_are_disabled() {
    let disabled = JobConfig { enabled: false, ..JobConfig::default() };
    let world = World::with_config(disabled.clone(), |registry| drop(scripted(registry)));
    let due = world.now() + Duration::from_hours(2);
    let job = NewJob::new("script").delay(Duration::from_hours(2));
    let enqueued = world.clock.run(world.manager.enqueue(job)).unwrap().job_id;
    let bare = world.send(Queue::Normal, &json!({ "name": "script", "delay": 7_200_000 }));
    for _ in 0..30 {
        world.step(Queue::Normal);
        world.advance(60);
    }
    let enabled = JobConfig { enabled: true, ..disabled };
    let world = world.restarted(enabled, |registry| drop(scripted(registry)));
    world.settle();
    for id in [enqueued, bare] {
        let job = world.status(&id);
        assert_eq!(job.status, JobStatus::Completed);
        assert!(job.started_at.unwrap() >= due, "{} early", due - job.started_at.unwrap());
    }
}
