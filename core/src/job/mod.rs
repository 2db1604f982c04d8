//! Jobs: what they are called, what they carry, where they stand.
//!
//! A [`JobDefinition`] is what a caller asked for, a [`JobRecord`] is what the store remembers, and
//! [`JobExecution`] and [`JobResult`] are what a caller is shown, in the shapes that callers of the
//! older system already read.

mod blocker;
pub mod bounds;
mod definition;
mod execution;
mod id;
pub(crate) mod millis;
mod priority;
mod record;
mod retention;
mod status;

pub use blocker::Blocker;
pub use definition::{JobDefinition, NewJob};
pub use execution::{JobExecution, JobResult};
pub use id::{BreakerName, ClaimId, JobId, LimitKey, ScheduleId};
pub use priority::{Priority, Queue, WEBHOOK_DELIVERY};
pub use record::{Claim, JobRecord, Revision};
pub use retention::Retention;
pub use status::{JobStatus, JobType};
