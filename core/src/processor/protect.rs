//! The checks between gate and claim, once per batch: do the breakers that a job needs let it through, does it get
//! its unique key, and is there room for it in its limits? Jobs that need none of them pay nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::SqsBatch;
use super::claim::Claims;
use super::deferral::Blocked;
use super::job::Job;
use super::permits::leases;
use crate::job::{Blocker, BreakerName, JobId, LimitKey};
use crate::limit::{Granted, LimitRequest, Quota};
use crate::protection::{CallEnd, Caller, LimitQuery, Permit, Refusal};

impl Job {
    /// Whether it was deferred before, and so has waited for its turn.
    const fn has_waited(&self) -> bool {
        self.message.deferred || self.received.receive_count > 1
    }
}

/// The jobs of a batch that want one key of a limit.
struct Crowd {
    quota: Quota,
    /// Their positions among the candidates: first those that have waited before.
    members: Vec<usize>,
    returning: u32,
}

impl SqsBatch<'_> {
    /// Returns the jobs that breakers, unique keys and limits let through, and defers or cancels the others.
    pub(super) async fn protect(&self, jobs: Vec<Job>) -> Vec<Job> {
        let jobs = self.pass_breakers(jobs).await;
        let jobs = self.take_keys(jobs).await;
        self.pass_limits(jobs).await
    }

    /// Asks the breakers that jobs need. Defers refused jobs, each to an instant of its own, and returns the others.
    async fn pass_breakers(&self, jobs: Vec<Job>) -> Vec<Job> {
        let breakers = &self.processor.breakers;
        let needed: BTreeSet<BreakerName> = jobs.iter().flat_map(|job| job.breakers().cloned()).collect();
        if needed.is_empty() {
            return jobs;
        }
        let needed: Vec<BreakerName> = needed.into_iter().collect();
        self.permits.holder.declare(&needed);
        breakers.look_up(&needed).await;
        breakers.acquire_leases(&needed, &self.permits.holder).await;
        let (mut left, mut blocked) = (Vec::with_capacity(jobs.len()), Vec::new());
        let mut refused: BTreeMap<(BreakerName, Option<String>), Vec<Job>> = BTreeMap::new();
        for job in jobs {
            match self.enter_all(&job).await {
                Ok(probes) => {
                    self.permits.add_probes(job.id(), probes);
                    left.push(job);
                }
                Err((name, Refusal::Refused | Refusal::Full(_))) => {
                    let tenant = job.tenant().filter(|tenant| breakers.holds_tenant(&name, Some(tenant)));
                    let tenant = tenant.map(ToOwned::to_owned);
                    refused.entry((name, tenant)).or_default().push(job);
                }
                Err((name, Refusal::Unreadable)) => {
                    let until = self.after_trouble();
                    blocked.push(Blocked { job, until, by: Blocker::Breaker(name) });
                }
            }
        }
        for ((name, tenant), jobs) in refused {
            let turns = breakers.defer_instants(&name, tenant.as_deref(), jobs.len()).await;
            blocked.extend(jobs.into_iter().zip(turns).map(|(job, until)| {
                let by = Blocker::Breaker(name.clone());
                Blocked { job, until, by }
            }));
        }
        self.defer_blocked(blocked).await;
        left
    }

    /// Asks every breaker that a job needs. Returns the probes that it is to make, or the breaker that refuses.
    async fn enter_all(&self, job: &Job) -> Result<Vec<Permit>, (BreakerName, Refusal)> {
        let breakers = &self.processor.breakers;
        let caller = Caller { tenant: job.tenant(), holder: &self.permits.holder };
        let mut probes = Vec::new();
        for name in job.breakers() {
            if probes.iter().any(|permit: &Permit| permit.breaker == *name) {
                continue;
            }
            match breakers.enter(name, caller).await {
                Ok(permit) if permit.probe.is_some() => probes.push(permit),
                Ok(_) => {}
                // Such a job waits for that answer while it runs, and the others of its batch go on. A job that
                // needs more breakers may have acted by then, and be refused.
                Err(Refusal::Full(since))
                    if job.breakers().count() == 1 && breakers.is_about_to_answer(since) => {}
                Err(refusal) => {
                    self.return_probes(&probes).await;
                    return Err((name.clone(), refusal));
                }
            }
        }
        Ok(probes)
    }

    async fn return_probes(&self, probes: &[Permit]) {
        for permit in probes {
            self.processor.breakers.report(permit, CallEnd::Unknown, Duration::ZERO, false).await;
        }
    }

    /// Keeps what the claimed jobs hold, and returns everything else.
    pub(super) async fn keep_permits_of(&self, claims: &Claims) {
        self.return_permits(|id| !claims.has(id)).await;
        let holder = &self.permits.holder;
        let ready = claims.ready.iter().map(|claimed| &claimed.job);
        for job in ready.chain(claims.suspects.iter().map(|suspect| &suspect.job)) {
            holder.expect(job.breakers());
        }
        self.processor.breakers.release_leases(holder, false).await;
    }

    /// Returns the bulkhead leases that only this job needed, because it has ended.
    pub(super) async fn done_calling(&self, job: &Job) {
        let mut names = job.breakers().peekable();
        if names.peek().is_some() {
            self.permits.holder.done(names);
            self.processor.breakers.release_leases(&self.permits.holder, false).await;
        }
    }

    /// Takes leases and tokens for jobs that are limited. Defers jobs that get none, each to the instant of its
    /// likely turn, and returns the others.
    async fn pass_limits(&self, jobs: Vec<Job>) -> Vec<Job> {
        let most = jobs.iter().map(|job| job.handler.limits().len()).max().unwrap_or(0);
        if most == 0 {
            return jobs;
        }
        let mut jobs: Vec<Option<Job>> = jobs.into_iter().map(Some).collect();
        let mut blocked = Vec::new();
        for nth in 0..most {
            let crowds = crowds(&jobs, nth);
            let asks: Vec<LimitQuery> = crowds.iter().map(|(key, crowd)| self.ask(key, crowd)).collect();
            let answers = self.processor.limits.acquire(&asks).await;
            for ((crowd, ask), answer) in crowds.values().zip(&asks).zip(answers) {
                let answer = answer.unwrap_or_else(|error| {
                    tracing::warn!(limit = %ask.key, error = &error as &dyn std::error::Error,
                        "a limit can't be asked; its jobs wait");
                    let later = crowd.members.iter().map(|_| self.after_trouble()).collect();
                    Granted { returning: 0, fresh: 0, later }
                });
                blocked.extend(self.heed(&answer, ask, crowd, &mut jobs));
            }
        }
        let refused: BTreeSet<JobId> = blocked.iter().map(|one| one.job.id().clone()).collect();
        self.return_permits(|id| refused.contains(id)).await;
        self.defer_blocked(blocked).await;
        jobs.into_iter().flatten().collect()
    }

    /// Gives a crowd the grant of its limit. Removes the jobs that got nothing, and returns them.
    fn heed(
        &self,
        answer: &Granted,
        ask: &LimitQuery,
        crowd: &Crowd,
        jobs: &mut [Option<Job>],
    ) -> Vec<Blocked> {
        let mut later = answer.later.iter();
        let mut blocked = Vec::new();
        for (position, at) in crowd.members.iter().enumerate() {
            let is_let_through = answer.lets_through(position, crowd.returning);
            let Some(job) = jobs[*at].take() else { continue };
            if is_let_through {
                if matches!(crowd.quota, Quota::Concurrency(_)) {
                    self.permits.add_lease(job.id(), ask.key.clone(), ask.request.holder);
                }
                jobs[*at] = Some(job);
            } else {
                let until = later.next().copied().unwrap_or_else(|| self.after_trouble());
                blocked.push(Blocked { job, until, by: Blocker::Limit(ask.key.clone()) });
            }
        }
        blocked
    }

    fn ask(&self, key: &LimitKey, crowd: &Crowd) -> LimitQuery {
        let all = u32::try_from(crowd.members.len()).unwrap_or(u32::MAX);
        let request = LimitRequest {
            returning: crowd.returning,
            fresh: all - crowd.returning,
            holder: self.processor.entropy.next_u64(),
            lease_until: self.lease_until,
        };
        LimitQuery { key: key.clone(), quota: crowd.quota, request }
    }

    /// Returns everything that is still held at the end of the batch.
    pub(super) async fn return_all_permits(&self) {
        self.return_permits(|_| true).await;
        self.processor.breakers.release_leases(&self.permits.holder, true).await;
    }

    /// Returns what these jobs hold: they have ended, or do not run after all.
    pub(super) async fn return_permits(&self, is_returned: impl Fn(&JobId) -> bool) {
        let returned = self.permits.take(is_returned);
        if returned.is_empty() {
            return;
        }
        for job in &returned {
            self.return_probes(&job.probes).await;
        }
        let leases = leases(&returned);
        if !leases.is_empty() {
            self.processor.limits.return_leases(&leases).await;
        }
    }
}

impl Granted {
    /// Whether the job at this position of a crowd is let through, if so many have waited before.
    fn lets_through(&self, position: usize, returning: u32) -> bool {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        if position < returning { position < self.returning } else { position - returning < self.fresh }
    }
}

/// The jobs that need their `nth` limit, by its key.
fn crowds(jobs: &[Option<Job>], nth: usize) -> BTreeMap<LimitKey, Crowd> {
    let mut crowds: BTreeMap<LimitKey, Crowd> = BTreeMap::new();
    for has_waited in [true, false] {
        for (at, job) in jobs.iter().enumerate() {
            let Some(job) = job.as_ref().filter(|one| one.has_waited() == has_waited) else { continue };
            let Some(limit) = job.handler.limits().get(nth) else { continue };
            let Some(key) = limit.key(job.definition()) else { continue };
            let quota = limit.quota();
            let crowd = crowds.entry(key).or_insert(Crowd { quota, members: Vec::new(), returning: 0 });
            crowd.members.push(at);
            crowd.returning += u32::from(has_waited);
        }
    }
    crowds
}
