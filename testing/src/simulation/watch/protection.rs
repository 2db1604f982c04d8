//! Observes breakers and limits: every write to one, every call, every attempt under a limit.
//!
//! Instants come from the world's monotonic clock, which drives every environment's clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::simulation::facts::Via;
use crate::simulation::invariants::{self, FailuresInARow, Told};
use crate::simulation::outside::{Outside, Seen};
use crate::simulation::plan::Expected;
use crate::simulation::terms::{Allowed, Terms};
use crate::simulation::watch::Watch;
use crate::simulation::watch::leases::LeaseWatch;
use lambda_jobs_core::breaker::{Breaker, Phase};
use lambda_jobs_core::job::{Blocker, JobId, JobRecord, JobStatus};
use lambda_jobs_core::limit::LimitState;

/// The observed facts about breakers and limits.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Protection {
    pub(in crate::simulation) terms: Terms,
    pub(in crate::simulation) counts: Counts,
    breakers: BTreeMap<String, BreakerWatch>,
    calls: Vec<Call>,
    /// Running attempts under a limit, each with its worker.
    under_way: Vec<(usize, JobId, String)>,
    /// For each tenant, the instants of the batches and the starts of its attempts.
    starts: BTreeMap<String, Vec<(Duration, Duration)>>,
    batches: HashMap<usize, Duration>,
    /// The jobs that were refused a call, with their worker, until the store has that.
    refused: HashSet<(usize, JobId)>,
}

/// Event counts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::simulation) struct Counts {
    pub(in crate::simulation) calls: u64,
    pub(in crate::simulation) openings: u64,
    pub(in crate::simulation) probes: u64,
    /// Changes of the leases at slow dependencies.
    pub(in crate::simulation) leases: u64,
    pub(in crate::simulation) deferrals: u64,
    /// Attempts under a limit.
    pub(in crate::simulation) limited: u64,
}

/// The observed state of a breaker.
#[derive(Debug, Default)]
struct BreakerWatch {
    /// When it opened, unless it is closed.
    opened: Option<Duration>,
    /// When it lets a probe through, and the job that waits for that.
    probe_at: Option<DateTime<Utc>>,
    first: Option<JobId>,
    lease: Option<Lease>,
    /// The worker whose probe was taken back before it was made, and when: it may not know yet.
    revoked: Option<(usize, Duration)>,
    row: FailuresInARow,
    /// How many calls failed in all.
    failed: u64,
    /// When it closed last.
    closed: Duration,
    /// When each worker last saw a success.
    successes: HashMap<usize, Duration>,
    /// The holds that it has.
    holds: Vec<Told>,
    /// The wishes of its dependency, if they are heeded in time.
    asked: Vec<Told>,
    leases: LeaseWatch,
}

/// The right to make the one call while a breaker is half-open.
#[derive(Debug)]
struct Lease {
    probe: u64,
    worker: Option<usize>,
    until: DateTime<Utc>,
    is_used: bool,
}

/// A running call.
#[derive(Debug)]
struct Call {
    worker: usize,
    dependency: usize,
    job: JobId,
    /// Its lease, and when that expires.
    probe: Option<DateTime<Utc>>,
}

impl Watch {
    /// A worker got a batch.
    pub(super) fn batch_begun(&mut self, worker: usize, now: Duration) {
        self.protection.batches.insert(worker, now);
    }

    /// A worker has ended, or holds no batch any more.
    pub(super) fn batch_ended(&mut self, worker: usize) {
        let protection = &mut self.protection;
        protection.batches.remove(&worker);
        protection.calls.retain(|call| call.worker != worker);
        protection.under_way.retain(|(at, ..)| *at != worker);
        protection.refused.retain(|(at, _)| *at != worker);
    }

    /// A handler was observed to act.
    pub(in crate::simulation) fn saw(&mut self, worker: usize, notes: Vec<Seen>, now: Duration) {
        for seen in notes {
            match seen {
                Seen::Begun { job, name, tenant } => self.guarded_begun(worker, &job, &name, tenant, now),
                Seen::Over { job } => {
                    self.protection.under_way.retain(|(at, other, _)| (*at, other) != (worker, &job));
                }
                Seen::Called { dependency, job, tenant } => {
                    self.called(worker, dependency, job, tenant.as_deref(), now);
                }
                Seen::Asked { dependency, job, tenant, wait } => {
                    self.asked(worker, dependency, &job, tenant, wait, now);
                }
                Seen::Answered { dependency, job, failed } => {
                    self.answered(worker, dependency, &job, failed, now);
                }
                Seen::Refused { job } => drop(self.protection.refused.insert((worker, job))),
                Seen::Failed { job } => {
                    let job = self.job(&job);
                    job.failed += 1;
                    // It may have used all its attempts before its dependency heals.
                    job.expected = Some(Expected::Anything);
                }
            }
        }
    }

    fn guarded_begun(
        &mut self,
        worker: usize,
        id: &JobId,
        name: &str,
        tenant: Option<String>,
        now: Duration,
    ) {
        let job = self.job(id);
        job.is_guarded = true;
        let blocked = job.blocked;
        if let (Some(bound), Some((dependency, since))) = (self.protection.terms.recovery, blocked)
            && let Some(healed) = self.protection.terms.outside.healed_at(dependency, now)
        {
            let healed = healed.max(since);
            self.check(invariants::who_waits_for_a_breaker_starts_soon_after_it_can(id, healed, now, bound));
        }
        if let (Some(allowed), Some(tenant)) = (self.protection.terms.allowed.get(name).copied(), tenant) {
            self.limited_begun(worker, id, &tenant, allowed, now);
        }
    }

    fn limited_begun(&mut self, worker: usize, id: &JobId, tenant: &str, allowed: Allowed, now: Duration) {
        let protection = &mut self.protection;
        let batch = protection.batches.get(&worker).copied().unwrap_or(now);
        protection.under_way.push((worker, id.clone(), tenant.to_owned()));
        let at_once = protection.under_way.iter().filter(|(.., other)| *other == tenant).count();
        protection.counts.limited += 1;
        let starts = protection.starts.entry(tenant.to_owned()).or_default();
        starts.push((batch, now));
        let in_time = allowed.rate.map_or(Ok(()), |rate| {
            invariants::no_more_start_in_a_time_than_a_limit_allows(
                tenant,
                starts,
                rate,
                protection.terms.skew,
            )
        });
        self.check(in_time);
        if let Some(allowed) = allowed.at_once {
            self.check(invariants::no_more_run_at_once_than_a_limit_allows(tenant, at_once, allowed));
        }
    }

    fn answered(&mut self, worker: usize, dependency: usize, job: &JobId, failed: bool, now: Duration) {
        let breaker = self.protection.call_ended(worker, dependency, job);
        if failed {
            breaker.failed += 1;
            breaker.row.failures.push((worker, now));
        } else {
            breaker.row = FailuresInARow { failures: Vec::new(), has_answered: true };
            breaker.successes.insert(worker, now);
        }
    }

    fn asked(
        &mut self,
        worker: usize,
        dependency: usize,
        job: &JobId,
        tenant: Option<String>,
        wait: Duration,
        now: Duration,
    ) {
        let until = self.protection.wall(now + wait);
        let is_quiet = self.protection.terms.is_quiet;
        let breaker = self.protection.call_ended(worker, dependency, job);
        if is_quiet {
            // It takes a moment to be written.
            breaker.asked.push(Told { tenant, at: now + Duration::from_secs(1), until });
        }
    }

    fn called(&mut self, worker: usize, dependency: usize, job: JobId, tenant: Option<&str>, now: Duration) {
        let name = Outside::name(dependency);
        let protection = &mut self.protection;
        protection.counts.calls += 1;
        let wall = protection.wall(now);
        let breaker = protection.breakers.entry(name.clone()).or_default();
        let at = (now, wall + TimeDelta::from_std(protection.terms.skew).unwrap_or_default());
        let pause = invariants::g6_no_call_before_a_hold_ends(&job, &name, tenant, &breaker.holds, at)
            .and_then(|()| {
                invariants::g6_no_call_before_a_hold_ends(&job, &name, tenant, &breaker.asked, at)
            });
        let lease = breaker.lease.as_mut().filter(|lease| lease.worker == Some(worker) && !lease.is_used);
        let mut probe = None;
        let holds = if let Some(lease) = lease {
            lease.is_used = true;
            probe = Some(lease.until);
            // A worker that stalls beyond its lease can't be stopped.
            let other = |call: &&Call| {
                call.dependency == dependency
                    && call.probe.is_some_and(|until| wall < until - protection.terms.skew)
            };
            let other = protection.calls.iter().find(other).map(|call| &call.job);
            invariants::g6_half_open_lets_one_probe_through(&job, &name, other)
        } else {
            let revoked = breaker.revoked.take_if(|(other, _)| *other == worker).map(|(_, since)| since);
            let threshold = protection.terms.thresholds.get(dependency).copied().flatten();
            let threshold = threshold.filter(|_| protection.terms.is_quiet);
            let too_many = threshold.map_or(Ok(()), |(most, within)| {
                invariants::a_breaker_opens_at_its_threshold(&name, &breaker.row, most, within, now)
            });
            let terms = protection.terms.bulkheads.get(dependency).copied().flatten();
            let has_place = terms.map_or(Ok(()), |_| {
                invariants::who_calls_what_is_not_prompt_has_a_lease(
                    &job,
                    &name,
                    breaker.leases.has_lease(worker, now),
                )
            });
            too_many.and(has_place).and(invariants::g6_no_call_after_it_opened(
                &job,
                &name,
                breaker.opened.map_or(now, |opened| revoked.map_or(opened, |since| since.max(opened))),
                now,
            ))
        };
        protection.calls.push(Call { worker, dependency, job, probe });
        self.check(pause.and(holds));
    }

    /// A breaker was written.
    pub(in crate::simulation) fn breaker_written(
        &mut self,
        worker: Option<usize>,
        before: Option<&Breaker>,
        after: &Breaker,
        now: Duration,
    ) {
        let protection = &mut self.protection;
        let (wall, skew) = (protection.wall(now), protection.skew());
        let breaker = protection.breakers.entry(after.name.to_string()).or_default();
        let was_open = breaker.opened.is_some();
        let terms = Outside::numbered(after.name.as_str())
            .and_then(|dependency| protection.terms.bulkheads.get(dependency).copied().flatten());
        let leases = breaker.leases.follow(worker, before, after, now);
        protection.counts.leases += u64::from(leases.is_changed);
        let within = terms
            .filter(|_| leases.has_entered)
            .map_or(Ok(()), |terms| invariants::no_more_batches_have_leases_than_may(after, terms.batches));
        if let Phase::Open { probe_at } = after.phase
            && breaker.probe_at != probe_at
        {
            (breaker.probe_at, breaker.first) = (probe_at, None);
        }
        breaker.opened = match after.phase {
            Phase::Closed { .. } => None,
            Phase::Open { .. } | Phase::HalfOpen { .. } => Some(breaker.opened.unwrap_or(now)),
        };
        protection.counts.openings += u64::from(!was_open && breaker.opened.is_some());
        let threshold = Outside::numbered(after.name.as_str())
            .and_then(|dependency| protection.terms.thresholds.get(dependency).copied().flatten());
        let is_tripped = !was_open && matches!(after.phase, Phase::Open { probe_at: Some(_) });
        let fairly = threshold.filter(|_| is_tripped).map_or(Ok(()), |(most, period)| {
            let saw = worker.and_then(|worker| breaker.successes.get(&worker)).is_some_and(|at| {
                let since = breaker.closed.max(now.saturating_sub(period * 29 / 30));
                (since..now.saturating_sub(Duration::from_secs(1))).contains(at)
            });
            let saw = saw && protection.terms.is_quiet;
            invariants::a_host_that_mostly_answers_is_not_shut_out(after, most, period)
                .and_then(|()| invariants::successes_count(after, saw, period))
        });
        let counted = threshold.filter(|_| protection.terms.is_quiet).map_or(Ok(()), |(_, period)| {
            // A call that has just failed may be written before its note is read.
            let is_its = |call: &&Call| Outside::name(call.dependency) == after.name.as_str();
            let under_way = protection.calls.iter().filter(is_its).count() as u64;
            invariants::what_is_no_failure_does_not_count_as_one(after, breaker.failed + under_way, period)
        });
        let within = within.and(fairly).and(counted);
        if was_open && breaker.opened.is_none() {
            (breaker.row, breaker.closed) = (FailuresInARow::default(), now);
        }
        breaker.follow_holds(after, now);
        let Phase::HalfOpen { probe, lease_until: until } = after.phase else {
            if let Some(lease) = breaker.lease.take().filter(|lease| !lease.is_used) {
                breaker.revoked = lease.worker.map(|worker| (worker, now));
            }
            return self.check(within);
        };
        if breaker.lease.as_ref().is_some_and(|lease| lease.probe == probe) {
            return;
        }
        breaker.lease = Some(Lease { probe, worker, until, is_used: false });
        protection.counts.probes += 1;
        if let Some(from) = before.and_then(Breaker::next_probe_at) {
            self.check(invariants::g6_no_probe_before_its_time(after.name.as_str(), from, wall, skew));
        }
    }

    /// Checks a write to a record that says what the job waits for, or how a refused job ended.
    pub(super) fn follow_deferral(
        &mut self,
        via: Via,
        before: Option<&JobRecord>,
        after: &JobRecord,
        now: Duration,
    ) {
        let is_new = before.is_none_or(|before| {
            (&before.blocked, before.due_at, &before.note) != (&after.blocked, after.due_at, &after.note)
        });
        if after.blocked.is_none() && after.status != JobStatus::Running {
            self.job(after.id()).blocked = None;
        }
        let Some(blocker) = after.blocked.as_ref().filter(|_| is_new) else { return };
        self.protection.counts.deferrals += 1;
        self.check(invariants::g3_a_deferral_spends_no_attempt(before, after));
        self.check(invariants::g2_what_runs_is_not_deferred_by_others(via, before));
        let dependency = match blocker {
            Blocker::Breaker(name) => {
                self.lined_up(name.as_str(), after);
                Outside::numbered(name.as_str())
            }
            Blocker::Limit(_) => None,
        };
        let job = self.job(after.id());
        job.deferrals += u32::from(via == Via::Settle);
        // However often the worker defers it, its wait starts at the first deferral.
        let since = job
            .blocked
            .filter(|(waits_for, _)| dependency == Some(*waits_for))
            .map_or(now, |(_, since)| since);
        job.blocked = dependency.map(|dependency| (dependency, since));
        if job.is_claimed {
            (job.due, job.is_put_off) = (Some(after.due_at), true);
        }
    }

    /// A job got an instant at which a breaker may let it through.
    fn lined_up(&mut self, breaker: &str, after: &JobRecord) {
        let watch = self.protection.breakers.entry(breaker.to_owned()).or_default();
        if watch.probe_at == Some(after.due_at) {
            let first = watch.first.get_or_insert_with(|| after.id().clone()).clone();
            self.check(invariants::of_those_who_wait_one_comes_with_the_probe(breaker, &first, after.id()));
        }
    }

    /// Whether a job was refused a call in the attempt that this write settles.
    pub(super) fn was_refused(&mut self, worker: Option<usize>, id: &JobId) -> bool {
        worker.is_some_and(|worker| self.protection.refused.remove(&(worker, id.clone())))
    }

    /// Checks that without faults no worker keeps a place under a limit.
    pub(in crate::simulation) fn leases_at_the_end(&mut self, limits: &[LimitState], breakers: &[Breaker]) {
        for limit in limits {
            self.check(invariants::every_lease_is_returned(limit.key.as_str(), &limit.leases));
        }
        for breaker in breakers {
            self.check(invariants::every_lease_is_returned(breaker.name.as_str(), &breaker.bulkhead.leases));
        }
    }
}

impl BreakerWatch {
    fn follow_holds(&mut self, after: &Breaker, now: Duration) {
        let is_overruled = after.phase == (Phase::Closed { forced: true });
        let told = after.holds.iter().filter(|_| !is_overruled).map(|hold| {
            let told = Told { tenant: hold.tenant.clone(), at: now, until: hold.until() };
            let earlier =
                self.holds.iter().find(|other| (&other.tenant, other.until) == (&told.tenant, told.until));
            earlier.cloned().unwrap_or(told)
        });
        self.holds = told.collect();
    }
}

impl Protection {
    /// The breaker of a dependency whose call has ended.
    fn call_ended(&mut self, worker: usize, dependency: usize, job: &JobId) -> &mut BreakerWatch {
        self.calls.retain(|call| (call.worker, call.dependency, &call.job) != (worker, dependency, job));
        self.breakers.entry(Outside::name(dependency)).or_default()
    }

    fn skew(&self) -> TimeDelta {
        TimeDelta::from_std(self.terms.skew).unwrap_or_default()
    }

    fn wall(&self, now: Duration) -> DateTime<Utc> {
        self.terms.start + now
    }
}
