//! What a worker knows of the control item.
//!
//! Every batch of every environment goes by it, so it is read at most every 5 s: an answer that is younger
//! than that is good enough.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::lock::Mutex;

use crate::clock::Clock;
use crate::control::Control;
use crate::ports::ControlStore;

/// How long an answer is good enough, a failure included.
const READ_EVERY: Duration = Duration::from_secs(5);
/// How long an answer is waited for: a batch must not stand still because of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The control item as this environment knows it.
pub(super) struct ControlCache {
    store: Arc<dyn ControlStore>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    control: Arc<Control>,
    /// When it was read last, successfully or not, by the monotonic clock.
    read_at: Option<Duration>,
}

impl ControlCache {
    pub(super) fn new(store: Arc<dyn ControlStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, known: Mutex::default() }
    }

    /// The control, read anew where what is known is too old. Where it can't be read, what was known last
    /// goes on to hold, and nothing is paused where nothing was ever known. Batches that ask at the same
    /// time wait for one read.
    pub(super) async fn current(&self) -> Arc<Control> {
        let mut known = self.known.lock().await;
        let now = self.clock.monotonic();
        if known.read_at.is_none_or(|read_at| now.saturating_sub(read_at) >= READ_EVERY) {
            match select(self.store.load(), self.clock.sleep(PATIENCE)).await {
                Either::Left((Ok(control), _)) => known.control = Arc::new(control),
                Either::Left((Err(error), _)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the control can't be read; what was known last goes on to hold");
                }
                Either::Right(_) => tracing::warn!(
                    "the control was not read within a second; what was known last goes on to hold"
                ),
            }
            known.read_at = Some(now);
        }
        Arc::clone(&known.control)
    }
}
