//! A job that a caller is about to enqueue.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{BatchPlace, BreakerName, JobId, JobSpec, JobType, Payload, Priority, Queue};

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
/// assert_eq!(job.spec.name, "send-invoice");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a new job does nothing until it is enqueued"]
pub struct NewJob {
    /// Its identity; generated if absent.
    pub id: Option<JobId>,
    /// Its handler, its payload and its settings.
    pub spec: JobSpec,
    /// How long from now it becomes due: up to 366 days.
    pub delay: Option<Duration>,
    /// When it becomes due, at most 366 days ahead; wins over `delay`.
    pub run_at: Option<DateTime<Utc>>,
    /// Of the jobs with this key, one is unfinished at a time.
    pub unique_key: Option<String>,
    /// How long it keeps the key from when it takes it, even if it ends before.
    pub unique_for: Option<Duration>,
    /// Whether it takes its key only when it is due.
    pub unique_when_due: bool,
    /// The breakers that it needs closed.
    pub breakers: Vec<BreakerName>,
    /// Its queue; if absent, its handler, its family or its priority decides.
    pub queue: Option<Queue>,
    /// What kind of job it is; if absent, scheduled if it waits and immediate otherwise.
    pub job_type: Option<JobType>,
    /// The edition of the schedule that makes it.
    pub edition: Option<u64>,
    /// Its place in a batch, if it is a child of one.
    pub batch: Option<BatchPlace>,
}

impl NewJob {
    /// A job for the handler of this name, with an empty object as its payload.
    pub fn new(name: impl Into<String>) -> Self {
        Self::of(JobSpec::new(name))
    }

    /// A job of this spec, due at once, with a default for everything else.
    pub const fn of(spec: JobSpec) -> Self {
        Self {
            id: None,
            spec,
            delay: None,
            run_at: None,
            unique_key: None,
            unique_for: None,
            unique_when_due: false,
            breakers: Vec::new(),
            queue: None,
            job_type: None,
            edition: None,
            batch: None,
        }
    }

    /// Names the job, so that enqueueing it twice runs it once.
    pub fn id(mut self, id: JobId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the handler's input: a JSON value, or a [`Payload`].
    pub fn payload(mut self, payload: impl Into<Payload>) -> Self {
        self.spec.payload = payload.into();
        self
    }

    /// Sets how urgent it is.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.spec.priority = priority;
        self
    }

    /// Sets how many retries may follow the first attempt.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.spec.max_retries = Some(retries);
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
        self.spec.timeout = Some(timeout);
        self
    }

    /// Adds a word to find it by.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.spec.tags.push(tag.into());
        self
    }

    /// Sets its queue.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Sets the tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.spec.tenant = Some(tenant.into());
        self
    }

    /// Makes it the only job with this key: while another one is unfinished, this one is its duplicate.
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Keeps its unique key for this long from now, even if it ends before.
    pub fn unique_for(mut self, time: Duration) -> Self {
        self.unique_for = Some(time);
        self
    }

    /// Names a breaker that the job needs closed: while it is open, the job waits and spends no attempt. Five at most.
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

    /// Lets the job take its unique key when it is due. It is accepted now, and cancelled then if another job has the
    /// key.
    pub fn unique_when_due(mut self) -> Self {
        self.unique_when_due = true;
        self
    }
}
