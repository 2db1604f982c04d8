//! The worker function with the job families that come along.

/// One thread: a Lambda environment has one batch at a time, and less than two cores by default.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_jobs_functions::WorkerError> {
    lambda_jobs_functions::run_worker(|_registry| Ok(())).await
}
