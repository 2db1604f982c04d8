//! The leases of batches that call what does not answer promptly, as they are seen.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::simulation::invariants;
use lambda_jobs_core::breaker::{Breaker, Phase};

/// The batches that call a dependency that does not answer promptly.
#[derive(Debug, Default)]
pub(super) struct LeaseWatch {
    /// When every batch could call last.
    free: Option<Duration>,
    is_free: bool,
    /// The workers behind the numbers under which batches hold leases.
    workers: HashMap<u64, usize>,
    /// When each of these numbers held a lease last.
    seen: HashMap<u64, Duration>,
    held: HashSet<u64>,
}

/// How a write changed the leases at a breaker.
pub(super) struct LeaseChange {
    pub(super) is_changed: bool,
    /// Whether a batch has entered, before it called.
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

    /// Whether a worker holds a lease, or held one, or needed none, when it may have looked last.
    pub(super) fn has_lease(&self, worker: usize, now: Duration) -> bool {
        let is_recent = |at: Duration| now <= at + invariants::CACHED;
        let is_own = |number: &u64| self.workers.get(number) == Some(&worker);
        self.is_free
            || self.free.is_some_and(is_recent)
            || self.held.iter().any(is_own)
            || self.seen.iter().any(|(number, at)| is_own(number) && is_recent(*at))
    }
}
