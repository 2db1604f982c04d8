// The call of a dependency that asks for pauses in docs/protection.md.

async fn pay(order: Order, ctx: &JobContext) -> Result<(), JobError> {
    let call = async {
        match post(&order).await?.retry_after {
            // No worker calls billing for that long, at most 1 hour.
            Some(wait) => Err(JobError::rate_limited("billing is busy", wait)),
            None => Ok(()),
        }
    };
    ctx.breaker("billing").call(call).await
}
