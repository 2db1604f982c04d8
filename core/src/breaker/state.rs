//! The state machine of a breaker: closed, open, half-open.
//!
//! What is stored is all that anybody needs to decide: when the next call may be made does not depend on the
//! policy of whoever asks. Every change makes the next revision, written by somebody who says who he is.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::bulkhead::Bulkhead;
use super::ramp::Ramp;
use super::{BreakerPolicy, Counts, Trip, Window};
use crate::job::BreakerName;
use crate::versioned::VersionedState;

/// A breaker, as the fleet shares it.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use lambda_jobs_core::breaker::{Admission, Breaker, BreakerPolicy, Counts, ProbeEnd, Window};
///
/// let policy = BreakerPolicy::default().failure_count(2)?;
/// let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
/// let mut failures = Window::new();
/// failures.count(at(0), Counts { calls: 2, failures: 2, slow: 0 }, policy.monitoring_period());
/// let open = Breaker::new("mail".parse()?, at(0)).recorded(&failures, &policy, at(0));
/// assert_eq!(open.admission(at(59)), Admission::Refused(Some(at(60))));
/// assert_eq!(open.admission(at(60)), Admission::Probe);
///
/// let half_open = open.probing(7, at(90), at(60));
/// assert_eq!(half_open.admission(at(61)), Admission::Refused(Some(at(90))), "one probe at a time");
/// let closed = half_open.probed(7, ProbeEnd::Succeeded, &policy, at(62)).unwrap();
/// assert_eq!(closed.admission(at(62)), Admission::Admitted);
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// Its name.
    pub name: BreakerName,
    /// How often it was written; 0 before the first time.
    pub revision: u64,
    /// Who wrote this revision: a random number, so that two who make the same change know whose it is.
    pub writer: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How often in a row it has opened; 0 for one that never has.
    pub openings: u32,
    /// The calls of the last while; those since it closed, where it did meanwhile.
    pub window: Window,
    /// The jobs that wait for it.
    pub line: Ramp,
    /// How promptly the dependency answers, and who calls it as long as it does not.
    #[serde(default, skip_serializing_if = "Bulkhead::is_new")]
    pub bulkhead: Bulkhead,
    /// When it was written last.
    pub written_at: DateTime<Utc>,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Phase {
    /// Calls are made.
    Closed {
        /// Whether an operator keeps it so, whatever fails.
        forced: bool,
    },
    /// No calls are made.
    Open {
        /// From when on a call is let through to see; `None` where an operator keeps it open.
        probe_at: Option<DateTime<Utc>>,
    },
    /// One call is being made to see.
    HalfOpen {
        /// Who makes it.
        probe: u64,
        /// Until when nobody else may: after a crash the lease runs out.
        lease_until: DateTime<Utc>,
    },
}

impl Phase {
    /// The state's name, as it is written in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admitted,
    /// One may, by whoever takes the lease.
    Probe,
    /// It may not; perhaps from this instant on. Nobody knows when an operator lets go.
    Refused(Option<DateTime<Utc>>),
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// The dependency answered as it should.
    Succeeded,
    /// It did not.
    Failed,
    /// The call was not made, or nothing can be concluded from it.
    Unused,
}

/// How long a breaker that nobody writes to is remembered: longer than any window.
const KEEP: TimeDelta = TimeDelta::days(15);

impl Breaker {
    /// A breaker that was never written: closed.
    #[must_use]
    pub const fn new(name: BreakerName, now: DateTime<Utc>) -> Self {
        Self {
            name,
            revision: 0,
            writer: 0,
            phase: Phase::Closed { forced: false },
            since: now,
            openings: 0,
            window: Window::new(),
            line: Ramp::new(now),
            bulkhead: Bulkhead {
                is_prompt: false,
                places: Vec::new(),
                hold_millis: 0,
                line_ends: DateTime::UNIX_EPOCH,
            },
            written_at: now,
        }
    }

    /// Whether a call may be made now.
    #[must_use]
    pub fn admission(&self, now: DateTime<Utc>) -> Admission {
        match self.phase {
            Phase::Closed { .. } => Admission::Admitted,
            Phase::Open { probe_at: Some(at) } | Phase::HalfOpen { lease_until: at, .. } if now >= at => {
                Admission::Probe
            }
            Phase::Open { probe_at } => Admission::Refused(probe_at),
            Phase::HalfOpen { lease_until, .. } => Admission::Refused(Some(lease_until)),
        }
    }

    /// When the next call may be let through, where none is now and an operator does not keep it open.
    #[must_use]
    pub const fn next_probe_at(&self) -> Option<DateTime<Utc>> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { probe_at } => probe_at,
            Phase::HalfOpen { lease_until, .. } => Some(lease_until),
        }
    }

    /// Whether an operator keeps it as it is.
    #[must_use]
    pub const fn is_forced(&self) -> bool {
        matches!(self.phase, Phase::Closed { forced: true } | Phase::Open { probe_at: None })
    }

    /// How many jobs wait for an instant that they were given because of it. Those who were given theirs before it
    /// opened again count anew when they come and are refused.
    #[must_use]
    pub fn deferred(&self, now: DateTime<Utc>) -> u64 {
        self.line.waiting(now)
    }

    /// The breaker after these calls, of which a closed one opens where they are too bad. What was counted before
    /// it closed again has had its effect, and is left out.
    #[must_use]
    pub fn recorded(mut self, calls: &Window, policy: &BreakerPolicy, now: DateTime<Utc>) -> Self {
        let length = policy.monitoring_period();
        let has_closed = self.openings > 0 && matches!(self.phase, Phase::Closed { .. });
        let calls = if has_closed { &calls.since(self.since) } else { calls };
        self.window.merge(calls, now, length);
        let total = self.window.total(now, length);
        if self.phase == (Phase::Closed { forced: false }) && is_too_bad(total, policy) {
            let was_closed_for = now - self.since;
            let is_again = TimeDelta::from_std(length).is_ok_and(|length| was_closed_for < length);
            if !is_again {
                self.openings = 0;
            }
            return self.opened(policy, now);
        }
        self.written(now)
    }

    /// The breaker with its one probe under way.
    #[must_use]
    pub fn probing(self, probe: u64, lease_until: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        self.turned(Phase::HalfOpen { probe, lease_until }, now).written(now)
    }

    /// The breaker after this probe, where it is the one that is under way.
    #[must_use]
    pub fn probed(
        mut self,
        probe: u64,
        end: ProbeEnd,
        policy: &BreakerPolicy,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        if !matches!(self.phase, Phase::HalfOpen { probe: held, .. } if held == probe) {
            return None;
        }
        Some(match end {
            ProbeEnd::Succeeded => {
                self.window = Window::new();
                self.turned(Phase::Closed { forced: false }, now).written(now)
            }
            ProbeEnd::Failed => self.opened(policy, now),
            ProbeEnd::Unused => self.turned(Phase::Open { probe_at: Some(now) }, now).written(now),
        })
    }

    /// The breaker with places in its line for so many jobs that it refuses, and their instants. Where an
    /// operator keeps it open, nobody knows when: there are no places, and the breaker is as it was.
    #[must_use]
    pub fn joined(mut self, jobs: u64, now: DateTime<Utc>) -> (Self, Vec<DateTime<Utc>>) {
        let earliest = match self.phase {
            Phase::Open { probe_at: None } => return (self, Vec::new()),
            Phase::Open { probe_at: Some(at) } => at.max(now),
            // The probe has just begun, and may end long before its lease does.
            _ => now.checked_add_signed(A_MOMENT).unwrap_or(now),
        };
        let places = self.line.join(jobs, earliest);
        (self.written(now), places)
    }

    /// The breaker as an operator opens it, for as long as nobody closes or resets it.
    #[must_use]
    pub fn forced_open(self, now: DateTime<Utc>) -> Self {
        self.turned(Phase::Open { probe_at: None }, now).written(now)
    }

    /// The breaker as an operator closes it, for as long as nobody opens or resets it.
    #[must_use]
    pub fn forced_closed(self, now: DateTime<Utc>) -> Self {
        self.turned(Phase::Closed { forced: true }, now).written(now)
    }

    /// The breaker as if nothing had happened yet. Who waits for it keeps his place.
    #[must_use]
    pub fn reset(self, now: DateTime<Utc>) -> Self {
        let Self { name, revision, line, .. } = self;
        Self { revision, line, ..Self::new(name, now) }.written(now)
    }

    fn opened(mut self, policy: &BreakerPolicy, now: DateTime<Utc>) -> Self {
        self.openings = self.openings.saturating_add(1);
        let recovery = TimeDelta::from_std(policy.recovery_after(self.openings)).unwrap_or(TimeDelta::MAX);
        let probe_at = now.checked_add_signed(recovery).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.line = Ramp::new(probe_at);
        self.turned(Phase::Open { probe_at: Some(probe_at) }, now).written(now)
    }

    fn turned(mut self, phase: Phase, now: DateTime<Utc>) -> Self {
        if self.phase.as_str() != phase.as_str() {
            self.since = now;
        }
        self.phase = phase;
        self
    }

    pub(super) const fn written(mut self, now: DateTime<Utc>) -> Self {
        self.revision = self.revision.saturating_add(1);
        self.written_at = now;
        self
    }
}

/// How long a job waits at least that meets a probe under way.
const A_MOMENT: TimeDelta = TimeDelta::seconds(1);

fn is_too_bad(total: Counts, policy: &BreakerPolicy) -> bool {
    let fails = match policy.trip() {
        Trip::Count(failures) => total.failures >= u64::from(failures),
        Trip::Rate(share) => share.is_reached(total.failures, total.calls),
    };
    fails || policy.slow().is_some_and(|slow| slow.share.is_reached(total.slow, total.calls))
}

impl VersionedState for Breaker {
    const KIND: &'static str = "breaker";

    fn name(&self) -> String {
        self.name.as_str().to_owned()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        if self.is_forced() { None } else { self.written_at.checked_add_signed(KEEP) }
    }
}
