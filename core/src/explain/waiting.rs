//! Jobs that have not ended: the first obstacle that a worker would meet.

use chrono::{DateTime, Utc};

use super::text::{at, quoted};
use super::{Explanation, Reason};
use crate::breaker::{Breaker, Hold, Phase};
use crate::control::{Control, Pause};
use crate::job::{Blocker, JobRecord, JobStatus};
use crate::limit::LimitState;
use crate::versioned::VersionedState;

/// A job that has not ended, and everything that may hold it up.
pub(super) struct Waiting<'a> {
    pub(super) record: &'a JobRecord,
    pub(super) control: &'a Control,
    pub(super) breakers: &'a [Breaker],
    pub(super) limits: &'a [LimitState],
    pub(super) now: DateTime<Utc>,
}

/// How long a breaker holds a job up beyond the job's own instant.
enum HeldUp {
    /// Until an operator changes that.
    ByOperator,
    /// Until this instant.
    Until(DateTime<Utc>),
    /// Until this instant, because the dependency asked for that.
    Asked(DateTime<Utc>),
}

impl Waiting<'_> {
    pub(super) fn explain(&self) -> Explanation {
        self.leased()
            .or_else(|| self.cancelled())
            .or_else(|| self.gathering())
            .or_else(|| self.paused())
            .or_else(|| self.held_up_by_breaker())
            .or_else(|| self.by_turn())
            .unwrap_or_else(|| self.by_due_time())
    }

    /// The job's own instant: a worker that died keeps its job until the lease ends.
    fn due_at(&self) -> DateTime<Utc> {
        match &self.record.claim {
            Some(claim) if self.record.status == JobStatus::Running => claim.lease_until,
            _ => self.record.due_at,
        }
    }

    fn is_due(&self) -> bool {
        self.due_at() <= self.now
    }

    fn leased(&self) -> Option<Explanation> {
        let record = self.record;
        let claim = record.claim.as_ref().filter(|_| record.is_leased(self.now))?;
        let since = record.started_at.map_or_else(String::new, |start| format!(" since {}", at(start)));
        let lease = at(claim.lease_until);
        let attempt = record.attempt();
        Some(if record.cancel_requested {
            let detail = format!(
                "a worker runs attempt {attempt}{since}; somebody cancelled the job, so there is no further attempt"
            );
            Explanation::without_instant(Reason::Leased, detail)
        } else {
            let is_forgiven = !claim.alone && !record.isolated;
            let then = if is_forgiven { "another may take it over" } else { "the attempt counts as failed" };
            let detail = format!(
                "a worker runs attempt {attempt}{since}; if it dies, {then} when its lease ends at {lease}"
            );
            Explanation::from(Reason::Leased, detail, claim.lease_until)
        })
    }

    /// A cancellation that came too late for its attempt.
    fn cancelled(&self) -> Option<Explanation> {
        self.record.cancel_requested.then(|| {
            let detail = "somebody cancelled it while it ran; its record changes when its message comes back";
            Explanation::without_instant(Reason::Cancelled, detail.to_owned())
        })
    }

    fn gathering(&self) -> Option<Explanation> {
        let record = self.record;
        (record.status == JobStatus::Waiting).then(|| {
            let detail = format!(
                "it waits for the children of its batch; they are recounted at {} at the latest",
                at(record.due_at)
            );
            Explanation::without_instant(Reason::Batch, detail)
        })
    }

    fn paused(&self) -> Option<Explanation> {
        let queue = self.record.queue;
        let detail = if let Some(Pause { since, reason }) = self.control.pause_of(queue) {
            let why = reason.as_ref().map_or_else(String::new, |why| format!(": {}", quoted(why.as_str())));
            format!("queue {queue} is paused since {}{why}", at(*since))
        } else {
            let since = self.control.disabled_since?;
            format!("jobs are disabled since {}: ENABLE_JOBS is false", at(since))
        };
        let due = if self.is_due() { String::new() } else { format!("; it is due at {}", at(self.due_at())) };
        Some(Explanation::without_instant(Reason::Paused, detail + &due))
    }

    /// The breaker that holds the job up longest, beyond the job's own instant.
    fn held_up_by_breaker(&self) -> Option<Explanation> {
        let mut longest: Option<(DateTime<Utc>, String)> = None;
        for breaker in self.breakers.iter().filter(|breaker| self.is_remembered(*breaker)) {
            match self.held_up_by(breaker) {
                Some(HeldUp::ByOperator) => {
                    let since = at(breaker.since);
                    let detail = format!(
                        "an operator keeps breaker {} open since {since}, until somebody closes or resets it",
                        quoted(breaker.name.as_str())
                    );
                    return Some(Explanation::without_instant(Reason::Breaker, detail));
                }
                Some(HeldUp::Until(until)) if longest.as_ref().is_none_or(|(other, _)| until > *other) => {
                    longest = Some((until, held_up_until(breaker, until)));
                }
                Some(HeldUp::Asked(until)) if longest.as_ref().is_none_or(|(other, _)| until > *other) => {
                    let name = quoted(breaker.name.as_str());
                    longest = Some((until, format!("breaker {name} {}", self.asked(breaker, until))));
                }
                _ => {}
            }
        }
        let (until, detail) = longest?;
        Some(Explanation::from(Reason::Breaker, detail, until))
    }

    fn tenant(&self) -> Option<&str> {
        self.record.definition.spec.tenant.as_deref()
    }

    /// What a dependency asked for, in words.
    fn asked(&self, breaker: &Breaker, until: DateTime<Utc>) -> String {
        let hold = breaker.hold_on(self.tenant(), self.now);
        let whose = hold.and_then(|hold| hold.tenant.as_deref());
        let whose =
            whose.map_or_else(|| "no call".to_owned(), |tenant| format!("no call of {}", quoted(tenant)));
        format!("lets {whose} through until {}: its dependency asked for that", at(until))
    }

    /// How long this breaker holds the job up beyond the job's own instant.
    fn held_up_by(&self, breaker: &Breaker) -> Option<HeldUp> {
        let asked = breaker.hold_on(self.tenant(), self.now).map(Hold::until);
        let asked = asked.filter(|until| *until > self.due_at()).map(HeldUp::Asked);
        match (self.held_up_by_phase(breaker), asked) {
            (Some(HeldUp::Until(probe_at)), Some(HeldUp::Asked(until))) if until > probe_at => {
                Some(HeldUp::Asked(until))
            }
            (phase, asked) => phase.or(asked),
        }
    }

    fn held_up_by_phase(&self, breaker: &Breaker) -> Option<HeldUp> {
        match breaker.phase {
            Phase::Closed { .. } => None,
            Phase::Open { probe_at: None } => Some(HeldUp::ByOperator),
            Phase::Open { probe_at: Some(at) } => {
                (at > self.now.max(self.due_at())).then_some(HeldUp::Until(at))
            }
            // The probe may succeed long before its lease ends, so it does not hold up a job whose own instant is yet to
            // come.
            Phase::HalfOpen { lease_until, .. } => {
                (self.is_due() && lease_until > self.now).then_some(HeldUp::Until(lease_until))
            }
        }
    }

    /// A job that waits for its own instant on a ramp.
    fn by_turn(&self) -> Option<Explanation> {
        if self.is_due() {
            return None;
        }
        let (due_at, turn) = (self.due_at(), at(self.due_at()));
        match self.record.blocked.as_ref()? {
            Blocker::Breaker(name) => {
                let found = self.breakers.iter().find(|breaker| breaker.name == *name);
                let state = found.filter(|found| self.is_remembered(*found));
                let state = state.map_or_else(|| "closed".to_owned(), |breaker| self.phase_of(breaker));
                let name = quoted(name.as_str());
                let detail =
                    format!("it waits for its turn at {turn} behind breaker {name}, which is {state}");
                Some(Explanation::from(Reason::Breaker, detail, due_at))
            }
            Blocker::Limit(key) => {
                let found = self.limits.iter().find(|limit| limit.key == *key);
                let held = found.map_or(0, |limit| self.leases_held(limit));
                let key = quoted(key.as_str());
                let held =
                    if held == 0 { String::new() } else { format!(", of which {held} jobs hold leases") };
                let detail = format!("it waits for its turn at {turn} under limit {key}{held}");
                Some(Explanation::from(Reason::Limit, detail, due_at))
            }
        }
    }

    /// The phase of a breaker, in words.
    fn phase_of(&self, breaker: &Breaker) -> String {
        let hold = breaker.hold_on(self.tenant(), self.now);
        if let (Phase::Closed { .. }, Some(hold)) = (breaker.phase, hold) {
            return format!("closed, and {}", self.asked(breaker, hold.until()));
        }
        match breaker.phase {
            Phase::Closed { .. } => match breaker.callers(self.now) {
                callers if callers > 0 && !breaker.bulkhead.is_prompt => format!(
                    "closed; its dependency does not answer promptly, so only a few batches call it at once: {callers} now"
                ),
                _ => "closed".to_owned(),
            },
            Phase::Open { .. } => "open".to_owned(),
            Phase::HalfOpen { .. } => "half-open".to_owned(),
        }
    }

    fn by_due_time(&self) -> Explanation {
        let record = self.record;
        let due = at(self.due_at());
        if record.status == JobStatus::Running {
            let was_alone = record.claim.as_ref().is_some_and(|claim| claim.alone) || record.isolated;
            let then = if was_alone { "" } else { "; it then runs alone, once a batch has time for it" };
            let detail = format!(
                "its worker's lease ended at {due} without a result, so its message comes back{then}"
            );
            return Explanation::from(Reason::Ready, detail, self.now);
        }
        if self.is_due() {
            let message =
                if record.parked { "is about to be sent" } else { "is in the queue, or on its way back" };
            let alone = match &record.note {
                Some(note) if record.isolated => format!("; its note says: {}", quoted(note)),
                _ => String::new(),
            };
            let detail = format!("nothing has held it up since {due}: its message {message}{alone}");
            return Explanation::from(Reason::Ready, detail, self.now);
        }
        let why = match (&record.note, &record.error) {
            (Some(note), _) => format!("; its note says: {}", quoted(note)),
            (None, Some(error)) if record.failures > 0 => {
                format!("; attempt {} failed: {}", record.failures, quoted(error))
            }
            _ => String::new(),
        };
        Explanation::from(Reason::Delayed, format!("it is due at {due}{why}"), self.due_at())
    }

    fn leases_held(&self, limit: &LimitState) -> u32 {
        limit.leases.iter().filter(|lease| lease.lease_until > self.now).map(|lease| lease.jobs).sum()
    }

    fn is_remembered(&self, state: &impl VersionedState) -> bool {
        state.expires_at().is_none_or(|end| end > self.now)
    }
}

fn held_up_until(breaker: &Breaker, until: DateTime<Utc>) -> String {
    let (name, since, until) = (quoted(breaker.name.as_str()), at(breaker.since), at(until));
    match breaker.phase {
        Phase::HalfOpen { .. } => format!(
            "breaker {name} is half-open since {since}: one job probes; the others follow if that succeeds, \
             and another may probe at {until}"
        ),
        _ => format!("breaker {name} is open since {since}, and lets a probe through at {until}"),
    }
}
