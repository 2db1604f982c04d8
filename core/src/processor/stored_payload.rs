//! Payloads that only the job's record has.
//!
//! A copy has more fields than the message that it is made of. If it has no room for the payload beside them, it leaves
//! the payload to the job's record. The worker reads such payloads for the whole batch at once, after the gate: a job
//! that may not start yet needs none.
//!
//! A job whose payload is missing can never run. It becomes a dead letter with that reason, so nothing is lost silently.

use super::SqsBatch;
use super::dead_letters::UnprocessableMessage;
use super::job::Job;
use super::large_payloads::store_payloads;
use super::requeue::Requeued;
use crate::job::JobId;
use crate::message::JobMessage;
use crate::ports::Outgoing;

const MISSING: &str = "payload: expected in the job's record, where it had been stored, got nothing";

impl SqsBatch<'_> {
    /// Reads the payloads that messages leave to records, and returns the jobs that can run.
    pub(super) async fn with_payloads(&self, jobs: Vec<Job>) -> Vec<Job> {
        let (stored, mut whole): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.message.payload_stored);
        if stored.is_empty() {
            return whole;
        }
        let ids: Vec<JobId> = stored.iter().map(|job| job.id().clone()).collect();
        let found = match self.processor.store.get(&ids).await {
            Ok(found) => found,
            Err(error) => {
                for job in stored {
                    self.store_failed(job, &error).await;
                }
                return whole;
            }
        };
        let mut unprocessable = Vec::new();
        for (mut job, record) in stored.into_iter().zip(found) {
            match record {
                Some(record) if record.leaves_nothing_to(job.definition()) => {
                    self.ack_duplicate(&job.received, job.definition(), &record);
                }
                Some(record) if record.definition.spec.name != job.definition().spec.name => {
                    unprocessable.push(UnprocessableMessage::misnamed(job, &record.definition.spec.name));
                }
                Some(record) if record.has_payload() => {
                    job.message.payload_stored = false;
                    job.message.definition.spec.payload = record.definition.spec.payload;
                    whole.push(job);
                }
                Some(_) => unprocessable.push(job.unprocessable(MISSING.to_owned())),
                // A record that is made now would have no payload either.
                None => unprocessable.push(UnprocessableMessage::unknown(job, MISSING.to_owned())),
            }
        }
        self.dead_letter(unprocessable).await;
        whole
    }

    /// The messages to send for jobs whose copies have no room for their payloads. Returns the jobs for which there is
    /// none: their payloads could not be stored.
    pub(super) async fn resend_stored(
        &self,
        jobs: Vec<Requeued>,
    ) -> (Vec<(Requeued, Outgoing)>, Vec<Requeued>) {
        let unstored = jobs.iter().filter(|one| !one.job.message.payload_stored);
        let records = unstored.map(|one| one.job.accepted(one.until)).collect();
        let stored = store_payloads(&*self.processor.store, records, self.now()).await;
        let (mut fresh, mut left) = (Vec::new(), Vec::new());
        for one in jobs {
            if one.job.message.payload_stored || stored.contains(one.job.id()) {
                let copy = JobMessage { due_at: one.until, ..one.job.message.clone() };
                let outgoing = one.outgoing(copy.encode_stored(), self.now());
                fresh.push((one, outgoing));
            } else {
                left.push(one);
            }
        }
        (fresh, left)
    }
}
