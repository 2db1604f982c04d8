//! The registry of handlers.
//!
//! Registration refuses mistakes that would otherwise show only in production: two handlers with one name, or a
//! timeout that the function can't grant.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Delivery, HandlerOptions, JobContext, JobError, JobHandler};
use crate::batch::{ChildResult, PARENT};
use crate::breaker::BreakerPolicy;
use crate::clock::BoxFuture;
use crate::config::JobConfig;
use crate::job::bounds::{MAX_NAME_BYTES, WAY_OUT};
use crate::job::{BreakerName, JobDefinition, Payload, Queue};
use crate::limit::Limit;
use crate::protection::BreakerPolicies;
use crate::retry::RetryPolicy;

/// The handlers of a worker, by name.
///
/// ```
/// use lambda_jobs_core::{JobConfig, JobContext, JobError, JobRegistry};
/// use serde_json::{Value, json};
///
/// let mut registry = JobRegistry::new(&JobConfig::default());
/// registry.register_fn("greet", |name: String, _ctx: JobContext| async move {
///     Ok::<_, JobError>(json!({ "greeting": format!("Hello, {name}") }))
/// })?;
/// assert!(registry.names().eq(["greet"]));
/// # Ok::<(), lambda_jobs_core::RegisterError>(())
/// ```
pub struct JobRegistry {
    handlers: HashMap<String, Arc<Registered>>,
    breakers: HashMap<BreakerName, BreakerPolicy>,
    config: JobConfig,
}

/// Why a handler was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name can't be sent in a message.
    #[error("handler name: expected 1 to {MAX_NAME_BYTES} bytes, got {0:?}")]
    BadName(String),
    /// Another handler has this name.
    #[error("handler {0:?} is registered already")]
    Duplicate(String),
    /// Two of its limits have the same key.
    #[error(
        "handler {0:?}: limits: expected each to count by something else, got two of one kind, scope and key"
    )]
    Limits(String),
    /// Its jobs could never run.
    #[error(
        "handler {name:?}: timeout: expected 1 ms to {longest:?}, the function's timeout less the margins to start and \
         settle, got {timeout:?}; {WAY_OUT}"
    )]
    Timeout {
        /// The handler.
        name: String,
        /// The requested timeout.
        timeout: Duration,
        /// The longest possible timeout.
        longest: Duration,
    },
}

/// A unique job of a handler that can't have any: it settles its jobs without a claim, so nobody knows whether one is
/// unfinished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("uniqueKey: not supported by handler {name:?}: its delivery is at-least-once")]
pub struct UniqueKeyUnsupported {
    /// The name of the handler.
    pub name: String,
}

impl JobRegistry {
    /// An empty registry. `config` holds the defaults of handlers.
    #[must_use]
    pub fn new(config: &JobConfig) -> Self {
        let mut registry =
            Self { handlers: HashMap::new(), breakers: HashMap::new(), config: config.clone() };
        registry.insert(Parent, HandlerOptions::default(), config.timeout);
        registry
    }

    /// Adds a handler.
    pub fn register<H: JobHandler>(&mut self, handler: H) -> Result<&mut Self, RegisterError> {
        let name = handler.name().to_owned();
        let options = handler.options();
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(RegisterError::BadName(name));
        }
        if self.handlers.contains_key(&name) {
            return Err(RegisterError::Duplicate(name));
        }
        let repeats =
            |(at, one): (usize, &Limit)| options.limits[..at].iter().any(|other| other.counts_like(one));
        if options.limits.iter().enumerate().any(repeats) {
            return Err(RegisterError::Limits(name));
        }
        let timeout = options.timeout.unwrap_or(self.config.timeout);
        let longest = self.config.longest_timeout();
        if timeout.is_zero() || timeout > longest {
            return Err(RegisterError::Timeout { name, timeout, longest });
        }
        self.insert(handler, options, timeout);
        Ok(self)
    }

    fn insert<H: JobHandler>(&mut self, handler: H, options: HandlerOptions, timeout: Duration) {
        let name = handler.name().to_owned();
        let retry = options.retry.unwrap_or(self.config.retry);
        for (breaker, policy) in &options.breaker_policies {
            self.breakers.entry(breaker.clone()).or_insert_with(|| policy.clone());
        }
        let registered = Registered { handler: Box::new(handler), options, timeout, retry };
        self.handlers.insert(name, Arc::new(registered));
    }

    /// Adds a function as a handler with the default options.
    pub fn register_fn<P, O, F, Fut>(
        &mut self,
        name: impl Into<String>,
        execute: F,
    ) -> Result<&mut Self, RegisterError>
    where
        P: DeserializeOwned + Send + Sync + 'static,
        O: Serialize + Send + Sync + 'static,
        F: Fn(P, JobContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, JobError>> + Send + 'static,
    {
        self.register(FnHandler { name: name.into(), execute, types: std::marker::PhantomData })
    }

    /// Sets the policy of a breaker. Breakers without a policy have [`JobConfig::breaker`]. A name that ends in `*`
    /// matches all breakers whose names begin like it; the longest match counts.
    ///
    /// ```
    /// use lambda_jobs_core::breaker::BreakerPolicy;
    /// use lambda_jobs_core::{JobConfig, JobRegistry};
    ///
    /// let mut registry = JobRegistry::new(&JobConfig::default());
    /// registry.protect("mail".parse()?, BreakerPolicy::default().failure_rate(50, 20)?);
    /// registry.protect("webhook-*".parse()?, BreakerPolicy::default().failure_count(10)?);
    /// # Ok::<(), lambda_jobs_core::Invalid>(())
    /// ```
    pub fn protect(&mut self, breaker: BreakerName, policy: BreakerPolicy) -> &mut Self {
        self.breakers.insert(breaker, policy);
        self
    }

    /// The names of all handlers, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.handlers.keys().map(String::as_str).filter(|name| *name != PARENT)
    }

    /// The queue of a job: its handler's, otherwise by its priority.
    #[must_use]
    pub fn queue_for(&self, name: &str, priority: crate::job::Priority) -> Queue {
        let asked = self.handlers.get(name).and_then(|registered| registered.options.queue);
        asked.unwrap_or_else(|| Queue::for_priority(priority))
    }

    /// The guarantee about running jobs of this name once; `None` without a handler.
    #[must_use]
    pub fn delivery(&self, name: &str) -> Option<Delivery> {
        self.get(name).map(|registered| registered.options.delivery)
    }

    /// When failed jobs of this name are retried; `None` without a handler.
    #[must_use]
    pub fn retry_policy(&self, name: &str) -> Option<&RetryPolicy> {
        self.get(name).map(|registered| registered.retry())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Registered>> {
        self.handlers.get(name)
    }
}

/// A handler with its options resolved.
pub(crate) struct Registered {
    handler: Box<dyn ErasedHandler>,
    options: HandlerOptions,
    timeout: Duration,
    retry: RetryPolicy,
}

impl Registered {
    pub(crate) fn timeout(&self, job: &JobDefinition) -> Duration {
        job.spec.timeout.unwrap_or(self.timeout)
    }

    pub(crate) fn max_retries(&self, job: &JobDefinition) -> u32 {
        job.spec.max_retries.unwrap_or_else(|| self.retry.max_retries())
    }

    pub(crate) fn max_snoozes(&self) -> u32 {
        self.options.max_snoozes.unwrap_or(HandlerOptions::DEFAULT_MAX_SNOOZES)
    }

    pub(crate) fn breakers(&self) -> &[BreakerName] {
        &self.options.breakers
    }

    pub(crate) fn limits(&self) -> &[Limit] {
        &self.options.limits
    }

    pub(crate) const fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.options.delivery == Delivery::Claimed
    }

    /// Refuses a unique job that could not be kept unique.
    pub(crate) fn check_unique(&self, job: &JobDefinition) -> Result<(), UniqueKeyUnsupported> {
        if job.unique_key.is_some() && !self.is_claimed() {
            return Err(UniqueKeyUnsupported { name: job.spec.name.clone() });
        }
        Ok(())
    }

    pub(crate) fn run<'a>(
        &'a self,
        payload: &'a Payload,
        ctx: &'a JobContext,
    ) -> BoxFuture<'a, Result<Success<'a>, JobError>> {
        self.handler.run(payload, ctx)
    }

    /// Folds children; see [`JobHandler::fold`]. A handler's code may panic.
    pub(crate) fn fold(&self, so_far: Option<Value>, child: &ChildResult) -> Option<Value> {
        self.handler.fold(so_far, child)
    }

    pub(crate) fn on_failure<'a>(&'a self, error: &'a JobError, ctx: &'a JobContext) -> BoxFuture<'a, ()> {
        self.handler.failed(error, ctx)
    }

    pub(crate) fn on_retry<'a>(&'a self, next: u32, ctx: &'a JobContext) -> BoxFuture<'a, ()> {
        self.handler.retrying(next, ctx)
    }
}

/// The outcome of an attempt, and the handler's hook for it. A failing hook does not change the outcome.
pub(crate) struct Success<'a> {
    pub(crate) result: Value,
    pub(crate) on_success: BoxFuture<'a, ()>,
}

/// [`JobHandler`] with its types and futures erased. A handler's code runs only in the futures, where its panics are
/// caught, never in the call that makes them.
trait ErasedHandler: Send + Sync {
    fn run<'a>(
        &'a self,
        payload: &'a Payload,
        ctx: &'a JobContext,
    ) -> BoxFuture<'a, Result<Success<'a>, JobError>>;
    fn failed<'a>(&'a self, error: &'a JobError, ctx: &'a JobContext) -> BoxFuture<'a, ()>;
    fn fold(&self, so_far: Option<Value>, child: &ChildResult) -> Option<Value>;
    fn retrying<'a>(&'a self, next: u32, ctx: &'a JobContext) -> BoxFuture<'a, ()>;
}

impl<H: JobHandler> ErasedHandler for H {
    fn run<'a>(
        &'a self,
        payload: &'a Payload,
        ctx: &'a JobContext,
    ) -> BoxFuture<'a, Result<Success<'a>, JobError>> {
        Box::pin(async move {
            let name = self.name();
            let payload = payload
                .parse::<H::Payload>()
                .map_err(|error| JobError::permanent(format!("payload: refused by {name}: {error}")))?;
            self.validate(&payload)
                .map_err(|why| JobError::permanent(format!("payload: refused by {name}: {why}")))?;
            let output = self.execute(payload, ctx).await?;
            let result = serde_json::to_value(&output).map_err(|error| {
                JobError::permanent(format!("result: {name} returned what JSON can't hold: {error}"))
            })?;
            let on_success = Box::pin(async move { self.on_success(&output, ctx).await });
            Ok(Success { result, on_success })
        })
    }

    fn fold(&self, so_far: Option<Value>, child: &ChildResult) -> Option<Value> {
        JobHandler::fold(self, so_far, child)
    }

    fn failed<'a>(&'a self, error: &'a JobError, ctx: &'a JobContext) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.on_failure(error, ctx).await })
    }

    fn retrying<'a>(&'a self, next: u32, ctx: &'a JobContext) -> BoxFuture<'a, ()> {
        Box::pin(async move { JobHandler::on_retry(self, next, ctx).await })
    }
}

/// The handler of the parents of batches that have none of their own. The engine gathers their children instead of
/// running it.
struct Parent;

impl JobHandler for Parent {
    type Payload = Value;
    type Output = ();

    fn name(&self) -> &'static str {
        PARENT
    }

    async fn execute(&self, _payload: Value, _ctx: &JobContext) -> Result<(), JobError> {
        Err(JobError::permanent("batch: a job of this name is made by a batch"))
    }
}

struct FnHandler<P, O, F> {
    name: String,
    execute: F,
    types: std::marker::PhantomData<fn(P) -> O>,
}

impl<P, O, F, Fut> JobHandler for FnHandler<P, O, F>
where
    P: DeserializeOwned + Send + Sync + 'static,
    O: Serialize + Send + Sync + 'static,
    F: Fn(P, JobContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, JobError>> + Send + 'static,
{
    type Payload = P;
    type Output = O;

    fn name(&self) -> &str {
        &self.name
    }

    async fn execute(&self, payload: P, ctx: &JobContext) -> Result<O, JobError> {
        (self.execute)(payload, ctx.clone()).await
    }
}

impl BreakerPolicies for JobRegistry {
    fn breaker_policy(&self, name: &BreakerName) -> &BreakerPolicy {
        let begins = |pattern: &&BreakerName| {
            pattern.as_str().strip_suffix('*').is_some_and(|start| name.as_str().starts_with(start))
        };
        let by_start = || self.breakers.keys().filter(begins).max_by_key(|pattern| pattern.as_str().len());
        let exact = self.breakers.get(name);
        exact.or_else(|| self.breakers.get(by_start()?)).unwrap_or(&self.config.breaker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::LimitBy;

    struct Slow;

    impl JobHandler for Slow {
        type Payload = Value;
        type Output = ();

        fn name(&self) -> &'static str {
            "slow"
        }

        fn options(&self) -> HandlerOptions {
            HandlerOptions { timeout: Some(Duration::from_mins(10)), ..HandlerOptions::default() }
        }

        async fn execute(&self, _payload: Value, _ctx: &JobContext) -> Result<(), JobError> {
            Ok(())
        }
    }

    struct Limited;

    impl JobHandler for Limited {
        type Payload = Value;
        type Output = ();

        fn name(&self) -> &'static str {
            "limited"
        }

        fn options(&self) -> HandlerOptions {
            let limit = |jobs| Limit::concurrency(LimitBy::Tenant, jobs).unwrap();
            HandlerOptions { limits: vec![limit(1), limit(2)], ..HandlerOptions::default() }
        }

        async fn execute(&self, _payload: Value, _ctx: &JobContext) -> Result<(), JobError> {
            Ok(())
        }
    }

    async fn nothing(_payload: Value, _ctx: JobContext) -> Result<(), JobError> {
        Ok(())
    }

    #[test]
    fn mistakes_are_refused_when_the_handler_is_registered() {
        let mut registry = JobRegistry::new(&JobConfig::default());
        assert_eq!(
            registry.register(Slow).err().unwrap().to_string(),
            "handler \"slow\": timeout: expected 1 ms to 85s, the function's timeout less the margins to start and settle, \
             got 600s; raise the function's timeout (15 minutes at most), split the work, or chain jobs, each enqueueing \
             the next"
        );
        registry.register_fn("n", nothing).unwrap();
        assert_eq!(
            registry.register_fn("n", nothing).err().unwrap().to_string(),
            "handler \"n\" is registered already"
        );
        assert_eq!(
            registry.register_fn("", nothing).err().unwrap().to_string(),
            "handler name: expected 1 to 128 bytes, got \"\""
        );
        assert_eq!(
            registry.register(Limited).err().unwrap().to_string(),
            "handler \"limited\": limits: expected each to count by something else, got two of one kind, scope and key"
        );
    }
}
