//! The control item, as this environment last read it.
//!
//! Every batch obeys it. So the worker reads it before the first batch, and then at most every 5 s. If a read fails
//! or takes longer than 1 s, the last known item still holds. If none was ever known, nothing is paused.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::lock::Mutex;

use crate::clock::Clock;
use crate::control::{Control, DeployedSettings};
use crate::ports::ControlStore;

/// How long an answer is used, a failure included.
const READ_EVERY: Duration = Duration::from_secs(5);
/// How long a batch waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The control item as this environment knows it.
pub(super) struct ControlCache {
    store: Arc<dyn ControlStore>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Absent until it was read.
    control: Option<Arc<Control>>,
    /// When it was read last, successfully or not, by the monotonic clock.
    read_at: Option<Duration>,
}

impl ControlCache {
    pub(super) fn new(store: Arc<dyn ControlStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, known: Mutex::default() }
    }

    /// The control item; one without pauses if none was ever read.
    pub(super) async fn current(&self) -> Arc<Control> {
        self.known().await.unwrap_or_default()
    }

    /// The control item, read again if the last answer is too old; `None` if none was ever read. Batches that ask at
    /// the same time wait for one read.
    async fn known(&self) -> Option<Arc<Control>> {
        let mut known = self.known.lock().await;
        let now = self.clock.monotonic();
        if known.read_at.is_none_or(|read_at| now.saturating_sub(read_at) >= READ_EVERY) {
            match select(self.store.load(), self.clock.sleep(PATIENCE)).await {
                Either::Left((Ok(control), _)) => known.control = Some(Arc::new(control)),
                Either::Left((Err(error), _)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the control item can't be read; the last known one still applies");
                }
                Either::Right(_) => tracing::warn!(
                    "the control item was not read within 1 s; the last known one still applies"
                ),
            }
            known.read_at = Some(now);
        }
        known.control.clone()
    }

    /// Reads the control item for the first batch. Stores these settings if the deployment has stored none. If another
    /// writer is faster, that one stores them, or the next environment does.
    pub(super) async fn start(&self, settings: &DeployedSettings) {
        let Some(control) = self.known().await else {
            // The first batch must not wait 5 s to learn of a pause.
            self.known.lock().await.read_at = None;
            return;
        };
        let noted = control.with_first_settings(settings, self.clock.now());
        if noted == *control {
            return;
        }
        match select(self.store.save(&noted), self.clock.sleep(PATIENCE)).await {
            Either::Left((Ok(_), _)) => {}
            Either::Left((Err(error), _)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "can't store the deployment's settings; the dispatcher will");
            }
            Either::Right(_) => {
                tracing::warn!("the deployment's settings were not stored within 1 s; the dispatcher will");
            }
        }
    }
}
