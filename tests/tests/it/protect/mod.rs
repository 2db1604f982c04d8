//! The README's protection of what jobs call, compiled and run as it is written.

use std::time::Duration;

use lambda_jobs_core::{Invalid, HandlerOptions, JobContext, JobError, JobHandler, JobStatus, NewJob};
use lambda_jobs_core::limit::{Limit, LimitBy, Rate};
use lambda_jobs_tests::{ended, manager, stack};
use serde::Deserialize;
use serde_json::json;

include!("protect/send.rs");

include!("protect/limits.rs");

#[derive(Deserialize)]
struct Mail {
    to: String,
}

/// A mail server that knows Ada alone.
fn smtp(mail: &Mail) -> impl Future<Output = Result<(), JobError>> {
    let known = if mail.to == "ada" { Ok(()) } else { Err(JobError::permanent("no such mailbox")) };
    std::future::ready(known)
}

struct Mailer(Vec<Limit>);

impl JobHandler for Mailer {
    type Payload = Mail;
    type Output = ();

    fn name(&self) -> &'static str {
        "mail"
    }

    fn options(&self) -> HandlerOptions {
        HandlerOptions { limits: self.0.clone(), ..HandlerOptions::default() }
    }

    async fn execute(&self, mail: Mail, ctx: &JobContext) -> Result<(), JobError> {
        send(mail, ctx).await
    }
}

#[tokio::test]
async fn what_the_readme_protects_is_called_and_its_errors_are_the_jobs() {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    let mut ids = Vec::new();
    for to in ["ada", "nobody"] {
        let job = NewJob::new("mail").payload(json!({ "to": to }));
        ids.push(manager.enqueue(job).await.unwrap().job_id);
    }
    let limits = limits().unwrap();
    let worker = stack.start_worker(|jobs| jobs.register(Mailer(limits)).map(drop)).unwrap();
    assert_eq!(ended(&manager, &ids[0]).await.unwrap().status, JobStatus::Completed);
    assert_eq!(ended(&manager, &ids[1]).await.unwrap().error.as_deref(), Some("no such mailbox"));
    worker.stop().await.unwrap();
}
