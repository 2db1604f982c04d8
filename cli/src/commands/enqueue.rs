//! `enqueue`.

use std::process::ExitCode;

use lambda_jobs_core::NewJob;

use super::{Failure, connect};
use crate::args::EnqueueArgs;
use crate::output;

/// Enqueues a job. Prints nothing but its id, so that a script can store it.
pub(super) async fn enqueue(args: EnqueueArgs) -> Result<ExitCode, Failure> {
    // Before connecting, so that a mistake is reported even without a connection.
    let job = new_job(&args)?;
    let (_, manager) = connect(&args.target).await?;
    let enqueued = manager.enqueue(job).await?;
    if args.target.json {
        output::json(&enqueued)?;
    } else {
        output::line(enqueued.job_id.as_str())?;
        if enqueued.duplicate {
            if args.id.as_ref() == Some(&enqueued.job_id) {
                eprintln!("duplicate: a job with this id exists, with status {}", enqueued.status);
            } else {
                eprintln!(
                    "duplicate of {}: that job holds this unique key, with status {}",
                    enqueued.job_id, enqueued.status
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn new_job(args: &EnqueueArgs) -> Result<NewJob, String> {
    let mut job = NewJob::new(&args.name).payload(args.payload.read()?).priority(args.priority);
    job.id.clone_from(&args.id);
    job.queue = args.queue;
    job.delay = args.delay;
    job.run_at = args.run_at;
    job.spec.max_retries = args.max_retries;
    job.spec.timeout = args.timeout;
    job.spec.tags.clone_from(&args.tags);
    job.spec.tenant.clone_from(&args.tenant);
    job.unique_key.clone_from(&args.unique_key);
    job.unique_for = args.unique_for;
    Ok(job)
}
