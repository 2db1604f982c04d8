// The snooze of docs/handlers.md.

async fn report(day: String) -> Result<Report, JobError> {
    match find(&day).await {
        Some(report) => Ok(report),
        None => Err(JobError::snooze(Duration::from_mins(10)).because("no report yet")),
    }
}
