//! The cost of a closed breaker per call, and of an uncontended limit per job.
//!
//! It makes that many calls through one breaker in one job, and runs that many jobs of each kind on the embedded stack.
//! The stack runs in the same process, so its own work is part of the figures per job. The figures per call are the
//! worker's alone.

use std::time::{Duration, Instant};

use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::limit::{Limit, LimitBy, Rate};
use lambda_jobs_core::ports::{Counters, Outgoing};
use lambda_jobs_core::{
    HandlerOptions, JobContext, JobError, JobHandler, JobManager, JobRegistry, Queue, RegisterError,
};
use lambda_jobs_infra::Settings;
use serde_json::{Value, json};

use crate::Failure;

/// Makes as many empty calls as its payload says.
struct Calls;

impl JobHandler for Calls {
    type Payload = u32;
    type Output = f64;

    fn name(&self) -> &'static str {
        "calls"
    }

    async fn execute(&self, calls: u32, ctx: &JobContext) -> Result<f64, JobError> {
        let begun = Instant::now();
        for _ in 0..calls {
            ctx.breaker("bench").call(async { Ok::<_, JobError>(()) }).await?;
        }
        Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
    }
}

/// Does nothing, under limits.
struct Nothing {
    name: &'static str,
    limits: Vec<Limit>,
}

impl JobHandler for Nothing {
    type Payload = Value;
    type Output = Value;

    fn name(&self) -> &str {
        self.name
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { limits: self.limits.clone(), ..HandlerOptions::default() }
    }

    async fn execute(&self, payload: Value, _ctx: &JobContext) -> Result<Value, JobError> {
        Ok(payload)
    }
}

const KINDS: [(&str, &str); 4] = [
    ("without a limit", "free"),
    ("a limit on how many at once", "at-once"),
    ("a limit on the rate", "rate"),
    ("both", "both"),
];

fn handlers() -> Result<[Nothing; 4], Failure> {
    let at_once = Limit::concurrency(LimitBy::Name, 1_000)?;
    let rate = Limit::rate(LimitBy::Name, Rate::new(100_000, Duration::from_secs(1))?);
    let limits = [vec![], vec![at_once.clone()], vec![rate.clone()], vec![at_once, rate]];
    let mut kinds = KINDS.into_iter();
    Ok(limits.map(|limits| Nothing { name: kinds.next().map_or("", |(_, name)| name), limits }))
}

fn register(jobs: &mut JobRegistry, handlers: [Nothing; 4]) -> Result<(), RegisterError> {
    jobs.register(Calls)?;
    for handler in handlers {
        jobs.register(handler)?;
    }
    Ok(())
}

pub(crate) async fn run(calls: u32, jobs: u32) -> Result<(), Failure> {
    measure_calls(calls).await?;
    println!("{jobs} jobs of each kind, batches of 10, one process");
    println!("{:<30} {:>10} {:>12} {:>16}", "kind", "jobs/s", "us/job", "requests/job");
    for (title, name) in KINDS {
        measure_jobs(title, name, jobs).await?;
    }
    Ok(())
}

async fn measure_calls(calls: u32) -> Result<(), Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    let manager = manager(&stack);
    send(&stack, &json!({ "name": "calls", "payload": 1 }), 1).await?;
    let handlers = handlers()?;
    let worker = stack.start_worker(move |jobs| register(jobs, handlers))?;
    wait(&manager, 1).await?;
    let before = stack.dynamodb_meter().total();
    send(&stack, &json!({ "id": "bench", "name": "calls", "payload": calls }), 1).await?;
    let looks = wait(&manager, 2).await?;
    // Does not count the claim, the settlement and the benchmark's own polls.
    let requests = stack.dynamodb_meter().total().saturating_sub(before + looks + 2);
    let job = manager.status(&"bench".parse()?).await?.ok_or("the job has no record")?;
    let micros = job.result.and_then(|result| result.as_f64()).ok_or("the job has no result")?;
    println!(
        "{calls} calls through a closed breaker: {micros:.2} us a call, at most {requests} requests in all"
    );
    worker.stop().await?;
    Ok(())
}

async fn measure_jobs(title: &str, name: &str, count: u32) -> Result<(), Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    let manager = manager(&stack);
    send(&stack, &json!({ "name": name }), count).await?;
    let before = stack.sqs_meter().total() + stack.dynamodb_meter().total();
    let handlers = handlers()?;
    let begun = Instant::now();
    let worker = stack.start_worker(move |jobs| register(jobs, handlers))?;
    let looks = wait(&manager, u64::from(count)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let requests = stack.sqs_meter().total() + stack.dynamodb_meter().total() - before - looks;
    worker.stop().await?;
    let requests = f64::from(u32::try_from(requests).unwrap_or(u32::MAX));
    let jobs = f64::from(count);
    println!("{title:<30} {:>10.0} {:>12.1} {:>16.2}", jobs / seconds, seconds * 1e6 / jobs, requests / jobs);
    Ok(())
}

fn manager(stack: &Stack) -> JobManager {
    JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone())
}

async fn send(stack: &Stack, body: &Value, count: u32) -> Result<(), Failure> {
    let message =
        Outgoing { queue: Queue::Normal, body: body.to_string(), delay: Duration::ZERO, group: None };
    let messages = vec![message; usize::try_from(count)?];
    let sent = stack.adapters().ports().core.clone().queue.send(&messages).await;
    sent.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(())
}

/// Waits until this many jobs have completed. Returns how often it polled.
async fn wait(manager: &JobManager, jobs: u64) -> Result<u64, Failure> {
    let mut looks = 1;
    loop {
        let mut sum = Counters::default();
        for (_, counters) in manager.counters().await? {
            sum.add(&counters);
        }
        if sum.completed >= jobs {
            return Ok(looks);
        }
        looks += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
