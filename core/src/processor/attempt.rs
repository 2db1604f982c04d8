//! One attempt at one job: cut short at its timeout, its panics caught, its outcome judged.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::gate::{OUT_OF_TIME, fits};
use super::job::{Claimed, Ended, Job};
use super::kept::kept;
use super::observed::{Observed, discard, panic_text};
use super::outcome::{Outcome, Terms, conclude};
use super::{JobProcessor, SqsBatch};
use crate::clock::BoxFuture;
use crate::handler::{Attempt, AttemptEnd, CallGuards, Calls, JobContext, JobError, StopSignal, Success};
use crate::job::{JobRecord, JobStatus, PastAttempt};
use crate::ports::Settlement;

/// How long a hook may run if the attempt used up its time.
const HOOK_TIME: Duration = Duration::from_secs(1);

type Hook<'a> = BoxFuture<'a, ()>;

impl SqsBatch<'_> {
    /// Makes the attempt, or hands the job back if there is no time for it.
    pub(super) async fn attempt(&self, claimed: Claimed) -> Ended {
        let Claimed { job, record, fence } = claimed;
        let now = self.now();
        let cancel = self.cancel_watch.signal(record.id());
        let record = if record.cancel_requested || cancel.is_set() {
            record.cancelled("cancelled before it started", now)
        } else if self.invocation.stop.is_set() {
            record.released(now, "the worker is stopping")
        } else if !fits(job.timeout(), now, self.invocation.deadline) {
            record.released(now, OUT_OF_TIME)
        } else if record.definition.gathers {
            self.gather(record, &job).await
        } else {
            self.make_attempt(record, &job, cancel).await
        };
        self.cancel_watch.leave(record.id());
        self.done_calling(&job).await;
        Ended { job, settlement: Settlement { fence, record } }
    }

    async fn make_attempt(&self, mut record: JobRecord, job: &Job, cancel: StopSignal) -> JobRecord {
        // It may have waited for others of its batch since it was claimed.
        let started_at = self.now();
        record.started_at = Some(started_at);
        let timeout = job.timeout();
        let ctx = self.context(&record, job, cancel);
        let started = self.processor.clock.monotonic();
        let work = job.handler.run(&ctx.definition().spec.payload, &ctx);
        let (outcome, hook) = self.run_handler(work, &ctx, timeout).await;
        let took = self.processor.clock.monotonic().saturating_sub(started);
        ctx.calls().finish(outcome.is_timeout()).await;
        let terms = Terms { job, is_cancelled: ctx.is_cancelled(), now: self.now(), took };
        let (record, error) = conclude(record, outcome, &terms, &*self.processor.entropy);

        let hook: Option<Hook<'_>> = match (&error, record.status) {
            (Some(error), JobStatus::Failed) => Some(job.handler.on_failure(error, &ctx)),
            (Some(_), JobStatus::Retrying) => Some(job.handler.on_retry(record.failures + 1, &ctx)),
            _ => hook,
        };
        if let Some(hook) = hook {
            self.run_hook(hook, &ctx, timeout.saturating_sub(took).max(HOOK_TIME)).await;
        }
        self.log_failure(&record, &ctx);
        let attempt = PastAttempt::new(ctx.attempt(), started_at, Some(took));
        record.with_attempt(attempt.told(ctx.job_log().take(), self.processor.worker.as_deref()))
    }

    /// What the handler is told about an attempt that starts now.
    fn context(&self, record: &JobRecord, job: &Job, cancel: StopSignal) -> JobContext {
        let JobProcessor { breakers, limits, registry, clock, .. } = self.processor;
        let now = record.started_at.unwrap_or_else(|| self.now());
        let deadline = now + TimeDelta::from_std(job.timeout()).unwrap_or(TimeDelta::MAX);
        let lease_until = record.claim.as_ref().map_or(self.invocation.deadline, |claim| claim.lease_until);
        let guards = CallGuards {
            breakers: Arc::clone(breakers),
            limits: Arc::clone(limits),
            policies: registry.clone(),
            clock: Arc::clone(clock),
            holder: Arc::clone(&self.permits.holder),
            tenant: job.definition().spec.tenant.clone(),
        };
        let probes = self.permits.take_probes(record.id());
        let calls = Calls::new(guards, AttemptEnd { lease_until, deadline }, probes);
        let attempt = Attempt {
            definition: job.definition().clone(),
            number: record.attempt(),
            max_attempts: job.handler.max_retries(job.definition()) + 1,
            deadline,
            stop: self.invocation.stop.clone(),
            cancel,
            progress: self.cancel_watch.progress(record.id()),
        };
        JobContext::new(attempt, Arc::clone(clock), calls)
    }

    /// Polls the handler until it ends, panics, or is out of time.
    async fn run_handler<'a>(
        &self,
        work: BoxFuture<'a, Result<Success<'a>, JobError>>,
        ctx: &JobContext,
        timeout: Duration,
    ) -> (Outcome, Option<Hook<'a>>) {
        let work = Observed::new(work, ctx, &*self.processor.observer);
        let work = AssertUnwindSafe(work).catch_unwind();
        let limit = self.processor.clock.sleep(timeout);
        let stop = Box::pin(self.stopped(JobProcessor::STOP_GRACE));
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
            Either::Right((Either::Left(_), _)) => {
                let error = format!("timed out after {} ms", timeout.as_millis());
                (Outcome::TimedOut(JobError::retryable(error)), None)
            }
            Either::Right((Either::Right(_), _)) => (Outcome::Stopped, None),
        }
    }

    /// Completes this long after a stop was asked for.
    async fn stopped(&self, grace: Duration) {
        self.invocation.stop.wait().await;
        self.processor.clock.sleep(grace).await;
    }

    async fn run_hook(&self, hook: Hook<'_>, ctx: &JobContext, limit: Duration) {
        let hook = AssertUnwindSafe(Observed::new(hook, ctx, &*self.processor.observer)).catch_unwind();
        // The end of the job is not written yet, so a hook must not outlast a worker that is to stop.
        let stop = Box::pin(self.stopped(HOOK_TIME));
        match select(Box::pin(hook), select(self.processor.clock.sleep(limit), stop)).await {
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

    fn log_failure(&self, record: &JobRecord, ctx: &JobContext) {
        let is_failure = matches!(record.status, JobStatus::Failed | JobStatus::Retrying);
        if let Some(error) = record.error.as_ref().filter(|_| is_failure && self.state.may_log_failure()) {
            tracing::warn!(
                job_id = %ctx.job_id(),
                job = %record.definition.spec.name,
                attempt = ctx.attempt(),
                status = %record.status,
                error = %error,
                "job failed"
            );
        }
    }
}
