// The cancellation of docs/handlers.md.

async fn render_all(pages: Vec<Page>, ctx: &JobContext) -> Result<(), JobError> {
    for page in pages {
        if ctx.is_cancelled() {
            return Err(JobError::permanent("stopped between two pages"));
        }
        render(page).await?;
    }
    Ok(())
}
