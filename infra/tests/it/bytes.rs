//! What a job sends to DynamoDB, in bytes.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::job::JobSpec;
use lambda_jobs_core::{JobDefinition, JobId, JobRecord, Queue, Retention};
use serde_json::{Value, json};

use crate::budget::Metered;
use crate::meter::Bytes;

/// The jobs of a full batch.
const JOBS: usize = 10;

impl Metered {
    /// A job that a worker learns of by a bare message: its id is the message's, and it is due when it was sent.
    fn message(&self, number: usize) -> JobRecord {
        let id: JobId = format!("6d0a3b1e-58f2-4c07-9b34-{number:012}").parse().unwrap();
        let spec = JobSpec { payload: json!({ "user": "u-1" }).into(), ..JobSpec::new("send-report") };
        JobRecord::accepted(JobDefinition::of(id, spec), Queue::Normal, self.now, self.now)
    }
}

/// Runs a batch of bare jobs, and returns what its claims and its settlements sent.
async fn run(metered: &Metered, first: usize) -> [Bytes; 2] {
    let (began, ended) = (metered.now + TimeDelta::milliseconds(357), metered.now + TimeDelta::seconds(2));
    let started = metered.meter.bytes();
    let claimed: Vec<JobRecord> =
        (first..first + JOBS).map(|number| metered.message(number).claimed(metered.claim(), began)).collect();
    metered.insert(&claimed).await;
    let claims = metered.meter.bytes();
    let ended = claimed.into_iter().map(|record| {
        record.completed(Value::Null, ended, Duration::from_millis(12)).kept(&Retention::default())
    });
    metered.settle(ended.collect()).await;
    [claims - started, metered.meter.bytes() - claims]
}

#[tokio::test]
async fn a_bare_job_sends_at_most_nine_hundred_bytes() {
    let metered = Metered::new().await;
    // The first batch of a name makes its counters.
    run(&metered, 0).await;
    let sent = run(&metered, JOBS).await;
    let job = |bytes: fn(&Bytes) -> usize| sent.iter().map(bytes).sum::<usize>() / JOBS;
    let (bodies, heads) = (job(|sent| sent.bodies), job(|sent| sent.heads));
    assert!(bodies + heads <= 900, "{bodies} + {heads}: {sent:?}");
}
