//! Settings from environment variables.
//!
//! A misspelt setting must not show as a job that behaves strangely. So all settings are read and checked together
//! before anything runs, and every mistake is reported with its variable, its value and the expected one. An empty
//! variable counts as not set.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `ENABLE_JOBS` | `true` | `false` stops all work |
//! | `LAMBDA_JOBS_CONCURRENCY` | 5 | how many jobs of a batch run at once |
//! | `LAMBDA_JOBS_RETRY_DELAY_MS` | 5000 | the wait before the first retry; doubled for each further one |
//! | `LAMBDA_JOBS_RETRY_JITTER` | `full` | `none` makes the waits exact |
//! | `LAMBDA_JOBS_MAX_RETRIES` | 3 | retries after the first attempt |
//! | `LAMBDA_JOBS_TIMEOUT_MS` | 30000 | how long one attempt may take |
//! | `LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS` | 90 | how long the function may run |
//! | `LAMBDA_JOBS_RETENTION_DAYS` | 15 | how long finished jobs are remembered |
//! | `LAMBDA_JOBS_RETENTION_COMPLETED_DAYS`, `_FAILED_DAYS`, `_CANCELLED_DAYS` | as above | and by how they ended |
//! | `LAMBDA_JOBS_MAX_JOB_HISTORY` | 1000 | how many finished jobs a list shows, and how many keep payload, result and error in a cleanup |
//! | `LAMBDA_JOBS_ATTEMPT_LOGS` | `false` | `true` adds the handler's own `tracing` events to the log of its attempt |
//! | `LAMBDA_JOBS_BREAKER_FAILURE_THRESHOLD` | 5 | failures within the window that open a breaker, at least |
//! | `LAMBDA_JOBS_BREAKER_RECOVERY_MS` | 60000 | how long a breaker stays open before it lets one probe through |
//! | `LAMBDA_JOBS_BREAKER_WINDOW_MS` | 300000 | how far back calls count |
//! | `LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK` | `false` | `true` lets webhooks call the worker's own machine |
//! | `LAMBDA_JOBS_WEBHOOK_ALLOW_HTTP` | `false` | `true` lets webhooks use `http`, without TLS |
//! | `LAMBDA_JOBS_WEBHOOK_ALLOWED_HOSTS` | | hosts, addresses and CIDR blocks that webhooks may call though they are not public, separated by commas |
//! | `LAMBDA_JOBS_WEBHOOK_BULKHEAD` | 3 | how many batches at once may call a host that has not answered within 2 s, or has stalled |
//! | `LAMBDA_JOBS_JOBS_TABLE`, `_STATE_TABLE`, `_DATA_TABLE` | `lambda-jobs-jobs`, `-state`, `-data` | table names |
//! | `LAMBDA_JOBS_QUEUE_PREFIX` | `lambda-jobs-` | the prefix of queue names |
//! | `LAMBDA_JOBS_WORKER_FUNCTION` | | the function whose event source mappings a pause disables |

mod names;
mod reader;
mod shown;
mod webhooks;

use std::time::Duration;

use lambda_jobs_core::breaker::{BreakerConfig, BreakerPolicy};
use lambda_jobs_core::families::webhook::{TargetPolicy, WebhookDeliveryHandler};
use lambda_jobs_core::{Jitter, JobConfig, Retention, RetryPolicy};

pub use names::{QueueNames, Tables};
use reader::Reader;
pub use reader::SettingsError;
pub use shown::{ShownSetting, Whence};

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How jobs run.
    pub jobs: JobConfig,
    /// Where webhooks may be sent.
    pub webhooks: TargetPolicy,
    /// How many batches at once may call a host that does not answer promptly.
    pub webhook_bulkhead: u32,
    /// The table names.
    pub tables: Tables,
    /// The queue names.
    pub queues: QueueNames,
    /// The function whose event source mappings a pause disables, if any.
    pub worker_function: Option<String>,
}

impl Settings {
    /// The settings of this process's environment.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// The settings that `look_up` finds by the names of environment variables.
    ///
    /// ```
    /// use lambda_jobs_infra::Settings;
    ///
    /// let wrong = Settings::read(|name| (name == "LAMBDA_JOBS_CONCURRENCY").then(|| "many".to_owned()));
    /// assert_eq!(
    ///     wrong.unwrap_err().to_string(),
    ///     r#"LAMBDA_JOBS_CONCURRENCY: expected a whole number from 1 to 1000, got "many""#,
    /// );
    /// ```
    pub fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(&look_up);
        let settings = Self {
            jobs: jobs(&mut reader),
            webhooks: webhooks::targets(&mut reader),
            webhook_bulkhead: webhooks::bulkhead(&mut reader),
            tables: names::tables(&mut reader),
            queues: names::queues(&mut reader),
            worker_function: names::worker_function(&mut reader),
        };
        reader.finish(settings)
    }

    /// The settings that `look_up` finds, for a local stack. Unless a variable says otherwise, webhooks may call
    /// receivers on the same machine, by `http` too. `LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK=false` makes them as strict as
    /// on AWS.
    ///
    /// ```
    /// use lambda_jobs_infra::Settings;
    ///
    /// assert_eq!(Settings::read_local(|_| None), Ok(Settings::local()));
    /// let variable = "LAMBDA_JOBS_WEBHOOK_ALLOW_LOOPBACK";
    /// let strict = Settings::read_local(|name| (name == variable).then(|| "false".to_owned()));
    /// assert_eq!(strict, Ok(Settings::default()));
    /// ```
    pub fn read_local(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        Self::read(|name| webhooks::local(name, &look_up))
    }

    /// The settings of a local stack in an empty environment.
    #[must_use]
    pub fn local() -> Self {
        Self { webhooks: TargetPolicy::local(), ..Self::default() }
    }
}

impl Default for Settings {
    /// The settings of an empty environment.
    fn default() -> Self {
        Self {
            jobs: JobConfig::default(),
            webhooks: TargetPolicy::default(),
            webhook_bulkhead: WebhookDeliveryHandler::DEFAULT_BULKHEAD,
            tables: Tables::default(),
            queues: QueueNames::default(),
            worker_function: None,
        }
    }
}

const HOUR_MS: u64 = 3_600_000;

fn jobs(reader: &mut Reader<'_>) -> JobConfig {
    let defaults = JobConfig::default();
    let concurrency = reader.number("LAMBDA_JOBS_CONCURRENCY", 1..=1000, defaults.concurrency);
    let function_timeout =
        reader.number("LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS", 6..=900, defaults.function_timeout.as_secs());
    let timeout = reader.millis("LAMBDA_JOBS_TIMEOUT_MS", 1..=895_000, defaults.timeout);
    let retention = retention(reader);
    let retry = retry(reader);
    let enabled = reader.choice("ENABLE_JOBS", &[("true", true), ("false", false)], true);
    let config = JobConfig {
        enabled,
        concurrency,
        retry,
        timeout,
        function_timeout: Duration::from_secs(function_timeout),
        retention,
        max_job_history: reader.number(
            "LAMBDA_JOBS_MAX_JOB_HISTORY",
            1..=1_000_000,
            defaults.max_job_history,
        ),
        breaker: breaker(reader),
        attempt_logs: reader.choice(
            "LAMBDA_JOBS_ATTEMPT_LOGS",
            &[("true", true), ("false", false)],
            defaults.attempt_logs,
        ),
    };
    if timeout > config.longest_timeout() {
        let longest = config.longest_timeout().as_millis();
        let expected = format!(
            "at most {longest}, which is LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS in milliseconds less {} to start and settle in",
            (JobConfig::START_MARGIN + JobConfig::SETTLE_MARGIN).as_millis()
        );
        reader.refuse("LAMBDA_JOBS_TIMEOUT_MS", &expected, &timeout.as_millis().to_string());
    }
    config
}

fn breaker(reader: &mut Reader<'_>) -> BreakerPolicy {
    let defaults = BreakerConfig::default();
    let failures =
        reader.number("LAMBDA_JOBS_BREAKER_FAILURE_THRESHOLD", 1..=1000, defaults.failure_threshold);
    let recovery =
        reader.millis("LAMBDA_JOBS_BREAKER_RECOVERY_MS", 1_000..=600_000, defaults.recovery_timeout);
    let window =
        reader.millis("LAMBDA_JOBS_BREAKER_WINDOW_MS", 1_000..=24 * HOUR_MS, defaults.monitoring_period);
    let config = BreakerConfig {
        failure_threshold: failures,
        recovery_timeout: recovery,
        monitoring_period: window,
        ..defaults
    };
    BreakerPolicy::try_from(config).unwrap_or_default()
}

fn retention(reader: &mut Reader<'_>) -> Retention {
    let days: u64 = reader.number("LAMBDA_JOBS_RETENTION_DAYS", 15..=3650, 15);
    let [completed, failed, cancelled] = ["COMPLETED", "FAILED", "CANCELLED"].map(|outcome| {
        let variable = format!("LAMBDA_JOBS_RETENTION_{outcome}_DAYS");
        Duration::from_hours(24 * reader.number(&variable, 15..=3650, days))
    });
    Retention::new(completed, failed, cancelled).unwrap_or_default()
}

fn retry(reader: &mut Reader<'_>) -> RetryPolicy {
    let defaults = RetryPolicy::default();
    let base = reader.millis("LAMBDA_JOBS_RETRY_DELAY_MS", 0..=12 * HOUR_MS, Duration::from_secs(5));
    let retries = reader.number("LAMBDA_JOBS_MAX_RETRIES", 0..=100, defaults.max_retries());
    let jitters = [("full", Jitter::Full), ("none", Jitter::None)];
    let jitter = reader.choice("LAMBDA_JOBS_RETRY_JITTER", &jitters, Jitter::Full);
    RetryPolicy::new(retries, base, base.max(RetryPolicy::DEFAULT_CAP))
        .unwrap_or(defaults)
        .with_jitter(jitter)
}
