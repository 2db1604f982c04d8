//! Whose settings a caller goes by: the deployment's where they are stored, its own environment's otherwise.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{JobManager, ManagerError};
use crate::config::JobConfig;
use crate::control::{Control, DeployedSettings};
use crate::job::NewJob;
use crate::ports::ServiceError;

/// How long settings that were read are used for enqueueing and cancelling.
const READ_EVERY: Duration = Duration::from_mins(1);

/// The settings that a caller goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsInForce {
    /// The settings.
    pub settings: DeployedSettings,
    /// When the deployment stored them; absent if it stored none, and they are the caller's own.
    pub deployed_since: Option<DateTime<Utc>>,
}

/// The settings that were read last.
#[derive(Default)]
pub(super) struct KnownSettings(Mutex<Option<(Duration, DeployedSettings)>>);

impl KnownSettings {
    fn get(&self) -> Option<(Duration, DeployedSettings)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, read_at: Duration, settings: &DeployedSettings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((read_at, settings.clone()));
    }
}

impl JobManager {
    /// The settings that this manager goes by: those that the deployment has stored. If it has stored none, those that
    /// the manager was made with.
    pub async fn settings(&self) -> Result<SettingsInForce, ManagerError> {
        Ok(self.in_force(&self.control().await?))
    }

    /// The settings that hold, given the control item.
    pub(super) fn in_force(&self, control: &Control) -> SettingsInForce {
        let in_force = match &control.settings {
            Some(noted) => {
                SettingsInForce { settings: noted.settings.clone(), deployed_since: Some(noted.since) }
            }
            None => SettingsInForce { settings: self.config.deployed(), deployed_since: None },
        };
        self.known_settings.set(self.ports.clock.monotonic(), &in_force.settings);
        in_force
    }

    /// The settings, at most a minute old.
    pub(super) async fn recent_settings(&self) -> Result<DeployedSettings, ServiceError> {
        let now = self.ports.clock.monotonic();
        match self.known_settings.get() {
            Some((read_at, known)) if now.saturating_sub(read_at) < READ_EVERY => Ok(known),
            _ => Ok(self.in_force(&self.ports.control.load().await?).settings),
        }
    }

    /// Reads the settings that these jobs are checked by, if any of them is. If they can't be read, the last known ones
    /// hold: the worker checks again.
    pub(super) async fn look_up_settings<'a>(&self, jobs: impl IntoIterator<Item = &'a NewJob>) {
        if jobs.into_iter().all(|job| job.spec.timeout.is_none()) {
            return;
        }
        if let Err(error) = self.recent_settings().await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "can't read the deployment's settings; timeouts are checked by the last known"
            );
        }
    }

    /// The longest timeout that a job can have, as far as this manager knows.
    pub(super) fn longest_timeout(&self) -> Duration {
        let known = self.known_settings.get().map(|(_, known)| known.function_timeout);
        JobConfig::longest_timeout_within(known.unwrap_or(self.config.function_timeout))
    }
}
