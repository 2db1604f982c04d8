// The code of docs/batches.md.

use lambda_jobs_core::batch::Batch;
use lambda_jobs_core::manager::BatchError;
use lambda_jobs_core::{JobManager, NewJob};
use serde_json::json;

async fn resize_all(manager: &JobManager, photos: u32) -> Result<(), BatchError> {
    let resize = |photo| NewJob::new("resize").payload(json!({ "photo": photo }));
    let batch = Batch::new((0..photos).map(resize)).on_success(NewJob::new("publish"));
    let enqueued = manager.enqueue_batch(batch).await?;
    println!("{} waits for {:?} jobs", enqueued.id, enqueued.total);
    Ok(())
}
