//! One noisy tenant and nine quiet ones: how long do their jobs wait?
//!
//! The tests measure our model of SQS fair queues (`core/src/sqs`), not AWS. At every receive the model serves the
//! group with the fewest messages in flight. AWS does so once it has noticed a noisy group, and promises no order. So
//! the figures show two things: the processor, the manager and every copy of a message keep jobs in their tenants'
//! groups, and what a fair queue does then. They don't tell how long a job waits on AWS.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{join, join_all};
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::ports::{JobQueue, Outgoing};
use lambda_jobs_core::processor::Invocation;
use lambda_jobs_core::{JobContext, JobError, JobRegistry, JobStatus, NewJob, Queue, StopSignal};
use serde_json::{Value, json};

use crate::handlers::scripted;
use crate::world::World;

/// How many environments work at once. Each runs 5 jobs of a batch of 10 at a time: 20 jobs per second in all.
const ENVIRONMENTS: usize = 4;
/// The mean duration of a job.
const JOB: Duration = Duration::from_secs(1);
const NOISY: &str = "noisy";
const NOISY_JOBS: usize = 3_000;
const QUIET_TENANTS: usize = 9;
/// How often each quiet tenant enqueues jobs, 20 s apart, and how many each time.
const QUIET_VISITS: usize = 6;
const QUIET_JOBS: usize = 3;

/// The wait of each job from enqueue to start, by tenant.
#[derive(Clone, Default)]
struct WaitTimes(Arc<Mutex<BTreeMap<String, Vec<Duration>>>>);

/// Statistics of wait times.
#[derive(Clone, Copy)]
struct Figures {
    jobs: usize,
    median: Duration,
    p95: Duration,
    longest: Duration,
}

impl WaitTimes {
    fn note(&self, payload: &Value, now: DateTime<Utc>) {
        let since = DateTime::from_timestamp_millis(payload["since"].as_i64().unwrap()).unwrap();
        let whose = payload["whose"].as_str().unwrap().to_owned();
        self.0.lock().unwrap().entry(whose).or_default().push((now - since).to_std().unwrap());
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().values().map(Vec::len).sum()
    }

    fn figures(&self, whose: impl Fn(&str) -> bool) -> Figures {
        let waits = self.0.lock().unwrap();
        let mut all: Vec<Duration> =
            waits.iter().filter(|(name, _)| whose(name)).flat_map(|(_, waits)| waits).copied().collect();
        all.sort_unstable();
        let at = |percent: usize| all[(all.len() * percent).div_ceil(100).max(1) - 1];
        Figures { jobs: all.len(), median: at(50), p95: at(95), longest: at(100) }
    }

    fn noisy(&self) -> Figures {
        self.figures(|name| name == NOISY)
    }

    fn quiet(&self) -> Figures {
        self.figures(|name| name != NOISY)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p95, longest] =
            [self.median, self.p95, self.longest].map(|wait| format!("{:.1} s", wait.as_secs_f64()));
        write!(f, "{:>5} jobs, median {median:>7}, p95 {p95:>7}, longest {longest:>7}", self.jobs)
    }
}

impl fmt::Display for WaitTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.lock().unwrap().keys().cloned().collect();
        for name in names {
            writeln!(f, "  {name:<8} {}", self.figures(|one| one == name))?;
        }
        writeln!(f, "  {:<8} {}", "quiet", self.quiet())
    }
}

/// A world whose jobs take 0.5 to 1.5 times [`JOB`], and note how long they waited.
fn world() -> (World, WaitTimes) {
    let waits = WaitTimes::default();
    let notes = waits.clone();
    let world = World::new(|registry: &mut JobRegistry| {
        let run = move |payload: Value, ctx: JobContext| {
            let notes = notes.clone();
            async move {
                notes.note(&payload, ctx.clock().now());
                let share = payload["number"].as_u64().unwrap() * 137 % 1_000;
                ctx.clock().sleep(JOB / 2 + Duration::from_millis(share)).await;
                Ok::<_, JobError>(())
            }
        };
        registry.register_fn("work", run).unwrap();
    });
    (world, waits)
}

/// When jobs arrive, by tenant.
fn arrivals() -> BTreeMap<Duration, Vec<String>> {
    let mut arrivals: BTreeMap<Duration, Vec<String>> = BTreeMap::new();
    arrivals.insert(Duration::ZERO, vec![NOISY.to_owned(); NOISY_JOBS]);
    for visit in 0..QUIET_VISITS {
        for tenant in 0..QUIET_TENANTS {
            let at = Duration::from_millis(u64::try_from(visit * 20_000 + tenant * 2_130 + 700).unwrap());
            let jobs = vec![format!("quiet-{tenant}"); QUIET_JOBS];
            arrivals.entry(at).or_default().extend(jobs);
        }
    }
    arrivals
}

async fn enqueue(world: &World, with_tenants: bool) {
    let start = world.now();
    let mut number = 0;
    for (at, tenants) in arrivals() {
        world.clock.sleep((start + at - world.now()).to_std().unwrap_or_default()).await;
        let since = world.now().timestamp_millis();
        let mut jobs = Vec::with_capacity(tenants.len());
        for whose in tenants {
            number += 1;
            let payload = json!({ "whose": whose, "since": since, "number": number });
            let job = NewJob::new("work").payload(payload);
            jobs.push(if with_tenants { job.tenant(whose) } else { job });
        }
        for answer in world.manager.enqueue_all(jobs).await {
            answer.unwrap();
        }
    }
}

/// One environment: it runs batch after batch until all jobs have started.
async fn work(world: &World, waits: &WaitTimes, jobs: usize) {
    while waits.count() < jobs {
        let messages = world.receive(Queue::Normal);
        if messages.is_empty() {
            world.clock.sleep(Duration::from_millis(100)).await;
            continue;
        }
        let deadline = world.now() + world.config.function_timeout;
        let invocation = Invocation { deadline, stop: StopSignal::never() };
        let report = world.processor.process(messages.clone(), &invocation).await;
        assert!(report.retained.is_empty(), "every job succeeds");
        for message in messages {
            world.queue.delete(&message).unwrap();
        }
    }
}

fn waits(with_tenants: bool) -> WaitTimes {
    let (world, waits) = world();
    let jobs = arrivals().values().map(Vec::len).sum();
    let fleet = join_all((0..ENVIRONMENTS).map(|_| work(&world, &waits, jobs)));
    world.clock.run(join(enqueue(&world, with_tenants), fleet));
    assert_eq!(waits.count(), jobs, "each job starts once");
    waits
}

#[test]
fn quiet_tenants_do_not_wait_for_a_noisy_one() {
    let (with, without) = (waits(true), waits(false));
    let figures = format!(
        "waiting times by our model of SQS fair queues, not by AWS\n with tenants\n{with} without\n{without}"
    );
    println!("{figures}");
    assert!(with.quiet().p95 <= 3 * JOB, "quiet tenants wait for a few job lengths at most: {figures}");
    assert!(
        without.quiet().p95 >= 100 * JOB,
        "without tenants they wait for what the noisy one sent: {figures}"
    );
    for tenant in 0..QUIET_TENANTS {
        let name = format!("quiet-{tenant}");
        let own = with.figures(|whose| whose == name);
        assert!(own.longest <= 5 * JOB, "{name} is not forgotten over the others: {figures}");
    }
    let longest = (with.noisy().longest, without.noisy().longest);
    assert!(
        longest.0 <= longest.1.mul_f64(1.1),
        "the noisy tenant pays for the others' jobs alone: {figures}"
    );
}

/// The group of this queue's next message. Waits until there is one.
fn next_group(world: &World) -> Option<String> {
    for _ in 0..200 {
        let next = world.queue.next_visible_at(Queue::Normal).unwrap();
        if let Some(next) = next {
            world.clock.advance((next - world.now()).to_std().unwrap_or_default());
        } else {
            world.advance(60);
            world.tick();
        }
        if let Some(message) = world.receive(Queue::Normal).pop() {
            let group = message.group.clone();
            world.process(vec![message]);
            return group;
        }
    }
    panic!("no message comes");
}

fn enqueued(world: &World, job: NewJob) -> lambda_jobs_core::JobId {
    world.clock.run(world.manager.enqueue(job)).unwrap().job_id
}

#[test]
fn an_enqueued_job_is_in_its_tenants_group_however_long_it_waits() {
    for minutes in [0, 10, 60] {
        let world = World::new(|registry| drop(scripted(registry)));
        let delay = Duration::from_secs(minutes * 60);
        let id = enqueued(&world, NewJob::new("script").tenant("Acme Ä").delay(delay));
        assert_eq!(next_group(&world).as_deref(), Some("Acme%20%C3%84"), "due in {minutes} min");
        assert_eq!(world.status(&id).status, JobStatus::Completed, "due in {minutes} min");
    }
}

#[test]
fn the_fresh_message_of_a_retry_is_in_the_tenants_group() {
    for wait_ms in [1_000, 120_000, 1_800_000] {
        let world = World::new(|registry| drop(scripted(registry)));
        let script = json!({ "fail": 1, "retryAfter": wait_ms });
        let id = enqueued(&world, NewJob::new("script").tenant("acme").payload(script));
        for attempt in 1..=2 {
            let group = next_group(&world);
            assert_eq!(group.as_deref(), Some("acme"), "attempt {attempt}, tried again after {wait_ms} ms");
        }
        assert_eq!(world.status(&id).status, JobStatus::Completed, "tried again after {wait_ms} ms");
    }
}

#[test]
fn an_operators_retry_is_in_the_tenants_group() {
    let mut journal = None;
    let world = World::new(|registry| journal = Some(scripted(registry)));
    let script = json!({ "permanent": true });
    let id = enqueued(&world, NewJob::new("script").tenant("acme").payload(script));
    for runs in 1..=2 {
        assert_eq!(next_group(&world).as_deref(), Some("acme"), "run {runs}");
        assert_eq!(journal.as_ref().unwrap().started(id.as_str()), runs);
        world.clock.run(world.manager.retry(&id)).unwrap();
    }
}

#[test]
fn a_deferred_bare_message_keeps_its_group_and_gets_its_tenants_where_it_had_none() {
    let groups =
        [("in a group", Some("chosen"), Some("chosen")), ("in none", None, Some("acme")), ("", None, None)];
    for (case, sent, kept) in groups {
        let world = World::new(|registry| drop(scripted(registry)));
        let due = world.now() + TimeDelta::minutes(5);
        let tenant = (!case.is_empty()).then_some("acme");
        let body = json!({ "name": "script", "runAt": due.to_rfc3339(), "tenant": tenant }).to_string();
        let group = sent.map(str::to_owned);
        let message = Outgoing { queue: Queue::Normal, body, delay: Duration::ZERO, group: group.clone() };
        for answer in world.clock.run(world.sends.send(&[message])) {
            answer.unwrap();
        }
        assert_eq!(next_group(&world), group, "{case}: as it was sent");
        assert_eq!(next_group(&world).as_deref(), kept, "{case}: its copy");
        assert_eq!(world.now(), due, "{case}: the copy waits for its instant");
    }
}

#[test]
fn what_has_ended_beside_a_slow_job_is_in_flight_no_longer() {
    let world = World::new(|registry| drop(scripted(registry)));
    let run = |jobs: [(Option<&str>, u64); 3]| {
        for (tenant, work) in jobs {
            let mut job = NewJob::new("script").payload(json!({ "work": work }));
            job.spec.tenant = tenant.map(str::to_owned);
            enqueued(&world, job);
        }
        let before = world.sends.acknowledged.load(Ordering::SeqCst);
        assert_eq!(world.step(Queue::Normal).retained, [""; 0]);
        world.sends.acknowledged.load(Ordering::SeqCst) - before
    };
    assert_eq!(run([(Some("slow"), 10_000), (Some("quick"), 0), (None, 0)]), 1, "the quick tenant's alone");
    assert_eq!(run([(Some("slow"), 10), (Some("quick"), 0), (None, 0)]), 0, "the answer deletes all at once");
    assert_eq!(
        run([(Some("slow"), 10_000), (Some("slow"), 0), (None, 0)]),
        0,
        "the slow tenant looks busy, and is"
    );
    assert_eq!(run([(None, 10_000), (None, 0), (None, 0)]), 0, "a message in no group is in nobody's way");
}
