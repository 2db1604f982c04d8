//! One environment's view of what the fleet shares: breakers, limits, and the keys of unique jobs.
//!
//! The states themselves are pure and stand below. Here they are read, cached for as long as they may be trusted, and
//! written under their revisions.

pub(crate) mod breakers;
mod key_locks;
mod limits;

pub(crate) use breakers::{BreakerPolicies, Breakers, BulkheadHolder, CallEnd, Permit, Refusal, event};
pub(crate) use key_locks::{KeyLock, KeyLocks, KeyRequest};
pub(crate) use limits::{Ask, GiveBack, Limits};
