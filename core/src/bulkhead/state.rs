//! The state machine of a bulkhead: prompt, or called by a few batches under leases.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::BulkheadTerms;
use crate::limit::{Lease, moving_average};

/// How promptly a dependency answers, and which batches call it while it does not.
///
/// ```
/// use std::time::Duration;
/// use chrono::{DateTime, TimeDelta};
/// use lambda_jobs_core::bulkhead::{Bulkhead, BulkheadDecision, BulkheadTerms};
///
/// let terms = BulkheadTerms { prompt: Duration::from_secs(2), batches: 1 };
/// let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
/// assert_eq!(Bulkhead::new().decide(terms, None, at(0)), BulkheadDecision::Available);
///
/// let called = Bulkhead::new().enter(7, at(90), at(0));
/// assert_eq!(called.decide(terms, Some(7), at(1)), BulkheadDecision::Held);
/// assert_eq!(called.decide(terms, Some(8), at(1)), BulkheadDecision::Full(at(0)));
/// assert_eq!(called.answer(true).decide(terms, Some(8), at(1)), BulkheadDecision::Open);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bulkhead {
    /// Whether the dependency has answered promptly, and no two batches have waited for it in vain since.
    pub is_prompt: bool,
    /// The batches that call it until then.
    #[serde(rename = "places", skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<Lease>,
    /// How long a batch keeps its lease on average, in milliseconds.
    pub hold_millis: u64,
    /// When the next refused job comes back, at the earliest.
    #[serde(rename = "lineEnds")]
    pub ramp_ends: DateTime<Utc>,
}

/// May a batch call the dependency?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkheadDecision {
    /// Every batch may call.
    Open,
    /// This batch may call: it holds a lease.
    Held,
    /// This batch may call once it takes a lease; one is free.
    Available,
    /// This batch may not call: all leases are taken, the first of them since this instant.
    Full(DateTime<Utc>),
}

/// A call that the dependency does not answer promptly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StalledCall {
    /// The batch that makes it.
    pub holder: u64,
    /// When it began.
    pub called_at: DateTime<Utc>,
    /// When the lease of its batch ends.
    pub lease_until: DateTime<Utc>,
}

/// For how long a prompt answer is remembered before it is written again. An older breaker may be forgotten.
const WRITE_AGAIN: TimeDelta = TimeDelta::days(1);

impl Bulkhead {
    /// A bulkhead whose dependency was never called.
    #[must_use]
    pub const fn new() -> Self {
        Self { is_prompt: false, leases: Vec::new(), hold_millis: 0, ramp_ends: DateTime::UNIX_EPOCH }
    }

    /// Whether its dependency was never called.
    pub(crate) fn is_new(&self) -> bool {
        *self == Self::new()
    }

    /// How many batches hold a lease. An open bulkhead has none, except for a batch that waits for a single slow answer.
    #[must_use]
    pub fn callers(&self, now: DateTime<Utc>) -> usize {
        self.live(now).count()
    }

    /// Decides about a batch, by the number under which it holds leases, if it has one.
    #[must_use]
    pub fn decide(&self, terms: BulkheadTerms, holder: Option<u64>, now: DateTime<Utc>) -> BulkheadDecision {
        if self.is_prompt {
            return BulkheadDecision::Open;
        }
        if self.live(now).any(|lease| Some(lease.holder) == holder) {
            return BulkheadDecision::Held;
        }
        match self.live(now).map(|lease| lease.since).min() {
            Some(first) if self.callers(now) >= terms.batches as usize => BulkheadDecision::Full(first),
            _ => BulkheadDecision::Available,
        }
    }

    /// Whether the next prompt answer has to be written: it is news, or was written long ago.
    #[must_use]
    pub fn needs_answer(&self, written_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        !self.is_prompt || now - written_at > WRITE_AGAIN
    }

    /// The bulkhead with a lease for this batch.
    #[must_use]
    pub fn enter(self, holder: u64, lease_until: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        self.leased(Lease { holder, jobs: 1, since: now, lease_until }, now)
    }

    /// The bulkhead with a lease for a batch whose call stalls, though every batch may call.
    ///
    /// A single batch may have met a single slow answer. When a second one waits, the bulkhead closes. The batches
    /// that wait already all count, however many there are.
    #[must_use]
    pub fn stall(self, terms: BulkheadTerms, call: StalledCall, now: DateTime<Utc>) -> Self {
        let StalledCall { holder, called_at, lease_until } = call;
        let mut next = self.leased(Lease { holder, jobs: 1, since: called_at, lease_until }, now);
        if next.leases.len() >= terms.batches.min(2) as usize {
            next.is_prompt = false;
        }
        next
    }

    /// The bulkhead without the lease of this batch; `None` if it holds none.
    #[must_use]
    pub fn leave(mut self, holder: u64, now: DateTime<Utc>) -> Option<Self> {
        let at = self.leases.iter().position(|lease| lease.holder == holder)?;
        let lease = self.leases.remove(at);
        self.hold_millis = moving_average(self.hold_millis, now - lease.since);
        Some(self)
    }

    /// The bulkhead after an answer. A prompt one opens it to every batch.
    #[must_use]
    pub fn answer(self, is_prompt: bool) -> Self {
        if is_prompt { Self { is_prompt, ..Self::new() } } else { Self { is_prompt, ..self } }
    }

    /// The leases that have not ended.
    pub(super) fn live(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Lease> {
        self.leases.iter().filter(move |lease| lease.lease_until > now)
    }

    fn leased(mut self, lease: Lease, now: DateTime<Utc>) -> Self {
        self.leases.retain(|other| other.lease_until > now && other.holder != lease.holder);
        self.leases.push(lease);
        self
    }
}
