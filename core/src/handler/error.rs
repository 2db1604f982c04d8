//! How an attempt failed, and what that means for the next.
//!
//! How a handler fails decides what happens next: an error says whether a retry makes sense. An ordinary error that `?`
//! passes on is retried.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::Blocker;

/// Why an attempt failed, and what that means for the next.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::JobError;
///
/// fn parse(text: &str) -> Result<u32, JobError> {
///     Ok(text.parse()?) // an ordinary error: worth another try
/// }
/// assert!(!parse("x").unwrap_err().is_permanent());
/// assert!(JobError::permanent("no such customer").is_permanent());
/// let busy = JobError::retryable("busy").after(Duration::from_secs(30));
/// assert_eq!(busy.to_string(), "busy");
/// ```
pub struct JobError {
    message: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Retryable { after: Option<Duration>, retries: Option<u32>, hold: Option<(Duration, HoldScope)> },
    Permanent,
    Snooze(Until),
    Deferred { until: DateTime<Utc>, by: Blocker },
}

/// Whose calls a dependency does not want for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldScope {
    Everyone,
    Tenant,
}

/// Until when a job snoozes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    After(Duration),
    At(DateTime<Utc>),
}

impl JobError {
    /// A failure that a retry may not meet.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Retryable { after: None, retries: None, hold: None } }
    }

    /// A dependency took no call now, and asks for none for this long: an HTTP API answered 429, for example.
    ///
    /// A call through a [breaker](crate::JobContext::breaker) that ends with this error is no failure of the
    /// dependency. The breaker holds all its jobs until then, but at most an hour, and they spend no attempt. This attempt
    /// is spent: its job is retried after that time, as often as it has retries.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lambda_jobs_core::{JobContext, JobError};
    ///
    /// async fn charge(ctx: &JobContext) -> Result<(), JobError> {
    ///     let call = async { Err(JobError::rate_limited("billing answered 429", Duration::from_secs(30))) };
    ///     ctx.breaker("billing").call(call).await // no job calls billing for 30 s
    /// }
    /// ```
    pub fn rate_limited(message: impl Into<String>, wait: Duration) -> Self {
        let hold = Some((wait, HoldScope::Everyone));
        Self { message: message.into(), kind: Kind::Retryable { after: Some(wait), retries: None, hold } }
    }

    /// Holds only jobs of the same tenant, because the dependency counts for each tenant alone. Changes nothing about
    /// an error that is not [`rate_limited`](Self::rate_limited). A job without a tenant holds all.
    #[must_use]
    pub const fn for_tenant(mut self) -> Self {
        if let Kind::Retryable { hold: Some((_, scope)), .. } = &mut self.kind {
            *scope = HoldScope::Tenant;
        }
        self
    }

    /// For how long the dependency wants no calls, and whose.
    pub(crate) const fn hold(&self) -> Option<(Duration, HoldScope)> {
        match self.kind {
            Kind::Retryable { hold, .. } => hold,
            _ => None,
        }
    }

    /// A failure that every retry would meet.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Permanent }
    }

    /// No failure: the job is not ready yet, and runs again after this time.
    ///
    /// A snooze spends no attempt, is counted nowhere and calls no hook. A wait of more than a year is
    /// one of a year; and a job that has snoozed as often as
    /// [`HandlerOptions::max_snoozes`](super::HandlerOptions::max_snoozes) allows fails for good the next time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lambda_jobs_core::JobError;
    ///
    /// let later = JobError::snooze(Duration::from_secs(3600)).because("the report is not published yet");
    /// assert!(later.is_snooze() && !later.is_permanent());
    /// ```
    #[must_use]
    pub const fn snooze(wait: Duration) -> Self {
        Self { message: String::new(), kind: Kind::Snooze(Until::After(wait)) }
    }

    /// As [`snooze`](Self::snooze), until this instant; one that has passed means at once.
    #[must_use]
    pub const fn snooze_until(instant: DateTime<Utc>) -> Self {
        Self { message: String::new(), kind: Kind::Snooze(Until::At(instant)) }
    }

    /// No failure: a breaker or a limit holds the job back, and it runs again at this instant. Unlike a snooze, it is
    /// not the handler's choice, and may happen any number of times.
    pub(crate) fn deferred(until: DateTime<Utc>, by: Blocker) -> Self {
        Self { message: format!("waits for {by}"), kind: Kind::Deferred { until, by } }
    }

    /// Whether a breaker or a limit holds the job back, which is no failure. A handler passes it on, and its job
    /// waits without spending an attempt.
    #[must_use]
    pub const fn is_deferral(&self) -> bool {
        matches!(self.kind, Kind::Deferred { .. })
    }

    /// Until when the job waits, and for what.
    pub(crate) fn deferral(&self) -> Option<(DateTime<Utc>, &Blocker)> {
        match &self.kind {
            Kind::Deferred { until, by } => Some((*until, by)),
            _ => None,
        }
    }

    /// Adds the reason of a snooze, in words. Changes nothing about a failure, which has its reason already.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        if self.is_snooze() {
            self.message = reason.into();
        }
        self
    }

    /// The message; empty for a snooze without a reason.
    pub(crate) fn reason(&self) -> &str {
        &self.message
    }

    /// Asks for the retry after this time, whatever the backoff. Changes nothing about a permanent
    /// error or a snooze, nor about the wait that a [`rate_limited`](Self::rate_limited) dependency asks of other jobs.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let Kind::Retryable { after, .. } = &mut self.kind {
            *after = Some(wait);
        }
        self
    }

    /// Sets how many retries the job has in all, unless its message says so: for handlers that know it per job. Changes
    /// nothing about a permanent error or a snooze.
    #[must_use]
    pub const fn of_retries(mut self, all: u32) -> Self {
        if let Kind::Retryable { retries, .. } = &mut self.kind {
            *retries = Some(all);
        }
        self
    }

    /// How many retries the job has in all, by its handler.
    pub(crate) const fn retries(&self) -> Option<u32> {
        match self.kind {
            Kind::Retryable { retries, .. } => retries,
            Kind::Permanent | Kind::Snooze(_) | Kind::Deferred { .. } => None,
        }
    }

    /// Whether a retry is pointless.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self.kind, Kind::Permanent)
    }

    /// The wait before the retry, if one was asked for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            Kind::Retryable { after, .. } => after,
            Kind::Permanent | Kind::Snooze(_) | Kind::Deferred { .. } => None,
        }
    }

    /// Whether it is no failure, but a request to run again later.
    #[must_use]
    pub const fn is_snooze(&self) -> bool {
        matches!(self.kind, Kind::Snooze(_))
    }

    /// The end of a snooze that begins `now`: not before now, and at most `longest` later.
    pub(crate) fn snoozed_until(&self, now: DateTime<Utc>, longest: Duration) -> Option<DateTime<Utc>> {
        let latest = now + longest;
        match self.kind {
            Kind::Snooze(Until::At(instant)) => Some(instant.clamp(now, latest)),
            Kind::Snooze(Until::After(wait)) => {
                let instant = TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait));
                Some(instant.map_or(latest, |instant| instant.min(latest)))
            }
            Kind::Retryable { .. } | Kind::Permanent | Kind::Deferred { .. } => None,
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() && self.is_snooze() {
            return f.write_str("snoozed by its handler");
        }
        f.write_str(&self.message)
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobError").field("message", &self.message).field("kind", &self.kind).finish()
    }
}

/// `?` on any error makes a failure that is retried. (This is why `JobError` itself does not
/// implement [`std::error::Error`].)
impl<E: std::error::Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = inner.source();
        }
        Self::retryable(message)
    }
}
