//! How many batches call a dependency that does not answer promptly.
//!
//! A batch lasts as long as its slowest call. A dependency that takes calls and never answers would hold every batch
//! that has one for it, and with them all jobs that have nothing to do with it, until its breaker opens; one that is
//! slow and does answer would go on like that for ever. So a dependency has to answer promptly once, and then everybody
//! calls it, at no cost; until it has, and again when it stalls, a few batches of the whole fleet call it, and the
//! others' jobs for it wait.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Breaker, BulkheadTerms, Phase};
use crate::limit::{Place, moving_average};

/// What is known of how promptly a dependency answers, and who calls it as long as it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bulkhead {
    /// Whether it has answered promptly, and has not stalled since.
    pub is_prompt: bool,
    /// The batches that call it meanwhile, each by the number of its holder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// How long a place is held on average, in milliseconds.
    pub hold_millis: u64,
    /// When the last of the jobs that wait comes back.
    pub line_ends: DateTime<Utc>,
}

/// What a batch meets that wants to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
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
/// How soon a job comes back at the earliest: SQS counts in whole seconds.
const SOONEST: TimeDelta = TimeDelta::seconds(1);
/// How long a prompt answer is remembered before one is written down again; what nobody writes to is forgotten.
const WRITE_AGAIN: TimeDelta = TimeDelta::days(1);

impl Bulkhead {
    /// Whether it is as it was at first.
    pub(super) fn is_new(&self) -> bool {
        *self == Self::default()
    }

    fn inside(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| place.lease_until > now)
    }
}

impl Breaker {
    /// What a batch meets that wants to call, by the number under which it has a place if it has one. A breaker that
    /// is not closed decides by itself, and what an operator keeps closed is called by everybody.
    #[must_use]
    pub fn passage(&self, terms: Option<BulkheadTerms>, holder: Option<u64>, now: DateTime<Utc>) -> Passage {
        let Some(terms) = terms.filter(|_| self.phase == (Phase::Closed { forced: false })) else {
            return Passage::Free;
        };
        if self.bulkhead.is_prompt {
            return Passage::Free;
        }
        let is_own = |place: &Place| Some(place.holder) == holder;
        if self.bulkhead.inside(now).any(is_own) {
            return Passage::Inside;
        }
        let first = self.bulkhead.inside(now).map(|place| place.since).min();
        match first {
            Some(first) if self.bulkhead.inside(now).count() >= terms.batches as usize => {
                Passage::Crowded(first)
            }
            _ => Passage::Vacant,
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

    /// The breaker once a batch waits that called at this instant, though everybody was let through: from now on few
    /// are. Those that wait already count, however many they are.
    #[must_use]
    pub fn stalled(
        mut self,
        holder: u64,
        called_at: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        self.bulkhead.is_prompt = false;
        self.take_place(holder, lease_until, called_at, now);
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
    pub(super) fn answered(mut self, promptly: bool) -> Self {
        if promptly {
            self.bulkhead = Bulkhead { is_prompt: true, ..Bulkhead::default() };
        } else {
            self.bulkhead.is_prompt = false;
        }
        self
    }

    /// The breaker with so many jobs more that wait for a place, and their instants: a batch of them at a time, at the
    /// pace at which places become free.
    #[must_use]
    pub fn waiting_for_a_place(
        mut self,
        terms: BulkheadTerms,
        jobs: usize,
        now: DateTime<Utc>,
    ) -> (Self, Vec<DateTime<Utc>>) {
        let so_far = self.bulkhead.inside(now).map(|place| now - place.since).max();
        let prompt = TimeDelta::from_std(terms.prompt).unwrap_or(SOONEST);
        let hold = i64::try_from(self.bulkhead.hold_millis).ok().and_then(TimeDelta::try_milliseconds);
        let hold = hold.unwrap_or_default().max(so_far.unwrap_or_default()).max(prompt);
        let apart = hold / i32::try_from(terms.batches.max(1)).unwrap_or(i32::MAX);
        let share = apart / i32::try_from(BATCH).unwrap_or(i32::MAX);
        let first = later(self.bulkhead.line_ends, share).max(later(now, SOONEST));
        let place = |job: usize| later(first, times(apart, job / BATCH));
        let places: Vec<DateTime<Utc>> = (0..jobs).map(place).collect();
        self.bulkhead.line_ends = later(first, times(share, jobs));
        (self.written(now), places)
    }

    fn take_place(
        &mut self,
        holder: u64,
        lease_until: DateTime<Utc>,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        self.bulkhead.places.retain(|place| place.lease_until > now && place.holder != holder);
        self.bulkhead.places.push(Place { holder, jobs: 1, since, lease_until });
    }
}

fn times(interval: TimeDelta, count: usize) -> TimeDelta {
    i32::try_from(count).ok().and_then(|count| interval.checked_mul(count)).unwrap_or(TimeDelta::MAX)
}

fn later(instant: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    instant.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
