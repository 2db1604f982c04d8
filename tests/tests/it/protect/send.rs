// The call behind a breaker in docs/protection.md.

async fn send(mail: Mail, ctx: &JobContext) -> Result<(), JobError> {
    // While mail is down, no worker calls. Jobs wait and spend no attempt.
    ctx.breaker("mail").call(smtp(&mail)).await
}
