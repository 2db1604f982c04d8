//! How fast the dispatcher processes a backlog that is due all at once, on the embedded stack.
//!
//! It parks that many jobs that are due within one minute, and a tenth as many schedules. Then it runs ticks of 55 s
//! until all are done; each tick has its own deadline, as on AWS. The stack runs in the same process, so its own work
//! is part of the figures. The requests are those that AWS would count.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::ports::JobStore;
use lambda_jobs_core::schedule::Schedule;
use lambda_jobs_core::{Dispatcher, JobDefinition, JobId, JobManager, JobRecord, JobStatus, Queue};
use lambda_jobs_infra::Settings;
use serde_json::json;

use crate::{Failure, cpu_seconds};

/// The time limit of a tick, as on AWS.
const TICK: Duration = Duration::from_secs(55);

pub(crate) async fn run(count: usize) -> Result<(), Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    let dispatcher = lambda_jobs_functions::dispatcher(stack.settings(), &stack.adapters().ports().core);
    println!(
        "{:<32} {:>8} {:>10} {:>10} {:>12} {:>14}",
        "what is due in one minute", "ticks", "seconds", "CPU s", "per second", "requests/job"
    );
    park(&stack, count).await?;
    work_off(&stack, &dispatcher, "parked jobs", count).await?;
    schedule(&stack, count / 10).await?;
    work_off(&stack, &dispatcher, "schedules", count / 10).await
}

/// Runs ticks until this many jobs were sent or made, and prints the cost.
async fn work_off(stack: &Stack, dispatcher: &Dispatcher, what: &str, count: usize) -> Result<(), Failure> {
    let requests = || stack.sqs_meter().total() + stack.dynamodb_meter().total();
    let (before, begun, cpu) = (requests(), Instant::now(), cpu_seconds());
    let (mut done, mut ticks) = (0, 0);
    while done < count {
        ticks += 1;
        let report = dispatcher.tick(Utc::now() + TICK).await;
        if report.failed > 0 {
            return Err(format!("{} failed", report.failed).into());
        }
        done += report.dispatched + report.fired;
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let (jobs, requests) = (count as f64, (requests() - before) as f64);
    println!(
        "{what:<32} {ticks:>8} {seconds:>10.1} {cpu:>10.1} {:>12.0} {:>14.3}",
        jobs / seconds,
        requests / jobs
    );
    Ok(())
}

async fn park(stack: &Stack, count: usize) -> Result<(), Failure> {
    let store = stack.adapters().ports().core.clone().store;
    let now = Utc::now();
    let due =
        |number: usize| now + TimeDelta::milliseconds(i64::try_from(number % 60_000).unwrap_or_default());
    for chunk in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let mut records = Vec::with_capacity(chunk.len());
        for number in chunk {
            let id: JobId = format!("parked-{number}").parse()?;
            let record =
                JobRecord::accepted(JobDefinition::new(id, "nothing"), Queue::Normal, now, due(*number));
            records.push(JobRecord { parked: true, status: JobStatus::Scheduled, ..record });
        }
        insert(&*store, &records).await?;
    }
    Ok(())
}

async fn insert(store: &dyn JobStore, records: &[JobRecord]) -> Result<(), Failure> {
    for outcome in store.insert(records).await {
        outcome?;
    }
    Ok(())
}

/// Schedules whose next occurrence is in 15 minutes, so that nothing fires during the setup. Then each is moved to the
/// next minute, as if time had passed.
async fn schedule(stack: &Stack, count: usize) -> Result<(), Failure> {
    let ports = stack.adapters().ports().core.clone();
    let manager = JobManager::new(stack.settings().jobs.clone(), ports.clone());
    let start = Utc::now() + TimeDelta::minutes(15);
    for number in 0..count {
        let text = json!({
            "id": format!("s-{number}"), "rate": "rate(1 day)", "start": start.to_rfc3339(),
            "job": { "name": "nothing" },
        });
        let stored = manager.put_schedule(Schedule::from_json(text)?).await?;
        let mut due = stored.clone();
        due.state.next_at = Some(Utc::now());
        due.state.revision += 1;
        let mut spec = due.schedule.into_spec();
        spec.start = due.state.next_at;
        due.schedule = Schedule::new(spec)?;
        due.state.next_at = due.schedule.start;
        ports.schedules.put(&due, Some(stored.state.revision)).await?;
    }
    Ok(())
}
