//! Sweeps: finding deliveries that nobody is going to attempt.
//!
//! A delivery and its job are written to different places, so a caller that ends in between leaves a delivery
//! without a job; and a job that went to the dead-letter queue leaves one that nobody tries again. A sweep
//! looks for deliveries that have been due for a while, and enqueues a job for each that is not covered by
//! one. Its id is made of the delivery and the numbers of replays and attempts, so that two sweeps make one job.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::WebhookReport;
use super::job::{delivery_job, own_id, swept_id};
use crate::families::webhook::ports::{Awaited, WaitingDelivery, WaitingQuery, WebhookDelivery, Webhooks};
use crate::handler::{JobContext, JobError};
use crate::invalid::Invalid;
use crate::job::{JobExecution, JobId, JobStatus, NewJob, millis};
use crate::manager::JobManager;

/// For how long the job of a delivery itself may be late.
const GRACE: TimeDelta = TimeDelta::minutes(2);
/// How many deliveries are looked at together.
const PAGE: usize = 50;
/// What must be left of an attempt for one more page.
const MARGIN: Duration = Duration::from_secs(5);
/// How many errors are reported at most.
const MAX_ERRORS: usize = 10;

/// What bounds a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sweep {
    /// How many jobs it enqueues at most: 1 to [`Sweep::MAX_BATCH`]; 50 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// How long it may take, in milliseconds; as long as the attempt has where absent. What is then left is
    /// for the next one.
    #[serde(with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub max_processing_time: Option<Duration>,
}

impl Sweep {
    /// The largest `batchSize`.
    pub const MAX_BATCH: u32 = 1000;
    const DEFAULT_BATCH: u32 = 50;

    pub(super) fn check(&self) -> Result<(), String> {
        match self.batch_size {
            Some(size) if size == 0 || size > Self::MAX_BATCH => {
                Err(format!("batchSize: expected an integer from 1 to {}, got {size}", Self::MAX_BATCH))
            }
            _ => Ok(()),
        }
    }

    /// Enqueues jobs for deliveries that wait for this, and have none.
    pub(super) async fn run(
        &self,
        awaited: Awaited,
        kind: &str,
        webhooks: &dyn Webhooks,
        jobs: &JobManager,
        ctx: &JobContext,
    ) -> Result<WebhookReport, JobError> {
        let started = ctx.clock().monotonic();
        let elapsed = || ctx.clock().monotonic().saturating_sub(started);
        let time =
            ctx.time_left().saturating_sub(MARGIN).min(self.max_processing_time.unwrap_or(Duration::MAX));
        let most = self.batch_size.unwrap_or(Self::DEFAULT_BATCH);
        let mut report = WebhookReport::none(kind);
        let before = ctx.clock().now() - GRACE;
        let mut query = WaitingQuery { awaited, before, limit: PAGE, cursor: None };
        loop {
            let page = webhooks.waiting(&query).await?;
            let left = usize::try_from(most.saturating_sub(report.processed)).unwrap_or(PAGE);
            let due = due(page.items, before, webhooks, jobs, &mut report).await?;
            cover(due, left, jobs, &mut report).await?;
            query.cursor = page.cursor;
            if query.cursor.is_none() || report.processed >= most || elapsed() >= time {
                break;
            }
        }
        report.processing_time = elapsed();
        Ok(report)
    }
}

/// Those of the deliveries that are due indeed, and that their first job does not attend to. The index knows no more
/// of them than that they wait, so each is read, unless a job that has its name tells that there is no need to.
async fn due(
    waiting: Vec<WaitingDelivery>,
    before: DateTime<Utc>,
    webhooks: &dyn Webhooks,
    jobs: &JobManager,
    report: &mut WebhookReport,
) -> Result<Vec<WebhookDelivery>, JobError> {
    let first_id = |one: &WaitingDelivery| one.id.parse::<JobId>().ok();
    let first: Vec<JobId> = waiting.iter().filter_map(first_id).collect();
    let known = jobs.statuses(&first).await?;
    let attended: HashSet<JobId> = known.into_iter().flatten().filter(attends).map(|job| job.id).collect();
    let left = waiting.iter().filter(|one| first_id(one).is_none_or(|id| !attended.contains(&id)));
    let left: Vec<String> = left.map(|one| one.id.clone()).collect();
    let mut due = Vec::new();
    for (id, found) in left.iter().zip(webhooks.deliveries_by_id(&left).await) {
        match found {
            Ok(Some(delivery)) if delivery.awaits().is_some_and(|(_, at)| at < before) => due.push(delivery),
            Ok(_) => {}
            // One that can't be read must not keep the others.
            Err(error) => report.failed(format!("webhookDeliveryId {id:?}: {error}")),
        }
    }
    Ok(due)
}

/// Enqueues a job for each delivery that has none, `most` at most.
async fn cover(
    deliveries: Vec<WebhookDelivery>,
    most: usize,
    jobs: &JobManager,
    report: &mut WebhookReport,
) -> Result<(), JobError> {
    let mut nameable = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        match ids(&delivery) {
            Ok(ids) => nameable.push((delivery, ids)),
            Err(error) => report.failed(format!("webhookDeliveryId {:?}: {error}", delivery.id)),
        }
    }
    let asked: Vec<JobId> = nameable.iter().flat_map(|(_, ids)| ids.clone()).collect();
    let known = jobs.statuses(&asked).await?;
    let uncovered = nameable.into_iter().zip(known.chunks(2)).filter(|(_, known)| match known {
        [own, swept] => swept.is_none() && !own.as_ref().is_some_and(covers),
        _ => false,
    });
    let new: Vec<NewJob> = uncovered.take(most).map(|((delivery, [_, id]), _)| job(delivery, id)).collect();
    for answer in jobs.enqueue_all(new).await {
        match answer {
            Ok(_) => report.succeeded(),
            Err(error) => report.failed(error.to_string()),
        }
    }
    Ok(())
}

/// The names of a delivery's own job and of the one that a sweep makes.
fn ids(delivery: &WebhookDelivery) -> Result<[JobId; 2], Invalid> {
    let swept = swept_id(delivery)?;
    // Whoever delivers may name the job like the delivery; an id that no job can have is no job's.
    Ok([own_id(&delivery.id, delivery.replays).unwrap_or_else(|_| swept.clone()), swept])
}

/// Whether a job is going to attend to its delivery.
const fn attends(job: &JobExecution) -> bool {
    !job.status.is_finished()
}

/// Whether a delivery's own job attends to it still, or was cancelled, and the delivery with it.
fn covers(job: &JobExecution) -> bool {
    attends(job) || job.status == JobStatus::Cancelled
}

fn job(delivery: WebhookDelivery, id: JobId) -> NewJob {
    // It is due already.
    delivery_job(&WebhookDelivery { next_attempt_at: None, ..delivery }, id)
}

impl WebhookReport {
    fn none(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::new(0, Duration::ZERO, None) }
    }

    fn succeeded(&mut self) {
        self.processed += 1;
        self.successful += 1;
    }

    fn failed(&mut self, error: String) {
        self.processed += 1;
        self.failed += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }
}
