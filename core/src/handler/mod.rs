//! The work of a job: the trait that users implement.
//!
//! A handler has a name and options, and turns a typed payload into a typed result. How it fails decides what happens
//! next: a [`JobError`] says whether a retry makes sense. An ordinary error that `?` passes on is retried.

mod calls;
mod context;
mod error;
mod log;
mod registry;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use serde_json::Value;

use crate::batch::ChildResult;
use crate::breaker::BreakerPolicy;
use crate::job::{BreakerName, Queue};
use crate::limit::Limit;
use crate::retry::RetryPolicy;

pub use calls::JobBreaker;
pub(crate) use calls::{AttemptEnd, CallGuards, Calls};
pub(crate) use context::Attempt;
pub use context::{JobContext, StopSignal, Stopper};
pub use error::JobError;
pub use log::JobLog;
pub(crate) use log::ProgressCell;
pub use registry::{JobRegistry, RegisterError, UniqueKeyUnsupported};
pub(crate) use registry::{Registered, Success};

/// The work of one kind of job.
///
/// Delivery is at least once: after a crash, an attempt may be made again. So make handlers idempotent, with
/// [`JobContext::job_id`] as the idempotency key.
///
/// ```
/// use lambda_jobs_core::{JobContext, JobError, JobHandler};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct Invoice { cents: Vec<u64> }
///
/// #[derive(Serialize)]
/// struct Total { cents: u64 }
///
/// struct AddUp;
///
/// impl JobHandler for AddUp {
///     type Payload = Invoice;
///     type Output = Total;
///
///     fn name(&self) -> &str { "add-up" }
///
///     async fn execute(&self, invoice: Invoice, _ctx: &JobContext) -> Result<Total, JobError> {
///         Ok(Total { cents: invoice.cents.iter().sum() })
///     }
/// }
/// ```
pub trait JobHandler: Send + Sync + 'static {
    /// The type that the job's payload is read into.
    type Payload: DeserializeOwned + Send + Sync;
    /// Its return value, stored as the job's result.
    type Output: Serialize + Send + Sync;

    /// The name by which jobs refer to it.
    fn name(&self) -> &str;

    /// The options of its jobs.
    fn options(&self) -> HandlerOptions {
        HandlerOptions::default()
    }

    /// Checks a payload before any work is done. A refused job fails without a retry.
    fn validate(&self, payload: &Self::Payload) -> Result<(), String> {
        let _ = payload;
        Ok(())
    }

    /// Does the work. It is stopped at the job's timeout, at the next `await`.
    fn execute(
        &self,
        payload: Self::Payload,
        ctx: &JobContext,
    ) -> impl Future<Output = Result<Self::Output, JobError>> + Send;

    /// Called after a success, within the job's timeout. Best effort: it changes nothing about the job.
    fn on_success(&self, output: &Self::Output, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        let _ = (output, ctx);
        async {}
    }

    /// Called when the job has failed for good. Best effort.
    fn on_failure(&self, error: &JobError, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        let _ = (error, ctx);
        async {}
    }

    /// Called when attempt `next` will be made. Best effort.
    fn on_retry(&self, next: u32, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        let _ = (next, ctx);
        async {}
    }

    /// Folds the children of a batch into the result of their parent, if this handler's name is the parent's. It is
    /// called for each child that has ended, in their order; what it returns for the last one is the result. It must
    /// be pure: after a crash it is called again, from the first child on.
    ///
    /// Without it, the result is how many children ended how.
    fn fold(&self, so_far: Option<Value>, child: &ChildResult) -> Option<Value> {
        let _ = (so_far, child);
        None
    }
}

/// How a handler's jobs run, unless a job says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandlerOptions {
    /// When failed jobs are retried.
    pub retry: Option<RetryPolicy>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// The queue, whatever the priority.
    pub queue: Option<Queue>,
    /// The guarantee about running a job once.
    pub delivery: Delivery,
    /// How often a job may [snooze](JobError::snooze) before it fails for good; 100 times by default.
    pub max_snoozes: Option<u32>,
    /// The breakers that all its jobs need closed: while one is open, the jobs are not claimed.
    pub breakers: Vec<BreakerName>,
    /// The policies of breakers that its jobs use, unless the registry [sets](crate::JobRegistry::protect) another. A
    /// name that ends in `*` matches all names that begin like it.
    pub breaker_policies: Vec<(BreakerName, BreakerPolicy)>,
    /// How many of its jobs may run or start, in all or by tenant or key. A job over a limit waits its turn.
    pub limits: Vec<Limit>,
}

impl HandlerOptions {
    /// How often a job may snooze, unless its handler says otherwise.
    pub const DEFAULT_MAX_SNOOZES: u32 = 100;
}

/// The guarantee about running a job once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each attempt is claimed first: a duplicate message runs nothing.
    #[default]
    Claimed,
    /// The first attempt runs without a claim, for half the writes: a duplicate message may run the
    /// job twice, at the same time too, and it can't be cancelled before it has failed or snoozed once.
    AtLeastOnce,
}
