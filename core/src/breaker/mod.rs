//! Circuit breakers that the whole fleet shares.
//!
//! When a dependency is down, every call to it costs time, and every failure costs a job an attempt. A breaker
//! counts failures, and once there are too many of them it is *open*: nobody calls, and jobs wait without
//! spending anything. After a while one call is let through, for the whole fleet (*half-open*), and how it ends
//! decides whether the breaker closes or opens again.
//!
//! | | |
//! | --- | --- |
//! | [`BreakerPolicy`] | when it opens, and for how long |
//! | [`Breaker`] | the state machine: pure, stored, shared |
//! | [`JobBreaker`](crate::handler::JobBreaker) | what a handler calls through |
//! | [`Window`], [`Ramp`] | what it has counted, and who waits for it |
//! | [`Bulkhead`] | how many batches call one that does not answer promptly |

mod bulkhead;
mod policy;
mod ramp;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use bulkhead::{Bulkhead, BulkheadDecision};
pub use policy::{BreakerConfig, BreakerPolicy, BulkheadTerms, MAX_RECOVERY, Share, SlowCalls, Trip};
pub use ramp::Ramp;
pub use state::{Admission, Breaker, Phase, ProbeEnd};
pub use window::{Counts, Window};
