// The README's call behind a breaker.

async fn send(mail: Mail, ctx: &JobContext) -> Result<(), JobError> {
    // After five failures within five minutes, from any worker, nobody calls for a minute: jobs wait, and spend no attempt.
    ctx.breaker("mail").call(smtp(&mail)).await
}
