//! Jobs: their ids, their content, their state.
//!
//! A caller enqueues a [`NewJob`]. Its message and its record carry a [`JobDefinition`]. Both share a [`JobSpec`] with
//! a schedule's template. The store keeps a [`JobRecord`]. A caller reads a [`JobExecution`] or a
//! [`JobResult`].

pub(crate) mod absent;
mod blocker;
pub mod bounds;
mod definition;
mod execution;
mod id;
pub(crate) mod millis;
mod new_job;
mod past_attempt;
mod payload;
mod place;
mod printable;
mod priority;
mod progress;
mod record;
mod record_attempts;
mod retention;
mod spec;
mod status;
mod stored_payload;

pub use blocker::Blocker;
pub use definition::JobDefinition;
pub use execution::{Children, JobExecution, JobResult};
pub use id::{BreakerName, ClaimId, JobId, LimitKey, ScheduleId};
pub use new_job::NewJob;
pub use past_attempt::{AttemptLog, PastAttempt, PastAttempts};
pub use payload::{Payload, PayloadError};
pub use place::BatchPlace;
pub use printable::is_printable;
pub use priority::{Priority, Queue, WEBHOOK_DELIVERY};
pub use progress::{Percent, Progress};
pub use record::{Claim, JobRecord, Revision};
pub use retention::Retention;
pub use spec::JobSpec;
pub use status::{JobStatus, JobType};
pub use stored_payload::{PayloadPlace, StoredPayload};
