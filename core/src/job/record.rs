//! The stored record of a job, and every change of it.
//!
//! Adapters decide nothing: a [`JobRecord`] changes only through the functions here, and an adapter writes the record
//! that they return under the condition that its port names. So the rules stand in one place, and the tests, the
//! simulator and the real stores share them.
//!
//! A cancelled job that was dead-lettered is no longer marked `deadLettered`: its redriven message runs nothing.
//! A dead-lettered job keeps its details through every cleanup, because it may run yet.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::absent::{is_false, is_zero};
use super::{
    Blocker, ClaimId, JobDefinition, JobId, JobStatus, PastAttempts, Payload, Queue, Retention,
    StoredPayload, millis,
};
use crate::job::bounds::is_beyond_a_message;

/// Counts the writes to a record. A write can be conditional on the revision that its writer has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after one more write.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A worker's claim on a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The fence: settling is conditional on it.
    pub id: ClaimId,
    /// The end of the lease, until which no other worker may run the job: the invocation's deadline plus the allowance
    /// for clocks that differ. It is never extended.
    pub lease_until: DateTime<Utc>,
    /// Whether it was the only claimed job of its batch. A crash is the fault of a job that ran alone; otherwise
    /// another job may have caused it.
    pub alone: bool,
}

/// A job as the store remembers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may hold with any other"
)]
pub struct JobRecord {
    /// The job as its caller defined it.
    pub definition: JobDefinition,
    /// The queue of its messages.
    pub queue: Queue,
    /// Its status.
    pub status: JobStatus,
    /// How often the record was written.
    pub revision: Revision,
    /// When it was first seen.
    pub created_at: DateTime<Utc>,
    /// The instant before which no worker may claim it.
    pub due_at: DateTime<Utc>,
    /// Attempts that ended in a failure of its own, or in its cancellation.
    pub failures: u32,
    /// How many times its handler snoozed it, without spending an attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub snoozes: u32,
    /// The present or last claim. A settlement whose answer was lost recognizes itself by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// When the present or last attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    /// How long the last attempt took, by a monotonic clock, in milliseconds.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<Duration>,
    /// What the handler returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why the last attempt failed, or why the job is in a dead-letter queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it waits, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The breaker or limit that deferred it last, if no worker has claimed it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocker>,
    /// Whether a crash made it a suspect. From then on it runs alone, and the next crash is its own.
    #[serde(default)]
    pub isolated: bool,
    /// Whether a batch had no time left for this suspect when its turn to run alone came. In its next batch it runs
    /// first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub passed_over: bool,
    /// Whether its message went to the dead-letter queue. The job has not run to an end, so a redriven message may
    /// still be claimed.
    #[serde(default)]
    pub dead_lettered: bool,
    /// Whether somebody cancelled it while it ran. No other attempt starts.
    #[serde(default)]
    pub cancel_requested: bool,
    /// Whether the due index covers it instead of a message: its time is further off than SQS can hold a message, or
    /// its message is about to be sent.
    #[serde(default)]
    pub parked: bool,
    /// Whether a cleanup removed payload, result, error and past attempts. The job can't run again.
    #[serde(default)]
    pub trimmed: bool,
    /// How the store keeps its payload.
    #[serde(skip)]
    pub stored: StoredPayload,
    /// Whether its schedule, and nobody else, cancelled it before it began. It runs if the schedule makes it again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub withdrawn: bool,
    /// Until when the store keeps the record, if it has ended; in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// The attempts before the last one, and the logs of all.
    #[serde(default, skip_serializing_if = "PastAttempts::is_empty")]
    pub past_attempts: PastAttempts,
}

impl JobRecord {
    /// The name on the record of a job with an unknown name.
    pub(crate) const NAME_UNKNOWN: &str = "unknown";

    /// A job that was accepted and has not run: `queued`, or `scheduled` when it is due after `now`.
    #[must_use]
    pub fn accepted(
        definition: JobDefinition,
        queue: Queue,
        now: DateTime<Utc>,
        due_at: DateTime<Utc>,
    ) -> Self {
        let status = if due_at > now { JobStatus::Scheduled } else { JobStatus::Queued };
        Self {
            definition,
            queue,
            status,
            revision: Revision(1),
            created_at: now,
            due_at,
            failures: 0,
            snoozes: 0,
            claim: None,
            started_at: None,
            completed_at: None,
            execution_time: None,
            result: None,
            error: None,
            note: None,
            blocked: None,
            isolated: false,
            passed_over: false,
            dead_lettered: false,
            cancel_requested: false,
            parked: false,
            trimmed: false,
            stored: StoredPayload::default(),
            withdrawn: false,
            expires_at: None,
            past_attempts: PastAttempts::default(),
        }
    }

    /// This record as a store returns it to a caller who needs no payload.
    #[must_use]
    pub fn without_payload(mut self) -> Self {
        self.definition.spec.payload = Payload::null();
        self
    }

    /// This record as an index holds it: a payload that is stored apart is not in it.
    #[must_use]
    pub fn without_payload_apart(self) -> Self {
        if self.stored.place.is_some() { self.without_payload() } else { self }
    }

    /// Whether the store has the payload with which the job can run.
    #[must_use]
    pub const fn has_payload(&self) -> bool {
        !self.trimmed && !self.stored.is_missing
    }

    /// This record, parked if its time is further off than SQS can hold a message: then the due index covers it.
    ///
    /// ```
    /// use chrono::{DateTime, TimeDelta};
    /// use lambda_jobs_core::{JobDefinition, JobRecord, Queue};
    ///
    /// let now = DateTime::UNIX_EPOCH;
    /// let due_in = |minutes| {
    ///     let definition = JobDefinition::new("report".parse()?, "report");
    ///     Ok::<_, lambda_jobs_core::Invalid>(
    ///         JobRecord::accepted(definition, Queue::Low, now, now + TimeDelta::minutes(minutes)),
    ///     )
    /// };
    /// assert!(!due_in(15)?.parked_if_far(now).parked);
    /// assert!(due_in(16)?.parked_if_far(now).parked);
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    #[must_use]
    pub fn parked_if_far(mut self, now: DateTime<Utc>) -> Self {
        self.parked = self.status.is_waiting() && is_beyond_a_message(self.due_at, now);
        self
    }

    /// This record with the instant until which it is kept, if it has ended. Whoever writes the end of a job decides
    /// that instant, by the deployment's retention. From then on it holds, whatever the retention becomes.
    #[must_use]
    pub fn kept(mut self, retention: &Retention) -> Self {
        let end = self.completed_at.filter(|_| self.status.is_finished());
        self.expires_at = end.and_then(|end| retention.end_of(self.status, end));
        self
    }

    /// The job's identity.
    #[must_use]
    pub const fn id(&self) -> &JobId {
        &self.definition.id
    }

    /// The number of the present or last attempt, from 1; 0 before the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        let succeeding = matches!(self.status, JobStatus::Running | JobStatus::Completed);
        self.failures + u32::from(succeeding)
    }

    /// How many retries were made, or are about to be made: `retryCount` in JSON.
    #[must_use]
    pub fn retry_count(&self) -> u32 {
        match self.status {
            JobStatus::Failed | JobStatus::Cancelled => self.failures.saturating_sub(1),
            _ => self.failures,
        }
    }

    /// Whether a worker may claim it as usual: it waits for a worker, it is due, and no crash has made it a suspect.
    #[must_use]
    pub fn is_claimable(&self, now: DateTime<Utc>) -> bool {
        self.status.is_waiting() && self.status != JobStatus::Waiting && self.due_at <= now && !self.isolated
    }

    /// Whether it waits and no worker has claimed it since it was last sent. Then its message may be lost, and sending
    /// it again can't run it twice.
    #[must_use]
    pub const fn is_unclaimed(&self) -> bool {
        self.status.is_waiting() && self.claim.is_none()
    }

    /// Whether an edition of its schedule may still change it: an earlier edition made it or took it back, and nobody
    /// has claimed it.
    #[must_use]
    pub fn yields_to(&self, edition: u64) -> bool {
        self.definition.edition.is_some_and(|own| own < edition) && (self.withdrawn || self.is_unclaimed())
    }

    /// Whether a message with this definition is of an earlier edition of the schedule. Such a message runs nothing:
    /// the record has another cover, or its job was taken back.
    #[must_use]
    pub fn supersedes(&self, message: &JobDefinition) -> bool {
        matches!((self.definition.edition, message.edition), (Some(own), Some(earlier)) if earlier < own)
    }

    /// Whether a worker holds a lease on it.
    #[must_use]
    pub fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.status == JobStatus::Running && self.claim.as_ref().is_some_and(|claim| claim.lease_until > now)
    }

    /// Whether a message of a job called `name` has nothing left to run: the job with its id has ended. A dead letter
    /// may be redriven, so its job has not ended. A job that was cancelled before its message came has no name yet.
    #[must_use]
    pub fn has_ended(&self, name: &str) -> bool {
        if self.definition.spec.name == name {
            return self.status.is_finished() && !self.dead_lettered;
        }
        self.status == JobStatus::Cancelled && self.definition.spec.name == Self::NAME_UNKNOWN
    }

    /// Whether a message of this job has nothing left to run: the job has ended, or its schedule has made it anew.
    #[must_use]
    pub fn leaves_nothing_to(&self, message: &JobDefinition) -> bool {
        self.has_ended(&message.spec.name) || self.supersedes(message)
    }

    /// Whether a message for this job asks for the same job, as far as a worker may refuse it: another message with its
    /// id may be refused although this job can run.
    #[must_use]
    pub fn is_same_job(&self, message: &JobDefinition) -> bool {
        let own = &self.definition;
        let timeout = |job: &JobDefinition| job.spec.timeout.map(millis::of);
        own.spec.name == message.spec.name
            && timeout(own) == timeout(message)
            && own.unique_key == message.unique_key
    }

    /// Whether this is its present or last claim.
    #[must_use]
    pub fn holds(&self, claim: &ClaimId) -> bool {
        self.claim.as_ref().is_some_and(|held| held.id == *claim)
    }

    /// The record with a claim on it, running since `now`.
    #[must_use]
    pub fn claimed(mut self, claim: Claim, now: DateTime<Utc>) -> Self {
        self.status = JobStatus::Running;
        self.claim = Some(claim);
        self.started_at = Some(now);
        self.execution_time = None;
        self.note = None;
        self.blocked = None;
        self.passed_over = false;
        self.dead_lettered = false;
        self.parked = false;
        self.written()
    }

    /// The record of an attempt that returned a result.
    #[must_use]
    pub fn completed(mut self, result: Value, at: DateTime<Utc>, took: Duration) -> Self {
        self.result = Some(result);
        self.error = None;
        self.finished(JobStatus::Completed, at, Some(took))
    }

    /// The record of an attempt that failed for good.
    #[must_use]
    pub fn failed(mut self, error: String, at: DateTime<Utc>, took: Option<Duration>) -> Self {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
        self.finished(JobStatus::Failed, at, took)
    }

    /// The record of an attempt that failed and will be made again at `due_at`.
    #[must_use]
    pub fn retrying(mut self, error: String, due_at: DateTime<Utc>, took: Option<Duration>) -> Self {
        self.failures = self.failures.saturating_add(1);
        self.status = JobStatus::Retrying;
        self.error = Some(error);
        self.due_at = due_at;
        self.execution_time = took;
        self.keep_failed_attempt();
        self.written()
    }

    /// The record of a job that its handler snoozed until `due_at`. No attempt is spent. The reason may be empty.
    #[must_use]
    pub fn snoozed(mut self, due_at: DateTime<Utc>, why: &str) -> Self {
        self.snoozes = self.snoozes.saturating_add(1);
        self.status = if self.failures > 0 { JobStatus::Retrying } else { JobStatus::Scheduled };
        self.due_at = due_at;
        let until = due_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let colon = if why.is_empty() { "" } else { ": " };
        self.note = Some(format!("snoozed until {until}{colon}{why}"));
        self.written()
    }

    /// The record of a cancelled job, with the reason in words.
    #[must_use]
    pub fn cancelled(mut self, why: impl Into<String>, at: DateTime<Utc>) -> Self {
        self.note = Some(why.into());
        self.dead_lettered = false;
        self.withdrawn = false;
        let took = self.execution_time;
        self.finished(JobStatus::Cancelled, at, took)
    }

    /// The record of an occurrence that an edition of its schedule does not make.
    #[must_use]
    pub fn withdrawn(mut self, edition: u64, at: DateTime<Utc>) -> Self {
        self.definition.edition = Some(edition);
        let ended = self.completed_at.unwrap_or(at);
        let mut record = self.cancelled("taken back: its schedule changed before it was due", ended);
        record.withdrawn = true;
        record
    }

    /// The record of an occurrence that a later edition of its schedule makes, given the record of a new one. It is
    /// parked until its message is sent. An instant that an operator chose stays.
    #[must_use]
    pub fn remade(self, new: Self) -> Self {
        let is_moved = self.definition.run_at.is_some_and(|run_at| run_at != self.due_at);
        Self {
            status: JobStatus::Scheduled,
            revision: self.revision.next(),
            created_at: self.created_at,
            due_at: if is_moved { self.due_at } else { new.due_at },
            past_attempts: self.past_attempts,
            parked: true,
            ..new
        }
    }

    /// The record of a job that was cancelled while it ran, with the error of that attempt.
    #[must_use]
    pub fn cancelled_while_running(
        mut self,
        why: impl Into<String>,
        error: Option<String>,
        at: DateTime<Utc>,
        took: Duration,
    ) -> Self {
        // The attempt was made, so it counts.
        self.failures = self.failures.saturating_add(1);
        self.note = Some(why.into());
        self.error = error.or(self.error);
        self.finished(JobStatus::Cancelled, at, Some(took))
    }

    /// The record of a running job with a request to cancel it.
    #[must_use]
    pub fn cancel_requested(mut self) -> Self {
        self.cancel_requested = true;
        self.written()
    }

    /// The record of a job whose claim is returned. No attempt is spent.
    #[must_use]
    pub fn released(mut self, due_at: DateTime<Utc>, why: impl Into<String>) -> Self {
        self.status = if self.failures > 0 { JobStatus::Retrying } else { JobStatus::Queued };
        self.due_at = due_at;
        self.note = Some(why.into());
        self.written()
    }

    /// The record of a suspect that could not run because its batch had no time left for it.
    #[must_use]
    pub fn passed_over(mut self) -> Self {
        const WHY: &str = "its worker stopped while it ran beside other jobs, so it runs alone; its last batch had no \
                           time left for it, and it runs first in the next";
        self.dead_lettered = false;
        self.isolated = true;
        self.passed_over = true;
        let due_at = self.due_at;
        self.released(due_at, WHY)
    }

    /// The record of a job that waits for a breaker or a limit. No attempt is spent. If its instant is further off than
    /// SQS can hold a message, the due index covers it.
    #[must_use]
    pub fn deferred(mut self, due_at: DateTime<Utc>, by: Blocker, now: DateTime<Utc>) -> Self {
        self.parked = is_beyond_a_message(due_at, now);
        self.status = match (self.failures, self.parked) {
            (0, false) => JobStatus::Queued,
            (0, true) => JobStatus::Scheduled,
            _ => JobStatus::Retrying,
        };
        self.due_at = due_at;
        self.note =
            Some(format!("waits for {by} until {}", due_at.to_rfc3339_opts(SecondsFormat::Secs, true)));
        self.blocked = Some(by);
        self.written()
    }

    /// The record of a job whose message went to the dead-letter queue.
    #[must_use]
    pub fn dead_lettered(mut self, reason: String, at: DateTime<Utc>) -> Self {
        self.error = Some(reason);
        self.dead_lettered = true;
        self.finished(JobStatus::Failed, at, None)
    }

    /// The record of a job that an operator retries, with all its attempts before it and
    /// [unclaimed](Self::is_unclaimed). It is parked until its message is sent.
    #[must_use]
    pub fn requeued(mut self, now: DateTime<Utc>) -> Self {
        self.keep_last_attempt();
        self.status = JobStatus::Scheduled;
        self.claim = None;
        self.due_at = now;
        self.failures = 0;
        self.snoozes = 0;
        self.dead_lettered = false;
        self.cancel_requested = false;
        self.blocked = None;
        self.parked = true;
        self.note = Some("sent again by an operator".to_owned());
        self.written()
    }

    /// The record of a waiting job with another due instant. It is parked until its message is sent.
    #[must_use]
    pub fn rescheduled(mut self, due_at: DateTime<Utc>) -> Self {
        self.status = if self.failures > 0 { JobStatus::Retrying } else { JobStatus::Scheduled };
        self.due_at = due_at;
        self.blocked = None;
        self.parked = true;
        self.note = Some("rescheduled by an operator".to_owned());
        self.written()
    }

    /// The record of a job that waits for the children of its batch, and looks at them again at `due_at`. No attempt is
    /// spent.
    #[must_use]
    pub fn waiting(mut self, due_at: DateTime<Utc>) -> Self {
        self.status = JobStatus::Waiting;
        self.due_at = due_at;
        self.note = None;
        self.written()
    }

    /// The record of a parent whose children have ended, and not all of them completed. It has spent no attempt.
    #[must_use]
    pub fn incomplete(mut self, error: String, at: DateTime<Utc>, took: Duration) -> Self {
        self.error = Some(error);
        self.finished(JobStatus::Failed, at, Some(took))
    }

    /// The record of a parent that has ended and waits again.
    #[must_use]
    pub fn reopened(mut self, due_at: DateTime<Utc>) -> Self {
        self.parked = true;
        self.claim = None;
        self.failures = 0;
        self.dead_lettered = false;
        self.isolated = false;
        self.cancel_requested = false;
        self.result = None;
        self.error = None;
        self.execution_time = None;
        self.waiting(due_at)
    }

    /// The record of a waiting parent that is to look at its children now. It is parked until its message is sent.
    #[must_use]
    pub fn woken(mut self, now: DateTime<Utc>) -> Self {
        self.due_at = now;
        // One that was sent ahead of its time has a message, which comes in a few minutes.
        self.parked = self.status != JobStatus::Queued;
        self.written()
    }

    /// The record of a job that still waits, so that the store keeps its payload as if it came due now.
    #[must_use]
    pub fn still_waiting(mut self, now: DateTime<Utc>) -> Self {
        self.due_at = self.due_at.max(now);
        self.written()
    }

    /// The record of a waiting job that the due index covers, and no message any more.
    #[must_use]
    pub fn parked(mut self) -> Self {
        if self.status == JobStatus::Queued {
            self.status = JobStatus::Scheduled;
        }
        self.parked = true;
        self.written()
    }

    /// The record of a parked job whose message was sent.
    #[must_use]
    pub fn dispatched(mut self) -> Self {
        if matches!(self.status, JobStatus::Scheduled | JobStatus::Waiting) {
            self.status = JobStatus::Queued;
        }
        self.parked = false;
        self.written()
    }

    /// The record of a finished job without its details: payload, result, error and past attempts.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        self.definition.spec.payload = Payload::null();
        self.stored = StoredPayload::default();
        self.result = None;
        self.error = None;
        self.past_attempts = PastAttempts::default();
        self.trimmed = true;
        self.written()
    }

    /// This record as the first of its job.
    #[must_use]
    pub(crate) const fn first(mut self) -> Self {
        self.revision = Revision(1);
        self
    }

    fn finished(mut self, status: JobStatus, at: DateTime<Utc>, took: Option<Duration>) -> Self {
        self.status = status;
        self.parked = false;
        self.blocked = None;
        self.completed_at = Some(at);
        self.execution_time = took;
        self.written()
    }

    fn written(mut self) -> Self {
        if !self.status.is_finished() {
            self.completed_at = None;
            self.expires_at = None;
        }
        self.revision = self.revision.next();
        self
    }
}
