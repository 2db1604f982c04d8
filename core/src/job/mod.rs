//! Jobs: what they are called, what they carry, where they stand.
//!
//! A [`JobDefinition`] is what a caller asked for, a [`JobRecord`] is what the store remembers, and
//! [`JobExecution`] and [`JobResult`] are what a caller is shown, in the shapes that callers of the
//! older system already read.

mod definition;
mod execution;
mod id;
pub(crate) mod millis;
mod obstacle;
mod priority;
mod record;
mod status;

pub use definition::{JobDefinition, NewJob};
pub use execution::{JobExecution, JobResult};
pub use id::{ClaimId, InvalidId, JobId};
pub use obstacle::{InvalidObstacle, Obstacle};
pub use priority::{InvalidPriority, Priority, Queue};
pub use record::{Claim, Company, JobRecord, Revision};
pub use status::{InvalidStatus, JobStatus, JobType};
