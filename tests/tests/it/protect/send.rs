// The call behind a breaker in docs/protection.md.

async fn send(mail: Mail, ctx: &JobContext) -> Result<(), JobError> {
    // After 5 failures within 5 minutes, no worker calls for 1 minute. Jobs wait and spend no attempt.
    ctx.breaker("mail").call(smtp(&mail)).await
}
