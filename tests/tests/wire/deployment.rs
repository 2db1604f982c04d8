//! A deployment of the template as its users see it: an endpoint and names.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use lambda_jobs_core::ports::DeadLettered;
use lambda_jobs_core::{JobExecution, JobId, JobManager, Queue};
use lambda_jobs_functions::Adapters;
use lambda_jobs_infra::Settings;
use serde_json::Value;

/// The time limit for anything that takes seconds on an idle machine. After a lost invocation, a message returns after
/// its visibility timeout of 1 minute, and its job after its lease.
const PATIENCE: Duration = Duration::from_mins(3);

pub(crate) struct Deployment {
    pub(crate) prefix: String,
    pub(crate) sdk: SdkConfig,
    pub(crate) adapters: Adapters,
    pub(crate) manager: JobManager,
}

impl Deployment {
    /// The template with the worker that it builds.
    pub(crate) async fn as_built() -> Self {
        Self::named_by("LAMBDA_JOBS_WIRE_PREFIX").await
    }

    /// The template with `test_worker` as its worker.
    pub(crate) async fn of_acts() -> Self {
        Self::named_by("LAMBDA_JOBS_WIRE_ACTS_PREFIX").await
    }

    async fn named_by(variable: &str) -> Self {
        let prefix = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run `.ci/wire`, or set it to the Prefix that the template was deployed with")
        });
        let names = |name: &str| {
            Some(match name {
                "LAMBDA_JOBS_QUEUE_PREFIX" => prefix.clone(),
                "LAMBDA_JOBS_JOBS_TABLE" => format!("{prefix}jobs"),
                "LAMBDA_JOBS_STATE_TABLE" => format!("{prefix}state"),
                "LAMBDA_JOBS_DATA_TABLE" => format!("{prefix}data"),
                _ => return None,
            })
        };
        let settings = Settings::read(names).unwrap();
        // Not the shared configuration: its connections would belong to one test's runtime.
        let sdk = lambda_jobs_infra::aws::loader().load().await;
        let adapters = Adapters::new(&sdk, &settings);
        let manager = JobManager::new(settings.jobs, adapters.ports().core.clone());
        Self { prefix, sdk, adapters, manager }
    }

    /// Sends a bare message. Its id is the job's if the body names none.
    pub(crate) async fn send(&self, queue: Queue, body: &str) -> JobId {
        let url = self.adapters.queue_url(queue).await.unwrap();
        let sent = self.adapters.sqs().client().send_message().queue_url(url).message_body(body);
        sent.send().await.unwrap().message_id().unwrap().parse().unwrap()
    }

    /// Sends messages in one call. Returns their ids in the same order.
    pub(crate) async fn send_together(&self, queue: Queue, bodies: &[String]) -> Vec<JobId> {
        let entry = |(at, body): (usize, &String)| {
            SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(body).build().unwrap()
        };
        let entries = bodies.iter().enumerate().map(entry).collect();
        let url = self.adapters.queue_url(queue).await.unwrap();
        let call =
            self.adapters.sqs().client().send_message_batch().queue_url(url).set_entries(Some(entries));
        let sent = call.send().await.unwrap();
        assert!(sent.failed().is_empty(), "{:?}", sent.failed());
        let id_of = |at: usize| {
            let entry = sent.successful().iter().find(|entry| entry.id() == at.to_string());
            entry.unwrap().message_id().parse().unwrap()
        };
        (0..bodies.len()).map(id_of).collect()
    }

    /// Sends one message to each queue.
    pub(crate) async fn send_to_each(&self, body: &Value) -> Vec<(Queue, JobId)> {
        let mut sent = Vec::new();
        for queue in Queue::ALL {
            sent.push((queue, self.send(queue, &body.to_string()).await));
        }
        sent
    }

    /// Waits for the job to end, and returns it.
    pub(crate) async fn ended(&self, id: &JobId) -> JobExecution {
        until(&format!("the end of job {id}"), async || {
            let job = self.manager.status(id).await.unwrap();
            job.filter(|job| job.status.is_finished()).ok_or("it has not ended")
        })
        .await
    }

    /// Waits for the dead letter of a message, and returns it.
    pub(crate) async fn dead_letter(&self, queue: Queue, message: &JobId) -> DeadLettered {
        until(&format!("the dead letter of message {message} of queue {queue}"), async || {
            let letters = self.manager.dead_letters(queue, 1000).await.unwrap();
            let is_of =
                |letter: &DeadLettered| letter.original_message_id.as_deref() == Some(message.as_str());
            letters.into_iter().find(is_of).ok_or("it is not there")
        })
        .await
    }

    /// Waits until a queue is empty: nothing visible, nothing in flight, nothing delayed.
    pub(crate) async fn drained(&self, queue: Queue) {
        let url = self.adapters.queue_url(queue).await.unwrap();
        until(&format!("queue {queue} to be empty"), async || {
            let call = self.adapters.sqs().client().get_queue_attributes().queue_url(&url);
            let answer = call.attribute_names(QueueAttributeName::All).send().await.unwrap();
            let counts = answer.attributes().unwrap().iter();
            let mut counts = counts.filter(|(name, _)| name.as_str().starts_with("ApproximateNumberOf"));
            if counts.all(|(_, count)| count == "0") { Ok(()) } else { Err("it is not") }
        })
        .await;
    }

    /// Waits until every queue is empty.
    pub(crate) async fn all_drained(&self) {
        for queue in Queue::ALL {
            self.drained(queue).await;
        }
    }
}

/// Polls until there is a result.
pub(crate) async fn until<T, E: std::fmt::Display>(what: &str, look: impl AsyncFn() -> Result<T, E>) -> T {
    let begun = tokio::time::Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(why) => assert!(begun.elapsed() < PATIENCE, "waited too long for {what}: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
