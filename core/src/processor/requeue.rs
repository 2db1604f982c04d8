//! Requeueing: messages whose jobs do not end now.
//!
//! A wait of up to 60 s is a longer visibility timeout. A longer wait, or any wait after 10 receives, is a
//! fresh message with the same id and the absolute due instant, followed by an ack. SQS counts receives, and
//! would take a message that only ever waited for a poison one. A wait beyond 15 minutes is parked.
//!
//! A pause may last longer than a finished job is remembered. So the worker looks at the records of paused jobs before
//! it sends their messages again, and acks those of jobs that have ended.
//!
//! `delay` counts from the message's `SentTimestamp`, and seconds round up: by our clock a delay never ends
//! early. A job that waits before its first claim gets a record that says why.
//!
//! A fresh message that has no room for its payload leaves it to the job's record (`stored_payload`).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join;

use super::SqsBatch;
use super::job::Job;
use crate::job::bounds::MAX_SEND_DELAY;
use crate::job::{JobId, JobRecord};
use crate::message::JobMessage;
use crate::ports::{InsertOutcome, Outgoing, ServiceError, VisibilityChange};

/// The longest wait by visibility timeout.
const LONGEST_DEFERRAL: Duration = Duration::from_mins(1);
/// After this many receives every wait is a fresh message.
const FRESH_AFTER_RECEIVES: u32 = 10;

/// A job whose message comes back at an instant.
pub(super) struct Requeued {
    pub(super) job: Job,
    pub(super) until: DateTime<Utc>,
}

/// How a message comes back.
enum WayBack {
    /// By its visibility timeout.
    Visibility,
    /// As a fresh message.
    Fresh(Outgoing),
    /// As a fresh message that has no room for the payload.
    Stored,
}

/// A job that the gate defers, until when, and why.
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) until: DateTime<Utc>,
    pub(super) why: &'static str,
    /// Whether nobody works on its queue, so that it may wait for any time.
    pub(super) is_idle: bool,
}

impl Requeued {
    /// How the message comes back.
    fn way_back(&self, now: DateTime<Utc>) -> WayBack {
        let message = &self.job.message;
        if !is_sent_again(&self.job, self.wait(now)) {
            return WayBack::Visibility;
        }
        // A copy says that there is a record: the claim finds out if there is none.
        let copy = JobMessage { due_at: self.until, recorded: true, ..message.clone() };
        copy.encode_whole().map_or(WayBack::Stored, |body| WayBack::Fresh(self.outgoing(body, now)))
    }

    /// A fresh message with this body.
    pub(super) fn outgoing(&self, body: String, now: DateTime<Utc>) -> Outgoing {
        let Job { received, message, .. } = &self.job;
        Outgoing {
            queue: received.queue,
            body,
            delay: self.wait(now).min(MAX_SEND_DELAY),
            // A bare message may name its tenant in the body alone.
            group: received.group.clone().or_else(|| message.group()),
        }
    }

    fn wait(&self, now: DateTime<Utc>) -> Duration {
        (self.until - now).to_std().unwrap_or_default()
    }

    fn visibility_change(self, now: DateTime<Utc>) -> VisibilityChange {
        let wait = self.wait(now);
        let received = self.job.received;
        VisibilityChange { queue: received.queue, receipt_handle: received.receipt_handle, wait }
    }
}

/// Whether a wait asks for a fresh message.
fn is_sent_again(job: &Job, wait: Duration) -> bool {
    wait > LONGEST_DEFERRAL || job.received.receive_count >= FRESH_AFTER_RECEIVES
}

impl Waiting {
    /// Whether its message is sent again, and may go on so for longer than the record of an ended job is kept.
    fn may_outlast_its_record(&self, now: DateTime<Utc>) -> bool {
        let wait = (self.until - now).to_std().unwrap_or_default();
        self.job.message.recorded && self.is_idle && is_sent_again(&self.job, wait)
    }

    /// The first record of the job, which says why it waits.
    fn record(&self, now: DateTime<Utc>) -> JobRecord {
        let mut record = self.job.accepted(self.until);
        record.note = Some(self.why.to_owned());
        record.parked_if_far(now)
    }
}

impl SqsBatch<'_> {
    /// Counts messages as deferred, and makes them come back.
    pub(super) async fn defer(&self, requeued: Vec<Requeued>) {
        self.state.count(|summary| summary.deferred += requeued.len());
        self.requeue(requeued).await;
    }

    /// Makes messages come back at their instants.
    pub(super) async fn requeue(&self, requeued: Vec<Requeued>) {
        if requeued.is_empty() {
            return;
        }
        let now = self.now();
        let (far, near): (Vec<_>, Vec<_>) = requeued.into_iter().partition(|one| one.is_far(now));
        let unparked = self.park(far).await;
        let (mut changes, mut fresh, mut large) = (Vec::new(), Vec::new(), Vec::new());
        for one in near.into_iter().chain(unparked) {
            match one.way_back(now) {
                WayBack::Visibility => changes.push(one),
                WayBack::Fresh(outgoing) => fresh.push((one, outgoing)),
                WayBack::Stored => large.push(one),
            }
        }
        let (stored, unstored) = self.resend_stored(large).await;
        fresh.extend(stored);
        // SQS can hide a message for longer than any such wait.
        changes.extend(unstored);
        let changes: Vec<VisibilityChange> =
            changes.into_iter().map(|one| one.visibility_change(now)).collect();
        let (resent, fresh): (Vec<_>, Vec<_>) =
            fresh.into_iter().map(|(one, outgoing)| (one.job.received, outgoing)).unzip();
        let (deferred, sent) = join(self.change_visibility(&changes), self.send(&fresh)).await;
        for error in deferred.into_iter().filter_map(Result::err) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a message comes back later than it should"
            );
        }
        for (received, outcome) in resent.iter().zip(sent) {
            match outcome {
                Ok(()) => self.state.ack(received),
                Err(error) => tracing::warn!(
                    message_id = %received.message_id, error = &error as &dyn std::error::Error,
                    "a message can't be sent again; it comes back later than it should"
                ),
            }
        }
    }

    async fn change_visibility(&self, changes: &[VisibilityChange]) -> Vec<Result<(), ServiceError>> {
        if changes.is_empty() { Vec::new() } else { self.processor.queue.change_visibility(changes).await }
    }

    async fn send(&self, messages: &[Outgoing]) -> Vec<Result<(), ServiceError>> {
        if messages.is_empty() { Vec::new() } else { self.processor.queue.send(messages).await }
    }

    /// Defers the jobs that the gate holds back, with a record that says why.
    pub(super) async fn defer_waiting(&self, waiting: Vec<Waiting>) {
        let now = self.now();
        let waiting = self.ack_ended(waiting, now).await;
        let mut ids = HashSet::new();
        let unrecorded = waiting.iter().filter(|one| !one.job.message.recorded && ids.insert(one.job.id()));
        let records: Vec<JobRecord> = unrecorded.map(|one| one.record(now)).collect();
        let mut parked = self.record_waits(&records).await;
        let mut requeued = Vec::with_capacity(waiting.len());
        for Waiting { mut job, until, why, .. } in waiting {
            tracing::debug!(job_id = %job.id(), why, "deferred");
            if !job.message.recorded && parked.remove(job.id()) {
                self.state.ack(&job.received);
                self.state.count(|summary| summary.deferred += 1);
                continue;
            }
            job.message.recorded = true;
            requeued.push(Requeued { job, until });
        }
        self.defer(requeued).await;
    }

    /// Acks the messages of jobs that have ended, among those whose messages would be sent again during a pause, and
    /// returns the others.
    async fn ack_ended(&self, waiting: Vec<Waiting>, now: DateTime<Utc>) -> Vec<Waiting> {
        let asked = waiting.iter().filter(|one| one.may_outlast_its_record(now));
        let ids: HashSet<&JobId> = asked.map(|one| one.job.id()).collect();
        if ids.is_empty() {
            return waiting;
        }
        let ids: Vec<JobId> = ids.into_iter().cloned().collect();
        let found = self.processor.store.heads(&ids).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "unknown whether paused jobs have ended; their messages are sent again"
            );
            Vec::new()
        });
        let found: HashMap<JobId, JobRecord> =
            found.into_iter().flatten().map(|record| (record.id().clone(), record)).collect();
        let mut left = Vec::with_capacity(waiting.len());
        for one in waiting {
            let job = one.job.definition();
            match found.get(one.job.id()).filter(|record| record.leaves_nothing_to(job)) {
                Some(ended) => self.ack_duplicate(&one.job.received, one.job.definition(), ended),
                None => left.push(one),
            }
        }
        left
    }

    /// Writes records of jobs that wait, and returns which of them the due index covers from now on.
    async fn record_waits(&self, records: &[JobRecord]) -> HashSet<JobId> {
        let mut parked = HashSet::new();
        if records.is_empty() {
            return parked;
        }
        for (record, outcome) in records.iter().zip(self.processor.store.insert(records).await) {
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

    /// When to come back after a service did not answer: 10 to 30 s, spread.
    pub(super) fn after_trouble(&self) -> DateTime<Utc> {
        let spread = i64::try_from(self.processor.entropy.next_u64() % 20_000).unwrap_or_default();
        self.now() + TimeDelta::milliseconds(10_000 + spread)
    }
}
