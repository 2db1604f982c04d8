//! Time comes in through a port, so that a test can hold its breath and a simulator can let years pass.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A boxed future that may cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The time, and waiting for it.
pub trait Clock: Send + Sync {
    /// The present instant by the wall clock: for anything that is stored or compared across machines.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed moment by a clock that never goes backwards: for measuring durations.
    fn monotonic(&self) -> Duration;

    /// Completes after this long.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}
