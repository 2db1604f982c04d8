//! The deployment's settings, stored where every caller reads them.
//!
//! A caller has an environment of its own. If it went by that, a plain `cleanup` on a laptop could remove jobs that the
//! deployment keeps for months. So the deployment stores what callers decide by in the control item, and callers go by
//! that.
//!
//! The dispatcher is the writer. A worker writes only if nothing is stored yet. So two functions with different
//! settings converge: what the dispatcher has holds. During a rolling deployment two versions of the dispatcher may tick
//! in turn. The one that started last writes at once; an earlier one writes over it only after an hour. So the settings
//! change at most once an hour while both run, and are the remaining one's an hour after the other has ended at the
//! latest.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Control;
use crate::invalid::Invalid;
use crate::job::bounds::{MAX_RETRIES, MAX_TIMEOUT};
use crate::job::{Retention, millis};

/// What callers of a deployment decide by.
///
/// ```
/// use lambda_jobs_core::JobConfig;
/// use lambda_jobs_core::control::DeployedSettings;
///
/// let settings = JobConfig::default().deployed();
/// assert_eq!(serde_json::to_value(&settings)?["maxJobHistory"], 1000);
/// let too_short = serde_json::json!({
///     "concurrency": 5, "maxRetries": 3, "timeout": 30_000, "functionTimeout": 90_000, "maxJobHistory": 1000,
///     "retentionCompleted": 1000, "retentionFailed": 1_296_000_000, "retentionCancelled": 1_296_000_000,
/// });
/// assert!(serde_json::from_value::<DeployedSettings>(too_short).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct DeployedSettings {
    /// How many jobs of a batch run at once.
    pub concurrency: usize,
    /// How many retries a job has, unless it or its handler says otherwise.
    pub max_retries: u32,
    /// How long an attempt may take, unless the job or its handler says otherwise.
    pub timeout: Duration,
    /// The worker function's own timeout, which bounds the timeouts of jobs.
    pub function_timeout: Duration,
    /// How long finished jobs are kept.
    pub retention: Retention,
    /// How many finished jobs a list shows at most, and how many keep their details over a cleanup.
    pub max_job_history: usize,
}

/// The same in JSON. All durations are in milliseconds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    concurrency: usize,
    max_retries: u32,
    #[serde(with = "millis")]
    timeout: Duration,
    #[serde(with = "millis")]
    function_timeout: Duration,
    #[serde(with = "millis")]
    retention_completed: Duration,
    #[serde(with = "millis")]
    retention_failed: Duration,
    #[serde(with = "millis")]
    retention_cancelled: Duration,
    max_job_history: usize,
}

impl From<DeployedSettings> for Stored {
    fn from(settings: DeployedSettings) -> Self {
        use crate::job::JobStatus::{Cancelled, Completed, Failed};
        let DeployedSettings {
            concurrency,
            max_retries,
            timeout,
            function_timeout,
            retention,
            max_job_history,
        } = settings;
        Self {
            concurrency,
            max_retries,
            timeout,
            function_timeout,
            retention_completed: retention.of(Completed),
            retention_failed: retention.of(Failed),
            retention_cancelled: retention.of(Cancelled),
            max_job_history,
        }
    }
}

/// The longest retention that can be set: 3,650 days.
const LONGEST_RETENTION: Duration = Duration::from_hours(24 * 3_650);

/// Checked, because anybody with access to the table can write the item.
impl TryFrom<Stored> for DeployedSettings {
    type Error = Invalid;

    fn try_from(stored: Stored) -> Result<Self, Invalid> {
        if stored.max_retries > MAX_RETRIES {
            return Err(Invalid::new("maxRetries", format!("at most {MAX_RETRIES}"), stored.max_retries));
        }
        for (field, given) in [("timeout", stored.timeout), ("functionTimeout", stored.function_timeout)] {
            if given > MAX_TIMEOUT {
                let expected = format!("at most {} ms", MAX_TIMEOUT.as_millis());
                return Err(Invalid::new(field, expected, given.as_millis()));
            }
        }
        let (completed, failed) = (stored.retention_completed, stored.retention_failed);
        for (field, given) in [
            ("retentionCompleted", completed),
            ("retentionFailed", failed),
            ("retentionCancelled", stored.retention_cancelled),
        ] {
            if given > LONGEST_RETENTION {
                let expected = format!("at most {} ms", LONGEST_RETENTION.as_millis());
                return Err(Invalid::new(field, expected, given.as_millis()));
            }
        }
        Ok(Self {
            concurrency: stored.concurrency,
            max_retries: stored.max_retries,
            timeout: stored.timeout,
            function_timeout: stored.function_timeout,
            retention: Retention::new(completed, failed, stored.retention_cancelled)?,
            max_job_history: stored.max_job_history,
        })
    }
}

/// The settings in the control item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedSettings {
    /// When they were written.
    pub since: DateTime<Utc>,
    /// The settings.
    #[serde(flatten)]
    pub settings: DeployedSettings,
}

/// How long a dispatcher leaves settings alone that another one wrote after it had started.
const LEFT_ALONE: TimeDelta = TimeDelta::hours(1);

impl Control {
    /// Notes a worker's settings, if none are stored.
    #[must_use]
    pub fn with_first_settings(&self, settings: &DeployedSettings, now: DateTime<Utc>) -> Self {
        if self.settings.is_some() { self.clone() } else { self.with_settings(settings, now) }
    }

    /// Notes the settings of a dispatcher that started at this instant, unless they are stored already, or another
    /// dispatcher wrote others since then and less than an hour ago.
    #[must_use]
    pub fn with_settings_of_dispatcher(
        &self,
        settings: &DeployedSettings,
        started_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        let is_left_alone = |noted: &NotedSettings| {
            noted.settings == *settings || noted.since > started_at && now - noted.since < LEFT_ALONE
        };
        if self.settings.as_ref().is_some_and(is_left_alone) {
            self.clone()
        } else {
            self.with_settings(settings, now)
        }
    }

    fn with_settings(&self, settings: &DeployedSettings, now: DateTime<Utc>) -> Self {
        let noted = NotedSettings { since: now, settings: settings.clone() };
        Self { settings: Some(noted), ..self.clone() }.after(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(max_retries: u32) -> DeployedSettings {
        DeployedSettings {
            concurrency: 5,
            max_retries,
            timeout: Duration::from_secs(30),
            function_timeout: Duration::from_secs(90),
            retention: Retention::default(),
            max_job_history: 1000,
        }
    }

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn of_dispatcher(control: &Control, max_retries: u32, started: i64, now: i64) -> Control {
        control.with_settings_of_dispatcher(&settings(max_retries), at(started), at(now))
    }

    fn retries(control: &Control) -> Option<u32> {
        control.settings.as_ref().map(|noted| noted.settings.max_retries)
    }

    #[test]
    fn a_worker_writes_the_first_settings_only() {
        let first = Control::default().with_first_settings(&settings(1), at(0));
        assert_eq!((retries(&first), first.revision), (Some(1), 1));
        assert_eq!(first.with_first_settings(&settings(2), at(500)), first);
    }

    #[test]
    fn a_dispatcher_writes_over_what_was_stored_before_it_started_and_once_only() {
        let worker = Control::default().with_first_settings(&settings(1), at(0));
        let written = of_dispatcher(&worker, 2, 5, 5);
        assert_eq!((retries(&written), written.revision), (Some(2), 2));
        assert_eq!(of_dispatcher(&written, 2, 5, 6), written, "equal settings cost no write");
        assert_eq!(of_dispatcher(&written, 2, 90, 900), written, "nor do they later");
    }

    #[test]
    fn of_two_dispatchers_that_tick_in_turn_the_later_one_holds_and_the_earlier_writes_once_an_hour() {
        let mut control = of_dispatcher(&Control::default(), 1, 0, 0);
        let mut writes = 0;
        for minute in 100..280 {
            let (which, started) = if minute % 2 == 0 { (2, 100) } else { (1, 0) };
            let next = of_dispatcher(&control, which, started, minute);
            writes += u32::from(next != control);
            control = next;
        }
        assert!((1..=4).contains(&writes), "{writes} writes in three hours");
        for minute in 280..341 {
            control = of_dispatcher(&control, 2, 100, minute);
        }
        assert_eq!(retries(&control), Some(2), "the remaining one holds within the hour");
    }

    #[test]
    fn a_pause_keeps_the_settings() {
        let noted = Control::default().with_first_settings(&settings(1), at(0));
        let paused = noted.pause(None, None, at(1));
        assert_eq!(paused.settings, noted.settings);
        assert_eq!(paused.resume(None).noting(false, at(2)).settings, noted.settings);
    }

    #[test]
    fn stored_settings_out_of_bounds_are_refused_with_the_field() {
        let refused = |field: &str, value: u64| {
            let mut json = serde_json::to_value(settings(3)).unwrap();
            json[field] = value.into();
            serde_json::from_value::<DeployedSettings>(json).unwrap_err().to_string()
        };
        assert_eq!(refused("maxRetries", 101), "maxRetries: expected at most 100, got 101");
        let text = "functionTimeout: expected at most 900000 ms, got 900001";
        assert_eq!(refused("functionTimeout", 900_001), text);
        assert!(
            refused("retentionFailed", 1).starts_with("retention of failed jobs: expected at least 15 days")
        );
    }
}
