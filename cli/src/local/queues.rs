//! Creates the queues with the template's settings.

use std::time::Duration;

use lambda_jobs_core::sqs::{AttributeMap, RedrivePolicy};
use lambda_jobs_core::{JobConfig, Queue};
use lambda_jobs_infra::Settings;

use super::StackError;
use super::sqs::SqsEndpoint;

/// How long queues keep messages: 14 days, SQS's maximum.
const RETENTION_SECONDS: u64 = 14 * 24 * 60 * 60;
/// The visibility timeout in function timeouts, as AWS advises.
const VISIBILITY_FACTOR: u32 = 6;

/// Creates missing queues and their dead-letter queues. Those of an earlier start keep their settings.
pub(super) async fn create(sqs: &SqsEndpoint, settings: &Settings) -> Result<(), StackError> {
    let visibility = settings.jobs.function_timeout.saturating_mul(VISIBILITY_FACTOR);
    for queue in Queue::ALL {
        let letters = settings.queues.dead_letters(queue);
        create_one(sqs, &letters, Duration::from_secs(30), None).await?;
        create_one(sqs, &settings.queues.queue(queue), visibility, Some(&letters)).await?;
    }
    Ok(())
}

async fn create_one(
    sqs: &SqsEndpoint,
    name: &str,
    visibility: Duration,
    dead_letters: Option<&str>,
) -> Result<(), StackError> {
    let failed = |error: String| StackError::Queues(format!("{name}: {error}"));
    let mut attributes = AttributeMap::from([
        ("VisibilityTimeout", visibility.as_secs().to_string().as_str()),
        ("MessageRetentionPeriod", RETENTION_SECONDS.to_string().as_str()),
    ]);
    if let Some(letters) = dead_letters {
        let policy = RedrivePolicy::new(letters, JobConfig::MAX_RECEIVE_COUNT);
        let policy = policy.map_err(|error| failed(error.to_string()))?;
        attributes.0.insert("RedrivePolicy".to_owned(), policy.to_json());
    }
    sqs.ensure_queue(name.to_owned(), attributes).await.map_err(failed)
}
