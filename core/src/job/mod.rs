//! Jobs: what they are called, what they carry, where they stand.
//!
//! A [`NewJob`] is what a caller enqueues, a [`JobDefinition`] is what the message and the record carry of it, and a
//! [`JobSpec`] is what both have in common with a schedule's template. A [`JobRecord`] is what the store remembers.
//! [`JobExecution`] and [`JobResult`] are what a caller is shown.

mod blocker;
pub mod bounds;
mod definition;
mod execution;
mod id;
pub(crate) mod millis;
mod new_job;
mod priority;
mod record;
mod retention;
mod spec;
mod status;

pub use blocker::Blocker;
pub use definition::JobDefinition;
pub use execution::{JobExecution, JobResult};
pub use id::{BreakerName, ClaimId, JobId, LimitKey, ScheduleId};
pub use new_job::NewJob;
pub use priority::{Priority, Queue, WEBHOOK_DELIVERY};
pub use record::{Claim, JobRecord, Revision};
pub use retention::Retention;
pub use spec::JobSpec;
pub use status::{JobStatus, JobType};
