//! A job as its caller defined it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::absent::is_false;
use super::{BatchPlace, BreakerName, JobId, JobSpec, JobType, Payload, Priority, millis};

/// A job as its caller defined it: its spec, and when and under which conditions it runs.
///
/// In JSON it is flat and in camelCase, durations in milliseconds, instants in RFC 3339 UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub struct JobDefinition {
    /// Its identity; see [`JobId`].
    pub id: JobId,
    /// Which handler runs it, with what, and by which terms.
    pub spec: JobSpec,
    /// What kind of job it is.
    pub job_type: JobType,
    /// How long after it was sent the job becomes due.
    pub delay: Option<Duration>,
    /// When it becomes due; wins over `delay`.
    pub run_at: Option<DateTime<Utc>>,
    /// Of the jobs with this key, one is unfinished at a time.
    pub unique_key: Option<String>,
    /// How long the job keeps its key from when it takes it, even if it ends before.
    pub unique_for: Option<Duration>,
    /// The breakers that the job needs closed: while one is open, it is not claimed.
    pub breakers: Vec<BreakerName>,
    /// The W3C trace context that the job belongs to.
    pub traceparent: Option<String>,
    /// The edition of the schedule that made it; absent if no schedule did. A message of an earlier edition than the
    /// record's runs nothing.
    pub edition: Option<u64>,
    /// The `enqueue` call that made it, if its caller chose its id: by this the call knows its own job.
    pub enqueue_call: Option<String>,
    /// Its place in a batch, if it is a child of one.
    pub batch: Option<BatchPlace>,
    /// Whether it waits for the children of the batch with its own id.
    pub gathers: bool,
}

impl JobDefinition {
    /// An immediate job with an empty object as its payload, and a default for everything else.
    ///
    /// ```
    /// use lambda_jobs_core::{JobDefinition, Priority};
    ///
    /// let job = JobDefinition::new("invoice-42".parse()?, "send-invoice");
    /// assert_eq!((job.spec.priority, job.spec.max_retries), (Priority::default(), None));
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    #[must_use]
    pub fn new(id: JobId, name: impl Into<String>) -> Self {
        Self::of(id, JobSpec::new(name))
    }

    /// An immediate job of this spec.
    #[must_use]
    pub const fn of(id: JobId, spec: JobSpec) -> Self {
        Self {
            id,
            spec,
            job_type: JobType::Immediate,
            delay: None,
            run_at: None,
            unique_key: None,
            unique_for: None,
            breakers: Vec::new(),
            traceparent: None,
            edition: None,
            enqueue_call: None,
            batch: None,
            gathers: false,
        }
    }
}

/// The definition as it is written: flat, because callers know no specs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat {
    id: JobId,
    name: String,
    #[serde(rename = "type")]
    job_type: JobType,
    payload: Payload,
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    delay: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<DateTime<Utc>>,
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_key: Option<String>,
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    unique_for: Option<Duration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    breakers: Vec<BreakerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edition: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enqueue_call: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<BatchPlace>,
    #[serde(default, skip_serializing_if = "is_false")]
    gathers: bool,
}

impl From<JobDefinition> for Flat {
    fn from(definition: JobDefinition) -> Self {
        let JobDefinition {
            id,
            spec,
            job_type,
            delay,
            run_at,
            unique_key,
            unique_for,
            breakers,
            traceparent,
            edition,
            enqueue_call,
            batch,
            gathers,
        } = definition;
        let JobSpec { name, payload, priority, max_retries, timeout, tags, tenant } = spec;
        Self {
            id,
            name,
            job_type,
            payload,
            priority,
            max_retries,
            delay,
            run_at,
            timeout,
            tags,
            tenant,
            unique_key,
            unique_for,
            breakers,
            traceparent,
            edition,
            enqueue_call,
            batch,
            gathers,
        }
    }
}

impl From<Flat> for JobDefinition {
    fn from(flat: Flat) -> Self {
        let Flat { name, payload, priority, max_retries, timeout, tags, tenant, .. } = flat;
        Self {
            id: flat.id,
            spec: JobSpec { name, payload, priority, max_retries, timeout, tags, tenant },
            job_type: flat.job_type,
            delay: flat.delay,
            run_at: flat.run_at,
            unique_key: flat.unique_key,
            unique_for: flat.unique_for,
            breakers: flat.breakers,
            traceparent: flat.traceparent,
            edition: flat.edition,
            enqueue_call: flat.enqueue_call,
            batch: flat.batch,
            gathers: flat.gathers,
        }
    }
}
