//! The requests of callers.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::manager::{CancelOutcome, JobFilter, Looked, RetryOutcome};
use lambda_jobs_core::ports::JobStore;
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, JobStatus, NewJob, Queue};
use serde_json::json;

use crate::handlers::scripted;
use crate::world::World;

fn world() -> World {
    World::new(|registry| drop(scripted(registry)))
}

fn enqueue(world: &World, job: NewJob) -> JobId {
    world.clock.run(world.manager.enqueue(job)).unwrap().job_id
}

#[test]
fn an_enqueued_job_is_listed_before_and_after_it_ran() {
    let world = world();
    let id = enqueue(&world, NewJob::new("script").tag("demo"));
    assert_eq!(world.status(&id).status, JobStatus::Queued);
    world.settle();
    let filter = JobFilter { status: Some(JobStatus::Completed), name: None, limit: 10, cursor: None };
    let listed = world.clock.run(world.manager.list(&filter)).unwrap().items;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].job_id, listed[0].attempt), (&id, 1));
}

#[test]
fn enqueueing_an_id_twice_runs_it_once_and_says_duplicate() {
    let world = world();
    let job = || NewJob::new("script").id("order-7".parse().unwrap());
    assert!(!world.clock.run(world.manager.enqueue(job())).unwrap().duplicate);
    assert!(world.clock.run(world.manager.enqueue(job())).unwrap().duplicate);
    world.settle();
    let again = world.clock.run(world.manager.enqueue(job())).unwrap();
    assert_eq!((again.duplicate, again.status), (true, JobStatus::Completed));
    let counters = world.clock.run(world.manager.counters()).unwrap();
    assert_eq!(counters[0].1.completed, 1);
}

#[test]
fn bad_jobs_are_refused_with_the_field_the_value_and_what_was_expected() {
    let world = world();
    let refusal = |job| world.clock.run(world.manager.enqueue(job)).unwrap_err().to_string();
    assert_eq!(refusal(NewJob::new("")), "name: expected the name of a job, 1 to 128 bytes, got \"\"");
    assert_eq!(
        refusal(NewJob::new("script").timeout(Duration::from_secs(88))),
        "timeout: expected at most 85000 ms, the function's timeout less the margins to start and settle, got 88000 ms; \
         raise the function's timeout (15 minutes at most), split the work, or chain jobs, each enqueueing the next"
    );
    assert_eq!(
        refusal(NewJob::new("script").timeout(Duration::from_mins(16))),
        "timeout: expected whole milliseconds from 1 to 900000, which is as long as Lambda runs anything (split longer \
         work, or chain jobs, each enqueueing the next), got 960000"
    );
    assert_eq!(
        refusal(NewJob::new("script").delay(Duration::MAX)),
        "delay: expected whole milliseconds from 0 to 31622400000, got 18446744073709551615"
    );
    let never = NewJob::new("script").run_at(chrono::DateTime::<chrono::Utc>::MAX_UTC);
    assert!(refusal(never).starts_with("runAt: expected an RFC 3339 instant of the years 1970 to 9999"));
    let year = world.now() + TimeDelta::days(366);
    assert_eq!(
        refusal(NewJob::new("script").run_at(year + TimeDelta::milliseconds(1)).delay(Duration::ZERO)),
        "runAt: expected an instant at most 366 days ahead, got 2027-11-24 08:00:00.001 UTC"
    );
    assert_eq!(
        refusal(NewJob::new("script").max_retries(101)),
        "maxRetries: expected an integer from 0 to 100, got 101"
    );
    assert!(
        refusal(NewJob::new("script").payload(json!("x".repeat(1_048_576))))
            .contains("at most 1048576 bytes")
    );
    assert!(world.queue.next_visible_at(Queue::Normal).unwrap().is_none(), "nothing was sent");
}

#[test]
fn a_job_can_wait_for_a_year_and_no_longer_however_that_is_said() {
    let world = world();
    let year = TimeDelta::days(366);
    for job in [
        NewJob::new("script").run_at(world.now() + year),
        NewJob::new("script").delay(year.to_std().unwrap()),
    ] {
        let id = enqueue(&world, job);
        assert_eq!(world.status(&id).status, JobStatus::Scheduled);
    }
}

#[test]
fn a_failed_job_can_be_sent_on_its_way_again_with_all_its_attempts() {
    let world = world();
    let id = enqueue(&world, NewJob::new("script").payload(json!({ "permanent": true })));
    assert_eq!(
        world.clock.run(world.manager.retry(&id)).unwrap(),
        RetryOutcome::NotFailed(JobStatus::Queued)
    );
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Failed);
    assert_eq!(world.clock.run(world.manager.retry(&id)).unwrap(), RetryOutcome::Requeued);
    assert_eq!(world.status(&id).retry_count, 0);
    world.settle();
    assert_eq!((world.status(&id).status, world.status(&id).attempt), (JobStatus::Failed, 1));
    let unknown = "nobody".parse().unwrap();
    assert_eq!(world.clock.run(world.manager.retry(&unknown)).unwrap(), RetryOutcome::Unknown);
}

#[test]
fn cancelling_an_id_that_nobody_has_seen_stops_its_message_when_it_comes() {
    let world = world();
    let id: JobId = "late".parse().unwrap();
    assert_eq!(world.clock.run(world.manager.cancel(&id)).unwrap(), CancelOutcome::Unknown);
    world.send(Queue::Normal, &json!({ "name": "script", "id": "late" }));
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Cancelled);
    assert_eq!(
        world.clock.run(world.manager.cancel(&id)).unwrap(),
        CancelOutcome::Finished(JobStatus::Cancelled)
    );
}

#[test]
fn a_list_that_is_cut_short_shows_the_latest() {
    let world = world();
    let ids: Vec<JobId> = (0..5)
        .map(|_| {
            let id = enqueue(&world, NewJob::new("script").payload(json!({ "permanent": true })));
            world.settle();
            world.advance(1);
            id
        })
        .collect();
    let filter = JobFilter { status: Some(JobStatus::Failed), name: None, limit: 2, cursor: None };
    let listed = world.clock.run(world.manager.list(&filter)).unwrap().items;
    let shown: Vec<&JobId> = listed.iter().map(|job| &job.job_id).collect();
    assert_eq!(shown, [&ids[4], &ids[3]]);
}

/// All items of a list, fetched in pages of this size.
fn pages(world: &World, status: Option<JobStatus>, limit: usize) -> Vec<Vec<(DateTime<Utc>, JobId)>> {
    let mut filter = JobFilter { status, name: None, limit, cursor: None };
    let mut pages = Vec::new();
    loop {
        let page = world.clock.run(world.manager.list(&filter)).unwrap();
        pages.push(page.items.into_iter().map(|job| (job.at, job.job_id)).collect());
        filter.cursor = page.cursor;
        if filter.cursor.is_none() {
            return pages;
        }
    }
}

#[test]
fn pages_of_a_list_hold_every_job_once_the_latest_first_whatever_its_status() {
    let world = world();
    let permanent = || NewJob::new("script").payload(json!({ "permanent": true }));
    for _ in 0..3 {
        // Several jobs end, or are due, at one instant: a page that ends between them must lose none.
        for _ in 0..7 {
            enqueue(&world, NewJob::new("script"));
            enqueue(&world, permanent());
        }
        world.settle();
        world.advance(1);
    }
    for _ in 0..5 {
        enqueue(&world, NewJob::new("script").delay(Duration::from_hours(1)));
        enqueue(&world, NewJob::new("script").delay(Duration::from_mins(2)));
        let cancelled = enqueue(&world, NewJob::new("script"));
        world.clock.run(world.manager.cancel(&cancelled)).unwrap();
        enqueue(&world, NewJob::new("script"));
    }
    let statuses = [None, Some(JobStatus::Completed), Some(JobStatus::Failed), Some(JobStatus::Scheduled)];
    for (status, number) in statuses.into_iter().zip([62, 21, 21, 10]) {
        let whole = pages(&world, status, 100).concat();
        assert_eq!(whole.len(), number, "{status:?}");
        assert!(whole.is_sorted_by_key(|(at, id)| Reverse((*at, id.clone()))), "{status:?}: {whole:?}");
        for limit in [1, 2, 5, 7, number - 1, number] {
            let pages = pages(&world, status, limit);
            assert_eq!(pages.len(), number.div_ceil(limit), "{status:?} by {limit}");
            assert_eq!(pages.concat(), whole, "{status:?} by {limit}");
        }
    }
    assert_eq!(pages(&world, Some(JobStatus::Cancelled), 2).len(), 3);
    assert_eq!(pages(&world, None, 0), [[]]);
}

#[test]
fn a_list_of_queued_jobs_looks_at_ten_thousand_records_and_goes_on_from_there() {
    let world = world();
    let mut ids: Vec<JobId> = (0..3).map(|_| enqueue(&world, NewJob::new("script"))).collect();
    ids.sort();
    let gone = (0..10_100).map(|at| {
        let id: JobId = format!("0-{at:05}").parse().unwrap();
        let definition = JobDefinition::new(id, "script");
        JobRecord::accepted(definition, Queue::Normal, world.now(), world.now())
    });
    let cancelled: Vec<JobRecord> = gone.map(|record| record.cancelled("why", world.now())).collect();
    world.clock.run(world.store.inner.insert(&cancelled));
    let list = |status, limit, cursor| {
        let filter = JobFilter { status, name: None, limit, cursor };
        world.clock.run(world.manager.list(&filter)).unwrap()
    };
    let queued = Some(JobStatus::Queued);
    let first = list(queued, 10, None);
    assert_eq!((first.items.len(), first.looked), (0, Some(Looked { items: 10_000, complete: false })));
    let second = list(queued, 2, first.cursor);
    let third = list(queued, 2, second.cursor);
    assert_eq!((third.cursor, third.looked), (None, Some(Looked { items: 1, complete: true })));
    let mut found: Vec<JobId> = second.items.into_iter().chain(third.items).map(|job| job.job_id).collect();
    found.sort();
    assert_eq!(found, ids);
    let all = list(None, 20_000, None);
    assert_eq!(all.items.len(), 10_100, "it only looks at the first thousand");
    assert_eq!(all.looked, Some(Looked { items: 1_000, complete: false }));
    assert_eq!(list(Some(JobStatus::Failed), 10, None).looked, None);
}

#[test]
fn what_came_with_no_page_is_no_cursor() {
    let world = world();
    let refusal = |status, wrong: &str| {
        let filter = JobFilter { status, name: None, limit: 10, cursor: Some(wrong.to_owned()) };
        world.clock.run(world.manager.list(&filter)).unwrap_err().to_string()
    };
    for wrong in ["", "job-1", "never#job-1", "yesterday#job-1", "queued job#1 job"] {
        let told = format!("cursor: expected one that came with a page of jobs, got {wrong:?}");
        assert_eq!(refusal(None, wrong), told);
    }
    let wrong = "2026-11-23T08:00:00Z#job-1";
    let told = format!("cursor: expected one that came with a page of queued jobs, got {wrong:?}");
    assert_eq!(refusal(Some(JobStatus::Queued), wrong), told);
}

#[test]
fn a_batch_is_accepted_in_order_and_one_refusal_holds_up_nobody() {
    let world = world();
    let jobs = vec![NewJob::new("script"), NewJob::new(""), NewJob::new("script").id("x".parse().unwrap())];
    let answers = world.clock.run(world.manager.enqueue_all(jobs));
    assert!(answers[0].is_ok() && answers[1].is_err());
    assert_eq!(answers[2].as_ref().unwrap().job_id.as_str(), "x");
}

#[test]
fn a_retry_that_crashed_before_it_sent_is_made_good_by_asking_again() {
    let world = world();
    let id = enqueue(&world, NewJob::new("script").payload(json!({ "permanent": true })));
    world.settle();
    world.store.lose_replacements.store(1, Ordering::SeqCst);
    assert!(world.clock.run(world.manager.retry(&id)).is_err(), "the record is written, nothing is sent");
    assert!(world.queue.next_visible_at(Queue::Normal).unwrap().is_none());
    let again = world.clock.run(world.manager.retry(&id)).unwrap();
    assert_eq!(again, RetryOutcome::NotFailed(JobStatus::Scheduled));
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Failed);
    assert_eq!(world.status(&id).error.as_deref(), Some("no use"));
}

#[test]
fn a_cancelled_dead_letter_runs_nothing_when_it_is_redriven() {
    let world = world();
    let id: JobId = "letter".parse().unwrap();
    world.send(Queue::Normal, &json!({ "name": "script", "id": "letter", "timeout": 89_000 }));
    world.step(Queue::Normal);
    assert_eq!(world.clock.run(world.manager.cancel(&id)).unwrap(), CancelOutcome::Cancelled);
    world.send(Queue::Normal, &json!({ "name": "script", "id": "letter" }));
    world.settle();
    assert_eq!(world.status(&id).status, JobStatus::Cancelled);
}

#[test]
fn a_job_cancelled_while_it_waited_for_its_first_retry_was_never_tried_again() {
    let world = world();
    let id = enqueue(&world, NewJob::new("script").payload(json!({ "fail": 1 })));
    world.step(Queue::Normal);
    world.clock.run(world.manager.cancel(&id)).unwrap();
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt, job.retry_count), (JobStatus::Cancelled, 1, 0));
}

#[test]
fn an_id_that_is_given_twice_in_one_call_is_accepted_once_and_runs_once() {
    let world = world();
    let job = || NewJob::new("script").id("twin".parse().unwrap());
    let answers = world.clock.run(world.manager.enqueue_all(vec![job(), NewJob::new("script"), job()]));
    let duplicates: Vec<bool> = answers.into_iter().map(|answer| answer.unwrap().duplicate).collect();
    assert_eq!(duplicates, [false, false, true]);
    world.settle();
    assert_eq!(world.clock.run(world.manager.counters()).unwrap()[0].1.completed, 2);
}
