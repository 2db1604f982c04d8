//! Why jobs are not running: each reason, with a real job. The tests check each instant in an explanation against the
//! outcome: a message that is delivered 1 ms earlier starts nothing, and one at the instant starts the job.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::breaker::{Breaker, BreakerPolicy};
use lambda_jobs_core::control::Control;
use lambda_jobs_core::explain::{Explanation, Reason};
use lambda_jobs_core::job::BreakerName;
use lambda_jobs_core::limit::{Limit, LimitBy, Rate};
use lambda_jobs_core::manager::BreakerView;
use lambda_jobs_core::memory::MemoryVersioned;
use lambda_jobs_core::ports::{ControlStore, ServiceError, VersionedOutcome, VersionedStore};
use lambda_jobs_core::{
    HandlerOptions, Jitter, JobConfig, JobContext, JobError, JobHandler, JobId, JobRegistry, NewJob, Queue,
    RetryPolicy,
};
use serde_json::{Value, json};

use crate::world::World;

/// Does what its payload says, and notes that.
#[derive(Clone, Default)]
struct Task {
    options: HandlerOptions,
    mail_is_down: Arc<AtomicBool>,
    started: Arc<Mutex<Vec<JobId>>>,
}

impl JobHandler for Task {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        "task"
    }

    fn options(&self) -> HandlerOptions {
        self.options.clone()
    }

    async fn execute(&self, payload: Value, ctx: &JobContext) -> Result<(), JobError> {
        if payload["calls"] == true {
            ctx.breaker("mail").call(self.work(&payload, ctx)).await
        } else {
            self.work(&payload, ctx).await
        }
    }
}

impl Task {
    async fn work(&self, payload: &Value, ctx: &JobContext) -> Result<(), JobError> {
        self.started.lock().unwrap().push(ctx.job_id().clone());
        ctx.clock().sleep(Duration::from_millis(payload["millis"].as_u64().unwrap_or(0))).await;
        match payload["then"].as_str() {
            Some("fails") => Err(JobError::retryable("no luck")),
            Some("snoozes") if self.started(ctx.job_id()) == 1 => {
                Err(JobError::snooze(Duration::from_mins(10)).because("no report yet"))
            }
            _ if self.mail_is_down.load(Ordering::SeqCst) => Err(JobError::retryable("mail is down")),
            _ => Ok(()),
        }
    }

    fn started(&self, id: &JobId) -> usize {
        self.started.lock().unwrap().iter().filter(|one| *one == id).count()
    }
}

fn world(task: &Task) -> World {
    let breaker = BreakerPolicy::default().failure_count(1).unwrap();
    let retry = RetryPolicy::default().with_jitter(Jitter::None);
    World::with_config(JobConfig { breaker, retry, ..JobConfig::default() }, |registry: &mut JobRegistry| {
        registry.register(task.clone()).unwrap();
    })
}

fn plain() -> (Task, World) {
    let task = Task::default();
    let world = world(&task);
    (task, world)
}

fn needing(breaker: &str) -> Task {
    let options = HandlerOptions { breakers: vec![breaker.parse().unwrap()], ..HandlerOptions::default() };
    Task { options, ..Task::default() }
}

fn limited(limit: Limit) -> Task {
    Task { options: HandlerOptions { limits: vec![limit], ..HandlerOptions::default() }, ..Task::default() }
}

fn send(world: &World, payload: Value) -> JobId {
    world.send(Queue::Normal, &json!({ "name": "task", "payload": payload }))
}

fn new_job(payload: Value) -> NewJob {
    NewJob::new("task").payload(payload).queue(Queue::Normal)
}

fn enqueue(world: &World, job: NewJob) -> JobId {
    world.clock.run(world.manager.enqueue(job)).unwrap().job_id
}

fn explained(world: &World, id: &JobId) -> Explanation {
    world.clock.run(world.manager.explain(id)).unwrap()
}

/// The explanation of a job that has no instant.
fn said(world: &World, id: &JobId) -> (Reason, String) {
    let Explanation { reason, detail, next_eligible_at } = explained(world, id);
    assert_eq!(next_eligible_at, None, "{detail}");
    (reason, detail)
}

fn expect(said: &(Reason, String), reason: Reason, detail: &str) {
    assert_eq!((said.0, said.1.as_str()), (reason, detail));
}

/// Delivers another message of a job, in addition to its own.
fn deliver(world: &World, id: &JobId) {
    world.send(Queue::Normal, &json!({ "name": "task", "id": id }));
    world.step(Queue::Normal);
}

/// Checks that no message starts a job that has ended or waits for a person.
fn assert_never_starts(world: &World, task: &Task, id: &JobId) {
    let before = task.started(id);
    deliver(world, id);
    world.advance(3600);
    deliver(world, id);
    assert_eq!(task.started(id), before);
}

/// Checks that a job starts at an instant, and that no message starts it earlier.
fn assert_starts_at(world: &World, task: &Task, id: &JobId, instant: DateTime<Utc>) {
    let before = task.started(id);
    world.clock.advance((instant - TimeDelta::milliseconds(1) - world.now()).to_std().unwrap());
    deliver(world, id);
    assert_eq!(task.started(id), before, "a millisecond before");
    world.clock.advance(Duration::from_millis(1));
    deliver(world, id);
    assert_eq!(task.started(id), before + 1, "at its instant");
}

/// Checks the reason for which a job waits, and that it starts at the stated instant.
fn assert_waits(world: &World, task: &Task, id: &JobId, reason: Reason, seconds: i64) -> String {
    let Explanation { reason: found, detail, next_eligible_at } = explained(world, id);
    let wait = next_eligible_at.map(|at| at - world.now());
    assert_eq!((found, wait), (reason, Some(TimeDelta::seconds(seconds))), "{detail}");
    assert_starts_at(world, task, id, next_eligible_at.unwrap());
    detail
}

#[test]
fn unknown_is_a_job_that_no_worker_has_received() {
    let (task, world) = plain();
    let id = send(&world, json!({}));
    let detail = "there is no record of this job; a bare message gets one when a worker receives it";
    expect(&said(&world, &id), Reason::Unknown, detail);
    world.step(Queue::Normal);
    assert_eq!(task.started(&id), 1);
    expect(&said(&world, &id), Reason::Completed, "it completed at 2026-11-23T08:00:00Z, at attempt 1");
    assert_never_starts(&world, &task, &id);
}

#[test]
fn ready_is_a_job_that_nothing_keeps() {
    let (task, world) = plain();
    let id = enqueue(&world, new_job(json!({})));
    let explanation = explained(&world, &id);
    assert_eq!((explanation.reason, explanation.next_eligible_at), (Reason::Ready, Some(world.now())));
    world.step(Queue::Normal);
    assert_eq!(task.started(&id), 1);
}

#[test]
fn paused_is_a_job_whose_queue_is_until_somebody_resumes_it() {
    let (task, world) = plain();
    let why = "endpoint is down".parse().ok();
    world.clock.run(world.manager.pause(Some(Queue::Normal), why)).unwrap();
    let id = enqueue(&world, new_job(json!({})));
    let detail = "queue normal is paused since 2026-11-23T08:00:00Z: endpoint is down";
    expect(&said(&world, &id), Reason::Paused, detail);
    assert_never_starts(&world, &task, &id);
    world.clock.run(world.manager.resume(None)).unwrap();
    // A worker caches the pause for 5 s.
    world.advance(5);
    assert_eq!(explained(&world, &id).reason, Reason::Ready);
    deliver(&world, &id);
    assert_eq!(task.started(&id), 1);
}

#[test]
fn paused_is_a_job_too_that_the_environment_disables() {
    let task = Task::default();
    let config = JobConfig { enabled: false, ..JobConfig::default() };
    let world = World::with_config(config, |registry| {
        registry.register(task.clone()).unwrap();
    });
    world.clock.run(world.control.save(&Control::default().noting(false, world.now()))).unwrap();
    let id = enqueue(&world, new_job(json!({})));
    let detail = "jobs are disabled since 2026-11-23T08:00:00Z: ENABLE_JOBS is false";
    expect(&said(&world, &id), Reason::Paused, detail);
    assert_never_starts(&world, &task, &id);
}

#[test]
fn delayed_is_a_job_that_is_not_due() {
    let (task, world) = plain();
    let soon = enqueue(&world, new_job(json!({})).delay(Duration::from_secs(30)));
    let detail = assert_waits(&world, &task, &soon, Reason::Delayed, 30);
    assert_eq!(detail, "it is due at 2026-11-23T08:00:30Z");
    let parked = enqueue(&world, new_job(json!({})).delay(Duration::from_hours(1)));
    assert_waits(&world, &task, &parked, Reason::Delayed, 3600);
}

#[test]
fn delayed_is_a_job_between_its_attempts() {
    let (task, world) = plain();
    let failing = enqueue(&world, new_job(json!({ "then": "fails" })));
    world.step(Queue::Normal);
    let detail = assert_waits(&world, &task, &failing, Reason::Delayed, 5);
    let expected = "it is due at 2026-11-23T08:00:05Z; attempt 1 failed: no luck";
    assert_eq!(detail, expected);
    let snoozing = enqueue(&world, new_job(json!({ "then": "snoozes" })));
    world.step(Queue::Normal);
    let detail = assert_waits(&world, &task, &snoozing, Reason::Delayed, 600);
    assert!(detail.ends_with("its note says: snoozed until 2026-11-23T08:10:05Z: no report yet"), "{detail}");
}

#[test]
fn leased_is_a_job_that_a_worker_runs_until_its_lease_ends() {
    let (task, world) = plain();
    let (first, second) = (send(&world, json!({ "millis": 1000 })), send(&world, json!({ "millis": 1000 })));
    world.process_and_crash(world.receive(Queue::Normal));
    assert_eq!((task.started(&first), task.started(&second)), (1, 1));
    let detail = assert_waits(&world, &task, &first, Reason::Leased, 95);
    let begins =
        "a worker runs attempt 1 since 2026-11-23T08:00:00Z; if it dies, another may take it over when";
    assert_eq!(detail, format!("{begins} its lease ends at 2026-11-23T08:01:35Z"));
    assert_eq!(explained(&world, &second).reason, Reason::Ready, "its message is on its way back");
}

#[test]
fn leased_for_good_is_a_job_that_was_cancelled_while_it_ran() {
    let (task, world) = plain();
    let ids = [send(&world, json!({ "millis": 1000 })), send(&world, json!({ "millis": 1000 }))];
    world.process_and_crash(world.receive(Queue::Normal));
    world.clock.run(world.manager.cancel(&ids[0])).unwrap();
    assert_eq!(said(&world, &ids[0]).0, Reason::Leased);
    world.advance(95);
    let detail = "somebody cancelled it while it ran; its record changes when its message comes back";
    expect(&said(&world, &ids[0]), Reason::Cancelled, detail);
    assert_never_starts(&world, &task, &ids[0]);
}

#[test]
fn duplicate_and_cancelled_are_jobs_that_will_not_run() {
    let (task, world) = plain();
    let body = json!({ "name": "task", "uniqueKey": "report", "payload": { "then": "fails" } });
    let first = world.send(Queue::Normal, &body);
    world.step(Queue::Normal);
    let second = world.send(Queue::Normal, &body);
    world.step(Queue::Normal);
    let detail = format!("job {first} held its unique key, so this job is a duplicate of it");
    expect(&said(&world, &second), Reason::Duplicate, &detail);
    world.clock.run(world.manager.cancel(&first)).unwrap();
    expect(&said(&world, &first), Reason::Cancelled, "cancelled by an operator");
    for id in [&first, &second] {
        assert_never_starts(&world, &task, id);
    }
}

#[test]
fn exhausted_is_a_job_that_has_failed_for_good() {
    let (task, world) = plain();
    let failing = enqueue(&world, new_job(json!({ "then": "fails" })).max_retries(1));
    world.settle();
    expect(&said(&world, &failing), Reason::Exhausted, "all 2 attempts failed: no luck");
    assert_never_starts(&world, &task, &failing);
    let lost = enqueue(&world, NewJob::new("nobody").queue(Queue::Normal));
    world.step(Queue::Normal);
    let (reason, detail) = said(&world, &lost);
    let begins =
        "its message is in the dead-letter queue of queue normal: name: no handler is registered for";
    assert!(reason == Reason::Exhausted && detail.starts_with(begins), "{detail}");
}

/// Fails a call, which opens the breaker, and waits until the worker knows.
fn open(world: &World, task: &Task) {
    task.mail_is_down.store(true, Ordering::SeqCst);
    enqueue(world, new_job(json!({ "calls": true })).max_retries(0));
    world.step(Queue::Normal);
    task.mail_is_down.store(false, Ordering::SeqCst);
    assert_eq!(view(world).state, "open");
}

fn mail() -> BreakerName {
    "mail".parse().unwrap()
}

fn view(world: &World) -> BreakerView {
    world.clock.run(world.manager.breaker(&mail())).unwrap()
}

#[test]
fn breaker_is_the_reason_of_a_job_whose_handler_or_sender_declares_an_open_one_before_anybody_has_seen_it() {
    let task = Task::default();
    let world = world(&task);
    open(&world, &task);
    let id = enqueue(&world, new_job(json!({})).breaker(mail()));
    let detail =
        "breaker mail is open since 2026-11-23T08:00:00Z, and lets a probe through at 2026-11-23T08:01:00Z";
    assert_eq!(assert_waits_as_a_message(&world, &task, &id, 60), detail);

    let mut registry = JobRegistry::new(&world.config);
    registry.register(needing("mail")).unwrap();
    let manager = world.manager_for(Arc::new(registry));
    world.clock.run(manager.open_breaker(&mail())).unwrap();
    let id = enqueue(&world, new_job(json!({})));
    assert_eq!(world.clock.run(manager.explain(&id)).unwrap().reason, Reason::Breaker);
    assert_eq!(
        explained(&world, &id).reason,
        Reason::Ready,
        "who knows no handlers does not know what they need"
    );
}

/// Like [`assert_waits`], but delivers only the job's own messages. A message that comes early gives the job a new
/// position behind its breaker.
fn assert_waits_as_a_message(world: &World, task: &Task, id: &JobId, seconds: i64) -> String {
    let Explanation { reason, detail, next_eligible_at } = explained(world, id);
    let wait = next_eligible_at.map(|at| at - world.now());
    assert_eq!((reason, wait), (Reason::Breaker, Some(TimeDelta::seconds(seconds))), "{detail}");
    let before = task.started(id);
    world.step(Queue::Normal);
    world.clock.advance((wait.unwrap() - TimeDelta::milliseconds(1)).to_std().unwrap());
    world.step(Queue::Normal);
    assert_eq!(task.started(id), before, "a millisecond before");
    world.clock.advance(Duration::from_millis(1));
    world.step(Queue::Normal);
    assert_eq!(task.started(id), before + 1, "at its instant");
    detail
}

#[test]
fn breaker_is_the_reason_of_jobs_in_line_each_until_its_own_instant() {
    for task in [Task::default(), needing("mail")] {
        let world = world(&task);
        open(&world, &task);
        let jobs: Vec<JobId> = (0..4).map(|_| send(&world, json!({ "calls": true }))).collect();
        world.step(Queue::Normal);
        assert_eq!(view(&world).deferred_jobs, 4);
        let mut line: Vec<(DateTime<Utc>, &JobId)> =
            jobs.iter().map(|id| (explained(&world, id).next_eligible_at.unwrap(), id)).collect();
        line.sort_unstable_by_key(|one| one.0);
        let waits: Vec<i64> = line.iter().map(|one| (one.0 - world.now()).num_seconds()).collect();
        assert_eq!(waits, [60, 61, 61, 62]);
        let (probe, last) = (line[0].1, line[3].1);
        let detail = explained(&world, probe).detail;
        let expected = "it waits for its turn at 2026-11-23T08:01:00Z behind breaker mail, which is open";
        assert_eq!(detail, expected);
        assert_waits_as_a_message(&world, &task, probe, 60);
        let detail = assert_waits_as_a_message(&world, &task, last, 2);
        let expected = "it waits for its turn at 2026-11-23T08:01:02Z behind breaker mail, which is closed";
        assert_eq!(detail, expected, "the probe has closed it");
    }
}

#[test]
fn breaker_is_the_reason_of_a_job_in_line_while_somebody_probes() {
    let task = needing("mail");
    let world = world(&task);
    open(&world, &task);
    let probe = send(&world, json!({ "calls": true, "millis": 1000 }));
    world.step(Queue::Normal);
    let next = send(&world, json!({ "calls": true }));
    world.step(Queue::Normal);
    world.advance(60);
    world.process_and_crash(world.receive(Queue::Normal));
    assert_eq!((task.started(&probe), view(&world).state), (1, "half_open"));
    let explanation = explained(&world, &next);
    let at = Some(world.now() + TimeDelta::seconds(1));
    assert_eq!((explanation.reason, explanation.next_eligible_at), (Reason::Breaker, at));

    // The prober is dead. At that instant the job gets a later one, because the prober still holds its lease.
    world.advance(1);
    let explanation = explained(&world, &next);
    let lease_end = world.now() + TimeDelta::seconds(94);
    assert_eq!((explanation.reason, explanation.next_eligible_at), (Reason::Breaker, Some(lease_end)));
    while world.now() < lease_end {
        world.step(Queue::Normal);
        assert_eq!(task.started(&next), 0);
        world.clock.advance(Duration::from_millis(500));
    }
    deliver(&world, &next);
    assert_eq!(task.started(&next), 1);
}

#[test]
fn breaker_is_the_reason_without_an_instant_while_an_operator_keeps_one_open() {
    let task = needing("mail");
    let world = world(&task);
    world.clock.run(world.manager.open_breaker(&mail())).unwrap();
    let id = send(&world, json!({ "calls": true }));
    world.step(Queue::Normal);
    let detail =
        "an operator keeps breaker mail open since 2026-11-23T08:00:00Z, until somebody closes or resets it";
    expect(&said(&world, &id), Reason::Breaker, detail);
    for _ in 0..600 {
        world.advance(1);
        world.step(Queue::Normal);
    }
    assert_eq!((task.started(&id), said(&world, &id).0), (0, Reason::Breaker));
    world.clock.run(world.manager.close_breaker(&mail())).unwrap();
    // A worker caches a breaker for 2 s.
    world.advance(2);
    let at = explained(&world, &id).next_eligible_at.unwrap();
    let wait = (at - world.now()).num_seconds();
    assert_waits(&world, &task, &id, Reason::Breaker, wait);
}

#[test]
fn limit_is_the_reason_of_a_job_that_waits_for_its_turn() {
    let at_once = limited(Limit::concurrency(LimitBy::Name, 1).unwrap());
    let rate = Rate::new(1, Duration::from_secs(10)).unwrap();
    let in_a_time = limited(Limit::rate(LimitBy::Name, rate));
    for (task, key, seconds) in [(at_once, "at-once:task", 1), (in_a_time, "rate:task", 10)] {
        let world = world(&task);
        let ids = [send(&world, json!({})), send(&world, json!({}))];
        world.step(Queue::Normal);
        let waiting = ids.iter().find(|id| task.started(id) == 0).unwrap();
        let detail = assert_waits(&world, &task, waiting, Reason::Limit, seconds);
        assert!(detail.ends_with(&format!("under limit {key}")), "{detail}");
    }
}

#[test]
fn an_operator_opens_closes_and_resets_a_breaker_and_sees_it() {
    let task = Task::default();
    let world = world(&task);
    assert_eq!(world.clock.run(world.manager.breakers()).unwrap(), []);
    let unheard_of = view(&world);
    assert_eq!((unheard_of.state, unheard_of.forced), ("closed", false));
    open(&world, &task);
    send(&world, json!({ "calls": true }));
    world.step(Queue::Normal);
    let expected = json!({
        "name": "mail", "state": "open", "since": "2026-11-23T08:00:00Z", "forced": false,
        "counts": { "calls": 1, "failures": 1, "slow": 0 }, "openings": 1,
        "nextProbeAt": "2026-11-23T08:01:00Z", "heldUntil": null, "deferredJobs": 1, "waitingBatches": 0,
    });
    assert_eq!(
        serde_json::to_value(world.clock.run(world.manager.breakers()).unwrap()).unwrap(),
        json!([expected])
    );

    world.advance(1);
    let opened = world.clock.run(world.manager.open_breaker(&mail())).unwrap();
    assert_eq!((opened.state, opened.forced, opened.next_probe_at), ("open", true, None));
    let closed = world.clock.run(world.manager.close_breaker(&mail())).unwrap();
    assert_eq!((closed.state, closed.forced, closed.since), ("closed", true, world.now()));
    let reset = world.clock.run(world.manager.reset_breaker(&mail())).unwrap();
    assert_eq!((reset.state, reset.forced, reset.openings, reset.counts.calls), ("closed", false, 0, 0));
    assert_eq!((reset.deferred_jobs, view(&world)), (1, reset));
}

#[test]
fn an_operator_who_changes_a_breakers_state_is_told_of_as_the_fleet_is() {
    let task = Task::default();
    let world = world(&task);
    open(&world, &task);
    let told = world.events.all().len();

    world.clock.run(world.manager.open_breaker(&mail())).unwrap();
    assert_eq!(world.events.all().len(), told, "it was open already");
    world.advance(1);
    world.clock.run(world.manager.close_breaker(&mail())).unwrap();
    world.clock.run(world.manager.reset_breaker(&mail())).unwrap();
    world.clock.run(world.manager.open_breaker(&mail())).unwrap();
    let events = serde_json::to_value(&world.events.all()[told..]).unwrap();
    let expected = json!([
        { "type": "breaker.closed", "timestamp": "2026-11-23T08:00:01Z", "data": { "breaker": "mail" } },
        {
            "type": "breaker.opened",
            "timestamp": "2026-11-23T08:00:01Z",
            "data": { "breaker": "mail", "openings": 0, "nextProbeAt": null },
        },
    ]);
    assert_eq!(events, expected);
}

#[test]
fn an_operator_who_is_not_heard_is_not_told_of() {
    let (_, world) = plain();
    let store = Arc::new(Contended::default());
    store.defeats.store(5, Ordering::SeqCst);
    world.clock.run(world.manager_on(store).open_breaker(&mail())).unwrap_err();
    assert_eq!(world.events.all(), []);
}

/// A store of breakers with a concurrent writer.
#[derive(Default)]
struct Contended {
    inner: MemoryVersioned<Breaker>,
    /// How many of the next writes lose a conflict.
    defeats: AtomicUsize,
    requests: AtomicUsize,
}

#[async_trait]
impl VersionedStore<Breaker> for Contended {
    async fn load(&self, names: &[String]) -> Result<Vec<Option<Breaker>>, ServiceError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.inner.load(names).await
    }

    async fn save(&self, states: &[Breaker]) -> Vec<Result<VersionedOutcome<Breaker>, ServiceError>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let is_defeated = |left: usize| left.checked_sub(1);
        if self.defeats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_defeated).is_ok() {
            let others: Vec<Breaker> =
                states.iter().cloned().map(|state| Breaker { writer: !state.writer, ..state }).collect();
            self.inner.save(&others).await;
        }
        self.inner.save(states).await
    }

    async fn list(&self) -> Result<Vec<Breaker>, ServiceError> {
        self.inner.list().await
    }
}

#[test]
fn an_operators_word_holds_though_others_write_at_the_same_time_or_he_is_told() {
    let (_, world) = plain();
    let store = Arc::new(Contended::default());
    let manager = world.manager_on(store.clone());
    store.defeats.store(4, Ordering::SeqCst);
    assert!(world.clock.run(manager.open_breaker(&mail())).unwrap().forced);
    assert_eq!(store.requests.load(Ordering::SeqCst), 6, "one read, and a write for each try");
    let stored = world.clock.run(store.list()).unwrap();
    assert_eq!((stored[0].revision, stored[0].is_forced()), (5, true));
    store.defeats.store(5, Ordering::SeqCst);
    let error = world.clock.run(manager.reset_breaker(&mail())).unwrap_err();
    assert_eq!(error.to_string(), "breaker mail: lost every write conflict; try again");
}
