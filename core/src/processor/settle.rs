//! Writing how jobs ended, and only then letting go of their messages.

use std::time::Duration;

use super::attempt::Ended;
use super::dispose::Postponed;
use super::{JobProcessor, Ledger};
use crate::job::JobStatus;
use crate::ports::{SettleBatch, SettleOutcome, StoreError};

/// How often a settlement is tried in all before its message is left to come back.
const TRIES: u32 = 3;
/// The wait before the second try; doubled for the third.
const FIRST_WAIT: Duration = Duration::from_millis(200);

impl JobProcessor {
    /// Writes how these jobs ended, and sees to their messages.
    pub(super) async fn settle(&self, ended: Vec<Ended>, ledger: &Ledger) {
        let mut unsettled = ended;
        let mut postponed = Vec::new();
        let mut id = self.entropy.next_u64();
        for round in 0..TRIES {
            if round > 0 {
                self.clock.sleep(FIRST_WAIT * 2_u32.pow(round - 1)).await;
            }
            let batch = SettleBatch {
                id,
                at: self.clock.now(),
                settlements: unsettled.iter().map(Self::settlement).collect(),
            };
            let outcomes = self.store.settle(&batch).await;
            let mut failed = Vec::new();
            for (ended, outcome) in unsettled.into_iter().zip(outcomes) {
                match outcome {
                    Ok(outcome) => postponed.extend(settled(ended, outcome, ledger)),
                    Err(error) => failed.push((ended, error)),
                }
            }
            if failed.is_empty() || round + 1 == TRIES {
                postponed.extend(failed.into_iter().map(|(ended, error)| self.give_up(ended, &error)));
                break;
            }
            // The same batch again is written once; a part of it is another batch.
            if failed.len() < batch.settlements.len() {
                id = self.entropy.next_u64();
            }
            unsettled = failed.into_iter().map(|(ended, _)| ended).collect();
        }
        self.hold_back(postponed, ledger).await;
    }

    /// Lets the message come back when the lease is over: the attempt is then made again.
    fn give_up(&self, ended: Ended, error: &StoreError) -> Postponed {
        tracing::error!(
            job_id = %ended.record.id(), job = %ended.record.definition.name, status = %ended.record.status,
            error = error as &dyn std::error::Error,
            "the job's end can't be written; its message comes back"
        );
        let until = ended.record.claim.map_or_else(|| self.after_trouble(), |claim| claim.lease_until);
        Postponed { received: ended.received, message: ended.message, until }
    }
}

/// What a written settlement means for its message: a postponed one comes back.
fn settled(ended: Ended, outcome: SettleOutcome, ledger: &Ledger) -> Option<Postponed> {
    let Ended { received, message, record, .. } = ended;
    if let SettleOutcome::Fenced(current) = outcome {
        // Somebody else has the job now, perhaps by a later receipt of this very message: deleting it
        // could take their cover away.
        let status = current.map(|current| current.status.as_str());
        tracing::warn!(job_id = %record.id(), ?status, "the lease was lost; the attempt does not count");
        return None;
    }
    if record.status.is_finished() {
        ledger.finish(&record);
        ledger.release(&received);
    }
    ledger.count(|summary| match record.status {
        JobStatus::Completed => summary.completed += 1,
        JobStatus::Failed => summary.failed += 1,
        JobStatus::Cancelled => summary.cancelled += 1,
        JobStatus::Retrying if record.note.is_none() => summary.retrying += 1,
        _ => summary.deferred += 1,
    });
    let until = record.due_at;
    (!record.status.is_finished()).then_some(Postponed { received, message, until })
}
