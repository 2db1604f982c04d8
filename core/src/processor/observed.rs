//! Running user code: each poll is observed, and panics in destructors are caught.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::clock::BoxFuture;
use crate::handler::{JobContext, JobLog};
use crate::job::JobId;

/// Sees every poll of a job's future, so that a job that blocks without yielding can be named.
pub trait RunObserver: Send + Sync {
    /// The job's future is about to be polled.
    fn entered(&self, job: &JobId, name: &str) {
        let _ = (job, name);
    }

    /// What the job says until the poll returns may be added to this log.
    fn logs_to(&self, log: &JobLog) {
        let _ = log;
    }

    /// The poll has returned.
    fn left(&self) {}
}

impl RunObserver for () {}

/// A future of user code. It is polled and dropped inside its job's log span, and the observer sees both.
pub(super) struct Observed<'a, 'b, T> {
    inner: Option<BoxFuture<'a, T>>,
    ctx: &'b JobContext,
    observer: &'b dyn RunObserver,
}

impl<'a, 'b, T> Observed<'a, 'b, T> {
    pub(super) fn new(inner: BoxFuture<'a, T>, ctx: &'b JobContext, observer: &'b dyn RunObserver) -> Self {
        Self { inner: Some(inner), ctx, observer }
    }

    /// Runs the job's code where the observer sees it.
    fn enter<R>(&mut self, code: impl FnOnce(&mut Option<BoxFuture<'a, T>>) -> R) -> R {
        struct Leave<'a>(&'a dyn RunObserver);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.left();
            }
        }
        let _span = self.ctx.span().enter();
        self.observer.entered(self.ctx.job_id(), &self.ctx.definition().spec.name);
        self.observer.logs_to(self.ctx.job_log());
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

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Drops a handler's value. Its destructor is the handler's code, and may panic too.
pub(super) fn discard<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        tracing::warn!("a destructor panicked: {}", panic_text(&*panic));
        // The panic's own value may have such a destructor too.
        std::mem::forget(panic);
    }
}
