//! The code of `docs/handlers.md`, run unchanged.

use std::time::Duration;

use lambda_jobs_core::{JobContext, JobError, JobRegistry, JobStatus, NewJob, Percent, RegisterError};
use lambda_jobs_tests::{ended, manager, stack};
use serde_json::json;

type Report = String;
type Page = u32;

/// Every day's report is there but tomorrow's.
fn find(day: &str) -> impl Future<Output = Option<Report>> {
    std::future::ready((day != "tomorrow").then(|| format!("all about {day}")))
}

async fn render(_page: Page) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(())
}

/// The rows of an import need nothing but their dates.
async fn save(_date: String) -> Result<(), JobError> {
    std::future::ready(Ok(())).await
}

include!("report.rs");

include!("render.rs");

include!("import.rs");

#[derive(serde::Deserialize)]
struct Row {
    date: Option<String>,
}

fn register(jobs: &mut JobRegistry) -> Result<(), RegisterError> {
    jobs.register_fn("report", |day: String, _ctx| report(day))?;
    let render = |pages: u32, ctx: JobContext| async move { render_all((0..pages).collect(), &ctx).await };
    jobs.register_fn("render", render)?;
    jobs.register_fn("import", |rows: Vec<Row>, ctx: JobContext| async move { import(rows, &ctx).await })?;
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_too_early_snoozes() {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    let worker = stack.start_worker(register).unwrap();
    let today = manager.enqueue(NewJob::new("report").payload(json!("today"))).await.unwrap().job_id;
    let tomorrow = manager.enqueue(NewJob::new("report").payload(json!("tomorrow"))).await.unwrap().job_id;
    let done = ended(&manager, &today).await.unwrap();
    assert_eq!(done.result, Some(json!("all about today")));
    let snoozed = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            match manager.status(&tomorrow).await.unwrap() {
                Some(job) if job.snoozes == 1 => return job,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let snoozed = snoozed.await.unwrap();
    assert_eq!(snoozed.status, JobStatus::Scheduled);
    assert!(snoozed.note.as_deref().is_some_and(|note| note.contains("no report yet")), "{snoozed:?}");
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_job_that_is_cancelled_stops_between_two_pages() {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    let worker = stack.start_worker(register).unwrap();
    let short = manager.enqueue(NewJob::new("render").payload(json!(1))).await.unwrap().job_id;
    assert_eq!(ended(&manager, &short).await.unwrap().status, JobStatus::Completed);
    let long = manager.enqueue(NewJob::new("render").payload(json!(100_000))).await.unwrap().job_id;
    let running = async {
        while manager.status(&long).await.unwrap().is_none_or(|job| job.status != JobStatus::Running) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), running).await.unwrap();
    manager.cancel(&long).await.unwrap();
    assert_eq!(ended(&manager, &long).await.unwrap().status, JobStatus::Cancelled);
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_job_logs_what_it_leaves_out() {
    let stack = stack().await.unwrap();
    let manager = manager(&stack);
    let worker = stack.start_worker(register).unwrap();
    let rows = json!([{ "date": "2026-11-23" }, { "date": null }]);
    let id = manager.enqueue(NewJob::new("import").payload(rows)).await.unwrap().job_id;
    let attempts = ended(&manager, &id).await.unwrap().attempts;
    let logs: Vec<_> = attempts.iter().map(|attempt| attempt.log.as_deref()).collect();
    assert_eq!(logs, [Some("row 1 has no date: left out\n")]);
    worker.stop().await.unwrap();
}
