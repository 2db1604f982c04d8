//! A worker without lambda-jobs, in as few requests as possible: one batch of statements before the jobs of a batch,
//! one after them. The engine benchmark compares lambda-jobs with it.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::BehaviorVersion;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse,
    ReturnValuesOnConditionCheckFailure,
};
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
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

struct Job {
    id: String,
    message: String,
    payload: Work,
}

struct Worker {
    dynamodb: Client,
    table: String,
}

/// The messages that stay in their queue.
#[derive(Default)]
struct Kept(SqsBatchResponse);

impl Kept {
    fn add(&mut self, message: &str, why: impl std::fmt::Display) {
        tracing::warn!(message, %why, "a message stays in its queue");
        self.0.add_failure(message);
    }
}

impl Worker {
    async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let mut kept = Kept::default();
        let jobs = read(event.payload.records, &mut kept);
        let claim = &event.context.request_id;
        let claimed = self.claim(jobs, claim, event.context.deadline(), &mut kept).await?;
        let ended: Vec<(String, String, bool)> = claimed
            .into_iter()
            .map(|job| {
                let outcome = work(job.payload);
                if let Err(why) = &outcome {
                    kept.add(&job.message, why);
                }
                (job.id, job.message, outcome.is_ok())
            })
            .collect();
        let settlements = ended.iter().map(|(id, _, completed)| self.settlement(id, claim, *completed));
        let answers = self.write(settlements.collect()).await?;
        for ((_, message, completed), answer) in ended.iter().zip(answers) {
            if let (true, Some(error)) = (completed, answer.error) {
                kept.add(message, error.message.unwrap_or_default());
            }
        }
        Ok(kept.0)
    }

    /// Takes the jobs until the deadline. Returns those that this invocation runs.
    async fn claim(
        &self,
        jobs: Vec<Job>,
        claim: &str,
        deadline: SystemTime,
        kept: &mut Kept,
    ) -> Result<Vec<Job>, Error> {
        let inserts = jobs.iter().map(|job| self.first_claim(&job.id, claim, deadline));
        let inserted = self.write(inserts.collect()).await?;
        let (mut claimed, mut known) = (Vec::with_capacity(jobs.len()), Vec::new());
        for (job, answer) in jobs.into_iter().zip(inserted) {
            match answer.error {
                None => claimed.push(job),
                Some(error) if error.code == Some(BatchStatementErrorCodeEnum::DuplicateItem) => {
                    known.push(job);
                }
                Some(error) => kept.add(&job.message, error.message.unwrap_or_default()),
            }
        }
        let retaken = known.iter().map(|job| self.later_claim(&job.id, claim, deadline));
        let updated = self.write(retaken.collect()).await?;
        for (job, answer) in known.into_iter().zip(updated) {
            let status = answer.error.as_ref().and_then(|error| error.item.as_ref()?.get("status"));
            match answer.error {
                None => claimed.push(job),
                Some(_) if status == Some(&text("completed")) => {}
                Some(_) => kept.add(&job.message, "another invocation runs it"),
            }
        }
        Ok(claimed)
    }

    fn first_claim(&self, id: &str, claim: &str, deadline: SystemTime) -> (String, Vec<AttributeValue>) {
        let statement = format!(
            "INSERT INTO \"{}\" VALUE {{'id': ?, 'status': ?, 'claim': ?, 'leaseUntil': ?}}",
            self.table
        );
        (statement, vec![text(id), text("running"), text(claim), millis(deadline)])
    }

    fn later_claim(&self, id: &str, claim: &str, deadline: SystemTime) -> (String, Vec<AttributeValue>) {
        let statement = format!(
            "UPDATE \"{}\" SET \"status\" = ? SET \"claim\" = ? SET \"leaseUntil\" = ? \
             WHERE \"id\" = ? AND \"leaseUntil\" < ?",
            self.table
        );
        let now = millis(SystemTime::now());
        (statement, vec![text("running"), text(claim), millis(deadline), text(id), now])
    }

    /// Writes how the job ended. One that failed can be claimed again at once.
    fn settlement(&self, id: &str, claim: &str, completed: bool) -> (String, Vec<AttributeValue>) {
        let (changes, status, time) = if completed {
            (
                "SET \"status\" = ? SET \"completedAt\" = ? REMOVE \"leaseUntil\"",
                "completed",
                SystemTime::now(),
            )
        } else {
            ("SET \"status\" = ? SET \"leaseUntil\" = ?", "failed", UNIX_EPOCH)
        };
        let statement = format!("UPDATE \"{}\" {changes} WHERE \"id\" = ? AND \"claim\" = ?", self.table);
        (statement, vec![text(status), millis(time), text(id), text(claim)])
    }

    async fn write(
        &self,
        statements: Vec<(String, Vec<AttributeValue>)>,
    ) -> Result<Vec<BatchStatementResponse>, Error> {
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.dynamodb.batch_execute_statement();
        for (statement, parameters) in statements {
            let mut request = BatchStatementRequest::builder();
            // An insert takes no such option.
            if !statement.starts_with("INSERT") {
                request = request
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            }
            call = call.statements(request.statement(statement).set_parameters(Some(parameters)).build()?);
        }
        Ok(call.send().await.map_err(Box::new)?.responses.unwrap_or_default())
    }
}

/// The jobs of a batch. A batch of statements must not name an item twice, so a copy of a job waits.
fn read(messages: Vec<SqsMessage>, kept: &mut Kept) -> Vec<Job> {
    let (mut jobs, mut seen) = (Vec::with_capacity(messages.len()), HashSet::new());
    for message in messages {
        let own = message.message_id.unwrap_or_default();
        match serde_json::from_str::<Body>(message.body.as_deref().unwrap_or_default()) {
            Ok(Body { id, payload }) => {
                let id = id.unwrap_or_else(|| own.clone());
                if seen.insert(id.clone()) {
                    jobs.push(Job { id, message: own, payload });
                } else {
                    kept.add(&own, "its job is in the batch twice");
                }
            }
            Err(error) => kept.add(&own, error),
        }
    }
    jobs
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
