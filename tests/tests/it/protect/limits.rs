// The README's limits.

fn limits() -> Result<Vec<Limit>, Invalid> {
    Ok(vec![
        Limit::concurrency(LimitBy::Tenant, 5)?,                              // of each tenant five at once
        Limit::rate(LimitBy::Name, Rate::new(100, Duration::from_secs(1))?),  // and a hundred in a second of all
    ])
}
