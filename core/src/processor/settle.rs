//! Settling: writing how jobs ended, and only then acking their messages.
//!
//! Each settlement is conditional on the claim that ran the job. If the condition fails and the item holds our
//! own claim id and the status that was to be written, only the answer was lost: that is success. If it holds
//! another claim, this worker is fenced. It leaves its message alone, because somebody else may have received
//! the same message by now.
//!
//! The worker repeats an unanswered settlement until the invocation ends. The alternative is to run the job
//! again.
//!
//! Of several copies of one id in a batch, the first is claimed. The others are settled last: they are acked if
//! the job has finished by then; otherwise they wait 1 minute.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::SqsBatch;
use super::backoff::Backoff;
use super::dead_letters::UnprocessableMessage;
use super::job::{Ended, Job};
use super::requeue::Requeued;
use crate::job::bounds::MAX_BREAKERS;
use crate::job::{Blocker, JobId, JobRecord, JobStatus, Retention};
use crate::message::JobMessage;
use crate::ports::{ServiceError, SettleCall, SettleOutcome, Settlement};

/// The time kept to requeue messages when settling is given up.
const GIVE_UP_MARGIN: TimeDelta = TimeDelta::seconds(2);
/// How often a worker that is to stop tries.
const TRIES_WHEN_STOPPING: u32 = 3;
/// The wait of a copy whose job has not ended in the same batch.
const COPY_WAIT: TimeDelta = TimeDelta::seconds(60);

impl SqsBatch<'_> {
    /// Writes how these jobs ended, then acks or requeues their messages. Tries until the invocation ends: a job
    /// whose end can't be written runs twice.
    pub(super) async fn settle(&self, ended: Vec<Ended>) {
        let now = self.now();
        let mut unsettled: Vec<Ended> =
            ended.into_iter().map(|ended| ended.finally(now, &self.processor.config.retention)).collect();
        let ids: Vec<JobId> = unsettled.iter().map(|ended| ended.record().id().clone()).collect();
        let waiting = unsettled.iter().filter(|ended| ended.record().status == JobStatus::Waiting);
        let parents: Vec<JobId> = waiting.map(|ended| ended.record().id().clone()).collect();
        let mut requeued = Vec::new();
        let mut id = self.processor.entropy.next_u64();
        let mut backoff = Backoff::new();
        for round in 1.. {
            let settlements = unsettled.iter().map(|ended| ended.settlement.clone()).collect();
            let batch = SettleCall { id, at: self.now(), settlements };
            let outcomes = self.processor.store.settle(&batch).await;
            let mut failed = Vec::new();
            for (ended, outcome) in unsettled.into_iter().zip(outcomes) {
                match outcome {
                    Ok(outcome) => requeued.extend(self.settled(ended, outcome)),
                    Err(error) => failed.push((ended, error)),
                }
            }
            let wait = backoff.next();
            if failed.is_empty() || !self.may_try_again(round, wait) {
                requeued.extend(failed.into_iter().map(|(ended, error)| self.give_up(ended, &error)));
                break;
            }
            // The store writes the same batch once, however often it comes; a part of it is another batch.
            if failed.len() < batch.settlements.len() {
                id = self.processor.entropy.next_u64();
            }
            unsettled = failed.into_iter().map(|(ended, _)| ended).collect();
            self.processor.clock.sleep(wait).await;
        }
        self.mark_children().await;
        self.look_again(&parents).await;
        self.return_permits(|id| ids.contains(id)).await;
        self.requeue(requeued).await;
    }

    /// Acks the copies of ids whose jobs have ended in this batch, and defers the others.
    pub(super) async fn settle_copies(&self, copies: Vec<Job>) {
        let (mut requeued, mut unprocessable) = (Vec::new(), Vec::new());
        for copy in copies {
            let (id, name) = (copy.id(), &copy.definition().spec.name);
            // An earlier edition of its schedule may have had another name for it.
            let is_occurrence = copy.definition().edition.is_some();
            match self.state.finished(id) {
                Some(finished) if finished == *name || is_occurrence => {
                    tracing::info!(job_id = %id, message_id = %copy.received.message_id, "duplicate in one batch");
                    self.state.ack(&copy.received);
                    self.state.count(|summary| summary.duplicates += 1);
                }
                Some(owner) => unprocessable.push(UnprocessableMessage::misnamed(copy, &owner)),
                None => requeued.push(Requeued { job: copy, until: self.now() + COPY_WAIT }),
            }
        }
        self.dead_letter(unprocessable).await;
        self.defer(requeued).await;
    }

    fn may_try_again(&self, round: u32, wait: Duration) -> bool {
        let time_left = self.invocation.deadline - self.now() - GIVE_UP_MARGIN;
        let in_time = TimeDelta::from_std(wait).is_ok_and(|wait| wait < time_left);
        in_time && (round < TRIES_WHEN_STOPPING || !self.invocation.stop.is_set())
    }

    /// Requeues a message to the end of its job's lease: the attempt is then made again.
    fn give_up(&self, ended: Ended, error: &ServiceError) -> Requeued {
        let Ended { job, settlement } = ended;
        let record = settlement.record;
        tracing::error!(
            job_id = %record.id(), job = %record.definition.spec.name, status = %record.status,
            error = error as &dyn std::error::Error,
            "the job's end can't be written; its message comes back"
        );
        let until = record.claim.map_or_else(|| self.after_trouble(), |claim| claim.lease_until);
        Requeued { job, until }
    }

    /// Acks the message of a job whose settlement was answered, or returns it to be requeued.
    fn settled(&self, ended: Ended, outcome: SettleOutcome) -> Option<Requeued> {
        let Ended { mut job, settlement } = ended;
        let record = settlement.record;
        if let SettleOutcome::Fenced(current) = outcome {
            // Somebody else has the job now, perhaps by a later receipt of this very message: deleting it
            // could take their cover away.
            let status = current.map(|current| current.status.as_str());
            tracing::warn!(job_id = %record.id(), ?status, "the lease was lost; the attempt does not count");
            return None;
        }
        self.count_settled(&record);
        if record.status.is_finished() {
            self.state.finish(&record);
            self.state.ack_ended(&job.received, job.definition().batch.as_ref(), record.status);
            return None;
        }
        if record.parked {
            // The due index covers it from now on.
            self.state.ack(&job.received);
            return None;
        }
        if let Some(by) = &record.blocked {
            wait_for(&mut job.message, by);
        }
        Some(Requeued { job, until: record.due_at })
    }

    fn count_settled(&self, record: &JobRecord) {
        self.state.count(|summary| match record.status {
            JobStatus::Completed => summary.completed += 1,
            JobStatus::Failed => summary.failed += 1,
            JobStatus::Cancelled => summary.cancelled += 1,
            JobStatus::Retrying if record.note.is_none() => summary.retrying += 1,
            _ => summary.deferred += 1,
        });
    }
}

impl Ended {
    /// Decides what covers the job if it waits, and how long its record is kept if it has ended.
    fn finally(self, now: DateTime<Utc>, retention: &Retention) -> Self {
        let Settlement { fence, record } = self.settlement;
        let record = record.parked_if_far(now).kept(retention);
        Self { job: self.job, settlement: Settlement { fence, record } }
    }
}

/// Names in a message what its job met while it ran. A copy of the message then waits for it before the claim.
fn wait_for(message: &mut JobMessage, by: &Blocker) {
    message.deferred = true;
    let breakers = &mut message.definition.breakers;
    if let Blocker::Breaker(name) = by
        && breakers.len() < MAX_BREAKERS
        && !breakers.contains(name)
    {
        breakers.push(name.clone());
    }
}
