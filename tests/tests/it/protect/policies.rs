// The policies of breakers in docs/protection.md.

fn policies() -> Result<Vec<(BreakerName, BreakerPolicy)>, Invalid> {
    let mail = BreakerPolicy::default()
        .failure_rate(50, 20)?                          // half of the calls, if there were at least 20
        .slow_calls(Duration::from_secs(10), 80, 20)?   // or 80 % of them took longer than 10 s
        .expecting(["mailbox unknown"])?                // errors that do not count
        .recovery(Duration::from_secs(30))?             // open for 30 s at first,
        .growing(2, Duration::from_mins(5))?;           // twice as long each time, up to 5 minutes
    let billing = BreakerPolicy::default().bulkhead(Duration::from_secs(2), 3)?;
    Ok(vec![("mail".parse()?, mail), ("billing-*".parse()?, billing)])
}
