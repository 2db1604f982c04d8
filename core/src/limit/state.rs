//! How far a limit is used up.
//!
//! A rate is a token bucket in the form of GCRA: one instant, the *theoretical arrival time*, says how many tokens
//! are left. Concurrency is a list of places, each held by one batch for some of its jobs, with a lease. Both
//! have a line: the instant at which the next job that is deferred may come back, so that each comes when its
//! turn is likely.
//!
//! A token is kept for each job that waits in the line of a rate: a second instant counts those tokens as gone
//! already, and who comes new must find one in both. It is time that gives a token back which nobody comes for.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Quota, Rate};
use crate::job::LimitKey;
use crate::versioned::VersionedState;

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
    /// When they would all be back if those that wait had theirs already. Before `full_at` nobody waits.
    #[serde(default)]
    pub booked_until: DateTime<Utc>,
    /// The places that are held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Lease>,
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
pub struct Lease {
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
pub struct LimitRequest {
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
pub struct Granted {
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
            booked_until: now,
            places: Vec::new(),
            hold_millis: 0,
            line_ends: now,
            written_at: now,
        }
    }

    /// The limit after a batch took what it can have of it.
    ///
    /// Of a rate, jobs that have not waited before get only what is not kept for those that have.
    #[must_use]
    pub fn taken(mut self, quota: Quota, wanted: &LimitRequest, now: DateTime<Utc>) -> (Self, Granted) {
        let (returning, fresh) = match quota {
            Quota::Rate(rate) => {
                let returning = wanted.returning.min(tokens(rate, self.full_at, now));
                self.full_at = spent(rate, self.full_at, returning, now);
                let is_awaited = returning < wanted.returning;
                let left = tokens(rate, self.full_at.max(self.booked_until), now);
                let fresh = if is_awaited { 0 } else { wanted.fresh.min(left) };
                self.full_at = spent(rate, self.full_at, fresh, now);
                self.booked_until = spent(rate, self.booked_until, fresh, now);
                (returning, fresh)
            }
            Quota::Concurrency(most) => {
                self.places.retain(|place| place.lease_until > now);
                let free = most.saturating_sub(held(&self.places));
                let returning = wanted.returning.min(free);
                let fresh = wanted.fresh.min(free - returning);
                self.hold(wanted, returning + fresh, now);
                (returning, fresh)
            }
        };
        let refused = (wanted.returning - returning) + (wanted.fresh - fresh);
        let later = self.line_up(refused, quota, now);
        (self.written(now), Granted { returning, fresh, later })
    }

    /// The limit after so many jobs of a holder are over, or did not start after all. Answers none where there
    /// is nothing to give back.
    #[must_use]
    pub fn given_back(mut self, holder: u64, jobs: u32, now: DateTime<Utc>) -> Option<Self> {
        let place = self.places.iter_mut().find(|place| place.holder == holder)?;
        let held = now - place.since;
        place.jobs = place.jobs.saturating_sub(jobs);
        self.places.retain(|place| place.jobs > 0);
        self.hold_millis = moving_average(self.hold_millis, held);
        Some(self.written(now))
    }

    /// When a job that has not waited can come at the earliest, where none can now. A place that is held may be
    /// given back before.
    #[must_use]
    pub fn next_free_at(&self, quota: Quota, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match quota {
            Quota::Rate(rate) => {
                let at = next_token(rate, self.full_at.max(self.booked_until));
                (at > now).then_some(at)
            }
            Quota::Concurrency(most) => {
                let mut places: Vec<Lease> =
                    self.places.iter().filter(|place| place.lease_until > now).copied().collect();
                places.sort_unstable_by_key(|place| place.lease_until);
                // So many must go for one to be free.
                let gone = (0..places.len()).find(|gone| held(&places[*gone..]) < most);
                let last = gone.unwrap_or(places.len()).checked_sub(1)?;
                places.get(last).map(|place| place.lease_until)
            }
        }
    }

    fn hold(&mut self, wanted: &LimitRequest, jobs: u32, now: DateTime<Utc>) {
        if jobs > 0 {
            let LimitRequest { holder, lease_until, .. } = *wanted;
            self.places.push(Lease { holder, jobs, since: now, lease_until });
        }
    }

    /// The instants of the next jobs in line.
    fn line_up(&mut self, jobs: u32, quota: Quota, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        if jobs == 0 {
            return Vec::new();
        }
        let (first, interval) = match quota {
            Quota::Rate(rate) => {
                let booked_until = self.booked_until.max(self.full_at);
                self.booked_until = spent(rate, booked_until, jobs, now);
                (next_token(rate, booked_until), rate.interval())
            }
            Quota::Concurrency(most) => {
                let hold = i64::try_from(self.hold_millis).ok().filter(|hold| *hold > 0);
                let hold = hold.and_then(TimeDelta::try_milliseconds).unwrap_or(UNKNOWN_HOLD);
                let interval = hold / i32::try_from(most.max(1)).unwrap_or(i32::MAX);
                (later(now, interval), interval)
            }
        };
        let first = first.max(later(now, SOONEST)).max(later(self.line_ends, interval));
        let places: Vec<DateTime<Utc>> = (0..jobs).map(|job| later(first, times(interval, job))).collect();
        self.line_ends = places.last().copied().unwrap_or(self.line_ends);
        places
    }

    const fn written(mut self, now: DateTime<Utc>) -> Self {
        self.revision = self.revision.saturating_add(1);
        self.written_at = now;
        self
    }
}

/// How long places are held on average, in milliseconds, once one more was held so long: the last few say more than
/// the first. 0 before the first.
pub(crate) fn moving_average(before: u64, held: TimeDelta) -> u64 {
    let held = u64::try_from(held.num_milliseconds()).unwrap_or_default();
    let before = if before == 0 { held } else { before };
    (before.saturating_mul(7).saturating_add(held) / 8).max(1)
}

/// For how many jobs places are held.
fn held(places: &[Lease]) -> u32 {
    places.iter().fold(0, |held, place| held.saturating_add(place.jobs))
}

/// How many tokens are there, where they are all back at this instant.
fn tokens(rate: Rate, full_at: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    let left = depth(rate) - (full_at.max(now) - now);
    let interval = rate.interval().num_nanoseconds().unwrap_or(i64::MAX).max(1);
    let left = left.num_nanoseconds().unwrap_or_default() / interval;
    u32::try_from(left.max(0)).unwrap_or(u32::MAX)
}

/// When all tokens are back after so many more are taken.
fn spent(rate: Rate, full_at: DateTime<Utc>, taken: u32, now: DateTime<Utc>) -> DateTime<Utc> {
    later(full_at.max(now), times(rate.interval(), taken))
}

/// When the next token is there, where they are all back at this instant.
fn next_token(rate: Rate, full_at: DateTime<Utc>) -> DateTime<Utc> {
    full_at.checked_sub_signed(depth(rate) - rate.interval()).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// How much time the tokens of a full bucket are worth.
fn depth(rate: Rate) -> TimeDelta {
    times(rate.interval(), rate.most_at_once())
}

fn times(interval: TimeDelta, count: u32) -> TimeDelta {
    let nanos = interval.num_nanoseconds().unwrap_or(i64::MAX).saturating_mul(i64::from(count));
    TimeDelta::nanoseconds(nanos)
}

fn later(instant: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    instant.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl VersionedState for LimitState {
    const KIND: &'static str = "limit";

    fn name(&self) -> String {
        self.key.as_str().to_owned()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        let leases = self.places.iter().map(|place| place.lease_until);
        let last = leases.chain([self.full_at, self.booked_until, self.line_ends, self.written_at]).max();
        last?.checked_add_signed(KEEP)
    }
}
