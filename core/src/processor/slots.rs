//! Which job of a batch starts when a slot is free.
//!
//! A fair queue chooses what comes into a batch, not what the batch does with it. A receiver that takes
//! requests and never answers would hold every slot until its jobs time out, while a job of 1 ms waits behind
//! them. So a free slot goes to the tenant with the fewest running jobs. Between equals, and where there are no
//! tenants, the job that came first starts. A webhook's tenant is its endpoint.

use std::collections::HashMap;

use super::job::Claimed;

/// The slots of a batch, and the jobs that wait for one.
pub(super) struct Slots {
    free: usize,
    waiting: Vec<Claimed>,
    running: TenantCounts,
}

/// How many jobs run, in all and of each tenant.
#[derive(Default)]
struct TenantCounts {
    all: usize,
    of: HashMap<String, usize>,
}

impl Slots {
    pub(super) fn new(count: usize, waiting: Vec<Claimed>) -> Self {
        Self { free: count, waiting, running: TenantCounts::default() }
    }

    /// The next job, if a slot is free for it. It keeps the slot until [`Slots::leave`].
    pub(super) fn enter(&mut self) -> Option<Claimed> {
        if self.free == 0 {
            return None;
        }
        let tenants = self.waiting.iter().map(|claimed| claimed.job.tenant());
        let next = fairest(tenants, &self.running.of)?;
        let claimed = self.waiting.remove(next);
        self.free -= 1;
        self.running.enter(claimed.job.tenant());
        Some(claimed)
    }

    /// Returns the slot of a job of this tenant.
    pub(super) fn leave(&mut self, tenant: Option<&str>) {
        self.free += 1;
        self.running.leave(tenant);
    }

    /// Whether a job of another tenant runs, or one without a tenant.
    pub(super) fn has_others_than(&self, tenant: Option<&str>) -> bool {
        let own = tenant.and_then(|tenant| self.running.of.get(tenant)).copied().unwrap_or(0);
        self.running.all > own
    }

    /// Whether no job runs.
    pub(super) const fn are_idle(&self) -> bool {
        self.running.all == 0
    }
}

impl TenantCounts {
    fn enter(&mut self, tenant: Option<&str>) {
        self.all += 1;
        if let Some(tenant) = tenant {
            *self.of.entry(tenant.to_owned()).or_default() += 1;
        }
    }

    fn leave(&mut self, tenant: Option<&str>) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = tenant.and_then(|tenant| self.of.get_mut(tenant)) {
            *count = count.saturating_sub(1);
        }
    }
}

/// The position of the waiting job to start: the first job of a tenant with the fewest running jobs.
///
/// A job without a tenant is a tenant of its own, as it is to a fair queue.
fn fairest<'a>(
    waiting: impl IntoIterator<Item = Option<&'a str>>,
    running: &HashMap<String, usize>,
) -> Option<usize> {
    let running_of =
        |tenant: Option<&str>| tenant.and_then(|tenant| running.get(tenant)).copied().unwrap_or(0);
    let waiting = waiting.into_iter().map(running_of).enumerate();
    waiting.min_by_key(|(_, running)| *running).map(|(position, _)| position)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The jobs that start in this many slots, none of which is returned.
    fn started<'a>(slots: usize, jobs: &[&'a str]) -> Vec<&'a str> {
        let mut waiting = jobs.to_vec();
        let mut running = TenantCounts::default();
        let mut started = Vec::new();
        while started.len() < slots
            && let Some(next) = fairest(waiting.iter().map(|job| tenant(job)), &running.of)
        {
            let job = waiting.remove(next);
            running.enter(tenant(job));
            started.push(job);
        }
        started
    }

    /// A job is written as its tenant and a number. A number alone is a job without a tenant.
    fn tenant(job: &str) -> Option<&str> {
        let tenant = job.trim_end_matches(|letter: char| letter.is_ascii_digit());
        (!tenant.is_empty()).then_some(tenant)
    }

    #[test]
    fn a_tenant_with_a_queue_of_jobs_leaves_slots_for_the_others() {
        let jobs = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "b1", "b2", "c1"];
        assert_eq!(started(5, &jobs), ["a1", "b1", "c1", "a2", "b2"]);
        assert_eq!(started(10, &jobs)[5..], ["a3", "a4", "a5", "a6", "a7"], "alone, it gets them all");
    }

    #[test]
    fn a_slot_that_is_given_back_goes_to_whoever_has_the_fewest_running() {
        let mut running = TenantCounts::default();
        for tenant in ["a", "a", "b"] {
            running.enter(Some(tenant));
        }
        assert_eq!(fairest([Some("a"), Some("b")], &running.of), Some(1));
        running.leave(Some("a"));
        assert_eq!(fairest([Some("a"), Some("b")], &running.of), Some(0), "of two with as many, the first");
        running.leave(Some("a"));
        assert_eq!(fairest([Some("b"), Some("a")], &running.of), Some(1));
        assert_eq!((running.all, fairest([], &running.of)), (1, None));
    }

    #[test]
    fn jobs_without_a_tenant_start_in_their_order_and_wait_for_no_tenant() {
        assert_eq!(started(4, &["1", "2", "3", "4"]), ["1", "2", "3", "4"]);
        assert_eq!(started(4, &["a1", "a2", "a3", "1", "2"]), ["a1", "1", "2", "a2"]);
        assert_eq!(started(3, &["1", "2", "a1", "3"]), ["1", "2", "a1"], "nor does a tenant wait for them");
    }
}
