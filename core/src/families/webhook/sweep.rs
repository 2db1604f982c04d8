//! Sweeps: finding deliveries that no job is going to attempt.
//!
//! A delivery and its job are written to different places, so a caller that ends in between leaves a delivery
//! without a job; and a job that went to the dead-letter queue leaves one that nobody tries again. A sweep
//! looks for deliveries that have been due for a while, and enqueues a job for each that has none. Its id is made of
//! the delivery and the numbers of replays and attempts, so two sweeps make one job.
//!
//! If that job ends without an attempt, a later sweep makes another (`swept`). What a sweep can't read or enqueue does
//! not count towards its batch: it may stand at the front for ever, and must not keep the others.
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
use super::swept::{self, Next};
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
            for reason in page.unreadable {
                report.failed(reason);
            }
            let left = usize::try_from(most.saturating_sub(report.successful)).unwrap_or(PAGE);
            let due = self.due(page.items, before, &mut report).await?;
            self.cover(due, left, ctx.clock().now(), &mut report).await?;
            query.cursor = page.cursor;
            if query.cursor.is_none() || report.successful >= most || elapsed() >= time {
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
        for (id, found) in left.iter().zip(self.deliveries.heads(&left).await) {
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
        now: DateTime<Utc>,
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
        let mut known = known.into_iter();
        let mut new: Vec<NewJob> = Vec::new();
        for (delivery, [_, first]) in nameable {
            let (own, swept) = (known.next().flatten(), known.next().flatten());
            if new.len() >= most || own.as_ref().is_some_and(covers) {
                continue;
            }
            let jobs = self.all_swept(&delivery, swept).await?;
            match swept::next(&jobs, now) {
                Next::Nothing => {}
                Next::Job(0) => new.push(job(delivery, first)),
                Next::Job(others) => match swept_id(&delivery, others) {
                    Ok(id) => new.push(job(delivery, id)),
                    Err(error) => report.failed(format!("webhookDeliveryId {:?}: {error}", delivery.id)),
                },
                Next::GivenUp(why) => {
                    report.failed(format!("webhookDeliveryId {:?}: {why}", delivery.id));
                }
            }
        }
        for answer in self.jobs.enqueue_all(new).await {
            match answer {
                Ok(_) => report.succeeded(),
                Err(error) => report.failed(error.to_string()),
            }
        }
        Ok(())
    }

    /// The jobs that sweeps made for the present attempt at a delivery, given the first of them. Only after that has
    /// ended, and was not cancelled together with the delivery, are there others.
    async fn all_swept(
        &self,
        delivery: &WebhookDelivery,
        first: Option<JobExecution>,
    ) -> Result<Vec<JobExecution>, JobError> {
        let mut jobs = Vec::from_iter(first);
        if jobs.first().is_some_and(|first| first.status.is_finished() && !covers(first)) {
            let others = (1..swept::MOST).filter_map(|others| swept_id(delivery, others).ok());
            let others = self.jobs.statuses(&others.collect::<Vec<_>>()).await?;
            jobs.extend(others.into_iter().map_while(|other| other));
        }
        Ok(jobs)
    }
}

/// The names of a delivery's own job and of the first that a sweep makes.
fn ids(delivery: &WebhookDelivery) -> Result<[JobId; 2], Invalid> {
    let swept = swept_id(delivery, 0)?;
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
