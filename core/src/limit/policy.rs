//! Limits: which jobs count together, and how many may run.

use std::borrow::Cow;
use std::time::Duration;

use chrono::TimeDelta;

use crate::invalid::Invalid;
use crate::job::{JobDefinition, LimitKey};
use crate::json::string;

/// A limit on the jobs of a handler, over the whole fleet. A value is always valid.
///
/// ```
/// use std::time::Duration;
/// use lambda_jobs_core::limit::{Limit, LimitBy, Rate};
///
/// let limits = vec![
///     // Of each tenant's jobs five run at once,
///     Limit::concurrency(LimitBy::Tenant, 5)?,
///     // and of all together a hundred start in a second, and two hundred after a quiet time.
///     Limit::rate(LimitBy::Name, Rate::new(100, Duration::from_secs(1))?.burst(200)?),
/// ];
/// assert_eq!(
///     Limit::concurrency(LimitBy::Name, 0).unwrap_err().to_string(),
///     "limit: expected 1 to 1000 jobs at once, got 0",
/// );
/// # drop(limits);
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    by: LimitBy,
    quota: Quota,
    scope: Option<String>,
}

/// Which jobs count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitBy {
    /// All jobs of the handler.
    Name,
    /// The jobs of one tenant (for a webhook: of one endpoint). A job without a tenant is not limited.
    Tenant,
    /// The jobs with one value in this place of their payload, a JSON pointer such as `/customerId`; `customerId`
    /// is the same. A job without a text, number or boolean there is not limited.
    Payload(String),
}

/// How many jobs may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// So many at once.
    Concurrency(u32),
    /// So many per time.
    Rate(Rate),
}

/// A rate, as a token bucket: so many jobs per time, and how many at once after a quiet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    jobs: u32,
    per: Duration,
    burst: u32,
}

/// The largest number of jobs at once.
const MAX_JOBS: u32 = 1_000;
/// The largest number of jobs of a rate.
const MAX_RATE_JOBS: u32 = 100_000;
/// The longest time of a rate.
const MAX_PER: Duration = Duration::from_hours(24);
/// The longest scope, in bytes.
const MAX_SCOPE: usize = 128;

impl Limit {
    /// Lets so many jobs run at once, 1 to 1,000.
    pub fn concurrency(by: LimitBy, jobs: u32) -> Result<Self, Invalid> {
        if (1..=MAX_JOBS).contains(&jobs) {
            Ok(Self { by, quota: Quota::Concurrency(jobs), scope: None })
        } else {
            let expected = format!("1 to {MAX_JOBS} jobs at once");
            Err(Invalid::new("limit", expected, jobs.to_string()))
        }
    }

    /// Lets jobs start at a rate.
    #[must_use]
    pub const fn rate(by: LimitBy, rate: Rate) -> Self {
        Self { by, quota: Quota::Rate(rate), scope: None }
    }

    /// Counts the jobs of all handlers whose limits name this scope together. Without a scope, a limit is its
    /// handler's alone. 1 to 128 bytes.
    pub fn shared(mut self, scope: impl Into<String>) -> Result<Self, Invalid> {
        let scope = scope.into();
        if (1..=MAX_SCOPE).contains(&scope.len()) && !scope.chars().any(char::is_control) {
            self.scope = Some(scope);
            Ok(self)
        } else {
            let expected = format!("1 to {MAX_SCOPE} bytes without control characters");
            Err(Invalid::text("limit scope", expected, &scope))
        }
    }

    /// Whether both count the same jobs in the same way, so that they would share one state.
    pub(crate) fn counts_like(&self, other: &Self) -> bool {
        let is_one_kind = std::mem::discriminant(&self.quota) == std::mem::discriminant(&other.quota);
        is_one_kind && self.by == other.by && self.scope == other.scope
    }

    /// How many jobs may run.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// The key that a job has in this limit; `None` if the job is not limited.
    #[must_use]
    pub fn key(&self, job: &JobDefinition) -> Option<LimitKey> {
        let by = match &self.by {
            LimitBy::Name => String::new(),
            LimitBy::Tenant => format!("/tenant={}", job.spec.tenant.as_ref()?),
            LimitBy::Payload(pointer) => {
                let slash = if pointer.is_empty() || pointer.starts_with('/') { "" } else { "/" };
                let pointer = format!("{slash}{pointer}");
                format!("/payload{pointer}={}", plain(job.spec.payload.pointer(&pointer)?)?)
            }
        };
        let kind = match self.quota {
            Quota::Concurrency(_) => "at-once",
            Quota::Rate(_) => "rate",
        };
        let scope = self.scope.as_ref().unwrap_or(&job.spec.name);
        Some(LimitKey::of(&format!("{kind}:{scope}{by}")))
    }
}

/// A JSON value as a text of its own. A number is the text that was sent, and so is a string that Rust can't hold.
fn plain(json: &str) -> Option<Cow<'_, str>> {
    match json.chars().next()? {
        '"' => Some(string(json).unwrap_or(Cow::Borrowed(json))),
        '[' | '{' | 'n' => None,
        _ => Some(Cow::Borrowed(json)),
    }
}

impl Rate {
    /// So many jobs, 1 to 100,000, in a time of 1 ms to 24 h; as many at once after a quiet time.
    pub fn new(jobs: u32, per: Duration) -> Result<Self, Invalid> {
        if !(1..=MAX_RATE_JOBS).contains(&jobs) {
            return Err(Invalid::new("rate", format!("1 to {MAX_RATE_JOBS} jobs"), jobs.to_string()));
        }
        let least = Duration::from_millis(1);
        if !(least..=MAX_PER).contains(&per) {
            return Err(Invalid::new(
                "rate",
                format!("a time of {least:?} to {MAX_PER:?}"),
                format!("{per:?}"),
            ));
        }
        Ok(Self { jobs, per, burst: jobs })
    }

    /// Lets so many start at once after a quiet time, 1 to 100,000. As many as start in a second may always start at
    /// once, because SQS counts waits in whole seconds.
    pub fn burst(mut self, jobs: u32) -> Result<Self, Invalid> {
        if (1..=MAX_RATE_JOBS).contains(&jobs) {
            self.burst = jobs;
            Ok(self)
        } else {
            Err(Invalid::new("burst", format!("1 to {MAX_RATE_JOBS} jobs"), jobs.to_string()))
        }
    }

    /// The time from one job to the next, rounded up to a nanosecond, so that there are never too many.
    #[must_use]
    pub fn interval(&self) -> TimeDelta {
        let nanos = self.per.as_nanos().div_ceil(u128::from(self.jobs));
        TimeDelta::nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// How many may start at once.
    #[must_use]
    pub fn most_at_once(&self) -> u32 {
        let in_a_second = 1_000_000_000_u128 * u128::from(self.jobs) / self.per.as_nanos();
        self.burst.max(u32::try_from(in_a_second).unwrap_or(u32::MAX))
    }
}
