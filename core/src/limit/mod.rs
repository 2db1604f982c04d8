//! Limits that the whole fleet shares: how many jobs run at once, and how many start in a time.
//!
//! What is over a limit is deferred, never failed: it spends no attempt and is given an instant of its own at
//! which it may have its turn, so that a long queue does not come back all at once again and again. What
//! holds a place holds it under a lease, so that a crash gives it back.

mod policy;
mod state;
#[cfg(test)]
mod tests;

pub use policy::{Limit, LimitBy, Quota, Rate};
pub(crate) use state::moving_average;
pub use state::{Granted, Lease, LimitRequest, LimitState};
