//! Events as log lines: what happens to breakers and limits is rare, and whoever reads the log of a job that
//! waits wants to see it there.

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
