//! The state of a limit.
//!
//! A rate is a token bucket in the form of GCRA: one instant, the *theoretical arrival time*, says how many tokens
//! are left. Concurrency is a list of leases, each held by one batch for some of its jobs. Both have a ramp: the
//! instant at which the next deferred job may come back, so that each comes when its turn is likely.
//!
//! A rate keeps a token for each job that waits on its ramp. A second instant counts those tokens as spent, and a new
//! job needs a token by both. If nobody claims a token, time returns it.

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
    /// The writer of this revision: a random number.
    pub writer: u64,
    /// When all spent tokens are back.
    pub full_at: DateTime<Utc>,
    /// When all tokens would be back if each waiting job had spent its own. No job waits if this is before `full_at`.
    #[serde(default)]
    pub booked_until: DateTime<Utc>,
    /// The concurrency leases.
    #[serde(rename = "places", default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<Lease>,
    /// How long a lease is held on average, in milliseconds.
    #[serde(default)]
    pub hold_millis: u64,
    /// When the last deferred job comes back.
    #[serde(rename = "lineEnds")]
    pub ramp_ends: DateTime<Utc>,
    /// When it was written last.
    pub written_at: DateTime<Utc>,
}

/// A concurrency lease of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The batch that holds it: a random number.
    pub holder: u64,
    /// For how many jobs.
    pub jobs: u32,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when at the latest.
    pub lease_until: DateTime<Utc>,
}

/// A batch's request to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRequest {
    /// The number of jobs that have waited for the limit before.
    pub returning: u32,
    /// The number of other jobs.
    pub fresh: u32,
    /// The batch that asks: a random number.
    pub holder: u64,
    /// When its lease ends.
    pub lease_until: DateTime<Utc>,
}

/// A limit's grant to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// How many jobs that have waited before may start.
    pub returning: u32,
    /// How many other jobs may start.
    pub fresh: u32,
    /// When the rest may come back: one instant for each, the earliest first. Jobs that have waited before come first.
    pub later: Vec<DateTime<Utc>>,
}

/// The assumed duration of a lease until the first one is returned.
const UNKNOWN_HOLD: TimeDelta = TimeDelta::seconds(1);
/// How soon a job comes back at the earliest: SQS counts in whole seconds.
const SOONEST: TimeDelta = TimeDelta::seconds(1);
/// For how long an unused limit is remembered, at least.
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
            leases: Vec::new(),
            hold_millis: 0,
            ramp_ends: now,
            written_at: now,
        }
    }

    /// The limit after a batch acquired as much as it may, and the grant.
    ///
    /// A rate gives its kept tokens only to jobs that have waited before.
    #[must_use]
    pub fn acquired(mut self, quota: Quota, request: &LimitRequest, now: DateTime<Utc>) -> (Self, Granted) {
        let (returning, fresh) = match quota {
            Quota::Rate(rate) => {
                let returning = request.returning.min(tokens(rate, self.full_at, now));
                self.full_at = spent(rate, self.full_at, returning, now);
                let is_awaited = returning < request.returning;
                let left = tokens(rate, self.full_at.max(self.booked_until), now);
                let fresh = if is_awaited { 0 } else { request.fresh.min(left) };
                self.full_at = spent(rate, self.full_at, fresh, now);
                self.booked_until = spent(rate, self.booked_until, fresh, now);
                (returning, fresh)
            }
            Quota::Concurrency(most) => {
                self.leases.retain(|lease| lease.lease_until > now);
                let free = most.saturating_sub(held(&self.leases));
                let returning = request.returning.min(free);
                let fresh = request.fresh.min(free - returning);
                self.lease(request, returning + fresh, now);
                (returning, fresh)
            }
        };
        let refused = (request.returning - returning) + (request.fresh - fresh);
        let later = self.defer(refused, quota, now);
        (self.written(now), Granted { returning, fresh, later })
    }

    /// The limit after a batch returned its leases for so many jobs; `None` if it holds none.
    #[must_use]
    pub fn returned(mut self, holder: u64, jobs: u32, now: DateTime<Utc>) -> Option<Self> {
        let lease = self.leases.iter_mut().find(|lease| lease.holder == holder)?;
        let held = now - lease.since;
        lease.jobs = lease.jobs.saturating_sub(jobs);
        self.leases.retain(|lease| lease.jobs > 0);
        self.hold_millis = moving_average(self.hold_millis, held);
        Some(self.written(now))
    }

    /// When a new job can start at the earliest; `None` if one can start now. A lease may be returned before it ends.
    #[must_use]
    pub fn next_free_at(&self, quota: Quota, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match quota {
            Quota::Rate(rate) => {
                let at = next_token(rate, self.full_at.max(self.booked_until));
                (at > now).then_some(at)
            }
            Quota::Concurrency(most) => {
                let mut leases: Vec<Lease> =
                    self.leases.iter().filter(|lease| lease.lease_until > now).copied().collect();
                leases.sort_unstable_by_key(|lease| lease.lease_until);
                // So many must end for one job to start.
                let ended = (0..leases.len()).find(|ended| held(&leases[*ended..]) < most);
                let last = ended.unwrap_or(leases.len()).checked_sub(1)?;
                leases.get(last).map(|lease| lease.lease_until)
            }
        }
    }

    fn lease(&mut self, request: &LimitRequest, jobs: u32, now: DateTime<Utc>) {
        if jobs > 0 {
            let LimitRequest { holder, lease_until, .. } = *request;
            self.leases.push(Lease { holder, jobs, since: now, lease_until });
        }
    }

    /// The instants of the next jobs on the ramp.
    fn defer(&mut self, jobs: u32, quota: Quota, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
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
        let first = first.max(later(now, SOONEST)).max(later(self.ramp_ends, interval));
        let instants: Vec<DateTime<Utc>> = (0..jobs).map(|job| later(first, times(interval, job))).collect();
        self.ramp_ends = instants.last().copied().unwrap_or(self.ramp_ends);
        instants
    }

    const fn written(mut self, now: DateTime<Utc>) -> Self {
        self.revision = self.revision.saturating_add(1);
        self.written_at = now;
        self
    }
}

/// How long leases are held on average, in milliseconds, after one more was held so long. Recent leases weigh more. 0
/// before the first.
pub(crate) fn moving_average(before: u64, held: TimeDelta) -> u64 {
    let held = u64::try_from(held.num_milliseconds()).unwrap_or_default();
    let before = if before == 0 { held } else { before };
    (before.saturating_mul(7).saturating_add(held) / 8).max(1)
}

/// For how many jobs leases are held.
fn held(leases: &[Lease]) -> u32 {
    leases.iter().fold(0, |held, lease| held.saturating_add(lease.jobs))
}

/// How many tokens are left, if all are back at this instant.
fn tokens(rate: Rate, full_at: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    let left = depth(rate) - (full_at.max(now) - now);
    let interval = rate.interval().num_nanoseconds().unwrap_or(i64::MAX).max(1);
    let left = left.num_nanoseconds().unwrap_or_default() / interval;
    u32::try_from(left.max(0)).unwrap_or(u32::MAX)
}

/// When all tokens are back after so many more are spent.
fn spent(rate: Rate, full_at: DateTime<Utc>, taken: u32, now: DateTime<Utc>) -> DateTime<Utc> {
    later(full_at.max(now), times(rate.interval(), taken))
}

/// When the next token is back, if all are back at this instant.
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
        let leases = self.leases.iter().map(|lease| lease.lease_until);
        let last = leases.chain([self.full_at, self.booked_until, self.ramp_ends, self.written_at]).max();
        last?.checked_add_signed(KEEP)
    }
}
