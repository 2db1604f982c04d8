//! Schedules that change while their jobs wait, made ahead of their time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lambda_jobs_core::job::ScheduleId;
use lambda_jobs_core::manager::{CancelOutcome, RetryOutcome};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::{
    Advance, CorePorts, DeadLetter, DueSchedules, JobQueue, Outgoing, Receipt, ScheduleStore, ServiceError,
    StoredSchedule, VisibilityChange,
};
use lambda_jobs_core::schedule::Schedule;
use lambda_jobs_core::{Dispatcher, JobContext, JobId, JobManager, JobStatus, Queue};
use serde_json::{Value, json};

use crate::schedules::{instant, live, put};
use crate::world::World;

/// What ran: the job's id, its handler, and its payload.
type Runs = Arc<Mutex<Vec<(String, &'static str, Value)>>>;

fn world() -> (World, Runs) {
    let runs = Runs::default();
    let noted = runs.clone();
    let world = World::new(|registry| {
        for name in ["old", "new"] {
            let noted = noted.clone();
            let run = move |payload: Value, ctx: JobContext| {
                noted.lock().unwrap().push((ctx.job_id().to_string(), name, payload));
                async { Ok(()) }
            };
            registry.register_fn(name, run).unwrap();
        }
    });
    (world, runs)
}

fn minutely(changes: Value) -> Value {
    let mut text = json!({ "id": "often", "cron": "* * * * *", "job": { "name": "old", "payload": 1 } });
    let changes = changes.as_object().unwrap().clone();
    text.as_object_mut().unwrap().extend(changes);
    text
}

fn at(minute: u32) -> String {
    format!("often@2026-11-23T08:{minute:02}:00Z")
}

fn id(minute: u32) -> JobId {
    at(minute).parse().unwrap()
}

fn often() -> ScheduleId {
    "often".parse().unwrap()
}

fn delete(world: &World) {
    world.clock.run(world.manager.delete_schedule(&often())).unwrap();
}

fn ran(runs: &Runs) -> Vec<String> {
    let mut ids: Vec<String> = runs.lock().unwrap().iter().map(|run| run.0.clone()).collect();
    ids.sort();
    ids
}

fn minutes(minutes: impl IntoIterator<Item = u32>) -> Vec<String> {
    minutes.into_iter().map(at).collect()
}

fn letters(world: &World) -> usize {
    Queue::ALL.into_iter().map(|queue| world.dead_letters(queue).len()).sum()
}

#[test]
fn what_a_schedule_makes_again_runs_though_a_change_had_taken_it_back() {
    let disabled = minutely(json!({ "enabled": false }));
    let another = minutely(json!({ "cron": "0 23 * * *" }));
    for change in [disabled, another, Value::Null] {
        for missed in ["latest", "skip"] {
            let (world, runs) = world();
            put(&world, minutely(json!({ "missed": missed })));
            world.advance(90);
            if change.is_null() {
                delete(&world);
            } else {
                put(&world, change.clone());
            }
            assert_eq!(world.status(&id(3)).status, JobStatus::Cancelled, "{change}: it is taken back");
            world.advance(20);
            put(&world, minutely(json!({ "missed": missed })));
            live(&world, Duration::from_secs(490));
            // The first came due before the change.
            assert_eq!(ran(&runs), minutes(1..=10), "{change}, missed {missed}");
            assert_eq!(letters(&world), 0, "{change}");
        }
    }
}

#[test]
fn what_a_change_takes_back_stays_away_while_the_schedule_does_not_make_it() {
    let (world, runs) = world();
    put(&world, minutely(json!({})));
    world.advance(90);
    put(&world, minutely(json!({ "enabled": false })));
    world.advance(100);
    put(&world, minutely(json!({})));
    live(&world, Duration::from_secs(230));
    assert_eq!(ran(&runs), minutes([1, 4, 5, 6, 7]), "disabled from 08:01:30 to 08:03:10");
}

#[test]
fn a_changed_definition_reaches_what_was_made_ahead() {
    let large = "x".repeat(5_000);
    let jobs = [
        json!({ "name": "old", "payload": 2 }),
        json!({ "name": "old", "payload": large }),
        json!({ "name": "new", "payload": 1 }),
        json!({ "name": "new", "payload": 1, "priority": 1 }),
        json!({ "name": "old", "payload": 1, "priority": 9, "maxRetries": 7, "timeout": 20_000, "tags": ["t"],
                "tenant": "acme" }),
        json!({ "name": "old", "payload": 1, "queue": "low" }),
    ];
    for job in jobs {
        let (world, runs) = world();
        put(&world, minutely(json!({})));
        world.advance(90);
        put(&world, minutely(json!({ "job": job })));
        live(&world, Duration::from_secs(400));
        assert_eq!(ran(&runs), minutes(1..=8), "{job}: each runs once");
        for (id, name, payload) in runs.lock().unwrap().iter() {
            let was_due = *id == at(1);
            let expected = if was_due { (&json!("old"), &json!(1)) } else { (&job["name"], &job["payload"]) };
            assert_eq!((&json!(name), payload), expected, "{id}: {job}");
        }
        let shown = world.status(&id(4));
        assert_eq!(json!(shown.name), job["name"]);
        assert_eq!(shown.payload, job["payload"]);
        assert_eq!(json!(shown.max_retries), job["maxRetries"]);
        assert_eq!(shown.tenant.as_deref(), job["tenant"].as_str());
        if let Some(priority) = job["priority"].as_u64() {
            assert_eq!(u64::from(shown.priority.get()), priority);
            assert_eq!(shown.queue, if priority == 1 { Queue::High } else { Queue::Low });
        }
        assert_eq!(letters(&world), 0, "{job}: no message of the earlier definition is a dead letter");
    }
}

#[test]
fn a_change_of_the_definition_sends_one_message_for_each_job_that_was_made_ahead() {
    let (world, _) = world();
    put(&world, minutely(json!({})));
    world.advance(90);
    let queue = Arc::new(Lossy {
        queue: world.queue.clone(),
        asked: AtomicUsize::new(0),
        taken: AtomicUsize::new(0),
    });
    let ports = CorePorts { queue: queue.clone(), ..world.ports.clone() };
    let manager = JobManager::new(world.config.clone(), ports);
    let changed = minutely(json!({ "job": { "name": "old", "payload": 2 } }));
    world.clock.run(manager.put_schedule(Schedule::from_json(changed).unwrap())).unwrap();
    assert_eq!(
        queue.taken.load(Ordering::SeqCst),
        5,
        "08:02 to 08:06; what the old messages say runs nothing"
    );
}

#[test]
fn a_job_whose_old_handler_is_gone_leaves_no_dead_letters_behind() {
    let (world, runs) = world();
    put(&world, minutely(json!({ "job": { "name": "gone" } })));
    world.advance(30);
    put(&world, minutely(json!({})));
    live(&world, Duration::from_secs(270));
    assert_eq!((ran(&runs), letters(&world)), (minutes(1..=5), 0));
}

#[test]
fn what_an_operator_cancelled_stays_cancelled_whatever_the_schedule_does() {
    let (world, runs) = world();
    put(&world, minutely(json!({})));
    let cancel = |minute| world.clock.run(world.manager.cancel(&id(minute))).unwrap();
    assert_eq!(cancel(2), CancelOutcome::Cancelled);
    put(&world, minutely(json!({ "enabled": false })));
    assert_eq!(cancel(3), CancelOutcome::Cancelled, "taken back, and now cancelled for good");
    put(&world, minutely(json!({})));
    put(&world, minutely(json!({ "job": { "name": "new" } })));
    live(&world, Duration::from_secs(290));
    assert_eq!(ran(&runs), minutes([1, 4]));
}

#[test]
fn what_an_operator_rescheduled_keeps_its_time_and_gets_the_new_definition() {
    let (world, runs) = world();
    put(&world, minutely(json!({})));
    let later = instant("2026-11-23T08:30:00Z");
    world.clock.run(world.manager.reschedule(&id(3), later)).unwrap();
    put(&world, minutely(json!({ "job": { "name": "new", "payload": 2 }, "end": "2026-11-23T08:06:00Z" })));
    live(&world, Duration::from_secs(1_790));
    assert_eq!(ran(&runs), minutes([1, 2, 4, 5, 6]));
    live(&world, Duration::from_secs(20));
    let last = runs.lock().unwrap().last().cloned();
    assert_eq!(last, Some((at(3), "new", json!(2))));
}

#[test]
fn a_change_whose_caller_died_is_completed_by_the_next_tick() {
    for (change, expected) in [
        (json!({ "enabled": false }), minutes([])),
        (json!({ "cron": "*/2 * * * *" }), minutes([2, 4, 6])),
        (json!({ "job": { "name": "new" } }), minutes(1..=6)),
    ] {
        let (world, runs) = world();
        put(&world, minutely(json!({})));
        world.advance(30);
        // The schedule is written, and then the caller dies.
        let dead = JobManager::new(
            world.config.clone(),
            CorePorts { schedules: Arc::new(Dying(world.schedules.clone())), ..world.ports.clone() },
        );
        let schedule = Schedule::from_json(minutely(change.clone())).unwrap();
        let mut work = Box::pin(dead.put_schedule(schedule));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(work.as_mut().poll(&mut context).is_pending());
        drop(work);
        world.advance(20);
        world.tick();
        live(&world, Duration::from_secs(310));
        assert_eq!(ran(&runs), expected, "{change}");
        let names: Vec<&str> = runs.lock().unwrap().iter().map(|run| run.1).collect();
        if change.get("job").is_some() {
            assert!(names.iter().all(|name| *name == "new"), "{names:?}");
        }
    }
}

#[test]
fn a_tick_that_read_the_schedule_before_a_change_makes_nothing_that_the_change_took_away() {
    for change in [json!({ "enabled": false }), json!({ "cron": "0 23 * * *" }), Value::Null] {
        let (world, runs) = world();
        put(&world, minutely(json!({})));
        let stale = world.clock.run(world.manager.schedules()).unwrap();
        world.advance(120);
        if change.is_null() {
            delete(&world);
        } else {
            put(&world, minutely(change.clone()));
        }
        world.advance(120);
        tick_on(&world, stale);
        live(&world, Duration::from_mins(20));
        assert_eq!(ran(&runs), minutes([1, 2]), "{change}");
    }
}

#[test]
fn a_tick_that_read_the_schedule_before_a_change_makes_what_the_change_says() {
    let (world, runs) = world();
    put(&world, minutely(json!({})));
    let stale = world.clock.run(world.manager.schedules()).unwrap();
    world.advance(120);
    put(&world, minutely(json!({ "job": { "name": "new" } })));
    world.advance(120);
    tick_on(&world, stale);
    live(&world, Duration::from_secs(320));
    let names: Vec<&str> = runs.lock().unwrap().iter().map(|run| run.1).collect();
    assert_eq!(ran(&runs), minutes(1..=9));
    assert_eq!(names, ["old", "old", "new", "new", "new", "new", "new", "new", "new"]);
}

#[test]
fn a_backfill_makes_what_was_taken_back_and_a_retry_says_so() {
    let (world, runs) = world();
    put(&world, minutely(json!({})));
    world.advance(30);
    put(&world, minutely(json!({ "enabled": false })));
    world.advance(300);
    let retried = world.clock.run(world.manager.retry(&id(3))).unwrap();
    assert_eq!(retried, RetryOutcome::TakenBack);
    let (from, to) = (instant("2026-11-23T08:02:00Z"), instant("2026-11-23T08:03:00Z"));
    let made = world.clock.run(world.manager.backfill(&often(), from, to)).unwrap();
    let duplicates: Vec<bool> = made.into_iter().map(|one| one.unwrap().duplicate).collect();
    assert_eq!(duplicates, [false, false]);
    live(&world, Duration::from_mins(2));
    assert_eq!(ran(&runs), minutes([2, 3]));
    let again = world.clock.run(world.manager.backfill(&often(), from, to)).unwrap();
    assert!(again.into_iter().all(|one| one.unwrap().duplicate));
}

#[test]
fn a_backfill_sends_again_what_an_earlier_edition_made_and_whose_message_is_lost() {
    let (world, runs) = world();
    let queue = Arc::new(Swallowing(world.queue.clone()));
    let manager = JobManager::new(world.config.clone(), CorePorts { queue, ..world.ports.clone() });
    world.clock.run(manager.put_schedule(Schedule::from_json(minutely(json!({}))).unwrap())).unwrap();
    world.advance(90);
    put(&world, minutely(json!({ "job": { "name": "old", "payload": 2 } })));
    let due = instant("2026-11-23T08:01:00Z");
    world.clock.run(world.manager.backfill(&often(), due, due)).unwrap();
    live(&world, Duration::from_mins(2));
    let payloads: Vec<Value> = runs.lock().unwrap().iter().map(|run| run.2.clone()).collect();
    assert_eq!((ran(&runs), payloads), (minutes([1, 2, 3]), vec![json!(1), json!(2), json!(2)]));
}

#[test]
fn a_preview_and_the_last_run_name_what_runs_and_what_does_not() {
    let (world, _) = world();
    put(&world, minutely(json!({})));
    world.clock.run(world.manager.cancel(&id(2))).unwrap();
    world.clock.run(world.manager.reschedule(&id(3), instant("2026-11-23T08:30:00Z"))).unwrap();
    put(&world, minutely(json!({ "enabled": false })));
    let show = || {
        world
            .clock
            .run(world.manager.preview_schedule(&often(), world.now() + Duration::from_secs(1), 4))
            .unwrap()
    };
    let notes = || -> Vec<Option<String>> {
        show().1.occurrences.into_iter().map(|one| one.note.map(|note| note.to_string())).collect()
    };
    let taken_back = Some("does not run: taken back: its schedule changed before it was due".to_owned());
    let cancelled = Some("does not run: cancelled by an operator".to_owned());
    assert_eq!(notes(), [taken_back.clone(), cancelled.clone(), taken_back.clone(), taken_back]);
    put(&world, minutely(json!({})));
    assert_eq!(notes(), [None, cancelled, Some("due later: 2026-11-23T08:30:00Z".to_owned()), None]);
    let last_run = || {
        let (stored, _) = show();
        stored.state.last_run(&stored.schedule, world.now())
    };
    assert_eq!(last_run(), None, "none has come due");
    live(&world, Duration::from_secs(90));
    assert_eq!(last_run(), Some(instant("2026-11-23T08:01:00Z")));
    put(&world, minutely(json!({ "enabled": false })));
    live(&world, Duration::from_mins(10));
    assert_eq!(last_run(), Some(instant("2026-11-23T08:01:00Z")), "those taken back did not run");
}

#[test]
fn an_overlap_is_skipped_among_occurrences_that_were_made_again_too() {
    let (world, runs) = world();
    put(&world, minutely(json!({ "overlap": "skip" })));
    put(&world, minutely(json!({ "overlap": "skip", "enabled": false })));
    put(&world, minutely(json!({ "overlap": "skip" })));
    world.advance(120);
    world.step(Queue::Normal);
    live(&world, Duration::from_secs(130));
    let shown = world.status(&id(2));
    let cancelled = shown.note.is_some_and(|note| note.starts_with("duplicate of often@"));
    assert!(cancelled || ran(&runs).contains(&at(2)));
    assert!(ran(&runs).contains(&at(3)) && ran(&runs).contains(&at(4)));
}

/// A dispatcher's tick whose index still has these schedules.
fn tick_on(world: &World, stale: Vec<StoredSchedule>) {
    let schedules = Arc::new(Lagging { store: world.schedules.clone(), stale: Mutex::new(stale) });
    let ports = CorePorts { schedules, ..world.ports.clone() };
    let dispatcher = Dispatcher::new(Arc::new(JobManager::new(world.config.clone(), ports)));
    world.clock.run(dispatcher.tick(world.now() + Duration::from_secs(55)));
}

/// A store whose index lags behind: it finds what was due a while ago, once.
struct Lagging<S> {
    store: Arc<S>,
    stale: Mutex<Vec<StoredSchedule>>,
}

#[async_trait]
impl<S: ScheduleStore> ScheduleStore for Lagging<S> {
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, ServiceError> {
        self.store.put(stored, replacing).await
    }

    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, ServiceError> {
        self.store.get(id).await
    }

    async fn list(&self) -> Result<Vec<StoredSchedule>, ServiceError> {
        self.store.list().await
    }

    async fn delete(&self, id: &ScheduleId, revision: u64) -> Result<bool, ServiceError> {
        self.store.delete(id, revision).await
    }

    async fn due(&self, _: &DueSchedules) -> Result<Page<StoredSchedule>, ServiceError> {
        Ok(Page { items: std::mem::take(&mut *self.stale.lock().unwrap()), cursor: None })
    }

    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, ServiceError>> {
        self.store.advance(advances).await
    }
}

/// A store that writes a schedule and then never answers.
struct Dying<S>(Arc<S>);

#[async_trait]
impl<S: ScheduleStore> ScheduleStore for Dying<S> {
    async fn put(&self, stored: &StoredSchedule, replacing: Option<u64>) -> Result<bool, ServiceError> {
        self.0.put(stored, replacing).await?;
        std::future::pending().await
    }

    async fn get(&self, id: &ScheduleId) -> Result<Option<StoredSchedule>, ServiceError> {
        self.0.get(id).await
    }

    async fn list(&self) -> Result<Vec<StoredSchedule>, ServiceError> {
        self.0.list().await
    }

    async fn delete(&self, id: &ScheduleId, revision: u64) -> Result<bool, ServiceError> {
        self.0.delete(id, revision).await
    }

    async fn due(&self, query: &DueSchedules) -> Result<Page<StoredSchedule>, ServiceError> {
        self.0.due(query).await
    }

    async fn advance(&self, advances: &[Advance]) -> Vec<Result<bool, ServiceError>> {
        self.0.advance(advances).await
    }
}

/// A queue that takes messages, and loses all of them.
struct Swallowing<Q>(Arc<Q>);

#[async_trait]
impl<Q: JobQueue> JobQueue for Swallowing<Q> {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn change_visibility(&self, changes: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        self.0.change_visibility(changes).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        JobQueue::delete(&*self.0, receipts).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        self.0.dead_letter(letters).await
    }
}

/// A queue that loses every twentieth message, and counts those that it takes.
struct Lossy<Q> {
    queue: Arc<Q>,
    asked: AtomicUsize,
    taken: AtomicUsize,
}

#[async_trait]
impl<Q: JobQueue> JobQueue for Lossy<Q> {
    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            if self.asked.fetch_add(1, Ordering::SeqCst) % 20 == 19 {
                answers.push(Err(ServiceError::new("send", "this entry failed")));
                continue;
            }
            self.taken.fetch_add(1, Ordering::SeqCst);
            answers.extend(self.queue.send(std::slice::from_ref(message)).await);
        }
        answers
    }

    async fn change_visibility(&self, changes: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        self.queue.change_visibility(changes).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), ServiceError>> {
        JobQueue::delete(&*self.queue, receipts).await
    }

    async fn dead_letter(&self, letters: &[DeadLetter]) -> Vec<Result<(), ServiceError>> {
        self.queue.dead_letter(letters).await
    }
}

#[test]
fn a_row_of_occurrences_of_which_some_cannot_be_sent_is_not_sent_again_in_every_tick() {
    let (world, _) = world();
    world.clock.run(world.manager.pause(Some(Queue::Normal), None)).unwrap();
    put(&world, minutely(json!({ "missed": "all" })));
    // No tick came for an hour.
    world.advance(3_600);
    let queue = Arc::new(Lossy {
        queue: world.queue.clone(),
        asked: AtomicUsize::new(0),
        taken: AtomicUsize::new(0),
    });
    let ports = CorePorts { queue: queue.clone(), ..world.ports.clone() };
    let dispatcher = Dispatcher::new(Arc::new(JobManager::new(world.config.clone(), ports)));
    for _ in 0..10 {
        world.clock.run(dispatcher.tick(world.now() + Duration::from_secs(55)));
        world.advance(60);
    }
    let next = world.clock.run(world.manager.schedule(&often())).unwrap().state.next_at.unwrap();
    assert!(next > world.now(), "the schedule has caught up: {next}");
    let taken = queue.taken.load(Ordering::SeqCst);
    assert!(taken < 3 * 70, "{taken} messages for about 70 occurrences");
}
