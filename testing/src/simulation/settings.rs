//! Whose settings are whose: the worker, the dispatcher and the callers each have an environment of their own.
//!
//! Only the retentions differ, each from all others, so that a record shows whose settings decided.

use std::time::Duration;

use lambda_jobs_core::config::JobConfig;
use lambda_jobs_core::job::Retention;

fn with_retention(config: &JobConfig, days: [u64; 3]) -> JobConfig {
    let [completed, failed, cancelled] = days.map(|days| Duration::from_hours(24 * days));
    let retention = Retention::new(completed, failed, cancelled).unwrap_or_default();
    JobConfig { retention, ..config.clone() }
}

pub(super) fn of_workers(config: &JobConfig) -> JobConfig {
    with_retention(config, [20, 25, 22])
}

pub(super) fn of_dispatcher(config: &JobConfig) -> JobConfig {
    with_retention(config, [30, 40, 35])
}

pub(super) fn of_callers(config: &JobConfig) -> JobConfig {
    with_retention(config, [15, 16, 17])
}
