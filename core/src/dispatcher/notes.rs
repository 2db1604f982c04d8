//! What the dispatcher notes in the control item: the deployment's settings, and since when jobs are disabled.
//!
//! Both come from the dispatcher's environment, and both are written only if they differ from what is stored. So they
//! cost a tick one read, and hardly ever a write.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::control::{Control, DeployedSettings};
use crate::ports::{ControlStore, SaveOutcome, ServiceError};

/// How often to try a write while other writers are faster.
const TRIES: usize = 3;

/// Reads the control item, and notes what the environment says.
#[derive(Clone)]
pub(super) struct Notes {
    control: Arc<dyn ControlStore>,
    clock: Arc<dyn Clock>,
    /// The settings to store, and when this dispatcher started.
    settings: Option<(DeployedSettings, DateTime<Utc>)>,
}

impl Notes {
    pub(super) const fn new(control: Arc<dyn ControlStore>, clock: Arc<dyn Clock>) -> Self {
        Self { control, clock, settings: None }
    }

    /// Also stores these settings as the deployment's.
    pub(super) fn with_settings(mut self, settings: DeployedSettings) -> Self {
        self.settings = Some((settings, self.clock.now()));
        self
    }

    /// The control item, with the notes; without them if they can't be written now. Notes whether jobs are enabled if
    /// the caller says so.
    pub(super) async fn take(&self, jobs_enabled: Option<bool>) -> Result<Control, ServiceError> {
        let mut control = self.control.load().await?;
        for _ in 0..TRIES {
            let noted = self.noted(&control, jobs_enabled);
            if noted == control {
                return Ok(control);
            }
            match self.control.save(&noted).await {
                Ok(SaveOutcome::Saved) => return Ok(noted),
                // Another writer was faster, perhaps with a pause.
                Ok(SaveOutcome::Conflict) => control = self.control.load().await?,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "can't write the control item; the next tick notes it");
                    return Ok(control);
                }
            }
        }
        Ok(control)
    }

    fn noted(&self, control: &Control, jobs_enabled: Option<bool>) -> Control {
        let now = self.clock.now();
        let mut noted = control.clone();
        if let Some(enabled) = jobs_enabled {
            noted = noted.noting(enabled, now);
        }
        if let Some((settings, started_at)) = &self.settings {
            noted = noted.with_settings_of_dispatcher(settings, *started_at, now);
        }
        // Both notes are one write.
        Control { revision: control.revision, ..noted }.after(control)
    }
}
