//! The state machine, case by case and over random histories.

mod bulkhead;
mod histories;
mod holds;
mod states;
mod windows;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Breaker, BreakerPolicy, Counts, Phase, Window};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn new() -> Breaker {
    Breaker::new("mail".parse().unwrap(), at(0))
}

/// So many calls that ended at an instant in the same way.
fn calls(second: i64, calls: u64, failures: u64, slow: u64) -> Window {
    let mut window = Window::new();
    window.count(at(second), Counts { calls, failures, slow }, secs(86_400));
    window
}

fn failing(breaker: Breaker, failures: u64, policy: &BreakerPolicy, second: i64) -> Breaker {
    breaker.recorded(&calls(second, failures, failures, 0), policy, at(second))
}

/// One that has opened at this second.
fn opened(policy: &BreakerPolicy, second: i64) -> Breaker {
    let breaker = failing(new(), 1_000, policy, second);
    assert_eq!(breaker.phase.as_str(), "open");
    breaker
}

fn open_until(second: i64) -> Phase {
    Phase::Open { probe_at: Some(at(second)) }
}

const CLOSED: Phase = Phase::Closed { forced: false };
