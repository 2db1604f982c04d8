//! What the jobs of a batch hold of breakers and limits.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::job::{JobId, LimitKey};
use crate::protection::{BulkheadHolder, Permit, ReturnedLeases};

/// The probes and places that jobs of a batch hold, until they are over or are not run after all.
pub(super) struct Held {
    /// The batch, which has places for all its jobs together at dependencies that don't answer promptly.
    pub(super) visitor: Arc<BulkheadHolder>,
    jobs: Mutex<HashMap<JobId, Holds>>,
}

/// What one job holds.
#[derive(Default)]
pub(super) struct Holds {
    pub(super) probes: Vec<Permit>,
    places: Vec<(LimitKey, u64)>,
}

impl Held {
    pub(super) fn new(lease_until: DateTime<Utc>) -> Self {
        Self { visitor: Arc::new(BulkheadHolder::new(lease_until)), jobs: Mutex::default() }
    }

    pub(super) fn add_probes(&self, id: &JobId, probes: Vec<Permit>) {
        if !probes.is_empty() {
            self.jobs().entry(id.clone()).or_default().probes.extend(probes);
        }
    }

    pub(super) fn add_place(&self, id: &JobId, key: LimitKey, holder: u64) {
        self.jobs().entry(id.clone()).or_default().places.push((key, holder));
    }

    /// The probes of a job, for its attempt to make.
    pub(super) fn take_probes(&self, id: &JobId) -> Vec<Permit> {
        self.jobs().get_mut(id).map(|holds| std::mem::take(&mut holds.probes)).unwrap_or_default()
    }

    /// Whatever is held by the jobs for which this holds.
    pub(super) fn take(&self, lets_go: impl Fn(&JobId) -> bool) -> Vec<Holds> {
        let mut jobs = self.jobs();
        if jobs.is_empty() {
            return Vec::new();
        }
        let (gone, left) = std::mem::take(&mut *jobs).into_iter().partition(|(id, _)| lets_go(id));
        *jobs = left;
        let gone: HashMap<JobId, Holds> = gone;
        gone.into_values().collect()
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Holds>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be given back, each key once.
pub(super) fn places(holds: &[Holds]) -> Vec<ReturnedLeases> {
    let mut given: BTreeMap<(&LimitKey, u64), u32> = BTreeMap::new();
    for (key, holder) in holds.iter().flat_map(|holds| &holds.places) {
        *given.entry((key, *holder)).or_default() += 1;
    }
    given.into_iter().map(|((key, holder), jobs)| ReturnedLeases { key: key.clone(), holder, jobs }).collect()
}
