//! A small demo that shows how jobs end. Its jobs take the same paths as all jobs: messages in SQS, webhooks over HTTP,
//! records in DynamoDB. You can send webhooks to its receiver, too.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use chrono::Utc;
use lambda_jobs_core::families::webhook::ports::WebhookDelivery;
use lambda_jobs_core::families::webhook::{NAME, WebhookPayload};
use lambda_jobs_core::ports::Outgoing;
use lambda_jobs_core::{JobExecution, JobId, JobManager, JobStatus, NewJob, Queue};
use lambda_jobs_infra::OsEntropy;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Progress, Stack};

/// How often the demo reads its jobs.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How many webhooks succeed at once.
const PLAIN: usize = 6;

/// A server for webhooks: `/ok/...` answers 204, `/flaky/...` 500 at first, `/down/...` always 500.
pub struct Receiver {
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// Enqueued demo jobs.
pub struct Demo {
    jobs: Vec<DemoJob>,
}

struct DemoJob {
    id: JobId,
    what: &'static str,
    expected: JobStatus,
}

/// How one demo job ended.
pub struct DemoOutcome {
    /// The job, if it is known.
    pub job: Option<JobExecution>,
    /// Its id.
    pub id: JobId,
    /// What it shows.
    pub what: &'static str,
    /// The status that it should end with.
    pub expected: JobStatus,
}

impl DemoOutcome {
    /// Whether it ended with that status.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.status == self.expected)
    }
}

impl Receiver {
    /// Starts one on a free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, receiver()).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the receiver of webhooks stopped");
            }
        });
        Ok(Self { address, server })
    }

    /// The URL of one of its endpoints.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Makes the demo's jobs.
struct Setup<'a> {
    stack: &'a Stack,
    manager: &'a JobManager,
    receiver: &'a Receiver,
    jobs: Vec<DemoJob>,
}

impl Setup<'_> {
    /// A job that sends a webhook to a path of the receiver, and retries once.
    async fn webhook(
        &mut self,
        path: &str,
        what: &'static str,
        expected: JobStatus,
    ) -> Result<(), crate::commands::Failure> {
        let job = self.delivery(path).await?.max_retries(1);
        self.enqueue(job, what, expected).await
    }

    async fn delayed(&mut self) -> Result<(), crate::commands::Failure> {
        let job = self.delivery("ok/delayed").await?.delay(Duration::from_secs(3));
        self.enqueue(job, "a webhook is due in 3 seconds", JobStatus::Completed).await
    }

    /// Stores a delivery, and returns the job that sends it.
    async fn delivery(&self, path: &str) -> Result<NewJob, crate::commands::Failure> {
        let (stack, receiver) = (self.stack, self.receiver);
        let now = Utc::now();
        let id = JobId::generate(now, &OsEntropy);
        let delivery = WebhookDelivery::new(id.as_str(), receiver.url(path), json!({ "demo": path }), now);
        stack.adapters().ports().webhooks.deliveries.put_one(&delivery).await?;
        let payload = WebhookPayload::DeliverSpecific { webhook_delivery_id: delivery.id };
        Ok(NewJob::new(NAME).id(id).payload(serde_json::to_value(payload)?).tag("demo"))
    }

    async fn enqueue(
        &mut self,
        job: NewJob,
        what: &'static str,
        expected: JobStatus,
    ) -> Result<(), crate::commands::Failure> {
        let id = self.manager.enqueue(job).await?.job_id;
        self.jobs.push(DemoJob { id, what, expected });
        Ok(())
    }

    /// A plain SQS message, as any program can send one, that no handler can run.
    async fn plain_message(&mut self) -> Result<(), crate::commands::Failure> {
        let id = JobId::generate(Utc::now(), &OsEntropy);
        let body = json!({ "id": id, "name": "no-such-job" }).to_string();
        let message = Outgoing { queue: Queue::Low, body, delay: Duration::ZERO, group: None };
        let sent = self.stack.adapters().ports().core.queue.send(&[message]).await;
        sent.into_iter().collect::<Result<Vec<()>, _>>()?;
        let what = "no worker can run it: a dead letter with its reason";
        self.jobs.push(DemoJob { id, what, expected: JobStatus::Failed });
        Ok(())
    }
}

impl Demo {
    /// Enqueues the jobs.
    pub async fn start(
        stack: &Stack,
        manager: &JobManager,
        receiver: &Receiver,
    ) -> Result<Self, crate::commands::Failure> {
        let mut setup = Setup { stack, manager, receiver, jobs: Vec::new() };
        for number in 0..PLAIN {
            setup.webhook(&format!("ok/{number}"), "a webhook is delivered", JobStatus::Completed).await?;
        }
        let flaky = "the first answer is 500, the retry succeeds";
        setup.webhook("flaky/1", flaky, JobStatus::Completed).await?;
        setup.webhook("down/1", "every answer is 500", JobStatus::Failed).await?;
        setup.delayed().await?;
        setup.plain_message().await?;
        Ok(Self { jobs: setup.jobs })
    }

    /// Shows the jobs until all have ended, or `patience` has passed.
    pub async fn watch(
        self,
        manager: &JobManager,
        progress: &Progress,
        patience: Duration,
    ) -> Result<Vec<DemoOutcome>, crate::commands::Failure> {
        progress.begin(self.jobs.len());
        let give_up = tokio::time::Instant::now() + patience;
        let mut shown = BTreeMap::new();
        let outcomes = loop {
            let outcomes = self.look(manager).await?;
            let mut counts: BTreeMap<JobStatus, usize> = BTreeMap::new();
            for outcome in &outcomes {
                let status = outcome.job.as_ref().map_or(JobStatus::Queued, |job| job.status);
                *counts.entry(status).or_default() += 1;
            }
            let ended: usize = counts.iter().filter(|(status, _)| status.is_finished()).map(|(_, n)| n).sum();
            if counts != shown {
                progress.show(&counts);
                shown = counts;
            }
            if ended == outcomes.len() || tokio::time::Instant::now() >= give_up {
                break outcomes;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        progress.end();
        Ok(outcomes)
    }

    async fn look(&self, manager: &JobManager) -> Result<Vec<DemoOutcome>, crate::commands::Failure> {
        let looks = self.jobs.iter().map(async |job| {
            let found = manager.status(&job.id).await?;
            Ok(DemoOutcome { job: found, id: job.id.clone(), what: job.what, expected: job.expected })
        });
        futures_util::future::join_all(looks).await.into_iter().collect()
    }
}

/// Answers webhooks: always with success, with one failure first, or always with failure.
fn receiver() -> Router {
    let seen: Arc<Mutex<HashSet<String>>> = Arc::default();
    Router::new()
        .route("/ok/{id}", post(async || StatusCode::NO_CONTENT))
        .route("/down/{id}", post(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/flaky/{id}", post(flaky))
        .with_state(seen)
}

async fn flaky(State(seen): State<Arc<Mutex<HashSet<String>>>>, Path(id): Path<String>) -> StatusCode {
    let is_first = seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    if is_first { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}
