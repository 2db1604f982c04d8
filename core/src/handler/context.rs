//! What a handler knows about its attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::Shared;

use super::{Calls, JobBreaker, JobError, JobLog, ProgressCell};
use crate::clock::Clock;
use crate::job::{JobDefinition, JobId, Percent};
use crate::limit::Rate;

/// The current attempt. Cheap to clone.
#[derive(Clone)]
pub struct JobContext {
    inner: Arc<Inner>,
}

struct Inner {
    attempt: Attempt,
    clock: Arc<dyn Clock>,
    calls: Calls,
    log: JobLog,
    span: tracing::Span,
}

/// What the worker tells a handler about an attempt.
pub(crate) struct Attempt {
    pub(crate) definition: JobDefinition,
    /// From 1.
    pub(crate) number: u32,
    pub(crate) max_attempts: u32,
    pub(crate) deadline: DateTime<Utc>,
    /// Raised when the worker stops.
    pub(crate) stop: StopSignal,
    /// Raised when the job is cancelled.
    pub(crate) cancel: StopSignal,
    /// Where it says how far it has come.
    pub(crate) progress: ProgressCell,
}

impl JobContext {
    pub(crate) fn new(attempt: Attempt, clock: Arc<dyn Clock>, calls: Calls) -> Self {
        let Attempt { definition, number, .. } = &attempt;
        let span = tracing::info_span!("job", job_id = %definition.id, job = %definition.spec.name, attempt = *number);
        Self { inner: Arc::new(Inner { attempt, clock, calls, log: JobLog::default(), span }) }
    }

    /// The job's identity: stable over all attempts, so the right idempotency key for its effects.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        &self.inner.attempt.definition.id
    }

    /// The job as its caller defined it.
    #[must_use]
    pub fn definition(&self) -> &JobDefinition {
        &self.inner.attempt.definition
    }

    /// The number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.attempt.number
    }

    /// How many attempts the job has at most.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.inner.attempt.max_attempts
    }

    /// Whether no attempt follows this one.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.inner.attempt.number >= self.inner.attempt.max_attempts
    }

    /// When this attempt is stopped.
    #[must_use]
    pub fn deadline(&self) -> DateTime<Utc> {
        self.inner.attempt.deadline
    }

    /// How long this attempt still has.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        (self.inner.attempt.deadline - self.inner.clock.now()).to_std().unwrap_or_default()
    }

    /// The worker's clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The breaker of this name, which the whole fleet shares. Call dependencies through it.
    #[must_use]
    pub fn breaker(&self, name: &str) -> JobBreaker<'_> {
        JobBreaker::new(&self.inner.calls, name)
    }

    /// Returns at once if this rate, which the whole fleet shares by its name, allows a start. Otherwise returns a
    /// deferral. Passed on with `?`, it makes the job wait its turn without spending an attempt. For a rate that is
    /// known before the claim, use [`HandlerOptions::limits`](crate::HandlerOptions::limits), which costs no claim.
    pub async fn throttle(&self, name: &str, rate: Rate) -> Result<(), JobError> {
        self.inner.calls.throttle(name, rate).await
    }

    /// Whether the job was asked to stop, because its worker is shutting down.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.attempt.stop.is_set()
    }

    /// Completes when the job is asked to stop.
    pub async fn stopping(&self) {
        self.inner.attempt.stop.wait().await;
    }

    /// Whether the job was cancelled while it runs. A worker finds out within about five seconds.
    ///
    /// The handler decides what to do. If it returns any error, the job ends as cancelled. If it returns a result, the
    /// work is done and the job ends as completed. If it goes on, its timeout stops it, and the job ends as cancelled.
    /// It is never retried.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.attempt.cancel.is_set()
    }

    /// Completes when the job is cancelled; [`is_cancelled`](Self::is_cancelled) says what that means.
    ///
    /// ```
    /// use futures_util::future::{Either, select};
    /// use lambda_jobs_core::{JobContext, JobError};
    ///
    /// async fn work(pages: u32, ctx: &JobContext) -> Result<(), JobError> {
    ///     let printing = Box::pin(print(pages));
    ///     match select(printing, Box::pin(ctx.cancelled())).await {
    ///         Either::Left((printed, _)) => printed,
    ///         Either::Right(_) => Err(JobError::permanent("stopped in the middle")),
    ///     }
    /// }
    /// # async fn print(_pages: u32) -> Result<(), JobError> { Ok(()) }
    /// ```
    pub async fn cancelled(&self) {
        self.inner.attempt.cancel.wait().await;
    }

    /// Says how far the attempt has come, for whoever looks at the job while it runs: a share and a few words, of which
    /// [`Progress::MAX_WORDS`](crate::job::Progress::MAX_WORDS) bytes are shown.
    ///
    /// Call it as often as you like: it only notes the words. The worker writes the latest ones at most every 2 s, for
    /// all jobs of an SQS batch at once, and nothing if that ends earlier. A retry starts without progress.
    ///
    /// ```
    /// use lambda_jobs_core::{JobContext, JobError, Percent};
    ///
    /// async fn import(rows: Vec<String>, ctx: &JobContext) -> Result<(), JobError> {
    ///     for (row, total) in (1..).zip(std::iter::repeat(rows.len() as u64)).take(rows.len()) {
    ///         ctx.progress(Percent::of(row, total), "importing");
    ///     }
    ///     ctx.progress(100, "imported");
    ///     Ok(())
    /// }
    /// ```
    pub fn progress(&self, percent: impl Into<Percent>, words: &str) {
        self.inner.attempt.progress.set(percent.into(), words);
    }

    /// Adds a line to the log of this attempt, which is kept with the job: the newest
    /// [`AttemptLog::MAX_BYTES`](crate::job::AttemptLog::MAX_BYTES). It is written when the attempt's end is, so a crash
    /// loses it. `lambda-jobs status ID --logs` shows it to every operator, so log no secrets.
    ///
    /// ```
    /// use lambda_jobs_core::{JobContext, JobError};
    ///
    /// async fn import(ctx: &JobContext) -> Result<(), JobError> {
    ///     ctx.log("row 7 has no date: left out");
    ///     Ok(())
    /// }
    /// ```
    pub fn log(&self, line: &str) {
        self.inner.log.add(line);
    }

    pub(crate) fn job_log(&self) -> &JobLog {
        &self.inner.log
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.inner.calls
    }

    pub(crate) fn span(&self) -> &tracing::Span {
        &self.inner.span
    }
}

/// A signal that is raised at most once. Many tasks can wait for it.
#[derive(Clone)]
pub struct StopSignal {
    raised: Arc<AtomicBool>,
    waiter: Shared<oneshot::Receiver<()>>,
}

/// Raises a [`StopSignal`]. Dropping it without raising leaves the signal unraised for ever.
pub struct Stopper {
    raised: Arc<AtomicBool>,
    sender: oneshot::Sender<()>,
}

impl StopSignal {
    /// A signal and its raiser.
    #[must_use]
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = oneshot::channel();
        let raised = Arc::new(AtomicBool::new(false));
        let stopper = Stopper { raised: Arc::clone(&raised), sender };
        (stopper, Self { raised, waiter: receiver.shared() })
    }

    /// A signal that is never raised.
    #[must_use]
    pub fn never() -> Self {
        Self::new().1
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Completes when it is raised.
    pub async fn wait(&self) {
        if self.waiter.clone().await.is_err() {
            futures_util::future::pending::<()>().await;
        }
    }
}

impl Stopper {
    /// Raises the signal.
    pub fn raise(self) {
        self.raised.store(true, Ordering::Release);
        // The send fails only if every clone of the signal is gone.
        let _ = self.sender.send(());
    }
}
