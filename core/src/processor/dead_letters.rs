//! Dead letters: messages that no worker can run.
//!
//! `maxReceiveCount` is 50, but SQS's own redrive can't give a reason. So the worker is faster: it sends a
//! message to the dead-letter queue itself if it can't decode it, has no handler for it, can't grant its
//! timeout, or receives it for the 50th time. The reason is a message attribute, and also stands on the job's
//! record if the message could be read.
//!
//! A refused message may be a stranger's copy with the id of a good job. So it changes only the record that it
//! covers: an unfinished one that waits for this very message.
//!
//! Such a record is `failed` and marked `deadLettered`. The job has not run to an end, so a redriven letter may
//! still be claimed. The letter's body is the message as it came plus the job's id: a redriven letter is the
//! same job.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::SqsBatch;
use super::backoff::Backoff;
use super::job::Job;
use super::large_payloads::store_payloads;
use super::letter_counts::LetterCounts;
use crate::handler::JobRegistry;
use crate::job::{JobDefinition, JobId, JobRecord, JobStatus, Retention};
use crate::message::JobMessage;
use crate::ports::{Counters, DeadLetter, InsertOutcome, ReceivedMessage, ReplaceOutcome, ServiceError};

/// How often the worker tries to note a dead letter on its job's record, over 1.5 s.
const NOTES: usize = 5;

/// A message that no worker can run, and why.
pub(super) struct UnprocessableMessage {
    pub(super) received: ReceivedMessage,
    /// The job on whose record the reason is noted; absent if the message can't be read, or is another job's.
    pub(super) message: Option<JobMessage>,
    /// The handler, if the message is readable and another job's.
    pub(super) handler: Option<String>,
    pub(super) reason: String,
}

impl UnprocessableMessage {
    /// A message that can't be read.
    pub(super) const fn unreadable(received: ReceivedMessage, reason: String) -> Self {
        Self { received, message: None, handler: None, reason }
    }

    /// A message that was read, and whose job can't run.
    pub(super) const fn refused(received: ReceivedMessage, message: JobMessage, reason: String) -> Self {
        Self { received, message: Some(message), handler: None, reason }
    }

    /// A message whose id belongs to a job named `owner`.
    pub(super) fn misnamed(job: Job, owner: &str) -> Self {
        let reason = format!("id: {} belongs to a job named {owner:?}", job.id());
        Self::unknown(job, reason)
    }

    /// A readable message that has no record to note the reason on.
    pub(super) fn unknown(job: Job, reason: String) -> Self {
        let handler = Some(job.message.definition.spec.name);
        Self { handler, ..Self::unreadable(job.received, reason) }
    }

    /// The name that it counts under as failed.
    fn counted_as(&self, registry: &JobRegistry) -> String {
        let own = self.message.as_ref().map(|message| &message.definition.spec.name);
        let name = own.or(self.handler.as_ref()).filter(|name| registry.get(name).is_some());
        name.map_or(Counters::WITHOUT_HANDLER, String::as_str).to_owned()
    }

    /// The message as it came plus the job's id; `None` if it can't be read, or that has no room for the payload.
    fn named(&self) -> Option<Arc<str>> {
        self.message.as_ref()?.named(&self.received.body).map(Into::into)
    }

    /// The letter, given what [`named`](Self::named) says. If that has no room for the payload, its record has it.
    fn letter(&self, named: Option<Arc<str>>, stored: &HashSet<JobId>) -> DeadLetter {
        let received = &self.received;
        let is_stored = |job: &&JobMessage| stored.contains(&job.definition.id);
        let without_payload = || Some(self.message.as_ref().filter(is_stored)?.encode_stored().into());
        let body = named.or_else(without_payload).unwrap_or_else(|| Arc::clone(&received.body));
        DeadLetter { message: ReceivedMessage { body, ..received.clone() }, reason: self.reason.clone() }
    }

    /// The record that a letter needs if it has no room for the job's payload.
    fn large_record(&self, retention: &Retention, now: DateTime<Utc>) -> Option<JobRecord> {
        let record = self.record(self.message.clone()?);
        Some(record.dead_lettered(self.reason.clone(), now).kept(retention))
    }

    fn record(&self, job: JobMessage) -> JobRecord {
        JobRecord::accepted(job.definition, self.received.queue, self.received.sent_at, job.due_at)
    }
}

impl Job {
    pub(super) fn unprocessable(self, reason: String) -> UnprocessableMessage {
        UnprocessableMessage::refused(self.received, self.message, reason)
    }
}

impl SqsBatch<'_> {
    /// Sends messages to the dead-letter queue, each with its reason, notes it on their jobs, and counts them.
    pub(super) async fn dead_letter(&self, messages: Vec<UnprocessableMessage>) {
        let messages = self.without_superseded(messages).await;
        if messages.is_empty() {
            return;
        }
        // A body may have 1 MiB, so each is copied once.
        let named: Vec<Option<Arc<str>>> = messages.iter().map(UnprocessableMessage::named).collect();
        let (retention, now) = (&self.processor.config.retention, self.now());
        let large = messages.iter().zip(&named).filter(|(_, named)| named.is_none());
        let large = large.filter_map(|(one, _)| one.large_record(retention, now)).collect();
        let stored = store_payloads(&*self.processor.store, large, now).await;
        let letters = messages.iter().zip(named).map(|(one, named)| one.letter(named, &stored));
        let letters: Vec<DeadLetter> = letters.collect();
        let outcomes = self.processor.queue.dead_letter(&letters).await;
        let mut counts = LetterCounts::default();
        for (unprocessable, outcome) in messages.into_iter().zip(outcomes) {
            let counted_as = unprocessable.counted_as(&self.processor.registry);
            let UnprocessableMessage { received, message, reason, .. } = unprocessable;
            match outcome {
                Ok(()) => {
                    counts.add(counted_as);
                    tracing::warn!(message_id = %received.message_id, %reason, "sent to the dead-letter queue");
                    let place = message.as_ref().and_then(|message| message.definition.batch.clone());
                    if let Some(message) = message {
                        self.note_dead_letter(message, &received, reason).await;
                    }
                    self.state.ack_ended(&received, place.as_ref(), JobStatus::Failed);
                    self.state.count(|summary| summary.dead_lettered += 1);
                }
                Err(error) => tracing::error!(
                    message_id = %received.message_id, error = &error as &dyn std::error::Error,
                    "can't be sent to the dead-letter queue; it comes back"
                ),
            }
        }
        self.count_letters(counts).await;
    }

    /// Acks messages of earlier editions of a schedule, which need no worker, and returns the others. Only messages of
    /// schedules cost a read.
    async fn without_superseded(&self, messages: Vec<UnprocessableMessage>) -> Vec<UnprocessableMessage> {
        let is_occurrence = |one: &UnprocessableMessage| {
            one.message.as_ref().is_some_and(|message| message.definition.edition.is_some())
        };
        let (occurrences, mut left): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_occurrence);
        let ids = occurrences.iter().filter_map(|one| Some(one.message.as_ref()?.definition.id.clone()));
        let ids: Vec<JobId> = ids.collect();
        if ids.is_empty() {
            return left;
        }
        // Without an answer each is a dead letter, and a redriven one finds its record.
        let found = self.processor.store.heads(&ids).await.unwrap_or_else(|_| vec![None; ids.len()]);
        for (one, record) in occurrences.into_iter().zip(found) {
            let message = one.message.as_ref().map(|message| &message.definition);
            match record.zip(message).filter(|(record, message)| record.supersedes(message)) {
                Some((record, message)) => self.ack_duplicate(&one.received, message, &record),
                None => left.push(one),
            }
        }
        left
    }

    /// Writes the reason where a person looks first: on the job's record.
    async fn note_dead_letter(&self, message: JobMessage, received: &ReceivedMessage, reason: String) {
        let is_stored = message.payload_stored;
        let mut new =
            JobRecord::accepted(message.definition, received.queue, received.sent_at, message.due_at)
                .dead_lettered(reason.clone(), self.now())
                .kept(&self.processor.config.retention);
        // Without a record, the payload is lost: the letter does not have it.
        new.trimmed = is_stored;
        let mut backoff = Backoff::new();
        let mut noted = self.try_to_note(&new, &reason).await;
        for _ in 1..NOTES {
            if noted.is_ok() {
                break;
            }
            self.processor.clock.sleep(backoff.next()).await;
            noted = self.try_to_note(&new, &reason).await;
        }
        if let Err(error) = noted {
            tracing::warn!(job_id = %new.id(), error = &error as &dyn std::error::Error,
                "the record does not say that its message is in the dead-letter queue");
        }
    }

    async fn try_to_note(&self, new: &JobRecord, reason: &str) -> Result<(), ServiceError> {
        match self.processor.store.insert(std::slice::from_ref(new)).await.pop() {
            Some(Ok(InsertOutcome::Exists)) => {
                self.note_on_existing(&new.definition, reason.to_owned()).await
            }
            Some(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn note_on_existing(&self, message: &JobDefinition, reason: String) -> Result<(), ServiceError> {
        let id = &message.id;
        let found = self.processor.store.heads(std::slice::from_ref(id)).await?;
        let now = self.now();
        let Some(record) = found.into_iter().flatten().next() else { return Ok(()) };
        if !is_covered_by(&record, message, now) {
            return Ok(());
        }
        let letter = record.dead_lettered(reason, now).kept(&self.processor.config.retention);
        match self.processor.store.replace(&letter).await? {
            ReplaceOutcome::Replaced => Ok(()),
            ReplaceOutcome::Conflict(_) => {
                tracing::info!(job_id = %id, "the record changed while its message was dead-lettered");
                Ok(())
            }
        }
    }
}

/// Whether a record waits for a message of this job: nothing else is sure to bring its job to a worker.
fn is_covered_by(record: &JobRecord, message: &JobDefinition, now: DateTime<Utc>) -> bool {
    let is_covered_elsewhere = record.parked || record.is_leased(now);
    !record.status.is_finished() && !is_covered_elsewhere && record.is_same_job(message)
}
