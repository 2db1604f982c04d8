//! The state machine of a breaker: closed, open, half-open.
//!
//! The stored state holds everything that a decision needs: the instant of the next call does not depend on the
//! asking worker's policy. Every change makes the next revision, and names its writer.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::ramp::Ramp;
use super::{Admission, BreakerPolicy, Hold, Phase, ProbeEnd, Window};
use crate::bulkhead::Bulkhead;
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
    /// The writer of this revision: a random number, by which two writers of the same change know whose it is.
    pub writer: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How often in a row it has opened; 0 for one that never has.
    pub openings: u32,
    /// The calls within the monitoring period, and since it closed last.
    pub window: Window,
    /// The jobs that wait for it.
    #[serde(rename = "line")]
    pub ramp: Ramp,
    /// How promptly the dependency answers, and which batches call it while it does not.
    #[serde(default, skip_serializing_if = "Bulkhead::is_new")]
    pub bulkhead: Bulkhead,
    /// The calls that its dependency asked not to get, each until an instant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// When it was written last.
    pub written_at: DateTime<Utc>,
}

/// For how long a breaker is remembered after its last write: longer than any window.
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
            ramp: Ramp::new(now),
            bulkhead: Bulkhead::new(),
            holds: Vec::new(),
            written_at: now,
        }
    }

    /// Whether a call may be made now, for a job without a tenant.
    #[must_use]
    pub fn admission(&self, now: DateTime<Utc>) -> Admission {
        self.admission_of(None, now)
    }

    /// Whether a call may be made now, for a job of this tenant.
    #[must_use]
    pub fn admission_of(&self, tenant: Option<&str>, now: DateTime<Utc>) -> Admission {
        if let Some(hold) = self.hold_on(tenant, now)
            && self.phase != (Phase::Open { probe_at: None })
        {
            return Admission::Refused(Some(hold.until()));
        }
        match self.phase {
            Phase::Closed { .. } => Admission::Admitted,
            Phase::Open { probe_at: Some(at) } | Phase::HalfOpen { lease_until: at, .. } if now >= at => {
                Admission::Probe
            }
            Phase::Open { probe_at } => Admission::Refused(probe_at),
            Phase::HalfOpen { lease_until, .. } => Admission::Refused(Some(lease_until)),
        }
    }

    /// When the next probe may be made; `None` if the breaker is closed or an operator keeps it open.
    #[must_use]
    pub const fn next_probe_at(&self) -> Option<DateTime<Utc>> {
        match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { probe_at } => probe_at,
            Phase::HalfOpen { lease_until, .. } => Some(lease_until),
        }
    }

    /// Whether an operator keeps it open or closed.
    #[must_use]
    pub const fn is_forced(&self) -> bool {
        matches!(self.phase, Phase::Closed { forced: true } | Phase::Open { probe_at: None })
    }

    /// How many jobs wait for an instant on its ramps. A job that got its instant before the breaker opened again
    /// counts again when it comes back and is refused.
    #[must_use]
    pub fn deferred(&self, now: DateTime<Utc>) -> u64 {
        self.holds.iter().map(|hold| hold.ramp.waiting(now)).fold(self.ramp.waiting(now), u64::saturating_add)
    }

    /// The breaker while its one probe is made.
    #[must_use]
    pub fn probing(self, probe: u64, lease_until: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        self.turned(Phase::HalfOpen { probe, lease_until }, now).written(now)
    }

    /// The breaker after this probe; `None` if this is no longer the current probe.
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

    /// The breaker with so many refused jobs on its ramp, and their instants. If an operator keeps it open, there are
    /// no instants, and the breaker does not change.
    #[must_use]
    pub fn joined(self, jobs: u64, now: DateTime<Utc>) -> (Self, Vec<DateTime<Utc>>) {
        self.joined_by(None, jobs, now)
    }

    /// As [`joined`](Self::joined), for jobs of this tenant.
    #[must_use]
    pub fn joined_by(
        mut self,
        tenant: Option<&str>,
        jobs: u64,
        now: DateTime<Utc>,
    ) -> (Self, Vec<DateTime<Utc>>) {
        if let Some(instants) = self.join_hold(tenant, jobs, now) {
            return (self.written(now), instants);
        }
        let earliest = match self.phase {
            Phase::Open { probe_at: None } => return (self, Vec::new()),
            Phase::Open { probe_at: Some(at) } => at.max(now),
            // The probe has just begun, and may end long before its lease does.
            _ => now.checked_add_signed(A_MOMENT).unwrap_or(now),
        };
        let instants = self.ramp.join(jobs, earliest);
        (self.written(now), instants)
    }

    /// The breaker as an operator opens it, until somebody closes or resets it.
    #[must_use]
    pub fn forced_open(self, now: DateTime<Utc>) -> Self {
        self.turned(Phase::Open { probe_at: None }, now).written(now)
    }

    /// The breaker as an operator closes it, until somebody opens or resets it. It holds no calls.
    #[must_use]
    pub fn forced_closed(mut self, now: DateTime<Utc>) -> Self {
        self.holds.clear();
        self.turned(Phase::Closed { forced: true }, now).written(now)
    }

    /// The breaker as if it were new. Jobs that wait keep their instants on the ramp.
    #[must_use]
    pub fn reset(self, now: DateTime<Utc>) -> Self {
        let Self { name, revision, ramp, .. } = self;
        Self { revision, ramp, ..Self::new(name, now) }.written(now)
    }

    pub(super) fn opened(mut self, policy: &BreakerPolicy, now: DateTime<Utc>) -> Self {
        self.openings = self.openings.saturating_add(1);
        let recovery = TimeDelta::from_std(policy.recovery_after(self.openings)).unwrap_or(TimeDelta::MAX);
        let probe_at = now.checked_add_signed(recovery).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.ramp = Ramp::new(probe_at);
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

/// The shortest wait of a job that meets a probe.
const A_MOMENT: TimeDelta = TimeDelta::seconds(1);

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
