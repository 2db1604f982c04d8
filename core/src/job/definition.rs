//! What a caller asks for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JobId, JobType, Priority, Queue, millis};
use crate::job::BreakerName;

/// A job as it was asked for: its name, its payload and how it is to be run.
///
/// In JSON it has the seed's shape, in camelCase, durations in milliseconds, instants in RFC 3339 UTC.
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
    /// How often it may be tried again after the first attempt; the handler's own where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// How long after it was sent it becomes due, in milliseconds.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// When it becomes due; wins over `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// How long one attempt may take, in milliseconds; the handler's own where absent.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whose job it is: becomes the SQS message group, so that one tenant's backlog can't starve another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of the jobs with one such key there is one at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// How long from when it takes its key it keeps it, even if it ends before, in milliseconds.
    #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
    pub unique_for: Option<Duration>,
    /// The breakers that it needs closed: while one is open, it waits before it is claimed.
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
        Self {
            id,
            name: name.into(),
            job_type: JobType::Immediate,
            payload: Value::Object(serde_json::Map::new()),
            priority: Priority::default(),
            max_retries: None,
            delay: None,
            run_at: None,
            timeout: None,
            tags: Vec::new(),
            tenant: None,
            unique_key: None,
            unique_for: None,
            breakers: Vec::new(),
            traceparent: None,
        }
    }
}

/// A job to be enqueued. Everything but the name has a default.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::{NewJob, Priority};
/// use serde_json::json;
///
/// let job = NewJob::new("send-invoice")
///     .payload(json!({ "invoice": 42 }))
///     .priority(Priority::MOST_URGENT)
///     .delay(Duration::from_secs(60));
/// assert_eq!(job.name, "send-invoice");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a new job does nothing until it is enqueued"]
pub struct NewJob {
    /// Its identity; a new one is made where absent.
    pub id: Option<JobId>,
    /// The name of its handler.
    pub name: String,
    /// What the handler is given; `{}` by default.
    pub payload: Value,
    /// How urgent it is; 5 by default.
    pub priority: Priority,
    /// How often it may be tried again.
    pub max_retries: Option<u32>,
    /// How long from now it becomes due: up to 366 days.
    pub delay: Option<Duration>,
    /// When it becomes due, at most 366 days ahead; wins over `delay`.
    pub run_at: Option<DateTime<Utc>>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Whose job it is.
    pub tenant: Option<String>,
    /// Of the jobs with one such key there is one at a time.
    pub unique_key: Option<String>,
    /// How long from when it takes its key it keeps it, even if it ends before.
    pub unique_for: Option<Duration>,
    /// Whether it takes its key only when it is due.
    pub unique_when_due: bool,
    /// The breakers that it needs closed.
    pub breakers: Vec<BreakerName>,
    /// The queue it waits in; its handler's, its family's or its priority's where absent.
    pub queue: Option<Queue>,
    /// What kind of job it is: scheduled if it waits, else immediate, where absent.
    pub job_type: Option<JobType>,
}

impl NewJob {
    /// A job for the handler of this name, with an empty object as its payload.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
            payload: Value::Object(serde_json::Map::new()),
            priority: Priority::default(),
            max_retries: None,
            delay: None,
            run_at: None,
            timeout: None,
            tags: Vec::new(),
            tenant: None,
            unique_key: None,
            unique_for: None,
            unique_when_due: false,
            breakers: Vec::new(),
            queue: None,
            job_type: None,
        }
    }

    /// Names the job, so that enqueueing it twice runs it once.
    pub fn id(mut self, id: JobId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets what the handler is given.
    pub fn payload(mut self, payload: Value) -> Self {
        self.payload = payload;
        self
    }

    /// Sets how urgent it is.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets how often it may be tried again after the first attempt.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Makes it due this long from now.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Makes it due at this instant.
    pub fn run_at(mut self, instant: DateTime<Utc>) -> Self {
        self.run_at = Some(instant);
        self
    }

    /// Sets how long one attempt may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds a word to find it by.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Names the queue it waits in.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Says whose job it is.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Makes it the one job with this key: while another is unfinished, this one is its duplicate.
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Keeps its unique key for this long from now, even if it ends before.
    pub fn unique_for(mut self, time: Duration) -> Self {
        self.unique_for = Some(time);
        self
    }

    /// Names a breaker that it needs closed: while it is open, the job waits, and spends nothing. Five at most.
    ///
    /// ```
    /// use lambda_jobs_core::NewJob;
    ///
    /// let job = NewJob::new("send-invoice").breaker("mail".parse()?);
    /// assert_eq!(job.breakers.len(), 1);
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    pub fn breaker(mut self, name: BreakerName) -> Self {
        self.breakers.push(name);
        self
    }

    /// Lets it take its unique key when it is due: it is accepted now, and cancelled then if another job
    /// has the key.
    pub fn unique_when_due(mut self) -> Self {
        self.unique_when_due = true;
        self
    }
}
