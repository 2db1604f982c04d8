//! The deployed binaries, as processes under the Lambda Runtime API: started, fed with real messages, killed, and
//! started again.

mod batches;
mod crashes;
mod init;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs::local::Stack;
use lambda_jobs_core::{JobConfig, JobExecution, JobId, JobManager, JobRecord, StopSignal, Stopper};
use lambda_jobs_functions::poller::{EventSourceMapping, Switch};
use lambda_jobs_tests::{Function, Lambda, ended, manager, stack};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The deployed function; cargo builds it with the workspace's tests.
fn worker() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().unwrap().parent().unwrap().join("worker");
    assert!(binary.exists(), "build it first: cargo build -p lambda-jobs-functions --bin worker");
    binary
}

/// The worker whose jobs do what their payload says.
fn test_worker() -> PathBuf {
    env!("CARGO_BIN_EXE_test_worker").into()
}

/// A finished invocation.
#[derive(Clone, Debug)]
struct Invoked {
    messages: Vec<String>,
    answer: Result<Value, String>,
    left: TimeDelta,
}

impl Invoked {
    /// The message ids that the response reports as failed.
    fn failures(&self) -> Vec<String> {
        let entries = self.answer.as_ref().unwrap()["batchItemFailures"].as_array().unwrap();
        entries.iter().map(|entry| entry["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }
}

/// A stack without its own worker, and a function that one of its queues feeds.
struct Rig {
    stack: Stack,
    manager: JobManager,
    sqs: aws_sdk_sqs::Client,
    queue: &'static str,
    url: String,
    lambda: Arc<Lambda>,
    invoked: Arc<Mutex<Vec<Invoked>>>,
    polling: Option<(Stopper, JoinHandle<()>)>,
}

impl Rig {
    async fn new(queue: &'static str, function: impl FnOnce(&str) -> Function) -> Self {
        let stack = stack().await.unwrap();
        let manager = manager(&stack);
        let sqs = aws_sdk_sqs::Client::new(stack.sdk());
        let found = sqs.get_queue_url().queue_name(queue).send().await.unwrap();
        let url = found.queue_url().unwrap().to_owned();
        let lambda = Arc::new(Lambda::new(function(&stack.url())));
        Self { stack, manager, sqs, queue, url, lambda, invoked: Arc::default(), polling: None }
    }

    /// A stack with the test worker, in a function with this timeout. Each job's timeout may be 0.5 s below the
    /// maximum.
    async fn acting(function_timeout: Duration) -> Self {
        let millis = |time: Duration| time.as_millis().to_string();
        let rig = Self::new("lambda-jobs-normal", |endpoint| {
            let slack = JobConfig::START_MARGIN + JobConfig::SETTLE_MARGIN + Duration::from_millis(500);
            Function::new(test_worker(), endpoint)
                .with("LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS", &function_timeout.as_secs().to_string())
                .with("LAMBDA_JOBS_TIMEOUT_MS", &millis(function_timeout.saturating_sub(slack)))
        })
        .await;
        // No longer than a test needs: a message whose function died reappears after this time.
        let visibility = (function_timeout + Duration::from_secs(1)).as_secs().to_string();
        let set = rig.sqs.set_queue_attributes().queue_url(&rig.url);
        set.attributes(QueueAttributeName::VisibilityTimeout, visibility).send().await.unwrap();
        rig
    }

    /// Sends messages in one call. Returns the ids of their jobs, which are the message ids.
    async fn send(&self, bodies: &[Value]) -> Vec<JobId> {
        let entries = bodies.iter().enumerate().map(|(at, body)| {
            let entry = SendMessageBatchRequestEntry::builder().id(at.to_string());
            entry.message_body(body.to_string()).build().unwrap()
        });
        let call = self.sqs.send_message_batch().queue_url(&self.url);
        let sent = call.set_entries(Some(entries.collect())).send().await.unwrap();
        assert!(sent.failed().is_empty(), "{sent:?}");
        let mut sent = sent.successful().to_vec();
        sent.sort_by_key(|entry| entry.id().parse::<usize>().unwrap());
        sent.iter().map(|entry| entry.message_id().parse().unwrap()).collect()
    }

    /// Sends jobs with these actions.
    async fn act(&self, acts: &[Value]) -> Vec<JobId> {
        let bodies: Vec<Value> = acts.iter().map(|act| json!({ "name": "act", "payload": act })).collect();
        self.send(&bodies).await
    }

    /// Starts to feed the function, which has this long for each invocation.
    fn feed(&mut self, time: Duration) {
        let mapping = EventSourceMapping {
            client: self.sqs.clone(),
            queue_url: self.url.clone(),
            queue_arn: format!("arn:aws:sqs:us-east-1:000000000000:{}", self.queue),
            batch_size: 10,
            concurrency: 1,
            function_timeout: time,
            switch: Switch::default(),
        };
        let (lambda, invoked) = (Arc::clone(&self.lambda), Arc::clone(&self.invoked));
        let (stopper, stop) = StopSignal::new();
        let polling = tokio::spawn(async move {
            let invoke = |event: Value, deadline| observed(&lambda, &invoked, event, deadline);
            mapping.run(invoke, &stop).await;
        });
        self.polling = Some((stopper, polling));
    }

    /// The first invocation, once it has ended.
    async fn first(&self) -> Invoked {
        until("the first invocation", async || self.invoked.lock().unwrap().first().cloned()).await
    }

    async fn ended(&self, id: &JobId) -> JobExecution {
        ended(&self.manager, id).await.unwrap_or_else(|| panic!("{id} does not end"))
    }

    async fn all_ended(&self, ids: &[JobId]) -> Vec<JobExecution> {
        let mut jobs = Vec::new();
        for id in ids {
            jobs.push(self.ended(id).await);
        }
        jobs
    }

    async fn record(&self, id: &JobId) -> JobRecord {
        let found = self.stack.adapters().ports().core.clone().store.get(std::slice::from_ref(id)).await;
        found.unwrap().remove(0).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some((stopper, polling)) = self.polling.take() {
            stopper.raise();
            polling.abort();
        }
    }
}

async fn observed(
    lambda: &Lambda,
    invoked: &Mutex<Vec<Invoked>>,
    event: Value,
    deadline: DateTime<Utc>,
) -> Result<Value, String> {
    let records = event["Records"].as_array().unwrap();
    let messages = records.iter().map(|record| record["messageId"].as_str().unwrap().to_owned()).collect();
    let answer = lambda.invoke(event, deadline).await;
    let left = deadline - Utc::now();
    invoked.lock().unwrap().push(Invoked { messages, answer: answer.clone(), left });
    answer
}

/// Waits until `look` finds something.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), looking).await.unwrap_or_else(|_| panic!("{what}: never"))
}
