//! How jobs run, unless a job or its handler says otherwise: concurrency, timeouts, retries, retention.

use std::time::Duration;

use crate::breaker::BreakerPolicy;
use crate::control::DeployedSettings;
use crate::invalid::Invalid;
use crate::job::Retention;
use crate::job::bounds::MAX_TIMEOUT;
use crate::retry::RetryPolicy;

/// How jobs run, unless a job or its handler says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobConfig {
    /// Whether jobs run at all. If not, their messages wait.
    pub enabled: bool,
    /// How many jobs of a batch run at once; 5 by default.
    pub concurrency: usize,
    /// When failed jobs are tried again.
    pub retry: RetryPolicy,
    /// The timeout of one attempt; 30 s by default.
    pub timeout: Duration,
    /// The timeout of the function itself; a job with a longer timeout is refused. 90 s by default:
    /// two rounds of five jobs of 30 s, and time to settle.
    pub function_timeout: Duration,
    /// How long the store keeps finished jobs; 15 days by default and at least.
    pub retention: Retention,
    /// How many finished jobs a list shows at most, and how many keep payload, result and error over a cleanup; 1,000
    /// by default.
    pub max_job_history: usize,
    /// The policy of breakers without one of their own.
    pub breaker: BreakerPolicy,
    /// Whether the log of an attempt also gets what its handler says through `tracing`; `false` by default. It always gets
    /// what the handler says through [`JobContext::log`](crate::JobContext::log).
    pub attempt_logs: bool,
}

impl JobConfig {
    /// The time to settle an attempt after its timeout.
    pub const SETTLE_MARGIN: Duration = Duration::from_secs(3);
    /// The time at the beginning of an invocation to receive, decode and claim its jobs.
    pub const START_MARGIN: Duration = Duration::from_secs(2);
    /// How far the clocks of two machines may differ; added to every lease.
    pub const CLOCK_SKEW: Duration = Duration::from_secs(5);
    /// How often SQS delivers a message before it moves it to the dead-letter queue itself.
    pub const MAX_RECEIVE_COUNT: u32 = 50;

    /// Checks what the types don't rule out.
    ///
    /// ```
    /// use lambda_jobs_core::JobConfig;
    ///
    /// let config = JobConfig { concurrency: 0, ..JobConfig::default() };
    /// assert_eq!(config.check().unwrap_err().to_string(), "concurrency: expected 1 to 1000, got 0");
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        let refuse = |setting: &str, expected: String, got: String| Err(Invalid::new(setting, expected, got));
        if !(1..=1000).contains(&self.concurrency) {
            return refuse("concurrency", "1 to 1000".to_owned(), self.concurrency.to_string());
        }
        if self.function_timeout > MAX_TIMEOUT {
            let expected = format!(
                "at most {MAX_TIMEOUT:?}, the most that Lambda grants; split longer work, or chain jobs"
            );
            return refuse("function timeout", expected, format!("{:?}", self.function_timeout));
        }
        let longest = self.longest_timeout();
        if self.timeout.is_zero() || self.timeout > longest {
            let expected =
                format!("1 ms to {longest:?}, the function's timeout less the margins to start and settle");
            return refuse("timeout", expected, format!("{:?}", self.timeout));
        }
        Ok(())
    }

    /// What the callers of this deployment decide by.
    #[must_use]
    pub const fn deployed(&self) -> DeployedSettings {
        DeployedSettings {
            concurrency: self.concurrency,
            max_retries: self.retry.max_retries(),
            timeout: self.timeout,
            function_timeout: self.function_timeout,
            retention: self.retention,
            max_job_history: self.max_job_history,
        }
    }

    /// The longest timeout that a job can have.
    #[must_use]
    pub const fn longest_timeout(&self) -> Duration {
        Self::longest_timeout_within(self.function_timeout)
    }

    /// The longest timeout that a job can have in a function with this timeout.
    pub(crate) const fn longest_timeout_within(function_timeout: Duration) -> Duration {
        function_timeout.saturating_sub(Self::START_MARGIN).saturating_sub(Self::SETTLE_MARGIN)
    }
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            concurrency: 5,
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(30),
            function_timeout: Duration::from_secs(90),
            retention: Retention::default(),
            max_job_history: 1000,
            breaker: BreakerPolicy::default(),
            attempt_logs: false,
        }
    }
}
