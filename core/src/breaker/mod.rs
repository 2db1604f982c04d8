//! Circuit breakers that the whole fleet shares.
//!
//! When a dependency is down, every call to it costs time, and every failure costs a job an attempt. A breaker
//! counts failures and successes, and opens when too many fail. While it is *open* no job calls, and jobs wait without
//! spending an attempt. After the recovery timeout one job of the whole fleet probes (*half-open*): its call closes the
//! breaker, or opens it again.
//!
//! A dependency can also ask for no calls until an instant, by `Retry-After` for example. That is no failure: the
//! breaker holds the calls until then.
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
//! | [`Trip`] | which calls open it |
//! | [`Hold`] | the wish of a dependency not to be called |
//! | [`Breaker`] | the state machine: pure, stored, shared |
//! | [`JobBreaker`](crate::handler::JobBreaker) | what a handler calls through |
//! | [`Window`], [`Ramp`] | the calls that it has counted, and the jobs that wait for it |
//! | [`Bulkhead`](crate::bulkhead::Bulkhead) | how many batches call a dependency that does not answer promptly |

mod bulkhead;
mod counted;
mod hold;
mod phase;
mod policy;
mod ramp;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod trip;
mod window;

pub use hold::{Hold, LONGEST_HOLD, Wish};
pub use phase::{Admission, Phase, ProbeEnd};
pub use policy::{BreakerConfig, BreakerPolicy, MAX_RECOVERY, SlowCalls};
pub use ramp::Ramp;
pub use state::Breaker;
pub use trip::{Share, Trip};
pub use window::{Counts, Window};
