//! Creates the queues with the template's settings.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::QueueAttributeName;
use lambda_jobs_core::{JobConfig, Queue};
use lambda_jobs_infra::Settings;
use serde_json::json;

use super::StackError;

/// How long queues keep messages: 14 days, SQS's maximum.
const RETENTION_SECONDS: u64 = 14 * 24 * 60 * 60;
/// The visibility timeout in function timeouts, as AWS advises.
const VISIBILITY_FACTOR: u32 = 6;

/// Creates missing queues and their dead-letter queues.
pub(super) async fn create(client: &Client, settings: &Settings) -> Result<(), StackError> {
    let visibility = settings.jobs.function_timeout.saturating_mul(VISIBILITY_FACTOR);
    for queue in Queue::ALL {
        let letters = settings.queues.dead_letters(queue);
        create_one(client, &letters, Duration::from_secs(30), None).await?;
        create_one(client, &settings.queues.queue(queue), visibility, Some(&letters)).await?;
    }
    Ok(())
}

async fn create_one(
    client: &Client,
    name: &str,
    visibility: Duration,
    dead_letters: Option<&str>,
) -> Result<(), StackError> {
    let mut call = client
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, visibility.as_secs().to_string())
        .attributes(QueueAttributeName::MessageRetentionPeriod, RETENTION_SECONDS.to_string());
    if let Some(letters) = dead_letters {
        let redrive = json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:000000000000:{letters}"),
            "maxReceiveCount": JobConfig::MAX_RECEIVE_COUNT,
        });
        call = call.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string());
    }
    match call.send().await {
        Ok(_) => Ok(()),
        // The queue exists from an earlier start with other settings. It keeps those.
        Err(error)
            if error.as_service_error().is_some_and(
                aws_sdk_sqs::operation::create_queue::CreateQueueError::is_queue_name_exists,
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(StackError::Queues(format!("{name}: {}", DisplayErrorContext(error)))),
    }
}
