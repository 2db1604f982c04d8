//! Batches of jobs, and their invocations.

use std::time::Duration;

use chrono::Utc;
use lambda_jobs_core::JobId;
use lambda_jobs_infra::OsEntropy;
use lambda_jobs_tests::Environment;
use serde_json::{Value, json};

use crate::Failure;
use crate::functions::{event, record};

/// The number of jobs in a batch: as many as an event source mapping passes on without waiting.
pub(super) const BATCH: u32 = 10;
/// The time of an invocation.
const TIME: Duration = Duration::from_secs(90);

/// An id of the form that SQS gives to messages.
pub(super) fn id() -> String {
    JobId::generate(Utc::now(), &OsEntropy).as_str().to_owned()
}

/// A message with a job that does nothing except what its payload says.
pub(super) fn message(id: &str, payload: &Value) -> Value {
    record(id, "normal", &json!({ "name": "quiet", "payload": payload }))
}

/// An event with a full batch of new jobs that do nothing.
pub(super) fn batch() -> Value {
    let messages: Vec<Value> =
        (0..BATCH).map(|number| message(&id(), &json!({ "number": number }))).collect();
    event(&messages)
}

/// Invokes the function. Returns the ids of the messages that stay in their queue.
pub(super) async fn invoke(environment: &mut Environment, event: &Value) -> Result<Vec<String>, Failure> {
    let answer = environment.invoke(event, Utc::now() + TIME).await?;
    let failures = answer["batchItemFailures"].as_array().ok_or("the answer has no batchItemFailures")?;
    let ids =
        failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap_or_default().to_owned());
    Ok(ids.collect())
}

/// Invokes the function with jobs that all have to succeed.
pub(super) async fn run(environment: &mut Environment, event: &Value) -> Result<(), Failure> {
    match invoke(environment, event).await?.as_slice() {
        [] => Ok(()),
        failed => Err(format!("{failed:?} failed; it wrote {:?}", environment.log()).into()),
    }
}
