//! Delays that are longer than the maximum in SQS.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use lambda_jobs_core::manager::{CancelOutcome, RescheduleOutcome};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    CorePorts, Counters, DueQuery, History, HistoryQuery, JobIndex, ListQuery, Look, LookQuery, ServiceError,
};
use lambda_jobs_core::{Dispatcher, JobId, JobManager, JobRecord, JobStatus, NewJob, Queue, TickReport};
use serde_json::json;

use crate::handlers::{Journal, scripted};
use crate::world::World;

const DAY: Duration = Duration::from_hours(24);

fn world() -> (World, Journal) {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    (world, journal.unwrap())
}

fn enqueue(world: &World, delay: Duration) -> JobId {
    world.clock.run(world.manager.enqueue(NewJob::new("script").delay(delay))).unwrap().job_id
}

fn is_parked(world: &World, id: &JobId) -> bool {
    let all = DueQuery { until: world.now() + TimeDelta::days(400), limit: 1000, cursor: None };
    let parked = world.clock.run(world.store.inner.due(&all)).unwrap();
    parked.items.iter().any(|record| record.id() == id)
}

fn messages(world: &World) -> usize {
    Queue::ALL.into_iter().filter(|queue| world.queue.next_visible_at(*queue).unwrap().is_some()).count()
}

#[test]
fn g4_a_delay_of_any_length_ends_within_two_seconds_of_its_second() {
    for delay in [Duration::from_secs(901), Duration::from_millis(1_000_001), DAY, 300 * DAY] {
        let (world, _) = world();
        let due = world.now() + delay;
        let id = enqueue(&world, delay);
        assert_eq!((world.status(&id).status, messages(&world)), (JobStatus::Scheduled, 0));
        world.settle();
        let started = world.status(&id).started_at.unwrap();
        assert!(started >= due && started - due <= TimeDelta::seconds(2), "{delay:?}: {started} for {due}");
    }
}

#[test]
fn a_bare_message_with_a_long_delay_waits_in_the_store_and_costs_no_request_meanwhile() {
    let (world, journal) = world();
    let id = world.send(Queue::Low, &json!({ "name": "script", "delay": 3 * 86_400_000 }));
    let report = world.step(Queue::Low);
    assert_eq!((report.retained.len(), report.summary.deferred), (0, 1));
    assert_eq!((messages(&world), is_parked(&world, &id)), (0, true));
    assert_eq!(world.status(&id).note.as_deref(), Some("not yet due"));
    world.settle();
    assert_eq!((world.status(&id).status, journal.started(id.as_str())), (JobStatus::Completed, 1));
}

#[test]
fn a_retry_that_is_far_off_is_parked_with_the_settlement_itself() {
    let (world, journal) = world();
    let payload = json!({ "fail": 1, "retryAfter": 7_200_000 });
    let id = world.send(Queue::Normal, &json!({ "name": "script", "payload": payload }));
    let begun = world.now();
    world.step(Queue::Normal);
    assert_eq!((messages(&world), is_parked(&world, &id)), (0, true));
    assert_eq!(world.status(&id).status, JobStatus::Retrying);
    world.settle();
    let job = world.status(&id);
    assert_eq!((job.status, job.attempt, journal.started(id.as_str())), (JobStatus::Completed, 2, 2));
    assert!(job.started_at.unwrap() >= begun + TimeDelta::hours(2));
}

#[test]
fn a_tick_sends_what_comes_due_within_five_minutes_and_nothing_else() {
    let (world, _) = world();
    let (near, far) = (enqueue(&world, Duration::from_mins(20)), enqueue(&world, Duration::from_mins(21)));
    world.advance(15 * 60 - 1);
    assert_eq!(world.tick(), TickReport::default());
    world.advance(1);
    assert_eq!(world.tick(), TickReport { dispatched: 1, ..TickReport::default() });
    assert_eq!((world.status(&near).status, is_parked(&world, &near)), (JobStatus::Queued, false));
    assert_eq!((world.status(&far).status, is_parked(&world, &far)), (JobStatus::Scheduled, true));
    assert_eq!(world.tick(), TickReport::default(), "it is sent once");
}

#[test]
fn g1_a_dispatcher_that_dies_between_sending_and_noting_it_sends_twice_and_the_job_runs_once() {
    let (world, journal) = world();
    let id = enqueue(&world, Duration::from_mins(20));
    world.advance(16 * 60);
    world.store.unreachable_replacements.store(1, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(world.tick(), TickReport { dispatched: 1, ..TickReport::default() });
    }
    assert!(!is_parked(&world, &id));
    world.settle();
    assert_eq!((world.status(&id).status, journal.started(id.as_str())), (JobStatus::Completed, 1));
}

#[test]
fn g1_a_parked_job_that_the_queue_does_not_take_stays_parked_and_goes_out_with_the_next_tick() {
    let (world, _) = world();
    world.sends.refused.store(1, Ordering::SeqCst);
    let id = enqueue(&world, Duration::from_mins(20));
    world.advance(16 * 60);
    assert_eq!(world.tick(), TickReport { failed: 1, ..TickReport::default() });
    assert!(is_parked(&world, &id));
    assert_eq!(world.tick(), TickReport { dispatched: 1, ..TickReport::default() });
}

/// An index that lists due jobs as they were.
struct Stale(Vec<JobRecord>);

#[async_trait]
impl JobIndex for Stale {
    async fn list(&self, _: &ListQuery) -> Result<Page<JobRecord>, ServiceError> {
        Ok(Page { items: Vec::new(), cursor: None })
    }

    async fn look(&self, _: &LookQuery) -> Result<Look, ServiceError> {
        Ok(Look { records: Vec::new(), items: 0, cursor: None })
    }

    async fn due(&self, _: &DueQuery) -> Result<Page<JobRecord>, ServiceError> {
        Ok(Page { items: self.0.clone(), cursor: None })
    }

    async fn history(&self, _: &HistoryQuery) -> Result<History, ServiceError> {
        Ok(History::default())
    }

    async fn counters(&self) -> Result<Vec<(String, Counters)>, ServiceError> {
        Ok(Vec::new())
    }
}

#[test]
fn g2_a_job_that_moved_on_since_the_index_listed_it_runs_as_its_record_says() {
    let (world, journal) = world();
    let [cancelled, later, ended] = [0; 3].map(|_| enqueue(&world, Duration::from_mins(20)));
    let due = DueQuery { until: world.now() + TimeDelta::hours(1), limit: 10, cursor: None };
    let listed = world.clock.run(world.store.inner.due(&due)).unwrap().items;
    let begun = world.now();
    world.clock.run(world.manager.cancel(&cancelled)).unwrap();
    world.clock.run(world.manager.reschedule(&later, begun + TimeDelta::hours(2))).unwrap();
    world.clock.run(world.manager.reschedule(&ended, begun)).unwrap();
    assert_eq!(world.step(Queue::Normal).summary.completed, 1);
    world.advance(16 * 60);
    let ports = CorePorts { index: Arc::new(Stale(listed)), ..world.ports.clone() };
    let stale = Dispatcher::new(Arc::new(JobManager::new(world.config.clone(), ports)));
    let report = world.clock.run(stale.tick(world.now() + Duration::from_secs(55)));
    assert_eq!(report, TickReport { dispatched: 3, ..TickReport::default() });
    assert!(is_parked(&world, &later));
    world.settle();
    assert_eq!([&cancelled, &later, &ended].map(|id| journal.started(id.as_str())), [0, 1, 1]);
    assert_eq!(world.status(&cancelled).status, JobStatus::Cancelled);
    assert!(world.status(&later).started_at.unwrap() >= begun + TimeDelta::hours(2));
}

#[test]
fn a_tick_begins_nothing_new_near_its_deadline_and_the_next_one_carries_on() {
    let (world, _) = world();
    for _ in 0..3 {
        enqueue(&world, Duration::from_mins(20));
    }
    world.advance(16 * 60);
    let late = world.clock.run(world.dispatcher.tick(world.now() + Duration::from_secs(9)));
    assert_eq!(late, TickReport { is_partial: true, ..TickReport::default() });
    assert_eq!(world.tick().dispatched, 3);
}

#[test]
fn a_backlog_of_many_pages_is_sent_whole() {
    let (world, _) = world();
    let jobs = (0..2_345).map(|_| NewJob::new("script").delay(Duration::from_mins(20))).collect();
    assert!(world.clock.run(world.manager.enqueue_all(jobs)).iter().all(Result::is_ok));
    world.advance(20 * 60);
    assert_eq!(world.tick(), TickReport { dispatched: 2_345, ..TickReport::default() });
}

#[test]
fn cancelling_and_rescheduling_a_parked_job_work_at_once() {
    let (world, journal) = world();
    let (gone, sooner) = (enqueue(&world, DAY), enqueue(&world, DAY));
    assert_eq!(world.clock.run(world.manager.cancel(&gone)).unwrap(), CancelOutcome::Cancelled);
    let due = world.now() + TimeDelta::seconds(30);
    let outcome = world.clock.run(world.manager.reschedule(&sooner, due)).unwrap();
    assert_eq!(outcome, RescheduleOutcome::Rescheduled);
    assert!(!is_parked(&world, &gone) && !is_parked(&world, &sooner));
    world.settle();
    assert_eq!(journal.started(gone.as_str()), 0);
    let started = world.status(&sooner).started_at.unwrap();
    assert!(started >= due && started - due <= TimeDelta::seconds(2));
}

#[test]
fn a_job_whose_message_is_on_its_way_can_be_put_off_and_brought_forward() {
    let (world, journal) = world();
    let begun = world.now();
    let (later, sooner) =
        (enqueue(&world, Duration::from_secs(10)), enqueue(&world, Duration::from_mins(14)));
    for (id, due) in [(&later, begun + TimeDelta::hours(3)), (&sooner, begun + TimeDelta::seconds(5))] {
        world.clock.run(world.manager.reschedule(id, due)).unwrap();
    }
    world.settle();
    let (later, sooner) = (world.status(&later), world.status(&sooner));
    assert_eq!(journal.started(later.job_id.as_str()), 1);
    assert!(later.started_at.unwrap() >= begun + TimeDelta::hours(3));
    assert!(sooner.started_at.unwrap() <= begun + TimeDelta::seconds(7));
    assert_eq!(journal.started(sooner.job_id.as_str()), 1);
}

#[test]
fn what_does_not_wait_is_not_rescheduled() {
    let (world, _) = world();
    let id = enqueue(&world, Duration::ZERO);
    world.settle();
    let ask = |id: &JobId| world.clock.run(world.manager.reschedule(id, world.now())).unwrap();
    assert_eq!(ask(&id), RescheduleOutcome::NotWaiting(JobStatus::Completed));
    assert_eq!(ask(&"nobody".parse().unwrap()), RescheduleOutcome::Unknown);
    let far = world.now() + TimeDelta::days(367);
    assert_eq!(
        world.clock.run(world.manager.reschedule(&id, far)).unwrap_err().to_string(),
        "runAt: expected an instant at most 366 days ahead, got 2027-11-25 08:00:00 UTC"
    );
}

#[test]
fn g1_an_operators_retry_that_died_before_it_sent_is_found_by_the_dispatcher() {
    let (world, journal) = world();
    let job = NewJob::new("script").payload(json!({ "permanent": true }));
    let id = world.clock.run(world.manager.enqueue(job)).unwrap().job_id;
    world.settle();
    world.sends.refused.store(1, Ordering::SeqCst);
    assert!(world.clock.run(world.manager.retry(&id)).is_err());
    assert!(is_parked(&world, &id));
    world.settle();
    assert_eq!((world.status(&id).status, journal.started(id.as_str())), (JobStatus::Failed, 2));
}

#[test]
fn an_id_that_is_parked_is_a_duplicate_and_is_not_sent_again() {
    let (world, _) = world();
    let job = || NewJob::new("script").id("order-7".parse().unwrap()).delay(DAY);
    assert!(!world.clock.run(world.manager.enqueue(job())).unwrap().duplicate);
    let again = world.clock.run(world.manager.enqueue(job())).unwrap();
    assert_eq!((again.duplicate, again.status, messages(&world)), (true, JobStatus::Scheduled, 0));
}

#[test]
fn ticks_look_further_ahead_than_two_of_them_are_apart() {
    assert!(Dispatcher::LOOK_AHEAD > Duration::from_mins(4));
}
