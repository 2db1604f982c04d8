//! Sweeps: finding deliveries that no job is going to attempt.
//!
//! A delivery and its job are written to different places, so a caller that ends in between leaves a delivery
//! without a job; and a job that went to the dead-letter queue leaves one that nobody tries again. A sweep
//! looks for deliveries that have been due for a while, and enqueues a job for each that has none. Its id is made of
//! the delivery and the numbers of replays and attempts, so two sweeps make one job.
//!
//! A sweep skips deliveries that became due less than 2 minutes ago, and those that their own job still attends to.
//! The index of unfinished deliveries costs each delivery one index write in and one out; without it, a sweep would
//! read the whole table every 2 minutes. The index holds neither host nor endpoint, because every attempt would pay
//! for them. So a sweep reads the few deliveries that no job attends to, and makes the same jobs as a publisher.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::job::{delivery_job, own_id, swept_id};
use super::{WebhookDeliveryHandler, WebhookReport};
use crate::families::webhook::ports::{Awaited, WaitingDelivery, WaitingQuery, WebhookDelivery};
use crate::handler::{JobContext, JobError};
use crate::invalid::Invalid;
use crate::job::{JobExecution, JobId, JobStatus, NewJob, millis};

/// How late a delivery's own job may be before a sweep makes another.
const GRACE: TimeDelta = TimeDelta::minutes(2);
/// How many waiting deliveries a page holds.
const PAGE: usize = 50;
/// The time that a job must have left to read one more page.
const MARGIN: Duration = Duration::from_secs(5);
/// The most errors that a report holds.
const MAX_ERRORS: usize = 10;

/// The bounds of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sweep {
    /// The most jobs that it enqueues: 1 to [`Sweep::MAX_BATCH`]; 50 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// How long it may take, in milliseconds; if absent, as long as its job has. The next sweep does the rest.
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
}

impl WebhookDeliveryHandler {
    /// Enqueues jobs for waiting deliveries that have none.
    pub(super) async fn sweep(
        &self,
        bounds: &Sweep,
        awaited: Awaited,
        kind: &str,
        ctx: &JobContext,
    ) -> Result<WebhookReport, JobError> {
        let started = ctx.clock().monotonic();
        let elapsed = || ctx.clock().monotonic().saturating_sub(started);
        let longest = bounds.max_processing_time.unwrap_or(Duration::MAX);
        let time = ctx.time_left().saturating_sub(MARGIN).min(longest);
        let most = bounds.batch_size.unwrap_or(Sweep::DEFAULT_BATCH);
        let mut report = WebhookReport::none(kind);
        let before = ctx.clock().now() - GRACE;
        let mut query = WaitingQuery { awaited, before, limit: PAGE, cursor: None };
        loop {
            let page = self.waiting.waiting(&query).await?;
            let left = usize::try_from(most.saturating_sub(report.processed)).unwrap_or(PAGE);
            let due = self.due(page.items, before, &mut report).await?;
            self.cover(due, left, &mut report).await?;
            query.cursor = page.cursor;
            if query.cursor.is_none() || report.processed >= most || elapsed() >= time {
                break;
            }
        }
        report.processing_time = elapsed();
        Ok(report)
    }

    /// The deliveries that are due, except those that their first job still attends to. The index may be out of date,
    /// so a sweep reads each delivery, except those whose first job is unfinished.
    async fn due(
        &self,
        waiting: Vec<WaitingDelivery>,
        before: DateTime<Utc>,
        report: &mut WebhookReport,
    ) -> Result<Vec<WebhookDelivery>, JobError> {
        let first_id = |one: &WaitingDelivery| one.id.parse::<JobId>().ok();
        let first: Vec<JobId> = waiting.iter().filter_map(first_id).collect();
        let known = self.jobs.statuses(&first).await?;
        let attended: HashSet<JobId> =
            known.into_iter().flatten().filter(attends).map(|job| job.id).collect();
        let left = waiting.iter().filter(|one| first_id(one).is_none_or(|id| !attended.contains(&id)));
        let left: Vec<String> = left.map(|one| one.id.clone()).collect();
        let mut due = Vec::new();
        for (id, found) in left.iter().zip(self.deliveries.find(&left).await) {
            match found {
                Ok(Some(delivery)) if delivery.awaits().is_some_and(|(_, at)| at < before) => {
                    due.push(delivery);
                }
                Ok(_) => {}
                // A delivery that can't be read must not keep the others.
                Err(error) => report.failed(format!("webhookDeliveryId {id:?}: {error}")),
            }
        }
        Ok(due)
    }

    /// Enqueues a job for each delivery that has none, `most` at most.
    async fn cover(
        &self,
        deliveries: Vec<WebhookDelivery>,
        most: usize,
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
        let known = self.jobs.statuses(&asked).await?;
        let uncovered = nameable.into_iter().zip(known.chunks(2)).filter(|(_, known)| match known {
            [own, swept] => swept.is_none() && !own.as_ref().is_some_and(covers),
            _ => false,
        });
        let new: Vec<NewJob> =
            uncovered.take(most).map(|((delivery, [_, id]), _)| job(delivery, id)).collect();
        for answer in self.jobs.enqueue_all(new).await {
            match answer {
                Ok(_) => report.succeeded(),
                Err(error) => report.failed(error.to_string()),
            }
        }
        Ok(())
    }
}

/// The names of a delivery's own job and of the one that a sweep makes.
fn ids(delivery: &WebhookDelivery) -> Result<[JobId; 2], Invalid> {
    let swept = swept_id(delivery)?;
    // A caller may name the job like the delivery. If no job can have that id, only the sweep's name counts.
    Ok([own_id(&delivery.id, delivery.replays).unwrap_or_else(|_| swept.clone()), swept])
}

/// Whether a job is still going to attempt its delivery.
const fn attends(job: &JobExecution) -> bool {
    !job.status.is_finished()
}

/// Whether a delivery's own job still attends to it, or was cancelled together with the delivery.
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
