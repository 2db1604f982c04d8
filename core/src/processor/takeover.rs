//! Jobs that can't be claimed in the ordinary way.
//!
//! After a refused claim the record decides: the job has ended, waits, is blamed for a crash, or is claimed by
//! replacing the record whatever its state. A suspect is claimed in that way when its turn comes.

use super::SqsBatch;
use super::backoff::Backoff;
use super::claim::{Claiming, Claims, Doubt};
use super::dead_letters::UnprocessableMessage;
use super::gate::{OUT_OF_TIME, fits};
use super::job::{Claimed, Ended, Job, Suspect};
use super::refused_claim::{CRASHED, RefusedClaim, refused_claim};
use super::requeue::Requeued;
use crate::job::{JobDefinition, JobRecord};
use crate::ports::{Fence, ReceivedMessage, ReplaceOutcome, Settlement};

/// How often a takeover is tried whose answer is lost, over 2 s.
const TAKEOVERS: usize = 5;

impl SqsBatch<'_> {
    /// Decides about a job whose claim was refused, by the record that is there.
    pub(super) async fn refused(&self, claiming: Claiming, record: JobRecord, claims: &mut Claims) {
        match refused_claim(&record, claiming.job.definition(), &claiming.claim.id, self.now()) {
            RefusedClaim::Ours => claims.ready.push(claiming.claimed(record)),
            RefusedClaim::Finished | RefusedClaim::Superseded => {
                let Job { received, message, .. } = &claiming.job;
                self.ack_duplicate(received, &message.definition, &record);
            }
            RefusedClaim::Wait(until, why) => {
                tracing::debug!(job_id = %record.id(), why, "deferred");
                self.defer(vec![Requeued { job: claiming.job, until }]).await;
            }
            RefusedClaim::RunAlone => {
                claims.suspects.push(Suspect { job: claiming.job, record });
            }
            RefusedClaim::Blame => self.blame(claiming.job, record).await,
            RefusedClaim::Redriven => claims.ready.extend(self.take_over(claiming, record).await),
            RefusedClaim::Misnamed => {
                let owner = &record.definition.spec.name;
                self.dead_letter(vec![UnprocessableMessage::misnamed(claiming.job, owner)]).await;
            }
            RefusedClaim::OtherKey => {
                let mut job = claiming.job;
                let JobDefinition { unique_key, unique_for, .. } = record.definition;
                (job.message.definition.unique_key, job.message.definition.unique_for) =
                    (unique_key, unique_for);
                claims.rekeyed.push(job);
            }
        }
    }

    /// Claims a job by replacing its record, whatever its state.
    async fn take_over(&self, claiming: Claiming, record: JobRecord) -> Option<Claimed> {
        let now = self.now();
        let record = record.keeping_a_crashed_attempt().claimed(claiming.claim.clone(), now);
        let (mut backoff, mut doubt) = (Backoff::new(), Doubt::default());
        let mut outcome = self.processor.store.replace(&record).await;
        for _ in 1..TAKEOVERS {
            if !outcome.as_ref().is_err_and(|error| doubt.grows(error)) {
                break;
            }
            self.processor.clock.sleep(backoff.next()).await;
            outcome = self.processor.store.replace(&record).await;
        }
        match outcome {
            Ok(ReplaceOutcome::Replaced) => Some(claiming.claimed(record)),
            Ok(ReplaceOutcome::Conflict(Some(current))) if current.holds(&claiming.claim.id) => {
                Some(claiming.claimed(*current))
            }
            Ok(ReplaceOutcome::Conflict(_)) => {
                self.defer(vec![Requeued { job: claiming.job, until: now }]).await;
                None
            }
            Err(error) => {
                self.store_failed(claiming.job, &error).await;
                None
            }
        }
    }

    /// Claims a suspect, alone, now that its turn has come.
    pub(super) async fn claim_alone(&self, suspect: Suspect) -> Option<Claimed> {
        let Suspect { job, mut record } = suspect;
        let now = self.now();
        if self.invocation.stop.is_set() || !fits(job.timeout(), now, self.invocation.deadline) {
            tracing::debug!(job_id = %record.id(), why = OUT_OF_TIME, "deferred");
            self.pass_over(record).await;
            self.defer(vec![Requeued { job, until: now }]).await;
            return None;
        }
        record.isolated = true;
        let claim = self.new_claim(true);
        self.take_over(Claiming::new(job, claim), record).await
    }

    /// Notes on its record that a suspect's turn came too late, so that it runs first in its next batch.
    async fn pass_over(&self, record: JobRecord) {
        if record.passed_over || self.invocation.stop.is_set() {
            return;
        }
        let id = record.id().clone();
        match self.processor.store.replace(&record.passed_over()).await {
            Ok(ReplaceOutcome::Replaced) => {}
            Ok(ReplaceOutcome::Conflict(_)) => {
                tracing::info!(job_id = %id, "the record changed before its job could be passed over");
            }
            Err(error) => tracing::warn!(job_id = %id, error = &error as &dyn std::error::Error,
                "the record does not say that its job runs first in its next batch"),
        }
    }

    /// Spends the attempt of a job that took its worker down.
    async fn blame(&self, job: Job, mut record: JobRecord) {
        let Some(claim) = record.claim.clone() else { return };
        record.isolated = true;
        let now = self.now();
        let spent_all = record.failures >= job.handler.max_retries(job.definition());
        let record = if spent_all {
            record.failed(CRASHED.to_owned(), now, None)
        } else {
            let wait = job.handler.retry().backoff(record.failures, &*self.processor.entropy);
            record.retrying(CRASHED.to_owned(), now + wait, None)
        };
        tracing::warn!(
            job_id = %record.id(), job = %record.definition.spec.name, attempt = record.failures,
            status = %record.status, error = CRASHED, "job failed"
        );
        let settlement = Settlement { fence: Fence::Claim(claim.id), record };
        self.settle(vec![Ended { job, settlement }]).await;
    }

    /// Acks a message whose job had finished before, or has another message since its schedule changed.
    pub(super) fn ack_duplicate(&self, received: &ReceivedMessage, job: &JobDefinition, record: &JobRecord) {
        tracing::info!(
            job_id = %record.id(), status = %record.status, message_id = %received.message_id,
            "duplicate of another message"
        );
        self.state.ack_ended(received, job.batch.as_ref(), record.status);
        self.state.count(|summary| summary.duplicates += 1);
    }
}
