//! What every worker has to do before its costs mean anything.
//!
//! These run on a whole local stack, because a worker may need its queues to report a failure.

use std::path::Path;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs::local::{Stack, StackOptions};
use lambda_jobs_core::JobStatus;
use lambda_jobs_infra::Settings;
use lambda_jobs_tests::{Environment, manager};
use serde_json::{Value, json};

use super::jobs::{BATCH, id, invoke, message};
use super::{Subject, store};
use crate::Failure;
use crate::functions::{event, record};

/// Checks that a poison message alone is reported, that all other items are completed, and that duplicates run once.
pub(super) async fn run(subject: &Subject, binaries: &Path) -> Result<(), Failure> {
    let stack = Stack::start(&StackOptions::default(), Settings::local()).await?;
    store::create_table(stack.sdk()).await?;
    let mut environment = subject.function(binaries, &stack.url()).start().await?;
    environment.ready().await?;
    let ids = poison_alone_is_reported(&mut environment).await?;
    for id in &ids {
        if !is_completed(&stack, id).await? {
            return Err(format!("job {id} is not completed in the table").into());
        }
    }
    redelivered_jobs_run_once(&mut environment, &ids).await?;
    copies_in_a_batch_run_once(&mut environment).await?;
    environment.kill().await;
    Ok(())
}

/// Returns the ids of the jobs that succeeded.
async fn poison_alone_is_reported(environment: &mut Environment) -> Result<Vec<String>, Failure> {
    let ids: Vec<String> = (1..BATCH).map(|_| id()).collect();
    let poison = id();
    let mut messages: Vec<Value> = ids.iter().map(|id| message(id, &json!({ "say": id }))).collect();
    messages.insert(5, message(&poison, &json!({ "fail": true })));
    let failed = invoke(environment, &event(&messages)).await?;
    if failed == [poison] { Ok(ids) } else { Err(format!("expected one failure, got {failed:?}").into()) }
}

async fn redelivered_jobs_run_once(environment: &mut Environment, ids: &[String]) -> Result<(), Failure> {
    let messages: Vec<Value> = ids.iter().map(|id| message(id, &json!({ "say": id }))).collect();
    let failed = invoke(environment, &event(&messages)).await?;
    if !failed.is_empty() {
        return Err(format!("expected completed jobs to be acked, got {failed:?}").into());
    }
    ids.iter().try_for_each(|id| has_run_once(environment, id))
}

async fn copies_in_a_batch_run_once(environment: &mut Environment) -> Result<(), Failure> {
    let job = id();
    let body = json!({ "id": job, "name": "quiet", "payload": { "say": job } });
    let messages = [id(), id()].map(|message| record(&message, "normal", &body));
    // A worker may let the copy wait.
    invoke(environment, &event(&messages)).await?;
    has_run_once(environment, &job)
}

fn has_run_once(environment: &Environment, job: &str) -> Result<(), Failure> {
    // Lines of a log may name the job too.
    let runs = environment.log().iter().filter(|line| *line == job).count();
    if runs == 1 { Ok(()) } else { Err(format!("expected job {job} to run once, got {runs} times").into()) }
}

/// Whether a job is completed, in the table of lambda-jobs or in that of the workers by hand.
async fn is_completed(stack: &Stack, job: &str) -> Result<bool, Failure> {
    if let Some(found) = manager(stack).status(&job.parse()?).await? {
        return Ok(found.status == JobStatus::Completed);
    }
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let call = Client::new(stack.sdk()).get_item().table_name(store::TABLE).key("id", text(job));
    let item = call.send().await?.item.unwrap_or_default();
    Ok(item.get("status") == Some(&text("completed")))
}
