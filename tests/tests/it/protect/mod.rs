//! The code of `docs/protection.md`, compiled and run unchanged.

use std::time::Duration;

use lambda_jobs_core::breaker::BreakerPolicy;
use lambda_jobs_core::job::BreakerName;
use lambda_jobs_core::limit::{Limit, LimitBy, Rate};
use lambda_jobs_core::{HandlerOptions, Invalid, JobContext, JobError, JobHandler, JobStatus, NewJob};
use lambda_jobs_tests::{ended, manager, stack};
use serde::Deserialize;
use serde_json::json;

include!("send.rs");

include!("policies.rs");

include!("pay.rs");

include!("limits.rs");

#[derive(Deserialize)]
struct Mail {
    to: String,
}

#[derive(Deserialize)]
struct Order {
    busy_seconds: Option<u64>,
}

struct Answer {
    retry_after: Option<Duration>,
}

/// A service that is as busy as the order says.
fn post(order: &Order) -> impl Future<Output = Result<Answer, JobError>> {
    let retry_after = order.busy_seconds.map(Duration::from_secs);
    std::future::ready(Ok(Answer { retry_after }))
}

/// A mail server that knows only Ada.
fn smtp(mail: &Mail) -> impl Future<Output = Result<(), JobError>> {
    let known = if mail.to == "ada" { Ok(()) } else { Err(JobError::permanent("no such mailbox")) };
    std::future::ready(known)
}

struct Mailer {
    limits: Vec<Limit>,
    policies: Vec<(BreakerName, BreakerPolicy)>,
}

impl JobHandler for Mailer {
    type Payload = Mail;
    type Output = ();

    fn name(&self) -> &'static str {
        "mail"
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions {
            limits: self.limits.clone(),
            breaker_policies: self.policies.clone(),
            ..HandlerOptions::default()
        }
    }

    async fn execute(&self, mail: Mail, ctx: &JobContext) -> Result<(), JobError> {
        send(mail, ctx).await
    }
}

#[tokio::test]
async fn what_the_page_protects_is_called_and_its_errors_are_the_jobs() {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    let mut ids = Vec::new();
    for to in ["ada", "nobody"] {
        let job = NewJob::new("mail").payload(json!({ "to": to }));
        ids.push(manager.enqueue(job).await.unwrap().job_id);
    }
    let mailer = Mailer { limits: limits().unwrap(), policies: policies().unwrap() };
    let worker = stack.start_worker(|jobs| jobs.register(mailer).map(drop)).unwrap();
    assert_eq!(ended(&manager, &ids[0]).await.unwrap().status, JobStatus::Completed);
    assert_eq!(ended(&manager, &ids[1]).await.unwrap().error.as_deref(), Some("no such mailbox"));
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_dependency_that_asks_for_a_pause_gets_no_calls_until_then() {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    let worker = stack
        .start_worker(|jobs| {
            jobs.register_fn("pay", |order: Order, ctx: JobContext| async move { pay(order, &ctx).await })
                .map(drop)
        })
        .unwrap();
    let busy = NewJob::new("pay").payload(json!({ "busy_seconds": 1_800 })).max_retries(0);
    let busy = manager.enqueue(busy).await.unwrap().job_id;
    assert_eq!(ended(&manager, &busy).await.unwrap().error.as_deref(), Some("billing is busy"));
    let breaker = manager.breaker(&"billing".parse().unwrap()).await.unwrap();
    assert_eq!((breaker.state, breaker.counts.failures), ("closed", 0));
    assert!(breaker.held_until.is_some());
    worker.stop().await.unwrap();
}
