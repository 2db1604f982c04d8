//! Running one job of a key at a time.
//!
//! Its caller may have taken a job's key already, or it was sent as a bare message, or has ended and comes
//! back; a worker asks in every case, before the claim. Batches without unique jobs pay nothing for it.

use chrono::{DateTime, Utc};

use super::dispose::Requeued;
use super::{Candidate, JobProcessor, Ledger};
use crate::job::{JobId, JobRecord, JobStatus};
use crate::ports::{InsertOutcome, ReplaceOutcome, StoreError};
use crate::protection::{KeyLock, KeyLocks, KeyRequest};

/// A job whose key another has.
struct Loser {
    candidate: Candidate,
    holder: JobId,
    own: Option<Box<JobRecord>>,
}

impl Loser {
    /// Whether the claim has to see to it: somebody runs it, it has ended, or its id is another's.
    fn is_claims_business(&self) -> bool {
        self.own.as_ref().is_some_and(|own| {
            let may_end = own.status.is_waiting() || own.dead_lettered;
            !may_end || own.definition.name != self.candidate.message.definition.name
        })
    }

    fn cancelled(&self, now: DateTime<Utc>) -> JobRecord {
        let Candidate { received, message, .. } = &self.candidate;
        let own = self.own.as_deref().cloned().unwrap_or_else(|| {
            JobRecord::accepted(message.definition.clone(), received.queue, received.sent_at, message.due_at)
        });
        own.cancelled(format!("duplicate of {}", self.holder), now)
    }
}

impl JobProcessor {
    /// Takes the keys of unique jobs. Those that lose are cancelled; answers the others.
    pub(super) async fn take_keys(&self, candidates: Vec<Candidate>, ledger: &Ledger) -> Vec<Candidate> {
        let is_unique = |one: &Candidate| one.message.definition.unique_key.is_some();
        let (unique, mut left): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_unique);
        if unique.is_empty() {
            return left;
        }
        let now = self.clock.now();
        let wanted: Vec<KeyRequest> =
            unique.iter().filter_map(|one| KeyRequest::of(&one.message.definition)).collect();
        let takings = KeyLocks { unique: &*self.unique, store: &*self.store, now }.take(wanted).await;
        let (mut losers, mut postponed) = (Vec::new(), Vec::new());
        for (candidate, taking) in unique.into_iter().zip(takings) {
            match taking {
                Ok(KeyLock::Ours) => left.push(candidate),
                Ok(KeyLock::Lost { holder, own, .. }) => losers.push(Loser { candidate, holder, own }),
                Ok(KeyLock::Unsure(until)) => postponed.push(Requeued::new(candidate, until)),
                Err(error) => postponed.push(self.key_trouble(candidate, &error)),
            }
        }
        let (claimed, losers): (Vec<_>, Vec<_>) = losers.into_iter().partition(Loser::is_claims_business);
        left.extend(claimed.into_iter().map(|loser| loser.candidate));
        postponed.extend(self.cancel_losers(losers, now, ledger).await);
        self.postpone(postponed, ledger).await;
        left
    }

    /// Ends jobs as duplicates; answers the messages of those that it could not end.
    async fn cancel_losers(&self, losers: Vec<Loser>, now: DateTime<Utc>, ledger: &Ledger) -> Vec<Requeued> {
        let (known, unseen): (Vec<_>, Vec<_>) = losers.into_iter().partition(|loser| loser.own.is_some());
        let mut written: Vec<(Loser, JobRecord, Result<bool, StoreError>)> = Vec::new();
        if !unseen.is_empty() {
            let records: Vec<JobRecord> = unseen.iter().map(|loser| loser.cancelled(now)).collect();
            let outcomes = self.store.insert(&records).await;
            let outcomes = outcomes.into_iter().map(|one| one.map(|one| one == InsertOutcome::Inserted));
            written.extend(join(unseen, records, outcomes));
        }
        if !known.is_empty() {
            let records: Vec<JobRecord> = known.iter().map(|loser| loser.cancelled(now)).collect();
            let outcomes = self.store.replace_all(&records).await;
            let outcomes = outcomes.into_iter().map(|one| one.map(|one| one == ReplaceOutcome::Replaced));
            written.extend(join(known, records, outcomes));
        }
        let mut postponed = Vec::new();
        for (loser, record, outcome) in written {
            match outcome {
                Ok(true) => {
                    tracing::info!(
                        job_id = %record.id(), job = %record.definition.name, duplicate_of = %loser.holder,
                        status = %JobStatus::Cancelled, "another job has its unique key"
                    );
                    ledger.finish(&record);
                    ledger.release(&loser.candidate.received);
                    ledger.count(|summary| summary.cancelled += 1);
                }
                // Somebody else has written to it, and its message finds out what.
                Ok(false) => postponed.push(Requeued::new(loser.candidate, now)),
                Err(error) => postponed.push(self.key_trouble(loser.candidate, &error)),
            }
        }
        postponed
    }

    fn key_trouble(&self, candidate: Candidate, error: &StoreError) -> Requeued {
        tracing::error!(job_id = %candidate.message.definition.id, error = error as &dyn std::error::Error,
            "its unique key can't be taken; its message comes back");
        Requeued::new(candidate, self.after_trouble())
    }
}

fn join(
    losers: Vec<Loser>,
    records: Vec<JobRecord>,
    outcomes: impl Iterator<Item = Result<bool, StoreError>>,
) -> impl Iterator<Item = (Loser, JobRecord, Result<bool, StoreError>)> {
    losers.into_iter().zip(records).zip(outcomes).map(|((loser, record), outcome)| (loser, record, outcome))
}
