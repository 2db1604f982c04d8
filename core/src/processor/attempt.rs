//! One attempt at one job: stopped at its timeout, its panics caught, its outcome judged.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde_json::Value;

use super::gate::{OUT_OF_TIME, fits};
use super::held::Held;
use super::kept::{kept, shortened};
use super::snooze::{snoozed, too_often};
use super::{Invocation, JobProcessor, Ledger, Ready, cancellation};
use crate::clock::{BoxFuture, Entropy};
use crate::handler::{AttemptEnd, CallGuards, Calls, JobContext, JobError, Registered, StopSignal, Success};
use crate::job::bounds::MAX_DELAY;
use crate::job::{JobId, JobRecord, JobStatus};
use crate::message::JobMessage;
use crate::ports::{Fence, ReceivedMessage};
use crate::retry::RetryPolicy;

/// Told about every poll of a job's future, so that a job that blocks without yielding can be named.
pub trait RunObserver: Send + Sync {
    /// The job's future is about to be polled.
    fn entered(&self, job: &JobId, name: &str) {
        let _ = (job, name);
    }

    /// The poll has returned.
    fn left(&self) {}
}

impl RunObserver for () {}

/// A job whose attempt has ended, with the record to be written about it.
pub(super) struct Ended {
    pub(super) received: ReceivedMessage,
    pub(super) message: JobMessage,
    pub(super) record: JobRecord,
    pub(super) fence: Fence,
}

/// How an attempt came to its end.
enum Outcome {
    Returned(Value),
    Failed(JobError),
    /// Cut short at its timeout.
    TimedOut(JobError),
    Stopped,
}

impl Outcome {
    const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }
}

/// What hooks are given when the attempt left them nothing.
const HOOK_TIME: Duration = Duration::from_secs(1);

impl JobProcessor {
    /// Makes the attempt, or hands the job back where there is no time for it.
    pub(super) async fn attempt(&self, ready: Ready, invocation: &Invocation, ledger: &Ledger) -> Ended {
        let Ready { received, message, handler, record, fence } = ready;
        let now = self.clock.now();
        let cancel = ledger.running.signal(record.id());
        let record = if record.cancel_requested || cancel.is_set() {
            record.cancelled("cancelled before it started", now)
        } else if invocation.stop.is_set() {
            record.released(now, "the worker is stopping")
        } else if !fits(handler.timeout(&message.definition), now, invocation.deadline) {
            record.released(now, OUT_OF_TIME)
        } else {
            self.make_attempt(record, &message, &handler, invocation, cancel, &ledger.held).await
        };
        ledger.running.leave(record.id());
        self.done_calling(&handler, &message, ledger).await;
        Ended { received, message, record, fence }
    }

    async fn make_attempt(
        &self,
        mut record: JobRecord,
        message: &JobMessage,
        handler: &Registered,
        invocation: &Invocation,
        cancel: StopSignal,
        held: &Held,
    ) -> JobRecord {
        let now = self.clock.now();
        // It may have waited for others of its batch since it was claimed.
        record.started_at = Some(now);
        let timeout = handler.timeout(&message.definition);
        let max_retries = handler.max_retries(&message.definition);
        let lease_until = record.claim.as_ref().map_or(invocation.deadline, |claim| claim.lease_until);
        let deadline = now + TimeDelta::from_std(timeout).unwrap_or(TimeDelta::MAX);
        let guards = CallGuards {
            breakers: Arc::clone(&self.breakers),
            limits: Arc::clone(&self.limits),
            policies: self.registry.clone(),
            clock: Arc::clone(&self.clock),
            holder: Arc::clone(&held.visitor),
        };
        let probes = held.take_probes(record.id());
        let calls = Calls::new(guards, AttemptEnd { lease_until, deadline }, probes);
        let ctx = JobContext::new(
            message.definition.clone(),
            record.attempt(),
            max_retries + 1,
            deadline,
            (invocation.stop.clone(), cancel),
            Arc::clone(&self.clock),
            calls,
        );
        let started = self.clock.monotonic();
        let work = handler.run(&ctx.definition().payload, &ctx);
        let (outcome, hook) = self.run_handler(work, &ctx, timeout, invocation).await;
        let took = self.clock.monotonic().saturating_sub(started);
        ctx.calls().finish(outcome.is_timeout()).await;
        let terms = Terms {
            max_retries,
            is_told: message.definition.max_retries.is_some(),
            max_snoozes: handler.max_snoozes(),
            is_cancelled: ctx.is_cancelled(),
            retry: handler.retry(),
        };
        let (record, error) = conclude(record, outcome, &terms, self.clock.now(), took, &*self.entropy);

        let hook: Option<BoxFuture<'_, ()>> = match (&error, record.status) {
            (Some(error), JobStatus::Failed) => Some(handler.on_failure(error, &ctx)),
            (Some(_), JobStatus::Retrying) => Some(handler.on_retry(record.failures + 1, &ctx)),
            _ => hook,
        };
        if let Some(hook) = hook {
            self.run_hook(hook, &ctx, timeout.saturating_sub(took).max(HOOK_TIME), invocation).await;
        }
        log_failure(&record, &ctx);
        record
    }

    /// Polls the handler until it ends, panics, or is out of time.
    async fn run_handler<'a>(
        &self,
        work: BoxFuture<'a, Result<Success<'a>, JobError>>,
        ctx: &JobContext,
        timeout: Duration,
        invocation: &Invocation,
    ) -> (Outcome, Option<BoxFuture<'a, ()>>) {
        let work = Observed::new(work, ctx, &*self.observer);
        let work = AssertUnwindSafe(work).catch_unwind();
        let limit = self.clock.sleep(timeout);
        let stop = Box::pin(self.stopped(invocation, Self::STOP_GRACE));
        match select(Box::pin(work), select(limit, stop)).await {
            Either::Left((Ok(Ok(success)), _)) => {
                (Outcome::Returned(kept(success.result)), Some(success.on_success))
            }
            Either::Left((Ok(Err(error)), _)) => (Outcome::Failed(error), None),
            Either::Left((Err(panic), _)) => {
                let error = format!("panicked: {}", panic_text(&*panic));
                discard(panic);
                (Outcome::Failed(JobError::retryable(error)), None)
            }
            Either::Right((cut, _)) => {
                let outcome = match cut {
                    Either::Left(_) => Outcome::TimedOut(JobError::retryable(format!(
                        "timed out after {} ms",
                        timeout.as_millis()
                    ))),
                    Either::Right(_) => Outcome::Stopped,
                };
                (outcome, None)
            }
        }
    }

    /// Completes when a stop was asked for, and so much time has passed since.
    async fn stopped(&self, invocation: &Invocation, grace: Duration) {
        invocation.stop.wait().await;
        self.clock.sleep(grace).await;
    }

    async fn run_hook(
        &self,
        hook: BoxFuture<'_, ()>,
        ctx: &JobContext,
        limit: Duration,
        invocation: &Invocation,
    ) {
        let hook = AssertUnwindSafe(Observed::new(hook, ctx, &*self.observer)).catch_unwind();
        // The end of the job is not written yet, so a hook must not outlast a worker that is to stop.
        let stop = Box::pin(self.stopped(invocation, HOOK_TIME));
        match select(Box::pin(hook), select(self.clock.sleep(limit), stop)).await {
            Either::Left((Ok(()), _)) => {}
            Either::Left((Err(panic), _)) => {
                tracing::warn!(job_id = %ctx.job_id(), "a hook panicked: {}", panic_text(&*panic));
                discard(panic);
            }
            Either::Right(_) => {
                tracing::warn!(job_id = %ctx.job_id(), "a hook was cut short");
            }
        }
    }
}

/// What an attempt's outcome is judged by.
struct Terms<'a> {
    max_retries: u32,
    /// Whether the message says how many retries there are, which no handler overrides.
    is_told: bool,
    max_snoozes: u32,
    /// Whether the handler was told that its job is cancelled.
    is_cancelled: bool,
    retry: &'a RetryPolicy,
}

/// Decides what an attempt makes of its job: the record to write, and the error where it failed.
fn conclude(
    record: JobRecord,
    outcome: Outcome,
    terms: &Terms<'_>,
    now: DateTime<Utc>,
    took: Duration,
    entropy: &dyn Entropy,
) -> (JobRecord, Option<JobError>) {
    match outcome {
        Outcome::Returned(result) => (record.completed(result, now, took), None),
        Outcome::Failed(error) | Outcome::TimedOut(error) if terms.is_cancelled => {
            let is_failure = !error.is_snooze() && !error.is_deferral();
            let error = is_failure.then(|| shortened(error.to_string()));
            (cancellation::cancelled(record, error, now, took), None)
        }
        Outcome::Stopped if terms.is_cancelled => (cancellation::cancelled(record, None, now, took), None),
        Outcome::Stopped => (record.released(now, "the worker stopped before it ended"), None),
        Outcome::Failed(error) if error.is_deferral() => (deferred(record, &error, now), None),
        Outcome::Failed(error) if error.is_snooze() && record.snoozes < terms.max_snoozes => {
            (snoozed(record, &error, now), None)
        }
        Outcome::Failed(error) | Outcome::TimedOut(error) => {
            let error = if error.is_snooze() { too_often(record.snoozes, &error) } else { error };
            let text = shortened(error.to_string());
            let max_retries = error.retries().filter(|_| !terms.is_told).unwrap_or(terms.max_retries);
            let record = if record.failures >= max_retries || error.is_permanent() {
                record.failed(text, now, Some(took))
            } else {
                let wait =
                    error.retry_after().unwrap_or_else(|| terms.retry.backoff(record.failures, entropy));
                record.retrying(text, now + wait.min(MAX_DELAY), Some(took))
            };
            (record, Some(error))
        }
    }
}

/// The record of a job whose handler met a breaker or a limit that does not let it go on.
fn deferred(record: JobRecord, error: &JobError, now: DateTime<Utc>) -> JobRecord {
    match error.deferral() {
        Some((until, by)) => record.deferred(until, by.clone(), now),
        None => record.released(now, error.to_string()),
    }
}

fn log_failure(record: &JobRecord, ctx: &JobContext) {
    if let (JobStatus::Failed | JobStatus::Retrying, Some(error)) = (record.status, &record.error) {
        tracing::warn!(
            job_id = %ctx.job_id(),
            job = %record.definition.name,
            attempt = ctx.attempt(),
            status = %record.status,
            error = %error,
            "job failed"
        );
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Drops what came from a handler: its destructors are the handler's code, and may panic too.
fn discard<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        tracing::warn!("a destructor panicked: {}", panic_text(&*panic));
        // What it panicked with may have such a destructor in its turn.
        std::mem::forget(panic);
    }
}

/// A future of user code: polled, and dropped wherever that happens, inside its job's log span, each
/// time reported.
struct Observed<'a, 'b, T> {
    inner: Option<BoxFuture<'a, T>>,
    ctx: &'b JobContext,
    observer: &'b dyn RunObserver,
}

impl<'a, 'b, T> Observed<'a, 'b, T> {
    fn new(inner: BoxFuture<'a, T>, ctx: &'b JobContext, observer: &'b dyn RunObserver) -> Self {
        Self { inner: Some(inner), ctx, observer }
    }

    /// Runs the job's code, reported.
    fn enter<R>(&mut self, code: impl FnOnce(&mut Option<BoxFuture<'a, T>>) -> R) -> R {
        struct Leave<'a>(&'a dyn RunObserver);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.left();
            }
        }
        let _span = self.ctx.span().enter();
        self.observer.entered(self.ctx.job_id(), &self.ctx.definition().name);
        let _leave = Leave(self.observer);
        code(&mut self.inner)
    }
}

impl<T> Future for Observed<'_, '_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.enter(|inner| inner.as_mut().map_or(Poll::Pending, |inner| inner.as_mut().poll(cx)))
    }
}

impl<T> Drop for Observed<'_, '_, T> {
    fn drop(&mut self) {
        self.enter(|inner| discard(inner.take()));
    }
}
