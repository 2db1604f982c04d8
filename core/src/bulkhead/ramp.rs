//! When jobs that found a bulkhead full come back.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Bulkhead, BulkheadTerms};

/// Jobs that found a bulkhead full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RampRequest {
    /// How many.
    pub jobs: usize,
    /// When each has to be back, at the latest.
    pub latest: DateTime<Utc>,
}

/// How many of the waiting jobs come back at the same time: a lease is for a batch.
const BATCH: usize = 10;
/// How many of them come back for each lease that ends. That is more than one batch: a job that finds no lease waits
/// again, and a lease that no job comes for is lost.
const JOBS_PER_LEASE: i32 = 15;
/// How soon a job comes back at the earliest: SQS counts in whole seconds.
const SOONEST: TimeDelta = TimeDelta::seconds(1);

impl Bulkhead {
    /// The bulkhead with more jobs on its ramp, and their instants. A batch of jobs comes back at a time, at the pace at
    /// which leases end, and none later than `latest`.
    ///
    /// On a full ramp `chance` picks the instants of the next jobs. No job may wait longer, and at the end of the
    /// ramp all would come at once.
    #[must_use]
    pub fn join_ramp(
        mut self,
        terms: BulkheadTerms,
        request: RampRequest,
        now: DateTime<Utc>,
        chance: impl Fn() -> u64,
    ) -> (Self, Vec<DateTime<Utc>>) {
        let RampRequest { jobs, latest } = request;
        let hold = self.expected_hold(terms, now);
        let apart = hold / i32::try_from(terms.batches.max(1)).unwrap_or(i32::MAX);
        let share = apart / JOBS_PER_LEASE;
        let oldest = self.live(now).map(|lease| lease.since).min();
        let next_free = oldest.map_or(now, |oldest| later(oldest, hold));
        let soonest = later(now, SOONEST);
        let first = self.ramp_ends.max(next_free).max(soonest);
        let ramp_ends = later(first, times(share, jobs));
        if ramp_ends > latest {
            let room = u64::try_from((latest - soonest).num_milliseconds()).unwrap_or_default().max(1);
            let wait = || TimeDelta::milliseconds(i64::try_from(chance() % room).unwrap_or_default());
            let anywhere = |_| together(later(soonest, wait()), apart);
            let mut instants: Vec<DateTime<Utc>> = (0..jobs).map(anywhere).collect();
            instants.sort_unstable();
            return (self, instants);
        }
        self.ramp_ends = ramp_ends;
        let instant = |job| together(later(first, times(share, job / BATCH * BATCH)), apart);
        (self, (0..jobs).map(instant).collect())
    }

    /// How long the next lease is held until its return: the average, or the time so far if that is longer. A lease
    /// that expires sooner is free sooner.
    fn expected_hold(&self, terms: BulkheadTerms, now: DateTime<Utc>) -> TimeDelta {
        let so_far = self.live(now).map(|lease| now - lease.since).max().unwrap_or_default();
        let first_end = self.live(now).map(|lease| lease.lease_until - now).min();
        let prompt = TimeDelta::from_std(terms.prompt).unwrap_or(SOONEST);
        let average = i64::try_from(self.hold_millis).ok().and_then(TimeDelta::try_milliseconds);
        let hold = average.unwrap_or_default().max(so_far);
        first_end.map_or(hold, |end| hold.min(end)).max(prompt)
    }
}

/// The next instant of this spacing, at which jobs come back together. If they came one by one, each would take a
/// lease of its own.
fn together(instant: DateTime<Utc>, apart: TimeDelta) -> DateTime<Utc> {
    let apart = apart.num_milliseconds().max(1);
    let past = instant.timestamp_millis().rem_euclid(apart);
    later(instant, TimeDelta::milliseconds(if past == 0 { 0 } else { apart - past }))
}

fn times(interval: TimeDelta, count: usize) -> TimeDelta {
    i32::try_from(count).ok().and_then(|count| interval.checked_mul(count)).unwrap_or(TimeDelta::MAX)
}

fn later(instant: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    instant.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
