//! Circuit breakers that the whole fleet shares.
//!
//! When a dependency is down, every call to it costs time, and every failure costs a job an attempt. A breaker
//! counts failures, and opens when there are too many. While it is *open* no job calls, and jobs wait without
//! spending an attempt. After the recovery timeout one job of the whole fleet probes (*half-open*): its call closes the
//! breaker, or opens it again.
//!
//! A call that the job's timeout cuts short has failed. A call that was given up for another reason says
//! nothing about its dependency.
//!
//! A recovery timeout is at most 10 minutes. So every wait for a breaker fits into a message, and no job is parked
//! for one. After an operator closes a breaker, its jobs come back within 15 minutes.
//!
//! | | |
//! | --- | --- |
//! | [`BreakerPolicy`] | when it opens, and for how long |
//! | [`Breaker`] | the state machine: pure, stored, shared |
//! | [`JobBreaker`](crate::handler::JobBreaker) | what a handler calls through |
//! | [`Window`], [`Ramp`] | the calls that it has counted, and the jobs that wait for it |
//! | [`Bulkhead`](crate::bulkhead::Bulkhead) | how many batches call a dependency that does not answer promptly |

mod bulkhead;
mod policy;
mod ramp;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use policy::{BreakerConfig, BreakerPolicy, MAX_RECOVERY, Share, SlowCalls, Trip};
pub use ramp::Ramp;
pub use state::{Admission, Breaker, Phase, ProbeEnd};
pub use window::{Counts, Window};
