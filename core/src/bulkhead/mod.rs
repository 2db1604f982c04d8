//! Bulkheads: how many batches call a dependency that does not answer promptly.
//!
//! A batch lasts as long as its slowest call. A dependency that takes calls and never answers would hold every
//! batch that has one for it, with all their other jobs, until its breaker opens. A dependency that is slow and
//! does answer would do so for ever, because it opens no breaker. So a dependency has to answer promptly once
//! (within 2 s for webhooks, whatever it answers); then everybody calls it, at no cost. Until it has, and again
//! once two batches wait for it in vain, a few batches of the whole fleet call it: 3 for webhooks. The jobs of
//! other batches wait, unspent. They come back when a lease is likely to be free, several together each time.
//! They have no right to it: a newcomer may be there first.
//!
//! A batch's lease stands in the dependency's breaker, which every batch reads anyway. It is returned when the
//! last job of the batch that needs it is over. The cost is two writes for a dependency's first answer, and one
//! a day after that.
//!
//! By the model of fair queues, deliveries beside a silent or a slow host with as many deliveries wait 1.6
//! times as long as alone; beside a quick one, twice as long. A test holds the first two to twice as long.
//!
//! | | |
//! | --- | --- |
//! | [`BulkheadTerms`] | which answer is prompt, and how many batches call without one |
//! | [`Bulkhead`] | the state machine: pure, stored in its [`Breaker`](crate::breaker::Breaker) |
//! | [`BulkheadDecision`] | may this batch call? |
//!
//! # Limits
//!
//! - A host that was prompt and falls silent still holds the calls that it already has, at worst all of
//!   `WebhooksConcurrency`, for the 15 s that it has to begin its answer: once. Cutting these calls short would
//!   send again what a merely slow host has acted on.
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
