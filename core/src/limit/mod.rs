//! Limits that the whole fleet shares: how many jobs run at once, and how many start in a time.
//!
//! A job over the limit waits its turn. Nothing fails and no attempt is spent. Each gets an instant of its own,
//! at the pace of the limit, so a long queue does not come back all at once. While jobs wait for a rate,
//! newcomers queue up behind them.
//!
//! A concurrency lease ends by itself after a crash. So a limit is exceeded at most by workers that go on
//! beyond their lease.

mod policy;
mod state;
#[cfg(test)]
mod tests;

pub use policy::{Limit, LimitBy, Quota, Rate};
pub(crate) use state::moving_average;
pub use state::{Granted, Lease, LimitRequest, LimitState};
