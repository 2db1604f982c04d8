//! The questions before a claim that others have to answer: do the breakers that a job needs let it through, and
//! is there room for it in its limits? Jobs without either pay nothing for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::claim::Claimed;
use super::deferral::Deferred;
use super::held::places;
use super::{Candidate, Invocation, JobProcessor, Ledger};
use crate::handler::Registered;
use crate::job::{Blocker, BreakerName, JobId, LimitKey};
use crate::limit::{Granted, LimitRequest, Quota};
use crate::message::JobMessage;
use crate::protection::{BulkheadHolder, CallEnd, LimitQuery, Permit, Refusal};

/// The breakers that a job says it needs.
fn needed<'a>(handler: &'a Registered, message: &'a JobMessage) -> impl Iterator<Item = &'a BreakerName> {
    handler.breakers().iter().chain(&message.definition.breakers)
}

impl Candidate {
    fn breakers(&self) -> impl Iterator<Item = &BreakerName> {
        needed(&self.handler, &self.message)
    }

    fn id(&self) -> &JobId {
        &self.message.definition.id
    }

    /// Whether it was deferred before, and so has waited for its turn.
    fn has_waited(&self) -> bool {
        self.message.deferred || self.received.receive_count > 1
    }
}

/// The jobs of a batch that want one key of a limit.
struct Crowd {
    quota: Quota,
    /// Where they are among the candidates: first those that have waited before.
    members: Vec<usize>,
    returning: u32,
}

impl JobProcessor {
    /// Asks the breakers that jobs need. Jobs that are refused are deferred, each to an instant of its own; answers
    /// the others.
    pub(super) async fn pass_breakers(&self, candidates: Vec<Candidate>, ledger: &Ledger) -> Vec<Candidate> {
        let needed: BTreeSet<BreakerName> =
            candidates.iter().flat_map(|candidate| candidate.breakers().cloned()).collect();
        if needed.is_empty() {
            return candidates;
        }
        let needed: Vec<BreakerName> = needed.into_iter().collect();
        ledger.held.visitor.declare(&needed);
        self.breakers.look_up(&needed).await;
        self.breakers.acquire_leases(&needed, &ledger.held.visitor).await;
        let (mut left, mut deferred) = (Vec::with_capacity(candidates.len()), Vec::new());
        let mut refused: BTreeMap<BreakerName, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            match self.enter_all(&candidate, &ledger.held.visitor).await {
                Ok(probes) => {
                    ledger.held.add_probes(candidate.id(), probes);
                    left.push(candidate);
                }
                Err((name, Refusal::Refused | Refusal::Full(_))) => {
                    refused.entry(name).or_default().push(candidate);
                }
                Err((name, Refusal::Unreadable)) => {
                    let until = self.after_trouble();
                    deferred.push(Deferred { candidate, until, by: Blocker::Breaker(name) });
                }
            }
        }
        for (name, candidates) in refused {
            let places = self.breakers.defer_instants(&name, candidates.len()).await;
            deferred.extend(candidates.into_iter().zip(places).map(|(candidate, until)| {
                let by = Blocker::Breaker(name.clone());
                Deferred { candidate, until, by }
            }));
        }
        self.defer_unclaimed(deferred, ledger).await;
        left
    }

    /// Asks every breaker that a job needs; answers the probes that it is to make, or which breaker refuses.
    async fn enter_all(
        &self,
        candidate: &Candidate,
        visitor: &BulkheadHolder,
    ) -> Result<Vec<Permit>, (BreakerName, Refusal)> {
        let mut probes = Vec::new();
        for name in candidate.breakers() {
            if probes.iter().any(|permit: &Permit| permit.breaker == *name) {
                continue;
            }
            match self.breakers.enter(name, visitor).await {
                Ok(permit) if permit.probe.is_some() => probes.push(permit),
                Ok(_) => {}
                // It waits for that answer when it runs, while the others of its batch do; unless it may have done
                // something else by then, and be refused.
                Err(Refusal::Full(since))
                    if candidate.breakers().count() == 1 && self.breakers.is_about_to_answer(since) => {}
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
            self.breakers.report(permit, CallEnd::Unknown, Duration::ZERO, false).await;
        }
    }

    /// Gives back the places at what does not answer promptly that no claimed job needs.
    pub(super) async fn keep_places_of(&self, claimed: &Claimed, ledger: &Ledger) {
        let visitor = &ledger.held.visitor;
        for ready in &claimed.ready {
            visitor.expect(needed(&ready.handler, &ready.message));
        }
        for suspect in &claimed.suspects {
            visitor.expect(suspect.candidate.breakers());
        }
        self.breakers.release_leases(visitor, false).await;
    }

    /// Gives back what was held for a job that is over and for nobody else.
    pub(super) async fn done_calling(&self, handler: &Registered, message: &JobMessage, ledger: &Ledger) {
        let mut names = needed(handler, message).peekable();
        if names.peek().is_some() {
            ledger.held.visitor.done(names);
            self.breakers.release_leases(&ledger.held.visitor, false).await;
        }
    }

    /// Takes places and tokens for jobs that are limited. Those for which there are none are deferred, each to the
    /// instant at which its turn is likely; answers the others.
    pub(super) async fn pass_limits(
        &self,
        candidates: Vec<Candidate>,
        invocation: &Invocation,
        ledger: &Ledger,
    ) -> Vec<Candidate> {
        let most = candidates.iter().map(|candidate| candidate.handler.limits().len()).max().unwrap_or(0);
        if most == 0 {
            return candidates;
        }
        let mut candidates: Vec<Option<Candidate>> = candidates.into_iter().map(Some).collect();
        let mut deferred = Vec::new();
        for nth in 0..most {
            let crowds = crowds(&candidates, nth);
            let asks: Vec<LimitQuery> =
                crowds.iter().map(|(key, crowd)| self.ask(key, crowd, invocation)).collect();
            let answers = self.limits.acquire(&asks).await;
            for (((key, crowd), ask), answer) in crowds.into_iter().zip(asks).zip(answers) {
                let answer = answer.unwrap_or_else(|error| {
                    tracing::warn!(limit = %key, error = &error as &dyn std::error::Error,
                        "a limit can't be asked; its jobs wait");
                    let later = crowd.members.iter().map(|_| self.after_trouble()).collect();
                    Granted { returning: 0, fresh: 0, later }
                });
                let mut later = answer.later.iter();
                for (place, at) in crowd.members.iter().enumerate() {
                    let is_let_through = answer.lets_through(place, crowd.returning);
                    let Some(candidate) = candidates[*at].take() else { continue };
                    if is_let_through {
                        if matches!(crowd.quota, Quota::Concurrency(_)) {
                            ledger.held.add_place(candidate.id(), key.clone(), ask.request.holder);
                        }
                        candidates[*at] = Some(candidate);
                    } else {
                        let until = later.next().copied().unwrap_or_else(|| self.after_trouble());
                        deferred.push(Deferred { candidate, until, by: Blocker::Limit(key.clone()) });
                    }
                }
            }
        }
        let refused: BTreeSet<JobId> = deferred.iter().map(|one| one.candidate.id().clone()).collect();
        self.let_go(|id| refused.contains(id), ledger).await;
        self.defer_unclaimed(deferred, ledger).await;
        candidates.into_iter().flatten().collect()
    }

    fn ask(&self, key: &LimitKey, crowd: &Crowd, invocation: &Invocation) -> LimitQuery {
        let all = u32::try_from(crowd.members.len()).unwrap_or(u32::MAX);
        let request = LimitRequest {
            returning: crowd.returning,
            fresh: all - crowd.returning,
            holder: self.entropy.next_u64(),
            lease_until: Self::lease_until(invocation),
        };
        LimitQuery { key: key.clone(), quota: crowd.quota, request }
    }

    /// Gives back what these jobs hold: they are over, or do not run after all.
    pub(super) async fn let_go(&self, lets_go: impl Fn(&JobId) -> bool, ledger: &Ledger) {
        let holds = ledger.held.take(lets_go);
        if holds.is_empty() {
            return;
        }
        for one in &holds {
            self.return_probes(&one.probes).await;
        }
        let places = places(&holds);
        if !places.is_empty() {
            self.limits.return_leases(&places).await;
        }
    }
}

impl Granted {
    /// Whether the job at this place of a crowd is let through, of which so many have waited before.
    fn lets_through(&self, place: usize, returning: u32) -> bool {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if place < returning { place < self.returning } else { place - returning < self.fresh }
    }
}

/// The jobs that want something of their `nth` limit, by its key.
fn crowds(candidates: &[Option<Candidate>], nth: usize) -> BTreeMap<LimitKey, Crowd> {
    let mut crowds: BTreeMap<LimitKey, Crowd> = BTreeMap::new();
    for has_waited in [true, false] {
        for (at, candidate) in candidates.iter().enumerate() {
            let Some(candidate) = candidate.as_ref().filter(|one| one.has_waited() == has_waited) else {
                continue;
            };
            let Some(limit) = candidate.handler.limits().get(nth) else { continue };
            let Some(key) = limit.key(&candidate.message.definition) else { continue };
            let quota = limit.quota();
            let crowd = crowds.entry(key).or_insert(Crowd { quota, members: Vec::new(), returning: 0 });
            crowd.members.push(at);
            crowd.returning += u32::from(has_waited);
        }
    }
    crowds
}
