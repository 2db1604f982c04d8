//! Jobs that crashed beside others: they run alone, and they do run.

use lambda_jobs_core::{JobId, JobStatus, Queue};
use serde_json::json;

use crate::handlers::{Journal, scripted};
use crate::world::World;

fn world() -> (World, Journal) {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    (world, journal.unwrap())
}

/// Two jobs with long timeouts whose worker crashed while it ran both.
fn suspects(world: &World) -> [JobId; 2] {
    let body = json!({ "name": "script", "timeout": 60_000, "payload": { "work": 30_000 } });
    let jobs = [0, 1].map(|_| world.send(Queue::Normal, &body));
    world.process_and_crash(world.receive(Queue::Normal));
    world.clock.advance(std::time::Duration::from_mins(9));
    jobs
}

/// A batch under load: whatever waits, and jobs that take most of the invocation.
fn busy_batch(world: &World) {
    for _ in 0..5 {
        world.send(Queue::Normal, &json!({ "name": "script", "payload": { "work": 29_000 } }));
    }
    world.step(Queue::Normal);
}

#[test]
fn a_suspect_for_which_no_time_was_left_runs_first_in_the_next_batch() {
    let (world, journal) = world();
    let jobs = suspects(&world);
    busy_batch(&world);
    let started = || jobs.iter().filter(|id| journal.started(id.as_str()) > 1).count();
    assert_eq!(started(), 0, "the others took the time");
    busy_batch(&world);
    assert_eq!(started(), 1, "one of them had its turn");
    busy_batch(&world);
    assert_eq!(started(), 2, "under the same load");
    world.settle();
    for id in &jobs {
        let job = world.status(id);
        assert_eq!((job.status, job.retry_count), (JobStatus::Completed, 0));
    }
}

#[test]
fn a_suspect_that_waits_is_not_shown_as_running_and_says_what_it_waits_for() {
    let (world, _) = world();
    let jobs = suspects(&world);
    let explained = |id| world.clock.run(world.manager.explain(id)).unwrap().detail;
    assert!(
        explained(&jobs[0]).ends_with("it then runs alone, once a batch has time for it"),
        "{}",
        explained(&jobs[0])
    );
    busy_batch(&world);
    let job = world.status(&jobs[0]);
    let note = "its worker stopped while it ran beside other jobs, so it runs alone; \
                its last batch had no time left for it, and it runs first in the next";
    assert_eq!((job.status, job.note.as_deref()), (JobStatus::Queued, Some(note)));
    assert!(explained(&jobs[0]).contains(note), "{}", explained(&jobs[0]));
}
