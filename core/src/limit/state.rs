//! How far a limit is used up.
//!
//! A rate is a token bucket in the form of GCRA: one instant, the *theoretical arrival time*, says how many tokens
//! are left. Concurrency is a list of places, each held by one batch for some of its jobs, with a lease. Both
//! have a line: the instant at which the next job that is deferred may come back, so that each comes when its
//! turn is likely.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{LimitKey, Quota, Rate};
use crate::ports::SharedState;

/// A limit's use, as the fleet shares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitState {
    /// Its key.
    pub key: LimitKey,
    /// How often it was written; 0 before the first time.
    pub revision: u64,
    /// Who wrote this revision: a random number.
    pub writer: u64,
    /// When the tokens that are gone are all back.
    pub full_at: DateTime<Utc>,
    /// The places that are held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// How long a place is held on average, in milliseconds.
    #[serde(default)]
    pub hold_millis: u64,
    /// When the last of those that were deferred comes back.
    pub line_ends: DateTime<Utc>,
    /// When it was written last.
    pub written_at: DateTime<Utc>,
}

/// Places that one batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Who holds them: a random number.
    pub holder: u64,
    /// For how many jobs.
    pub jobs: u32,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when at the latest.
    pub lease_until: DateTime<Utc>,
}

/// What a batch wants of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For how many jobs that have waited for it before.
    pub returning: u32,
    /// For how many others.
    pub fresh: u32,
    /// Who wants it: a random number.
    pub holder: u64,
    /// Until when the jobs are over, or somebody else's.
    pub lease_until: DateTime<Utc>,
}

/// What a batch was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many jobs may start that have waited before.
    pub returning: u32,
    /// How many others.
    pub fresh: u32,
    /// When the rest may come back, one instant for each, the earliest first; those that have waited before
    /// first.
    pub later: Vec<DateTime<Utc>>,
}

/// How long a place is thought to be held before one was given back.
const UNKNOWN_HOLD: TimeDelta = TimeDelta::seconds(1);
/// How soon a job comes back at the earliest: SQS counts in whole seconds.
const SOONEST: TimeDelta = TimeDelta::seconds(1);
/// How long a limit is remembered that nobody uses, at least.
const KEEP: TimeDelta = TimeDelta::days(1);

impl LimitState {
    /// A limit that was never used.
    #[must_use]
    pub const fn new(key: LimitKey, now: DateTime<Utc>) -> Self {
        Self {
            key,
            revision: 0,
            writer: 0,
            full_at: now,
            places: Vec::new(),
            hold_millis: 0,
            line_ends: now,
            written_at: now,
        }
    }

    /// The limit after a batch took what it can have of it.
    ///
    /// Of a rate, jobs that have not waited before get nothing while others wait for their turn.
    #[must_use]
    pub fn taken(mut self, quota: Quota, wanted: &Wanted, now: DateTime<Utc>) -> (Self, Taken) {
        let (returning, fresh) = match quota {
            Quota::Rate(rate) => {
                let returning = self.take_tokens(rate, wanted.returning, now);
                let is_awaited = self.line_ends > now || returning < wanted.returning;
                let fresh = if is_awaited { 0 } else { self.take_tokens(rate, wanted.fresh, now) };
                (returning, fresh)
            }
            Quota::Concurrency(most) => {
                self.places.retain(|place| place.lease_until > now);
                let held: u32 = self.places.iter().map(|place| place.jobs).sum();
                let free = most.saturating_sub(held);
                let returning = wanted.returning.min(free);
                let fresh = wanted.fresh.min(free - returning);
                self.hold(wanted, returning + fresh, now);
                (returning, fresh)
            }
        };
        let refused = (wanted.returning - returning) + (wanted.fresh - fresh);
        let later = self.line_up(refused, quota, now);
        (self.written(now), Taken { returning, fresh, later })
    }

    /// The limit after so many jobs of a holder are over, or did not start after all. Answers none where there
    /// is nothing to give back.
    #[must_use]
    pub fn given_back(mut self, holder: u64, jobs: u32, now: DateTime<Utc>) -> Option<Self> {
        let at = self.places.iter().position(|place| place.holder == holder)?;
        let place = &mut self.places[at];
        let held = u64::try_from((now - place.since).num_milliseconds()).unwrap_or_default();
        place.jobs = place.jobs.saturating_sub(jobs);
        if place.jobs == 0 {
            self.places.swap_remove(at);
        }
        // A moving average: the last few say more than the first.
        self.hold_millis =
            if self.hold_millis == 0 { held.max(1) } else { (self.hold_millis * 7 + held) / 8 };
        Some(self.written(now))
    }

    /// When a job can come at the earliest, where none can now.
    #[must_use]
    pub fn next_free_at(&self, quota: Quota, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match quota {
            Quota::Rate(rate) => {
                let at = self.full_at - depth(rate) + rate.interval();
                (at > now).then_some(at)
            }
            Quota::Concurrency(most) => {
                let held = self.places.iter().filter(|place| place.lease_until > now);
                let is_full = held.clone().map(|place| place.jobs).sum::<u32>() >= most;
                held.map(|place| place.lease_until).min().filter(|_| is_full)
            }
        }
    }

    fn take_tokens(&mut self, rate: Rate, wanted: u32, now: DateTime<Utc>) -> u32 {
        let full_at = self.full_at.max(now);
        let left = depth(rate) - (full_at - now);
        let interval = nanos(rate.interval());
        let taken = wanted.min(u32::try_from(nanos(left) / interval).unwrap_or(u32::MAX));
        self.full_at = full_at + times(rate.interval(), taken);
        taken
    }

    fn hold(&mut self, wanted: &Wanted, jobs: u32, now: DateTime<Utc>) {
        if jobs > 0 {
            let Wanted { holder, lease_until, .. } = *wanted;
            self.places.push(Place { holder, jobs, since: now, lease_until });
        }
    }

    /// The instants of the next jobs in line.
    fn line_up(&mut self, jobs: u32, quota: Quota, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        if jobs == 0 {
            return Vec::new();
        }
        let (first, interval) = match quota {
            Quota::Rate(rate) => (self.full_at - depth(rate) + rate.interval(), rate.interval()),
            Quota::Concurrency(most) => {
                let hold = i64::try_from(self.hold_millis).unwrap_or(i64::MAX);
                let hold = if hold == 0 { UNKNOWN_HOLD } else { TimeDelta::milliseconds(hold) };
                let interval = hold / i32::try_from(most).unwrap_or(i32::MAX);
                (now + interval, interval)
            }
        };
        let first = first.max(now + SOONEST).max(self.line_ends + interval);
        let places: Vec<DateTime<Utc>> = (0..jobs).map(|job| first + times(interval, job)).collect();
        self.line_ends = first + times(interval, jobs - 1);
        places
    }

    const fn written(mut self, now: DateTime<Utc>) -> Self {
        self.revision += 1;
        self.written_at = now;
        self
    }
}

/// How much time the tokens of a full bucket are worth.
fn depth(rate: Rate) -> TimeDelta {
    times(rate.interval(), rate.most_at_once())
}

fn times(interval: TimeDelta, count: u32) -> TimeDelta {
    let nanos = nanos(interval).saturating_mul(i64::from(count));
    TimeDelta::nanoseconds(nanos)
}

fn nanos(time: TimeDelta) -> i64 {
    time.num_nanoseconds().unwrap_or(i64::MAX).max(1)
}

impl SharedState for LimitState {
    const KIND: &'static str = "limit";

    fn name(&self) -> String {
        self.key.as_str().to_owned()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        let leases = self.places.iter().map(|place| place.lease_until);
        let last = leases.chain([self.full_at, self.line_ends, self.written_at]).max();
        last?.checked_add_signed(KEEP)
    }
}
