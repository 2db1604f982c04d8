//! Time from the operating system.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use lambda_jobs_core::clock::{BoxFuture, Clock};

/// The machine's clock. Needs a tokio runtime with time enabled to sleep.
///
/// Instants are whole milliseconds, like SQS's timestamps and the instants in JSON. A finer instant would never be due
/// on time when compared with those.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
