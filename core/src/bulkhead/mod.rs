//! Bulkheads: how many batches call a dependency that does not answer promptly.
//!
//! A batch lasts as long as its slowest call. A dependency that takes calls and never answers would hold every batch
//! that calls it, with all its other jobs, until the breaker opens. A dependency that answers slowly would hold them
//! for ever, because its breaker never opens. So a dependency has to answer promptly once: for webhooks within 2 s,
//! with any status. Then every batch calls it, at no cost. Before that, and again once two batches wait for it in
//! vain, only a few batches of the whole fleet call it: 3 for webhooks. The jobs of other batches wait and spend no
//! attempt. They come back in groups when a lease is likely to be free. The lease is not reserved for them: another
//! batch may take it first.
//!
//! The dependency's breaker, which every batch reads anyway, holds the leases. A batch returns its lease when its
//! last job that needs it has ended. A dependency's first answer costs two writes; after that it is one write a day.
//!
//! In the model of fair queues, deliveries beside a silent or slow host with as many deliveries wait 1.6 times as
//! long as alone. Beside a quick host they wait twice as long. A test fails if a silent or slow host more than
//! doubles the wait.
//!
//! | | |
//! | --- | --- |
//! | [`BulkheadTerms`] | which answer is prompt, and how many batches call without one |
//! | [`Bulkhead`] | the state machine: pure, stored in its [`Breaker`](crate::breaker::Breaker) |
//! | [`BulkheadDecision`] | may this batch call? |
//!
//! # Limits
//!
//! - A prompt host that falls silent still holds the calls that it already has, once, for the 15 s that it has to
//!   begin its answer. At worst these calls are all of `WebhooksConcurrency`. Cutting them short would repeat
//!   requests that a merely slow host has acted on.
//! - A host that answers some calls at once and lets others wait counts as prompt.
//! - The bound is per host. Four silent hosts hold up to twelve batches, if they have as many deliveries.

mod ramp;
mod state;
mod terms;
#[cfg(test)]
mod tests;

pub use ramp::RampRequest;
pub use state::{Bulkhead, BulkheadDecision, StalledCall};
pub use terms::BulkheadTerms;
