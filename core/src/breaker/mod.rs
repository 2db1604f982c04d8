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
//! | [`JobBreaker`] | what a handler calls through |
//! | [`Window`], [`Line`] | what it has counted, and who waits for it |
//! | [`Bulkhead`] | how many batches call one that does not answer promptly |

mod bulkhead;
mod call;
mod event;
mod fleet;
mod line;
mod name;
mod policy;
mod state;
#[cfg(test)]
mod tests;
mod visitor;
mod window;

pub use bulkhead::{Bulkhead, Passage};
pub(crate) use call::Calls;
pub use call::JobBreaker;
pub(crate) use event::event;
pub(crate) use fleet::{Breakers, CallEnd, Permit, Refusal};
pub use line::Line;
pub use name::{BreakerName, InvalidBreaker};
pub use policy::{BreakerConfig, BreakerPolicy, BulkheadTerms, MAX_RECOVERY, Share, SlowCalls, Trip};
pub use state::{Admission, Breaker, Phase, ProbeEnd};
pub(crate) use visitor::Visitor;
pub use window::{Counts, Window};
