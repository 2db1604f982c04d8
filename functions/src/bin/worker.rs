//! The worker function with the built-in job families.

/// One thread: a Lambda environment has one batch at a time, and fewer than two cores by default.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_jobs_functions::WorkerError> {
    lambda_jobs_functions::run_worker(|_registry| Ok(())).await
}
