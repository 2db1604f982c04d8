//! The settings that a caller goes by, each with its origin.

use std::time::Duration;

use lambda_jobs_core::JobStatus;
use lambda_jobs_core::manager::SettingsInForce;
use serde::Serialize;
use serde_json::Value;

use super::Settings;

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Whence {
    /// The deployment has stored it.
    #[serde(rename = "deployment")]
    Deployment,
    /// The caller's own environment sets it.
    #[serde(rename = "this environment")]
    Environment,
    /// Nobody sets it.
    #[serde(rename = "default")]
    Default,
}

impl Whence {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Environment => "this environment",
            Self::Default => "default",
        }
    }
}

/// A setting that a caller goes by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownSetting {
    /// Its variable.
    pub setting: &'static str,
    /// Its value, in the unit of the variable.
    pub value: Value,
    /// Where it comes from.
    pub whence: Whence,
}

/// The retention of all outcomes, unless they have one of their own.
const RETENTION: &str = "LAMBDA_JOBS_RETENTION_DAYS";

impl Settings {
    /// The settings that a caller with these goes by, given what holds for a manager made with them. `look_up` finds
    /// the caller's variables.
    ///
    /// ```
    /// use lambda_jobs_core::manager::SettingsInForce;
    /// use lambda_jobs_infra::Settings;
    /// use lambda_jobs_infra::settings::Whence;
    ///
    /// let own = Settings::default();
    /// let in_force = SettingsInForce { settings: own.jobs.deployed(), deployed_since: None };
    /// let shown = own.shown(&in_force, |_| None);
    /// assert!(shown.iter().all(|one| one.whence == Whence::Default));
    /// ```
    #[must_use]
    pub fn shown(
        &self,
        in_force: &SettingsInForce,
        look_up: impl Fn(&str) -> Option<String>,
    ) -> Vec<ShownSetting> {
        let is_set = |name: &str| look_up(name).is_some_and(|text| !text.trim().is_empty());
        let own = |name: &str, or: &str| {
            if is_set(name) || is_set(or) { Whence::Environment } else { Whence::Default }
        };
        let is_deployed = in_force.deployed_since.is_some();
        let settings = &in_force.settings;
        let days = |status| days(settings.retention.of(status));
        let (completed, failed, cancelled) =
            (days(JobStatus::Completed), days(JobStatus::Failed), days(JobStatus::Cancelled));
        let deployed: [(&str, &str, Value); 8] = [
            ("LAMBDA_JOBS_CONCURRENCY", "", settings.concurrency.into()),
            ("LAMBDA_JOBS_MAX_RETRIES", "", settings.max_retries.into()),
            ("LAMBDA_JOBS_TIMEOUT_MS", "", whole(settings.timeout.as_millis())),
            ("LAMBDA_JOBS_FUNCTION_TIMEOUT_SECONDS", "", settings.function_timeout.as_secs().into()),
            ("LAMBDA_JOBS_RETENTION_COMPLETED_DAYS", RETENTION, completed),
            ("LAMBDA_JOBS_RETENTION_FAILED_DAYS", RETENTION, failed),
            ("LAMBDA_JOBS_RETENTION_CANCELLED_DAYS", RETENTION, cancelled),
            ("LAMBDA_JOBS_MAX_JOB_HISTORY", "", settings.max_job_history.into()),
        ];
        let deployed = deployed.into_iter().map(|(setting, or, value)| {
            let whence = if is_deployed { Whence::Deployment } else { own(setting, or) };
            ShownSetting { setting, value, whence }
        });
        // These say which deployment is meant.
        let names = [
            ("LAMBDA_JOBS_JOBS_TABLE", &self.tables.jobs),
            ("LAMBDA_JOBS_STATE_TABLE", &self.tables.state),
            ("LAMBDA_JOBS_DATA_TABLE", &self.tables.data),
            ("LAMBDA_JOBS_QUEUE_PREFIX", &self.queues.prefix),
        ];
        let names = names.into_iter().map(|(setting, name)| ShownSetting {
            setting,
            value: name.as_str().into(),
            whence: own(setting, ""),
        });
        deployed.chain(names).collect()
    }
}

fn whole(number: u128) -> Value {
    u64::try_from(number).unwrap_or(u64::MAX).into()
}

/// Days, whole if they are.
fn days(duration: Duration) -> Value {
    const DAY: u64 = 86_400;
    if duration.as_secs().is_multiple_of(DAY) {
        (duration.as_secs() / DAY).into()
    } else {
        (duration.as_secs_f64() / Duration::from_secs(DAY).as_secs_f64()).into()
    }
}
