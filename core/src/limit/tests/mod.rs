//! Limits: how many jobs they let through, and when the others may come.

mod concurrency;
mod keys;
mod rates;

use chrono::{DateTime, TimeDelta, Utc};

use super::{LimitRequest, LimitState, Quota};

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::milliseconds(millis)
}

fn unused() -> LimitState {
    LimitState::new("k".parse().unwrap(), at(0))
}

fn wanted(returning: u32, fresh: u32) -> LimitRequest {
    LimitRequest { returning, fresh, holder: 7, lease_until: at(90_000) }
}

/// How many of the jobs that come at an instant may start, and when the others may.
fn take(
    state: &mut LimitState,
    quota: Quota,
    wanted: LimitRequest,
    millis: i64,
) -> (u32, u32, Vec<DateTime<Utc>>) {
    let (next, taken) = state.clone().acquired(quota, &wanted, at(millis));
    assert_eq!((next.revision, next.written_at), (state.revision + 1, at(millis)));
    let refused = wanted.returning + wanted.fresh - taken.returning - taken.fresh;
    assert_eq!(taken.later.len(), refused as usize, "each that is refused has an instant");
    assert!(taken.later.is_sorted() && taken.later.iter().all(|place| *place >= at(millis + 1_000)));
    *state = next;
    (taken.returning, taken.fresh, taken.later)
}
