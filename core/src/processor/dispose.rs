//! What becomes of messages whose jobs do not end now: they wait, or go to the dead-letter queue.
//!
//! A short wait is a longer visibility timeout. A long one, or any after several receives, is a fresh
//! message with the same id and the due instant: SQS counts receives, and would take a message that
//! only ever waited for a poison one.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join;

use super::{Candidate, JobProcessor, Ledger};
use crate::job::bounds::MAX_SEND_DELAY;
use crate::job::{JobDefinition, JobId, JobRecord};
use crate::message::JobMessage;
use crate::ports::{
    DeadLetter, InsertOutcome, Outgoing, QueueError, ReceivedMessage, ReplaceOutcome, StoreError,
    VisibilityChange,
};
use crate::processor::backoff::Backoff;

/// The longest wait by visibility timeout.
const LONGEST_DEFERRAL: Duration = Duration::from_mins(1);
/// After this many receives every wait is a fresh message.
const FRESH_AFTER_RECEIVES: u32 = 10;
/// How often a dead letter is tried to be noted on its job's record, over 1.5 s.
const NOTES: usize = 5;
/// How long a copy waits whose twin in the same batch has not ended.
const COPY_WAIT: TimeDelta = TimeDelta::seconds(60);

/// A message that is to come back at an instant.
pub(super) struct Requeued {
    pub(super) received: ReceivedMessage,
    pub(super) message: JobMessage,
    pub(super) until: DateTime<Utc>,
}

impl Requeued {
    pub(super) fn new(candidate: Candidate, until: DateTime<Utc>) -> Self {
        Self { received: candidate.received, message: candidate.message, until }
    }

    /// The fresh message to send, where the wait asks for one.
    fn resend(&self, wait: Duration) -> Option<Outgoing> {
        if wait <= LONGEST_DEFERRAL && self.received.receive_count < FRESH_AFTER_RECEIVES {
            return None;
        }
        // A copy says that there is a record: the claim finds out if there is none, and only a copy may be
        // larger than its message was.
        let copy = JobMessage { due_at: self.until, recorded: true, ..self.message.clone() };
        Some(Outgoing {
            queue: self.received.queue,
            body: copy.encode(),
            delay: wait.min(MAX_SEND_DELAY),
            // Whoever sent it bare may have named its tenant in the body alone.
            group: self.received.group.clone().or_else(|| self.message.group()),
        })
    }
}

/// A message that nobody can run, what could be read of it, and why.
pub(super) type Letter = (ReceivedMessage, Option<JobMessage>, String);

/// Why a message can't be run whose id another job has.
pub(super) fn misnamed(id: &JobId, owner: &str) -> String {
    format!("id: {id} belongs to a job named {owner:?}")
}

impl JobProcessor {
    /// Makes messages come back at their instants, and counts them as deferred.
    pub(super) async fn postpone(&self, postponed: Vec<Requeued>, ledger: &Ledger) {
        ledger.count(|summary| summary.deferred += postponed.len());
        self.hold_back(postponed, ledger).await;
    }

    /// Makes messages come back at their instants.
    pub(super) async fn hold_back(&self, postponed: Vec<Requeued>, ledger: &Ledger) {
        if postponed.is_empty() {
            return;
        }
        let now = self.clock.now();
        let (far, near): (Vec<_>, Vec<_>) = postponed.into_iter().partition(|one| one.is_far(now));
        let unparked = self.park(far, ledger).await;
        let (mut deferrals, mut fresh, mut resent) = (Vec::new(), Vec::new(), Vec::new());
        for one in near.into_iter().chain(unparked) {
            let wait = (one.until - now).to_std().unwrap_or_default();
            if let Some(outgoing) = one.resend(wait) {
                fresh.push(outgoing);
                resent.push(one.received);
            } else {
                let Requeued { received: ReceivedMessage { queue, receipt_handle, .. }, .. } = one;
                deferrals.push(VisibilityChange { queue, receipt_handle, wait });
            }
        }
        let (deferred, sent) = join(self.change_visibility(&deferrals), self.send(&fresh)).await;
        for error in deferred.into_iter().filter_map(Result::err) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a message comes back later than it should"
            );
        }
        for (received, outcome) in resent.iter().zip(sent) {
            match outcome {
                Ok(()) => ledger.release(received),
                Err(error) => tracing::warn!(
                    message_id = %received.message_id, error = &error as &dyn std::error::Error,
                    "a message can't be sent again; it comes back later than it should"
                ),
            }
        }
    }

    async fn change_visibility(&self, deferrals: &[VisibilityChange]) -> Vec<Result<(), QueueError>> {
        if deferrals.is_empty() { Vec::new() } else { self.queue.change_visibility(deferrals).await }
    }

    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), QueueError>> {
        if messages.is_empty() { Vec::new() } else { self.queue.send(messages).await }
    }

    /// Makes messages come back whose jobs were not claimed, with a record that says why they wait.
    pub(super) async fn postpone_unclaimed(
        &self,
        waits: Vec<(Candidate, DateTime<Utc>, &'static str)>,
        ledger: &Ledger,
    ) {
        let now = self.clock.now();
        let mut ids = HashSet::new();
        let unrecorded = waits.iter().filter(|(candidate, ..)| {
            !candidate.message.recorded && ids.insert(&candidate.message.definition.id)
        });
        let records: Vec<JobRecord> = unrecorded
            .map(|(candidate, until, why)| {
                let Candidate { received, message, .. } = candidate;
                let definition = message.definition.clone();
                let mut record = JobRecord::accepted(definition, received.queue, received.sent_at, *until);
                record.note = Some((*why).to_owned());
                record.parked_if_far(now)
            })
            .collect();
        let mut parked = self.record_waits(&records).await;
        let mut postponed = Vec::with_capacity(waits.len());
        for (mut candidate, until, why) in waits {
            tracing::debug!(job_id = %candidate.message.definition.id, why, "deferred");
            if !candidate.message.recorded && parked.remove(&candidate.message.definition.id) {
                ledger.release(&candidate.received);
                ledger.count(|summary| summary.deferred += 1);
                continue;
            }
            candidate.message.recorded = true;
            postponed.push(Requeued::new(candidate, until));
        }
        self.postpone(postponed, ledger).await;
    }

    /// Writes records of jobs that wait, and answers which of them the due index covers from now on.
    async fn record_waits(&self, records: &[JobRecord]) -> HashSet<JobId> {
        let mut parked = HashSet::new();
        if records.is_empty() {
            return parked;
        }
        for (record, outcome) in records.iter().zip(self.store.insert(records).await) {
            match outcome {
                Ok(InsertOutcome::Inserted) if record.parked => drop(parked.insert(record.id().clone())),
                Ok(_) => {}
                // The message alone covers the job; only the explanation is missing.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a deferral can't be recorded");
                }
            }
        }
        parked
    }

    /// Sees to the copies of ids that this batch has run, or tried to.
    pub(super) async fn dispose_of_copies(&self, copies: Vec<Candidate>, ledger: &Ledger) {
        let (mut postponed, mut letters) = (Vec::new(), Vec::new());
        for copy in copies {
            let JobDefinition { id, name, .. } = &copy.message.definition;
            match ledger.finished(id) {
                Some(finished) if finished == *name => {
                    tracing::info!(job_id = %id, message_id = %copy.received.message_id, "duplicate in one batch");
                    ledger.release(&copy.received);
                    ledger.count(|summary| summary.duplicates += 1);
                }
                Some(other) => {
                    let reason = misnamed(id, &other);
                    letters.push((copy.received, None, reason));
                }
                None => postponed.push(Requeued::new(copy, self.clock.now() + COPY_WAIT)),
            }
        }
        self.bury(letters, ledger).await;
        self.postpone(postponed, ledger).await;
    }

    /// Sends messages to the dead-letter queue, each with its reason, and notes it on their jobs.
    pub(super) async fn bury(&self, letters: Vec<Letter>, ledger: &Ledger) {
        if letters.is_empty() {
            return;
        }
        let copies: Vec<DeadLetter> = letters
            .iter()
            .map(|(received, message, reason)| {
                let body =
                    message.as_ref().map_or_else(|| received.body.clone(), |job| job.named(&received.body));
                let message = ReceivedMessage { body, ..received.clone() };
                DeadLetter { message, reason: reason.clone() }
            })
            .collect();
        let outcomes = self.queue.dead_letter(&copies).await;
        for ((received, message, reason), outcome) in letters.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    tracing::warn!(message_id = %received.message_id, %reason, "sent to the dead-letter queue");
                    if let Some(message) = message {
                        self.note_dead_letter(message, &received, reason).await;
                    }
                    ledger.release(&received);
                    ledger.count(|summary| summary.dead_lettered += 1);
                }
                Err(error) => tracing::error!(
                    message_id = %received.message_id, error = &error as &dyn std::error::Error,
                    "can't be sent to the dead-letter queue; it comes back"
                ),
            }
        }
    }

    /// Writes the reason where a person looks first: on the job's record.
    async fn note_dead_letter(&self, message: JobMessage, received: &ReceivedMessage, reason: String) {
        let (id, name) = (message.definition.id.clone(), message.definition.name.clone());
        let new = JobRecord::accepted(message.definition, received.queue, received.sent_at, message.due_at)
            .dead_lettered(reason.clone(), self.clock.now());
        let mut waits = Backoff::new();
        let mut noted = self.try_to_note(&new, &name, &reason).await;
        for _ in 1..NOTES {
            if noted.is_ok() {
                break;
            }
            self.clock.sleep(waits.next()).await;
            noted = self.try_to_note(&new, &name, &reason).await;
        }
        if let Err(error) = noted {
            tracing::warn!(job_id = %id, error = &error as &dyn std::error::Error,
                "the record does not say that its message is in the dead-letter queue");
        }
    }

    async fn try_to_note(&self, new: &JobRecord, name: &str, reason: &str) -> Result<(), StoreError> {
        match self.store.insert(std::slice::from_ref(new)).await.pop() {
            Some(Ok(InsertOutcome::Exists)) => self.note_on_existing(new.id(), name, reason.to_owned()).await,
            Some(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn note_on_existing(&self, id: &JobId, name: &str, reason: String) -> Result<(), StoreError> {
        let found = self.store.get(std::slice::from_ref(id)).await?;
        let now = self.clock.now();
        let Some(record) = found.into_iter().flatten().next() else { return Ok(()) };
        if record.status.is_finished() || record.is_leased(now) || record.definition.name != name {
            return Ok(());
        }
        match self.store.replace(&record.dead_lettered(reason, now)).await? {
            ReplaceOutcome::Replaced => Ok(()),
            ReplaceOutcome::Conflict(_) => {
                tracing::info!(job_id = %id, "the record changed while its message was dead-lettered");
                Ok(())
            }
        }
    }

    /// When to come back after a service did not answer: 10 to 30 s, spread.
    pub(super) fn after_trouble(&self) -> DateTime<Utc> {
        let spread = i64::try_from(self.entropy.next_u64() % 20_000).unwrap_or_default();
        self.clock.now() + TimeDelta::milliseconds(10_000 + spread)
    }
}
