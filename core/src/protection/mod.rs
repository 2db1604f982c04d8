//! Protection: one environment's view of the breakers, limits and unique keys that the fleet shares.
//!
//! The states are pure and stand below the ports. Here they are read, cached and written, once per batch.

pub(crate) mod breakers;
mod key_locks;
mod limits;
pub(crate) mod versioned_cache;

pub(crate) use breakers::{
    BreakerPolicies, Breakers, BulkheadHolder, CallEnd, Caller, Permit, Refusal, event,
};
pub(crate) use key_locks::{KeyLock, KeyLocks, KeyRequest};
pub(crate) use limits::{LimitQuery, Limits, ReturnedLeases};
