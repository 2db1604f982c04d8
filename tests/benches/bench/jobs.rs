//! Jobs per second through a worker on the embedded stack.
//!
//! It sends that many jobs of each kind, lets one worker run them, and reports the throughput, the time per job, and the
//! requests per job that reached the stack. The stack runs in the same process, so its own work is part of the figures.

use std::time::{Duration, Instant};

use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::ports::{Counters, Outgoing};
use lambda_jobs_core::{
    Delivery, HandlerOptions, JobContext, JobError, JobHandler, JobManager, JobRegistry, NewJob, Queue,
    RegisterError,
};
use lambda_jobs_infra::Settings;
use serde_json::{Value, json};

use crate::Failure;

/// Does nothing, so that only the system is measured.
struct Nothing {
    name: &'static str,
    delivery: Delivery,
}

impl JobHandler for Nothing {
    type Payload = Value;
    type Output = Value;

    fn name(&self) -> &str {
        self.name
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { delivery: self.delivery, ..HandlerOptions::default() }
    }

    async fn execute(&self, payload: Value, _ctx: &JobContext) -> Result<Value, JobError> {
        Ok(payload)
    }
}

/// One way to send jobs.
#[derive(Clone, Copy)]
struct Kind {
    title: &'static str,
    name: &'static str,
    recorded: bool,
}

const KINDS: [Kind; 3] = [
    Kind { title: "bare message, claimed", name: "claimed", recorded: false },
    Kind { title: "bare message, at least once", name: "at-least-once", recorded: false },
    Kind { title: "enqueued with a record", name: "claimed", recorded: true },
];

fn register(jobs: &mut JobRegistry) -> Result<(), RegisterError> {
    jobs.register(Nothing { name: "claimed", delivery: Delivery::Claimed })?;
    jobs.register(Nothing { name: "at-least-once", delivery: Delivery::AtLeastOnce })?;
    Ok(())
}

pub(crate) async fn run(count: usize) -> Result<(), Failure> {
    println!("{count} jobs of each kind, batches of 10, one process");
    println!("{:<30} {:>10} {:>12} {:>16}", "kind", "jobs/s", "us/job", "requests/job");
    for kind in KINDS {
        measure(kind, count).await?;
    }
    Ok(())
}

async fn measure(kind: Kind, count: usize) -> Result<(), Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    let manager = JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone());
    if kind.recorded {
        for chunk in (0..count).collect::<Vec<_>>().chunks(100) {
            let jobs = chunk.iter().map(|_| NewJob::new(kind.name)).collect();
            manager.enqueue_all(jobs).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
    } else {
        let body = json!({ "name": kind.name }).to_string();
        let message = Outgoing { queue: Queue::Normal, body, delay: Duration::ZERO, group: None };
        let sent = stack.adapters().ports().core.clone().queue.send(&vec![message; count]).await;
        sent.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
    let requests_before = stack.sqs_meter().total() + stack.dynamodb_meter().total();
    let begun = Instant::now();
    let worker = stack.start_worker(register)?;
    let mut looks = 0;
    while completed(&manager).await? < count as u64 {
        looks += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    let requests = stack.sqs_meter().total() + stack.dynamodb_meter().total() - requests_before - looks;
    worker.stop().await?;
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let (jobs, requests) = (count as f64, requests as f64);
    let seconds = took.as_secs_f64();
    println!(
        "{:<30} {:>10.0} {:>12.1} {:>16.2}",
        kind.title,
        jobs / seconds,
        seconds * 1e6 / jobs,
        requests / jobs
    );
    Ok(())
}

async fn completed(manager: &JobManager) -> Result<u64, Failure> {
    let mut sum = Counters::default();
    for (_, counters) in manager.counters().await? {
        sum.add(&counters);
    }
    Ok(sum.completed)
}
