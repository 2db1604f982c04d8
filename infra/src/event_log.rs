//! Events as log lines. Events of breakers and limits are rare, and a reader who looks for the reason of a waiting job
//! wants them in the log.

use async_trait::async_trait;
use lambda_jobs_core::ports::{EventSink, JobEvent};

/// An [`EventSink`] that writes one line for each event.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogEvents;

#[async_trait]
impl EventSink for LogEvents {
    async fn publish(&self, events: &[JobEvent]) {
        for event in events {
            tracing::info!(event = %event.kind, timestamp = %event.timestamp, data = %event.data, "event");
        }
    }
}
