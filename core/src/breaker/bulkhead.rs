//! How many batches call a dependency that does not answer promptly.
//!
//! A batch lasts as long as its slowest call. A dependency that takes calls and never answers would hold every batch
//! that has one for it, and with them all jobs that have nothing to do with it, until its breaker opens; one that is
//! slow and does answer would go on like that for ever. So a dependency has to answer promptly once, and then everybody
//! calls it, at no cost; until it has, and again when it stalls, a few batches of the whole fleet call it, and the
//! others' jobs for it wait. Those that have waited come back when a place is likely to be free; they have no right to
//! it, and a newcomer may be there first.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Breaker, BulkheadTerms, Phase};
use crate::limit::{Lease, moving_average};

/// What is known of how promptly a dependency answers, and who calls it as long as it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bulkhead {
    /// Whether it has answered promptly, and no two batches have waited for it in vain since.
    pub is_prompt: bool,
    /// The batches that call it meanwhile, each by the number of its holder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Lease>,
    /// How long a place is held on average, in milliseconds.
    pub hold_millis: u64,
    /// When the next job that is refused comes back, at the earliest.
    pub line_ends: DateTime<Utc>,
}

/// What a batch meets that wants to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkheadDecision {
    /// Everybody calls.
    Free,
    /// The batch is one of the few that call.
    Inside,
    /// It may become one.
    Vacant,
    /// There are as many as may be, the first of them since this instant.
    Crowded(DateTime<Utc>),
}

/// How many of the jobs that wait come back at the same time: a place is for a batch.
const BATCH: usize = 10;
/// How many of them come back for each place that becomes free: more than it takes, because who finds none waits again,
/// and a place for which nobody comes is lost.
const FOR_A_PLACE: i32 = 15;
/// How soon a job comes back at the earliest: SQS counts in whole seconds.
const SOONEST: TimeDelta = TimeDelta::seconds(1);
/// How long a prompt answer is remembered before one is written down again; what nobody writes to is forgotten.
const WRITE_AGAIN: TimeDelta = TimeDelta::days(1);

impl Bulkhead {
    /// Whether it is as it was at first.
    pub(super) fn is_new(&self) -> bool {
        *self == Self::default()
    }

    fn inside(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Lease> {
        self.places.iter().filter(move |place| place.lease_until > now)
    }
}

impl Breaker {
    /// How many batches have a place: none where everybody calls, but for one that waits for a single slow answer.
    #[must_use]
    pub fn inside(&self, now: DateTime<Utc>) -> usize {
        self.bulkhead.inside(now).count()
    }

    /// Whether it was written for nothing but to remember that its dependency answers promptly.
    #[must_use]
    pub fn is_uneventful(&self, now: DateTime<Utc>) -> bool {
        let counts = self.window.total(self.written_at, Duration::MAX);
        let has_failed = self.openings > 0 || counts.failures > 0 || counts.slow > 0;
        let is_waited_for = self.deferred(now) > 0 || self.inside(now) > 0;
        self.bulkhead.is_prompt
            && self.phase == (Phase::Closed { forced: false })
            && !has_failed
            && !is_waited_for
    }

    /// What a batch meets that wants to call, by the number under which it has a place if it has one. A breaker that
    /// is not closed decides by itself, and what an operator keeps closed is called by everybody.
    #[must_use]
    pub fn passage(
        &self,
        terms: Option<BulkheadTerms>,
        holder: Option<u64>,
        now: DateTime<Utc>,
    ) -> BulkheadDecision {
        let Some(terms) = terms.filter(|_| self.phase == (Phase::Closed { forced: false })) else {
            return BulkheadDecision::Free;
        };
        if self.bulkhead.is_prompt {
            return BulkheadDecision::Free;
        }
        let is_own = |place: &Lease| Some(place.holder) == holder;
        if self.bulkhead.inside(now).any(is_own) {
            return BulkheadDecision::Inside;
        }
        let first = self.bulkhead.inside(now).map(|place| place.since).min();
        match first {
            Some(first) if self.bulkhead.inside(now).count() >= terms.batches as usize => {
                BulkheadDecision::Crowded(first)
            }
            _ => BulkheadDecision::Vacant,
        }
    }

    /// Whether that it answers promptly is news, or was written so long ago that it has to be written again.
    #[must_use]
    pub fn awaits_a_prompt_answer(&self, now: DateTime<Utc>) -> bool {
        !self.bulkhead.is_prompt || now - self.written_at > WRITE_AGAIN
    }

    /// The breaker with a batch among those that call.
    #[must_use]
    pub fn entered(mut self, holder: u64, lease_until: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        self.take_place(holder, lease_until, now, now);
        self.written(now)
    }

    /// The breaker once a batch waits in vain that called at this instant, though everybody was let through. A single
    /// one may have met a single slow answer; when a second one waits, few are let through from then on. Those that wait
    /// already count, however many they are.
    #[must_use]
    pub fn stalled(
        mut self,
        terms: BulkheadTerms,
        holder: u64,
        (called_at, lease_until): (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Self {
        self.take_place(holder, lease_until, called_at, now);
        if self.bulkhead.places.len() >= terms.batches.min(2) as usize {
            self.bulkhead.is_prompt = false;
        }
        self.written(now)
    }

    /// The breaker without this batch; none where it has no place.
    #[must_use]
    pub fn left(mut self, holder: u64, now: DateTime<Utc>) -> Option<Self> {
        let place = self.bulkhead.places.iter().position(|place| place.holder == holder)?;
        let place = self.bulkhead.places.remove(place);
        self.bulkhead.hold_millis = moving_average(self.bulkhead.hold_millis, now - place.since);
        Some(self.written(now))
    }

    /// The breaker after an answer that came promptly, or did not. A prompt one opens the bulkhead to everybody.
    #[must_use]
    pub(crate) fn answered(mut self, promptly: bool) -> Self {
        if promptly {
            self.bulkhead = Bulkhead { is_prompt: true, ..Bulkhead::default() };
        } else {
            self.bulkhead.is_prompt = false;
        }
        self
    }

    /// The breaker with so many jobs more that wait for a place, and their instants: a batch of them at a time, at the
    /// pace at which places become free, and none later than `latest`. In a line that is full whoever comes then is put
    /// anywhere: nobody can wait for longer, and at its end all would come at once.
    #[must_use]
    pub fn waiting_for_a_place(
        mut self,
        terms: BulkheadTerms,
        jobs: usize,
        (now, latest): (DateTime<Utc>, DateTime<Utc>),
        chance: impl Fn() -> u64,
    ) -> (Self, Vec<DateTime<Utc>>) {
        let hold = self.hold(terms, now);
        let apart = hold / i32::try_from(terms.batches.max(1)).unwrap_or(i32::MAX);
        let share = apart / FOR_A_PLACE;
        let oldest = self.bulkhead.inside(now).map(|place| place.since).min();
        let next_free = oldest.map_or(now, |oldest| later(oldest, hold));
        let soonest = later(now, SOONEST);
        let first = self.bulkhead.line_ends.max(next_free).max(soonest);
        let line_ends = later(first, times(share, jobs));
        if line_ends > latest {
            let room = u64::try_from((latest - soonest).num_milliseconds()).unwrap_or_default().max(1);
            let wait = || TimeDelta::milliseconds(i64::try_from(chance() % room).unwrap_or_default());
            let anywhere = |_| together(later(soonest, wait()), apart);
            let mut places: Vec<DateTime<Utc>> = (0..jobs).map(anywhere).collect();
            places.sort_unstable();
            return (self.written(now), places);
        }
        self.bulkhead.line_ends = line_ends;
        let places =
            (0..jobs).map(|job| together(later(first, times(share, job / BATCH * BATCH)), apart)).collect();
        (self.written(now), places)
    }

    /// How long a place is held: on average, or so far where that is longer already. A lease that ends frees one sooner.
    fn hold(&self, terms: BulkheadTerms, now: DateTime<Utc>) -> TimeDelta {
        let so_far = self.bulkhead.inside(now).map(|place| now - place.since).max().unwrap_or_default();
        let first_lease = self.bulkhead.inside(now).map(|place| place.lease_until - now).min();
        let prompt = TimeDelta::from_std(terms.prompt).unwrap_or(SOONEST);
        let average = i64::try_from(self.bulkhead.hold_millis).ok().and_then(TimeDelta::try_milliseconds);
        let hold = average.unwrap_or_default().max(so_far);
        first_lease.map_or(hold, |lease| hold.min(lease)).max(prompt)
    }

    fn take_place(
        &mut self,
        holder: u64,
        lease_until: DateTime<Utc>,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        self.bulkhead.places.retain(|place| place.lease_until > now && place.holder != holder);
        self.bulkhead.places.push(Lease { holder, jobs: 1, since, lease_until });
    }
}

/// The next instant, of those that lie so far apart, at which jobs come back together: one by one, each would take a
/// place for itself.
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
