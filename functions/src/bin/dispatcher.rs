//! The dispatcher function: one tick each minute.

/// One thread: a tick waits for services, and computes little.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_jobs_functions::WorkerError> {
    lambda_jobs_functions::run_dispatcher().await
}
