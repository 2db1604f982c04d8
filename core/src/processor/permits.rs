//! The probes and leases that the jobs of a batch hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::job::{JobId, LimitKey};
use crate::protection::{BulkheadHolder, Permit, ReturnedLeases};

/// The probes and leases of a batch's jobs. A job holds them until it ends, or until it turns out not to run.
pub(super) struct Permits {
    /// The batch, which holds one lease for all its jobs at each dependency that does not answer promptly.
    pub(super) holder: Arc<BulkheadHolder>,
    jobs: Mutex<HashMap<JobId, JobPermits>>,
}

/// The probes and leases of one job.
#[derive(Default)]
pub(super) struct JobPermits {
    pub(super) probes: Vec<Permit>,
    leases: Vec<(LimitKey, u64)>,
}

impl Permits {
    pub(super) fn new(lease_until: DateTime<Utc>) -> Self {
        Self { holder: Arc::new(BulkheadHolder::new(lease_until)), jobs: Mutex::default() }
    }

    pub(super) fn add_probes(&self, id: &JobId, probes: Vec<Permit>) {
        if !probes.is_empty() {
            self.jobs().entry(id.clone()).or_default().probes.extend(probes);
        }
    }

    pub(super) fn add_lease(&self, id: &JobId, key: LimitKey, holder: u64) {
        self.jobs().entry(id.clone()).or_default().leases.push((key, holder));
    }

    /// Takes the probes of a job, for its attempt to make.
    pub(super) fn take_probes(&self, id: &JobId) -> Vec<Permit> {
        self.jobs().get_mut(id).map(|job| std::mem::take(&mut job.probes)).unwrap_or_default()
    }

    /// Takes everything that these jobs hold.
    pub(super) fn take(&self, is_returned: impl Fn(&JobId) -> bool) -> Vec<JobPermits> {
        let mut jobs = self.jobs();
        if jobs.is_empty() {
            return Vec::new();
        }
        let (returned, kept) = std::mem::take(&mut *jobs).into_iter().partition(|(id, _)| is_returned(id));
        *jobs = kept;
        let returned: HashMap<JobId, JobPermits> = returned;
        returned.into_values().collect()
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, JobPermits>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leases to return, each key once.
pub(super) fn leases(permits: &[JobPermits]) -> Vec<ReturnedLeases> {
    let mut leases: BTreeMap<(&LimitKey, u64), u32> = BTreeMap::new();
    for (key, holder) in permits.iter().flat_map(|job| &job.leases) {
        *leases.entry((key, *holder)).or_default() += 1;
    }
    leases
        .into_iter()
        .map(|((key, holder), jobs)| ReturnedLeases { key: key.clone(), holder, jobs })
        .collect()
}
