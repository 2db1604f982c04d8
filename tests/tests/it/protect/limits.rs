// The limits in docs/protection.md.

fn limits() -> Result<Vec<Limit>, Invalid> {
    Ok(vec![
        Limit::concurrency(LimitBy::Tenant, 5)?,                              // 5 at once for each tenant
        Limit::rate(LimitBy::Name, Rate::new(100, Duration::from_secs(1))?),  // and 100 a second for all
    ])
}
