//! When jobs come back that a breaker or its bulkhead refuses.

use chrono::{DateTime, TimeDelta, Utc};

use crate::breaker::{Breaker, Hold, Phase};
use crate::bulkhead::{BulkheadDecision, RampRequest};
use crate::control::looking_again;
use crate::job::BreakerName;
use crate::protection::breakers::{Breakers, ROUNDS};

/// The longest wait for a breaker: one that SQS can hold.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(14 * 60 + 30);
/// Over how many seconds jobs come back that ask again after the longest wait.
const SPREAD: u64 = 60;

impl Breakers {
    /// When refused jobs come back: each has its own instant, the earliest first. The jobs are of this tenant, or of any
    /// if none of them is [held](Self::holds_tenant) for its tenant. While no call can be made within the longest wait,
    /// they take no places on a ramp: they would come before their places, and take others each time.
    pub(crate) async fn defer_instants(
        &self,
        name: &BreakerName,
        tenant: Option<&str>,
        jobs: usize,
    ) -> Vec<DateTime<Utc>> {
        let latest = self.clock.now() + LONGEST_WAIT;
        let mut earliest = self.clock.now() + TimeDelta::seconds(1);
        let turn = self.cache.write_turn(name);
        let _turn = turn.lock().await;
        for _ in 0..ROUNDS {
            let Some(breaker) = self.cache.latest(name) else { break };
            let now = self.clock.now();
            if breaker.phase == (Phase::Open { probe_at: None }) {
                // Nobody knows when the operator closes it.
                return vec![now + looking_again(breaker.since, now); jobs];
            }
            if refused_until(&breaker, tenant, now).is_some_and(|until| until > latest) {
                return (0..jobs).map(|_| latest - self.random_seconds(SPREAD)).collect();
            }
            earliest = earliest.max(breaker.next_probe_at().unwrap_or(earliest));
            if let Some(hold) = breaker.hold_on(tenant, now) {
                earliest = earliest.max(hold.until());
            }
            let (next, instants) = self.joined(breaker.clone(), tenant, RampRequest { jobs, latest }, now);
            match self.write(&breaker, next).await {
                Ok(true) => {
                    let within = |at| if at > latest { latest - self.random_seconds(SPREAD) } else { at };
                    return instants.into_iter().map(within).collect();
                }
                Ok(false) => self.cache.back_off().await,
                Err(_) => break,
            }
        }
        (0..jobs).map(|_| (earliest + self.random_seconds(30)).min(latest)).collect()
    }

    /// The breaker with these jobs on its ramp, or on that of its bulkhead if that is full.
    fn joined(
        &self,
        breaker: Breaker,
        tenant: Option<&str>,
        request: RampRequest,
        now: DateTime<Utc>,
    ) -> (Breaker, Vec<DateTime<Utc>>) {
        let terms = self.bulkhead_terms(&breaker.name);
        match (terms, breaker.bulkhead_decision(terms, None, now)) {
            (Some(terms), BulkheadDecision::Full(_)) if breaker.hold_on(tenant, now).is_none() => {
                breaker.joined_bulkhead_ramp(terms, request, now, || self.entropy.next_u64())
            }
            _ => breaker.joined_by(tenant, request.jobs as u64, now),
        }
    }

    fn random_seconds(&self, most: u64) -> TimeDelta {
        TimeDelta::milliseconds(i64::try_from(self.entropy.next_u64() % (most * 1_000)).unwrap_or(0))
    }
}

/// Until when no call can be made for this tenant, whatever happens meanwhile. A probe under way may end at any moment.
fn refused_until(breaker: &Breaker, tenant: Option<&str>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let probe_at = if let Phase::Open { probe_at } = breaker.phase { probe_at } else { None };
    probe_at.max(breaker.hold_on(tenant, now).map(Hold::until))
}
