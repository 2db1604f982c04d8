//! Time and randomness, as ports: a test can stop the clock, a simulator can let years pass, and a run can be repeated
//! from its seed.

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

/// A source of randomness for ids, jitter and shards. Never for secrets.
pub trait Entropy: Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The whole second that an instant falls in; a leap second counts as the one before it.
pub(crate) fn whole_second(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(instant.timestamp(), 0).unwrap_or(instant)
}
