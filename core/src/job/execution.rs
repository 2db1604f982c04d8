//! The view of a job for callers, in flat JSON.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::absent::{is_false, is_zero};
use super::{
    Blocker, JobId, JobRecord, JobStatus, JobType, PastAttempt, Payload, Priority, Progress, Queue, millis,
};

/// A job with its present state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobExecution {
    /// The job's identity.
    pub id: JobId,
    /// The job's identity again, under the name that callers of executions use.
    pub job_id: JobId,
    /// The name of the handler that runs it.
    pub name: String,
    /// What kind of job it is.
    #[serde(rename = "type")]
    pub job_type: JobType,
    /// What the handler is given.
    pub payload: Payload,
    /// How urgent it is.
    pub priority: Priority,
    /// How many retries it has, if the job itself says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// How long after it was sent it became due, in milliseconds, if the job itself says so.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// How long one attempt may take, in milliseconds, if the job itself says so.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whose job it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its status.
    pub status: JobStatus,
    /// The queue its messages wait in.
    pub queue: Queue,
    /// The number of the present or last attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// How many retries were made, or are about to be made.
    pub retry_count: u32,
    /// How many times its handler snoozed it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub snoozes: u32,
    /// When it was first seen.
    pub created_at: DateTime<Utc>,
    /// When the present or last attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    /// How long the last attempt took, in milliseconds.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<Duration>,
    /// What the handler returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why the last attempt failed, or why the job is in a dead-letter queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the next attempt is due, while it waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_at: Option<DateTime<Utc>>,
    /// When it becomes due, while it is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// Why it waits, or why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The breaker or limit that deferred it last, while it waits: `breaker:<name>` or `limit:<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocker>,
    /// Whether its message is in the dead-letter queue.
    #[serde(default)]
    pub dead_lettered: bool,
    /// Whether a cleanup removed its payload, result and error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trimmed: bool,
    /// Whether its payload is missing, though no cleanup removed it. The job can't run.
    #[serde(default, skip_serializing_if = "is_false")]
    pub payload_missing: bool,
    /// How far its batch is, while it waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<Children>,
    /// How far it has come, while it runs and if its handler says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Its attempts as far as they are kept, the oldest first, each with the end of its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<PastAttempt>,
}

/// How far the children of a waiting job are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Children {
    /// How many there are: so far, while the batch is open.
    pub total: u32,
    /// How many completed.
    pub completed: u32,
    /// How many failed for good.
    pub failed: u32,
    /// How many were cancelled, or were duplicates of other jobs.
    pub cancelled: u32,
}

impl From<JobRecord> for JobExecution {
    fn from(record: JobRecord) -> Self {
        let attempts = record.attempts();
        let due_while = |status| (record.status == status).then_some(record.due_at);
        Self {
            job_id: record.id().clone(),
            status: record.status,
            queue: record.queue,
            attempt: record.attempt(),
            retry_count: record.retry_count(),
            snoozes: record.snoozes,
            created_at: record.created_at,
            started_at: record.started_at,
            completed_at: record.completed_at,
            execution_time: record.execution_time,
            next_retry_at: due_while(JobStatus::Retrying),
            run_at: due_while(JobStatus::Scheduled),
            result: record.result,
            error: record.error,
            note: record.note,
            blocked: record.blocked,
            dead_lettered: record.dead_lettered,
            trimmed: record.trimmed,
            payload_missing: record.stored.is_missing,
            children: None,
            progress: None,
            attempts,
            id: record.definition.id,
            name: record.definition.spec.name,
            job_type: record.definition.job_type,
            payload: record.definition.spec.payload,
            priority: record.definition.spec.priority,
            max_retries: record.definition.spec.max_retries,
            delay: record.definition.delay,
            timeout: record.definition.spec.timeout,
            tags: record.definition.spec.tags,
            tenant: record.definition.spec.tenant,
        }
    }
}

/// How a finished job ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobResult {
    /// The job's identity.
    pub job_id: JobId,
    /// Whether it completed.
    pub success: bool,
    /// How it ended.
    pub status: JobStatus,
    /// What the handler returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long the last attempt took, in milliseconds.
    #[serde(with = "millis")]
    pub execution_time: Duration,
    /// How many retries were made.
    pub retry_count: u32,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
}

impl JobResult {
    /// The result of a finished job; `None` while it is not finished.
    #[must_use]
    pub fn of(execution: &JobExecution) -> Option<Self> {
        let completed_at = execution.completed_at.filter(|_| execution.status.is_finished())?;
        Some(Self {
            job_id: execution.job_id.clone(),
            success: execution.status == JobStatus::Completed,
            status: execution.status,
            result: execution.result.clone(),
            error: execution.error.clone(),
            execution_time: execution.execution_time.unwrap_or_default(),
            retry_count: execution.retry_count,
            completed_at,
        })
    }
}
