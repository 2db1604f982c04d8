//! A job as its caller defined it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BreakerName, JobId, JobSpec, JobType, Priority, millis};

/// A job as its caller defined it: its handler, its payload and its settings.
///
/// In JSON it is flat and in camelCase, durations in milliseconds, instants in RFC 3339 UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobDefinition {
    /// Its identity; see [`JobId`].
    pub id: JobId,
    /// The name of the handler that runs it.
    pub name: String,
    /// What kind of job it is.
    #[serde(rename = "type")]
    pub job_type: JobType,
    /// What the handler is given; any JSON value.
    pub payload: Value,
    /// How urgent it is.
    pub priority: Priority,
    /// How many retries may follow the first attempt; the handler's own number if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// How long after it was sent the job becomes due, in milliseconds.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// When it becomes due; wins over `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// How long one attempt may take, in milliseconds; the handler's own timeout if absent.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whose job it is: becomes the SQS message group, so that one tenant's backlog can't starve another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of the jobs with this key, one is unfinished at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// How long the job keeps its key from when it takes it, even if it ends before, in milliseconds.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub unique_for: Option<Duration>,
    /// The breakers that the job needs closed: while one is open, it is not claimed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<BreakerName>,
    /// The W3C trace context that the job belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl JobDefinition {
    /// An immediate job with an empty object as its payload, and a default for everything else.
    ///
    /// ```
    /// use lambda_jobs_core::{JobDefinition, Priority};
    ///
    /// let job = JobDefinition::new("invoice-42".parse()?, "send-invoice");
    /// assert_eq!((job.priority, job.max_retries), (Priority::default(), None));
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    #[must_use]
    pub fn new(id: JobId, name: impl Into<String>) -> Self {
        Self::of(id, JobSpec::new(name))
    }

    /// An immediate job of this spec.
    #[must_use]
    pub fn of(id: JobId, spec: JobSpec) -> Self {
        let JobSpec { name, payload, priority, max_retries, timeout, tags, tenant } = spec;
        Self {
            id,
            name,
            job_type: JobType::Immediate,
            payload,
            priority,
            max_retries,
            delay: None,
            run_at: None,
            timeout,
            tags,
            tenant,
            unique_key: None,
            unique_for: None,
            breakers: Vec::new(),
            traceparent: None,
        }
    }

    /// The spec for another job of the same kind.
    #[must_use]
    pub fn spec(&self) -> JobSpec {
        JobSpec {
            name: self.name.clone(),
            payload: self.payload.clone(),
            priority: self.priority,
            max_retries: self.max_retries,
            timeout: self.timeout,
            tags: self.tags.clone(),
            tenant: self.tenant.clone(),
        }
    }
}
