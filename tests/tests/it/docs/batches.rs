//! The code of `docs/batches.md`, run unchanged.

use lambda_jobs_core::{JobContext, JobError, JobRegistry, JobStatus, RegisterError};
use lambda_jobs_tests::{manager, stack};
use serde_json::Value;

include!("split.rs");

fn register(jobs: &mut JobRegistry) -> Result<(), RegisterError> {
    let nothing = |_: Value, _: JobContext| async { Ok::<_, JobError>(()) };
    jobs.register_fn("resize", nothing)?.register_fn("publish", nothing).map(|_| ())
}

#[tokio::test]
async fn a_batch_of_photos_is_resized_and_then_published() {
    let stack = stack().await.unwrap();
    let worker = stack.start_worker(register).unwrap();
    let manager = manager(&stack);
    resize_all(&manager, 12).await.unwrap();
    loop {
        let page = manager.list_batches(Some(JobStatus::Completed), 10, None).await.unwrap();
        let published =
            page.items.first().and_then(|batch| batch.on_success.clone()).and_then(|one| one.status);
        if published == Some(JobStatus::Completed) {
            assert_eq!(page.items[0].completed, 12);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    worker.stop().await.unwrap();
}
