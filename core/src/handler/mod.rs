//! What a job does: the trait that users implement.
//!
//! A handler names itself, says how its jobs are to be run, and turns a typed payload into a typed
//! result. How it failed decides what happens next, so a [`JobError`] says whether another try makes
//! sense; an ordinary error that `?` passes on is taken to be worth one.

mod calls;
mod context;
mod error;
mod registry;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::breaker::BreakerPolicy;
use crate::job::{BreakerName, Queue};
use crate::limit::Limit;
use crate::retry::RetryPolicy;

pub use calls::JobBreaker;
pub(crate) use calls::{AttemptEnd, CallGuards, Calls};
pub use context::{JobContext, StopSignal, Stopper};
pub use error::JobError;
pub use registry::{JobRegistry, RegisterError, UniqueKeyUnsupported};
pub(crate) use registry::{Registered, Success};

/// The work of one kind of job.
///
/// Delivery is at least once: after a crash an attempt may be made again, so make handlers
/// idempotent, with [`JobContext::job_id`] as the idempotency key.
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
    /// What the handler is given, read from the job's payload.
    type Payload: DeserializeOwned + Send + Sync;
    /// What it returns, kept as the job's result.
    type Output: Serialize + Send + Sync;

    /// The name that jobs call it by.
    fn name(&self) -> &str;

    /// How its jobs are run.
    fn options(&self) -> HandlerOptions {
        HandlerOptions::default()
    }

    /// Refuses a payload before any work is done; a refused job fails without another try.
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

    /// Told after a success, within the job's timeout. Best effort: it changes nothing about the job.
    fn on_success(&self, output: &Self::Output, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        let _ = (output, ctx);
        async {}
    }

    /// Told when the job has failed for good. Best effort.
    fn on_failure(&self, error: &JobError, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        let _ = (error, ctx);
        async {}
    }

    /// Told when attempt `next` is going to be made. Best effort.
    fn on_retry(&self, next: u32, ctx: &JobContext) -> impl Future<Output = ()> + Send {
        let _ = (next, ctx);
        async {}
    }
}

/// How a handler's jobs are run, where the job itself does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandlerOptions {
    /// When failed jobs are tried again.
    pub retry: Option<RetryPolicy>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// The queue, whatever the priority.
    pub queue: Option<Queue>,
    /// What is promised about running a job once.
    pub delivery: Delivery,
    /// How often a job may [snooze](JobError::snooze) before it fails for good; 100 times by default.
    pub max_snoozes: Option<u32>,
    /// The breakers that all its jobs need closed: while one is open, they wait before they are claimed.
    pub breakers: Vec<BreakerName>,
    /// When breakers open that its jobs call through, where the registry was not
    /// [told](crate::JobRegistry::protect) otherwise; a name that ends in `*` means all that begin like it.
    pub breaker_policies: Vec<(BreakerName, BreakerPolicy)>,
    /// How many of its jobs may run, and of whose. What is over a limit waits.
    pub limits: Vec<Limit>,
}

impl HandlerOptions {
    /// How often a job may snooze where its handler does not say.
    pub const DEFAULT_MAX_SNOOZES: u32 = 100;
}

/// What is promised about running a job once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each attempt is claimed first: a duplicate message runs nothing.
    #[default]
    Claimed,
    /// The first attempt runs without a claim, for half the writes: a duplicate message may run the
    /// job twice, at the same time too, and it can't be cancelled before it has failed or snoozed once.
    AtLeastOnce,
}
