//! The observed leases of batches that call slow dependencies.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::simulation::invariants;
use lambda_jobs_core::breaker::{Breaker, Phase};

/// The batches that call one slow dependency.
#[derive(Debug, Default)]
pub(super) struct LeaseWatch {
    /// The last instant at which every batch was free to call.
    free: Option<Duration>,
    is_free: bool,
    /// The workers behind the ids under which batches hold leases.
    workers: HashMap<u64, usize>,
    /// When each of these ids last held a lease.
    seen: HashMap<u64, Duration>,
    held: HashSet<u64>,
}

/// How a write changed a breaker's leases.
pub(super) struct LeaseChange {
    pub(super) is_changed: bool,
    /// Whether a batch took its lease before it called.
    pub(super) has_entered: bool,
}

impl LeaseWatch {
    pub(super) fn follow(
        &mut self,
        worker: Option<usize>,
        before: Option<&Breaker>,
        after: &Breaker,
        now: Duration,
    ) -> LeaseChange {
        if self.is_free {
            self.free = Some(now);
        }
        self.is_free = after.bulkhead.is_prompt || after.phase != Phase::Closed { forced: false };
        if self.is_free {
            self.free = Some(now);
        }
        for number in self.held.drain() {
            self.seen.insert(number, now);
        }
        self.held = after.bulkhead.leases.iter().map(|lease| lease.holder).collect();
        for number in &self.held {
            if let Some(worker) = worker {
                self.workers.entry(*number).or_insert(worker);
            }
        }
        let had = |holder: u64| {
            before.is_some_and(|before| before.bulkhead.leases.iter().any(|lease| lease.holder == holder))
        };
        let mut new = after.bulkhead.leases.iter().filter(|lease| !had(lease.holder));
        LeaseChange {
            is_changed: before.map(|before| &before.bulkhead) != Some(&after.bulkhead),
            has_entered: new.any(|lease| lease.since == after.written_at),
        }
    }

    /// Whether a worker holds or held a lease, or needed none at the last instant at which it may have read the
    /// breaker.
    pub(super) fn has_lease(&self, worker: usize, now: Duration) -> bool {
        let is_recent = |at: Duration| now <= at + invariants::CACHED;
        let is_own = |number: &u64| self.workers.get(number) == Some(&worker);
        self.is_free
            || self.free.is_some_and(is_recent)
            || self.held.iter().any(is_own)
            || self.seen.iter().any(|(number, at)| is_own(number) && is_recent(*at))
    }
}
