//! What a batch costs, compared with as many jobs outside one.
//!
//! Both are enqueued with records and run by one worker on the embedded stack, in one process. The requests are those to
//! DynamoDB and SQS together; the waiting parent and its callback are among them.

use std::time::{Duration, Instant};

use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::batch::Batch;
use lambda_jobs_core::{JobContext, JobError, JobId, JobManager, JobRegistry, NewJob, RegisterError};
use lambda_jobs_infra::Settings;
use serde_json::{Value, json};

use crate::Failure;

fn register(jobs: &mut JobRegistry) -> Result<(), RegisterError> {
    let nothing = |_: Value, _: JobContext| async { Ok::<_, JobError>(()) };
    jobs.register_fn("part", nothing)?.register_fn("after", nothing).map(|_| ())
}

pub(crate) async fn run(count: usize) -> Result<(), Failure> {
    println!("{count} jobs, enqueued with records, run by one worker, one process");
    println!("{:<16} {:>12} {:>16} {:>12} {:>16}", "", "enqueued s", "requests/job", "run s", "requests/job");
    measure("without a batch", count, false).await?;
    measure("as a batch", count, true).await
}

async fn measure(title: &str, count: usize, as_batch: bool) -> Result<(), Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    let manager = JobManager::new(stack.settings().jobs.clone(), stack.adapters().ports().core.clone());
    let requests = || stack.sqs_meter().total() + stack.dynamodb_meter().total();
    let (before, begun) = (requests(), Instant::now());
    let jobs = (0..count).map(|number| NewJob::new("part").payload(json!(number)));
    let id: JobId = "all".parse()?;
    if as_batch {
        let batch = Batch::new(jobs).id(id.clone()).on_success(NewJob::new("after"));
        manager.enqueue_batch(batch).await?;
    } else {
        let named = jobs.enumerate().map(|(at, job)| Ok(job.id(format!("job-{at}").parse()?)));
        let named: Vec<NewJob> = named.collect::<Result<_, lambda_jobs_core::Invalid>>()?;
        for part in named.chunks(1_000) {
            manager.enqueue_all(part.to_vec()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
    }
    let (enqueued_in, enqueued) = (begun.elapsed(), requests() - before);
    let (before, begun) = (requests(), Instant::now());
    let worker = stack.start_worker(register)?;
    let mut looks = 0;
    loop {
        looks += 1;
        if as_batch {
            let parent = manager.statuses(std::slice::from_ref(&id)).await?;
            if parent.into_iter().flatten().any(|parent| parent.status.is_finished()) {
                break;
            }
        } else {
            let completed: u64 = manager.counters().await?.iter().map(|(_, one)| one.completed).sum();
            if completed >= count as u64 {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (ran_in, ran) = (begun.elapsed(), requests() - before - looks);
    worker.stop().await?;
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let [jobs, enqueued, ran] = [count as f64, enqueued as f64, ran as f64];
    println!(
        "{title:<16} {:>12.1} {:>16.3} {:>12.1} {:>16.3}",
        enqueued_in.as_secs_f64(),
        enqueued / jobs,
        ran_in.as_secs_f64(),
        ran / jobs
    );
    Ok(())
}
