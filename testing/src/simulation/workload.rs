//! The scenario that this project must pass: jobs of every kind, with callers and operators.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::simulation::changing::changing;
use crate::simulation::guarded::{Mood, guarded};
use crate::simulation::odd;
use crate::simulation::plan::{Expected, Twist, What};
use crate::simulation::scenario::{Planned, Scenario};
use crate::simulation::scripted::{Act, Script, Scripted};
use lambda_jobs_core::handler::Delivery;
use lambda_jobs_core::job::{NewJob, Payload, Priority, Queue};
use lambda_jobs_core::message::MAX_BODY_BYTES;

/// The reason of the one of them whose dead letter must hold this payload.
pub(super) const UNREGISTERED: &str = "no handler is registered for \"nobody\"";
pub(super) const UNREGISTERED_PAYLOAD: &str = r#"{"wei":12345678901234567890123}"#;

/// Messages that no worker can run, and a part of the reason that their dead letters must show.
const POISON: [(&str, &str); 6] = [
    ("not json", "body"),
    ("[]", "body"),
    (r#"{"name":"nobody","payload":{"wei":12345678901234567890123}}"#, UNREGISTERED),
    (r#"{"name":"job","priority":11}"#, "priority"),
    (r#"{"name":"job","version":2}"#, "version"),
    (r#"{"name":"job","timeout":890000}"#, "timeout"),
];

/// The longest delay, in milliseconds: 120 days, beyond every retention.
const LONGEST_DELAY: u64 = 120 * 86_400_000;

fn register(scenario: &mut Scenario) {
    let garbled: Arc<Mutex<Option<Payload>>> = Arc::default();
    let found = Arc::clone(&garbled);
    scenario.invariant("a handler gets the text that was sent", move || {
        let found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.as_ref().map_or(Ok(()), |text| Err(format!("it got {text}")))
    });
    for (name, delivery) in [("job", Delivery::Claimed), ("casual", Delivery::AtLeastOnce)] {
        let handler = Scripted {
            name,
            delivery,
            doom: Arc::clone(&scenario.doom),
            heeded: Arc::clone(&scenario.heeded),
            snoozes: Arc::default(),
            garbled: Arc::clone(&garbled),
        };
        scenario.register(handler).expect("the names differ");
    }
}

/// All actions of jobs, callers and operators.
pub(super) fn everything(scenario: &mut Scenario) {
    register(scenario);
    let mut jobs: Vec<Planned> = Vec::new();
    if scenario.dice().one_in(25) {
        jobs.push(large(scenario));
    }
    if scenario.dice().one_in(100) {
        large_poison(scenario);
    }
    for _ in 0..5 + scenario.dice().below(30) {
        match scenario.dice().below(20) {
            0..=8 => jobs.push(message(scenario)),
            9..=12 => jobs.push(enqueued(scenario)),
            13 => poison(scenario),
            14 => with_one_of(scenario, &jobs, Scenario::again),
            15 => with_one_of(scenario, &jobs, Scenario::copy),
            16 => with_one_of(scenario, &jobs, Scenario::cancel),
            17 if scenario.dice().one_in(2) => with_one_of(scenario, &jobs, reschedule),
            17 => with_one_of(scenario, &jobs, Scenario::retry),
            18 => burst(scenario, &mut jobs),
            _ if scenario.dice().one_in(3) => recurring(scenario),
            _ => {
                if scenario.dice().one_in(4) {
                    scenario.add(What::Redrive);
                }
            }
        }
    }
    if scenario.dice().one_in(4) {
        batch(scenario);
    }
    if scenario.dice().one_in(3) {
        unique(scenario);
    }
    if scenario.dice().one_in(12) {
        another_key(scenario);
    }
    if scenario.dice().one_in(3) {
        called_off(scenario);
    }
    if scenario.dice().one_in(4) {
        changing(scenario);
    }
    if scenario.dice().one_in(3) {
        guarded(scenario, Mood::Wild);
    }
    if scenario.dice().one_in(3) {
        cleanups(scenario);
    }
}

/// A batch of a few jobs, which somebody may cancel or retry, early or late.
fn batch(scenario: &mut Scenario) {
    let is_large = scenario.dice().one_in(20);
    let count = if is_large { 230 } else { *scenario.dice().pick(&[0, 1, 2, 5, 12]) };
    let mut children = Vec::new();
    for _ in 0..count {
        let (payload, _) = script(scenario);
        let delay = delay(scenario);
        let mut job =
            NewJob::new("job").payload(odd::payload_of(&payload)).delay(Duration::from_millis(delay));
        job.spec.max_retries = scenario.dice().one_in(2).then_some(0);
        children.push(job);
    }
    if count > 0 && scenario.dice().one_in(3) {
        // One of the children is a job that somebody enqueues alone, too.
        let number = scenario.steps.len();
        if let Ok(id) = format!("outside-{number}").parse() {
            children[0].id = Some(id);
            scenario.enqueue(children[0].clone());
        }
    }
    let times = if scenario.dice().one_in(3) { 2 } else { 1 };
    let batch = scenario.add(What::Batch { children, times });
    let begun = scenario.steps[batch.0].after;
    for _ in 0..scenario.dice().below(4) {
        let of = batch.0;
        let one = usize::try_from(scenario.dice().below(12)).unwrap_or_default();
        let child = scenario.dice().one_in(2).then_some(one).filter(|child| *child < count);
        let is_cancelled = scenario.dice().one_in(3);
        let act = if is_cancelled { What::CancelBatch { of, child } } else { What::RetryBatch { of, child } };
        let act = scenario.add(act);
        scenario.steps[act.0].after = begun + scenario.dice().millis(0..900_000);
    }
}

/// An operator cleans up, now and then, once jobs may have ended.
fn cleanups(scenario: &mut Scenario) {
    for _ in 0..=scenario.dice().below(4) {
        let keep = *scenario.dice().pick(&[0, 0, 1, 3, 10]);
        let cleanup = scenario.add(What::Cleanup { keep });
        let wait = scenario.dice().millis(0..600_000);
        scenario.steps[cleanup.0].after += wait;
    }
}

/// A job that is cancelled, mostly while it runs, and stops.
fn called_off(scenario: &mut Scenario) {
    let script = Script { work: 25_000, times: 1, act: Act::Heed, ..Script::default() };
    let payload = serde_json::to_value(script).unwrap_or_default();
    let job = scenario.send(Queue::Normal, json!({ "name": "job", "payload": payload }));
    let begun = scenario.steps[job.0].after;
    scenario.cancel(job);
    let wait = scenario.dice().millis(1_500..12_000);
    if let Some(cancel) = scenario.steps.last_mut() {
        cancel.after = begun + wait;
    }
}

/// Jobs that share a few unique keys, sent and enqueued.
pub(super) fn unique(scenario: &mut Scenario) {
    let mut jobs = Vec::new();
    for _ in 0..3 + scenario.dice().below(12) {
        match scenario.dice().below(14) {
            12 | 13 => with_one_of(scenario, &jobs, Scenario::copy),
            0 => with_one_of(scenario, &jobs, Scenario::again),
            1 => with_one_of(scenario, &jobs, Scenario::cancel),
            2 => with_one_of(scenario, &jobs, Scenario::retry),
            3 => drop(scenario.add(What::Redrive)),
            _ => jobs.push(with_key(scenario)),
        }
    }
}

/// A job takes its key when it is due, while another has it. A stranger's message says that its key is another one.
fn another_key(scenario: &mut Scenario) {
    let delay = scenario.dice().millis(30_000..120_000);
    let waiting = NewJob::new("job").payload(script_of(500)).delay(delay).unique_key("key-0");
    let waiting = scenario.enqueue(waiting.unique_when_due());
    let begun = scenario.steps[waiting.0].after;
    let body = json!({ "name": "job", "payload": script_of(24_000), "uniqueKey": "key-0" });
    let holder = scenario.send(Queue::Normal, body);
    scenario.steps[holder.0].after = (begun + delay).saturating_sub(scenario.dice().millis(1_000..15_000));
    let copied = scenario.add(What::Copy { of: waiting.0, twist: Twist::Key("key-1") });
    scenario.steps[copied.0].after = begun + scenario.dice().millis(2_000..25_000);
}

/// The payload of a job that works for so many milliseconds.
fn script_of(work: u64) -> Value {
    serde_json::to_value(Script { work, ..Script::default() }).unwrap_or_default()
}

fn with_key(scenario: &mut Scenario) -> Planned {
    let (payload, _) = script(scenario);
    let key = format!("key-{}", scenario.dice().below(2));
    let delay = delay(scenario);
    let time = if scenario.dice().one_in(4) { scenario.dice().below(600_000) } else { 0 };
    if scenario.dice().one_in(2) {
        let mut body = json!({ "name": "job", "payload": payload, "delay": delay, "uniqueKey": key });
        if time > 0 {
            body["uniqueFor"] = time.into();
        }
        return scenario.send(Queue::Normal, body);
    }
    let mut job = NewJob::new("job")
        .payload(odd::payload_of(&payload))
        .delay(Duration::from_millis(delay))
        .unique_key(key);
    if time > 0 {
        job = job.unique_for(Duration::from_millis(time));
    }
    let when_due = scenario.dice().one_in(4);
    scenario.enqueue(if when_due { job.unique_when_due() } else { job })
}

/// Calm weather: no faults, so that promptness and requests can be checked.
pub(super) fn calm(scenario: &mut Scenario) {
    register(scenario);
    if scenario.dice().one_in(25) {
        large(scenario);
    }
    for _ in 0..5 + scenario.dice().below(30) {
        match scenario.dice().below(9) {
            0..=3 => drop(message(scenario)),
            4..=6 => drop(enqueued(scenario)),
            7 => poison(scenario),
            _ => burst(scenario, &mut Vec::new()),
        }
    }
    if scenario.dice().one_in(2) {
        guarded(scenario, Mood::Wild);
    }
}

/// A few jobs that do nothing, each at its own time, so that only time makes them wait.
pub(super) fn quiet(scenario: &mut Scenario) {
    register(scenario);
    if !scenario.dice().one_in(3) {
        return guarded(scenario, Mood::Tidy);
    }
    for _ in 0..=scenario.dice().below(8) {
        let delay = scenario.dice().below(4_000_000);
        let payload = serde_json::to_value(Script::default()).unwrap_or_default();
        if scenario.dice().one_in(2) {
            let body = json!({ "name": "job", "payload": payload, "delay": delay });
            scenario.add(What::Send { queue: Queue::Normal, body, expected: Expected::Healthy });
        } else {
            let job = NewJob::new("job").payload(payload).delay(Duration::from_millis(delay));
            scenario.add(What::Enqueue { job: Box::new(job), expected: Expected::Healthy });
        }
    }
}

/// A schedule so frequent that one tick makes two of its occurrences.
fn recurring(scenario: &mut Scenario) {
    let dice = scenario.dice();
    let every = Duration::from_secs(*dice.pick(&[20, 60, 300, 1_800]));
    let times = 1 + u32::try_from(dice.below(6)).unwrap_or_default();
    scenario.add(What::Schedule { every, times });
}

/// An operator changes when the job is due, perhaps before it is sent or while it runs.
fn reschedule(scenario: &mut Scenario, job: Planned) {
    let wait = match scenario.dice().below(3) {
        0 => Duration::ZERO,
        1 => scenario.dice().millis(0..120_000),
        _ => scenario.dice().millis(0..7_200_000),
    };
    scenario.add(What::Reschedule { of: job.0, wait });
}

fn with_one_of(scenario: &mut Scenario, jobs: &[Planned], act: fn(&mut Scenario, Planned)) {
    if !jobs.is_empty() {
        let job = *scenario.dice().pick(jobs);
        act(scenario, job);
    }
}

fn script(scenario: &mut Scenario) -> (Value, Expected) {
    let dice = scenario.dice();
    let work = if dice.one_in(3) { dice.below(25_000) } else { dice.below(500) };
    let mut script = Script { work, ..Script::default() };
    if dice.one_in(3) {
        script.times = 1 + u32::try_from(dice.below(5)).unwrap_or_default();
        script.act = match dice.below(15) {
            0..=4 => Act::Fail,
            5 | 6 => Act::Refuse,
            7 | 8 => Act::Panic,
            9 => Act::Hang,
            10 => Act::Block,
            11 => Act::Crash,
            12 => Act::Snooze,
            _ => Act::Heed,
        };
    }
    if dice.one_in(300) {
        script.tells = 450_000;
    }
    if script.act == Act::Snooze && dice.one_in(4) {
        // Longer than a payload is kept that nobody prolongs.
        script.days = 60 + dice.below(60);
        script.times = script.times.min(2);
        script.fill = "x".repeat(2_000);
    }
    let is_healthy = script.times == 0 || matches!(script.act, Act::Snooze | Act::Heed);
    let expected = if is_healthy { Expected::Healthy } else { Expected::Anything };
    let mut payload = serde_json::to_value(script).unwrap_or_default();
    if scenario.dice().one_in(4) {
        odd::add_to(&mut payload, scenario.dice());
    }
    (payload, expected)
}

fn delay(scenario: &mut Scenario) -> u64 {
    let dice = scenario.dice();
    match dice.below(8) {
        0 => dice.below(60_000),
        1 if dice.one_in(12) => dice.below(LONGEST_DELAY),
        1 => dice.below(3_000_000),
        _ => 0,
    }
}

fn message(scenario: &mut Scenario) -> Planned {
    let (payload, expected) = script(scenario);
    let name = if scenario.dice().one_in(10) { "casual" } else { "job" };
    let mut body = json!({ "name": name, "payload": payload });
    let delay = delay(scenario);
    if delay > 0 {
        body["delay"] = delay.into();
    }
    if scenario.dice().one_in(3) {
        body["maxRetries"] = scenario.dice().below(5).into();
    }
    if scenario.dice().one_in(6) {
        // The maximum that the function allows, so that it ends just before the deadline.
        let longest = scenario.config.longest_timeout().as_millis();
        body["timeout"] = u64::try_from(longest).unwrap_or_default().into();
    }
    if scenario.dice().one_in(4) {
        let number = scenario.steps.len();
        body["id"] = format!("nightly-{number}@2026-11-23T08:00:00Z").into();
    }
    let queue = *scenario.dice().pick(&Queue::ALL);
    scenario.add(What::Send { queue, body, expected })
}

/// A message so large that its copies may have no room for the payload. Few histories have one, because it costs as much
/// as all other jobs.
fn large(scenario: &mut Scenario) -> Planned {
    let acts = [Act::Fail, Act::Snooze, Act::Heed];
    let (act, times) = (*scenario.dice().pick(&acts), 1 + u32::from(scenario.dice().one_in(2)));
    let payload = serde_json::to_value(Script { work: 2_000, times, act, ..Script::default() });
    let mut body = json!({ "name": "job", "payload": payload.unwrap_or_default() });
    if scenario.dice().one_in(2) {
        body["delay"] = scenario.dice().below(1_800_000).into();
    }
    fill(scenario, &mut body);
    let queue = *scenario.dice().pick(&Queue::ALL);
    scenario.add(What::Send { queue, body, expected: Expected::Anything })
}

/// The same, which no worker can run: its letter may have no room for the payload.
fn large_poison(scenario: &mut Scenario) {
    let mut body = json!({ "name": "job", "timeout": 890_000, "payload": {} });
    fill(scenario, &mut body);
    let queue = *scenario.dice().pick(&Queue::ALL);
    scenario.add(What::Poison { queue, body: body.to_string(), reason: "timeout" });
}

/// Makes a message as large as SQS takes it, or a little smaller.
fn fill(scenario: &mut Scenario, body: &mut Value) {
    body["payload"]["fill"] = "".into();
    let most = MAX_BODY_BYTES.saturating_sub(body.to_string().len());
    let spare = usize::try_from(scenario.dice().below(300)).unwrap_or_default();
    body["payload"]["fill"] = "x".repeat(most - spare).into();
}

fn enqueued(scenario: &mut Scenario) -> Planned {
    let (payload, expected) = script(scenario);
    let priority = Priority::new(1 + scenario.dice().below(10));
    let delay = delay(scenario);
    let mut job =
        NewJob::new("job").payload(odd::payload_of(&payload)).priority(priority.unwrap_or_default());
    if delay > 0 {
        job = job.delay(Duration::from_millis(delay));
    }
    scenario.add(What::Enqueue { job: Box::new(job), expected })
}

fn poison(scenario: &mut Scenario) {
    let (body, reason) = *scenario.dice().pick(&POISON);
    let queue = *scenario.dice().pick(&Queue::ALL);
    scenario.add(What::Poison { queue, body: body.to_owned(), reason });
}

/// Many at once, so that batches fill.
fn burst(scenario: &mut Scenario, jobs: &mut Vec<Planned>) {
    let first = scenario.steps.len();
    for _ in 0..2 + scenario.dice().below(10) {
        jobs.push(message(scenario));
    }
    let at = scenario.steps[first].after;
    // Together they may need more time than one invocation has.
    let is_long = scenario.dice().one_in(3);
    for step in &mut scenario.steps[first..] {
        step.after = at;
        if let What::Send { queue, body, .. } = &mut step.what {
            *queue = Queue::Normal;
            if is_long {
                body["payload"]["work"] = 24_000.into();
            }
        }
    }
}
