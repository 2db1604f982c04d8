//! A stack fires the template's rules: each on time, once, and only if enabled.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use lambda_jobs::local::template::Template;
use lambda_jobs::local::{Fired, Rule, Rules};
use lambda_jobs_core::Queue;
use lambda_jobs_core::clock::Clock;
use lambda_jobs_core::memory::{MemoryQueue, PausedClock};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_infra::QueueNames;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn switched(mut rule: Rule, on: bool) -> Rule {
    rule.enabled = on;
    rule
}

struct Bench {
    clock: PausedClock,
    queue: Arc<MemoryQueue>,
}

impl Bench {
    fn starting(start: &str) -> Self {
        let clock = PausedClock::at(at(start));
        let queue = MemoryQueue::new(clock.clone(), Duration::from_secs(30)).unwrap();
        Self { clock, queue: Arc::new(queue) }
    }

    /// These rules of the template, enabled.
    fn rules(&self, names: &[&str]) -> Rules {
        let all = Rule::of(&Template::own().unwrap(), &QueueNames::default()).unwrap();
        let on = all.into_iter().filter(|rule| names.iter().any(|name| rule.name.ends_with(name)));
        let on = on.map(|rule| switched(rule, true)).collect();
        Rules::new(on, self.queue.clone(), Arc::new(self.clock.clone()))
    }

    /// Runs for a while. Returns the firings with their instants.
    fn run(&self, rules: &Rules, time: Duration) -> Vec<(String, DateTime<Utc>)> {
        let fired = Mutex::new(Vec::new());
        let tell = |firing: &Fired<'_>| {
            assert_eq!(firing.error, None);
            assert_eq!(firing.at, self.clock.now(), "it is not late");
            fired.lock().unwrap().push((firing.rule.to_owned(), firing.at));
        };
        self.clock.run(async {
            let running = std::pin::pin!(rules.run(tell));
            futures_util::future::select(running, self.clock.sleep(time)).await;
        });
        fired.into_inner().unwrap()
    }

    /// The ids of the jobs in the webhook queue.
    fn jobs(&self) -> Vec<String> {
        let received = self.queue.receive(Queue::Webhooks, 10).unwrap();
        let id = |message: &lambda_jobs_core::ports::ReceivedMessage| {
            let job = JobMessage::decode(&message.body, &message.message_id, message.sent_at).unwrap();
            job.definition.id.as_str().to_owned()
        };
        received.iter().map(id).collect()
    }
}

#[test]
fn each_rule_fires_at_its_minutes_once_with_the_id_of_that_minute() {
    let bench = Bench::starting("2026-11-23T07:58:30Z");
    let rules = bench.rules(&["webhook-pending", "webhook-retries"]);
    let fired = bench.run(&rules, Duration::from_secs(250));
    let expected = [
        ("lambda-jobs-webhook-pending", "2026-11-23T08:00:00Z"),
        ("lambda-jobs-webhook-retries", "2026-11-23T08:00:00Z"),
        ("lambda-jobs-webhook-pending", "2026-11-23T08:02:00Z"),
    ];
    assert_eq!(fired, expected.map(|(rule, time)| (rule.to_owned(), at(time))));
    let jobs: BTreeSet<String> = bench.jobs().into_iter().collect();
    let expected = [
        "webhook-pending@2026-11-23T08:00:00Z",
        "webhook-pending@2026-11-23T08:02:00Z",
        "webhook-retries@2026-11-23T08:00:00Z",
    ];
    assert_eq!(jobs, expected.map(str::to_owned).into());
}

#[test]
fn two_stacks_that_fire_at_one_minute_make_the_same_job() {
    let bench = Bench::starting("2026-11-23T07:59:00Z");
    let (one, other) = (bench.rules(&["webhook-pending"]), bench.rules(&["webhook-pending"]));
    bench.clock.run(async {
        let both = futures_util::future::join(one.run(|_| ()), other.run(|_| ()));
        futures_util::future::select(std::pin::pin!(both), bench.clock.sleep(Duration::from_mins(2))).await;
    });
    let jobs = bench.jobs();
    assert_eq!(jobs, ["webhook-pending@2026-11-23T08:00:00Z"; 2]);
}

#[test]
fn a_firing_of_the_past_is_not_repeated_after_a_restart_nor_made_up_for_after_a_sleep() {
    let bench = Bench::starting("2026-11-23T08:00:00Z");
    let rules = bench.rules(&["webhook-pending"]);
    assert!(bench.run(&rules, Duration::from_secs(119)).is_empty(), "08:00 was before its time");
    // The machine sleeps through 30 firings while the rules wait for one.
    let rules = bench.rules(&["webhook-pending"]);
    let fired = Mutex::new(Vec::new());
    bench.clock.run(async {
        let running = std::pin::pin!(rules.run(|firing| fired.lock().unwrap().push(firing.at)));
        let night = async {
            bench.clock.sleep(Duration::from_millis(1)).await;
            bench.clock.advance(Duration::from_hours(1));
            bench.clock.sleep(Duration::from_mins(2)).await;
        };
        futures_util::future::select(running, std::pin::pin!(night)).await;
    });
    let fired = fired.into_inner().unwrap();
    assert_eq!(fired, [at("2026-11-23T08:02:00Z"), at("2026-11-23T09:02:00Z")], "{fired:?}");
}

#[test]
fn a_rule_that_is_disabled_does_not_fire() {
    let bench = Bench::starting("2026-11-23T07:59:30Z");
    let all = Rule::of(&Template::own().unwrap(), &QueueNames::default()).unwrap();
    let off = all.into_iter().map(|rule| switched(rule, false)).collect();
    let rules = Rules::new(off, bench.queue.clone(), Arc::new(bench.clock.clone()));
    assert_eq!(rules.upcoming(bench.clock.now()).count(), 0);
}
