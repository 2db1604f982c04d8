//! A worker without lambda-jobs: a conditional write before each job and one after it, for all messages of a batch at
//! once. The engine benchmark compares lambda-jobs with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::join_all;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn, tracing};
use serde::Deserialize;

#[derive(Deserialize)]
struct Job {
    /// The message's own id identifies a job without one.
    id: Option<String>,
    payload: Work,
}

/// What a job does: nothing, unless it is told to say something or to fail.
#[derive(Deserialize)]
struct Work {
    say: Option<String>,
    #[serde(default)]
    fail: bool,
}

struct Worker {
    dynamodb: Client,
    table: String,
}

impl Worker {
    async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let context = &event.context;
        let jobs = event.payload.records.iter().map(|message| self.process(message, context));
        let mut response = SqsBatchResponse::default();
        for (message, outcome) in event.payload.records.iter().zip(join_all(jobs).await) {
            if let Err(error) = outcome {
                let id = message.message_id.clone().unwrap_or_default();
                tracing::warn!(id, %error, "a message stays in its queue");
                response.add_failure(id);
            }
        }
        Ok(response)
    }

    async fn process(&self, message: &SqsMessage, context: &Context) -> Result<(), Error> {
        let job: Job = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
        let id = job.id.or_else(|| message.message_id.clone()).ok_or("the job has no id")?;
        // A redelivered message has the claim of its own invocation.
        let claim = format!("{}-{}", context.request_id, message.message_id.as_deref().unwrap_or_default());
        if !self.claim(&id, &claim, context.deadline()).await? {
            return Ok(());
        }
        let outcome = work(job.payload);
        self.settle(&id, &claim, outcome.is_ok()).await?;
        outcome
    }

    /// Takes the job until the deadline. Returns `false` if it was completed before.
    async fn claim(&self, id: &str, claim: &str, deadline: SystemTime) -> Result<bool, Error> {
        let call = self.dynamodb.update_item().table_name(&self.table).key("id", text(id));
        let call = call
            .update_expression("SET #status = :running, claim = :claim, leaseUntil = :deadline")
            .condition_expression("attribute_not_exists(id) OR leaseUntil < :now")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":running", text("running"))
            .expression_attribute_values(":claim", text(claim))
            .expression_attribute_values(":deadline", millis(deadline))
            .expression_attribute_values(":now", millis(SystemTime::now()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let refused = match call.send().await.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            Ok(_) => return Ok(true),
            Err(UpdateItemError::ConditionalCheckFailedException(refused)) => refused,
            Err(error) => return Err(error.into()),
        };
        match refused.item().and_then(|item| item.get("status")) {
            Some(status) if *status == text("completed") => Ok(false),
            _ => Err("another invocation runs it".into()),
        }
    }

    /// Writes how the job ended. One that failed can be claimed again at once.
    async fn settle(&self, id: &str, claim: &str, completed: bool) -> Result<(), Error> {
        let call = self.dynamodb.update_item().table_name(&self.table).key("id", text(id));
        let call = if completed {
            call.update_expression("SET #status = :status, completedAt = :now REMOVE leaseUntil")
                .expression_attribute_values(":now", millis(SystemTime::now()))
        } else {
            call.update_expression("SET #status = :status, leaseUntil = :now")
                .expression_attribute_values(":now", millis(UNIX_EPOCH))
        };
        let status = if completed { "completed" } else { "failed" };
        call.condition_expression("claim = :claim")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status))
            .expression_attribute_values(":claim", text(claim))
            .send()
            .await
            .map_err(aws_sdk_dynamodb::error::SdkError::into_service_error)?;
        Ok(())
    }
}

fn work(payload: Work) -> Result<(), Error> {
    if let Some(text) = payload.say {
        println!("{text}");
    }
    if payload.fail { Err("told to fail".into()) } else { Ok(()) }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn millis(time: SystemTime) -> AttributeValue {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    AttributeValue::N(since.as_millis().to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let worker = Worker { dynamodb: Client::new(&config), table: std::env::var("TABLE")? };
    lambda_runtime::run(service_fn(|event| worker.handle(event))).await
}
