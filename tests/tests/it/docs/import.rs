// The progress and the log of docs/handlers.md.

async fn import(rows: Vec<Row>, ctx: &JobContext) -> Result<(), JobError> {
    let total = rows.len() as u64;
    for (done, row) in (0..).zip(rows) {
        ctx.progress(Percent::of(done, total), "importing");
        match row.date {
            Some(date) => save(date).await?,
            None => ctx.log(&format!("row {done} has no date: left out")),
        }
    }
    Ok(())
}
