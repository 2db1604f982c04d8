//! Which job of a batch starts when one of its slots is free.
//!
//! A fair queue chooses what comes into a batch, not what a batch does with it: a receiver that takes requests and
//! never answers would hold every slot until its jobs time out, while a job that takes a millisecond waits behind them.
//! So a free slot goes to a tenant of whom the fewest jobs run.

use std::collections::HashMap;

use super::Ready;

/// The slots of a batch, and the jobs that wait for one.
pub(super) struct Slots {
    free: usize,
    waiting: Vec<Ready>,
    running: Running,
}

/// How many jobs run, in all and of each tenant.
#[derive(Default)]
struct Running {
    all: usize,
    of: HashMap<String, usize>,
}

impl Slots {
    pub(super) fn new(count: usize, waiting: Vec<Ready>) -> Self {
        Self { free: count, waiting, running: Running::default() }
    }

    /// The next job, if a slot is free for it. The slot is its own until [`Slots::leave`].
    pub(super) fn enter(&mut self) -> Option<Ready> {
        if self.free == 0 {
            return None;
        }
        let tenants = self.waiting.iter().map(|ready| ready.message.definition.tenant.as_deref());
        let next = fairest(tenants, &self.running.of)?;
        let job = self.waiting.remove(next);
        self.free -= 1;
        self.running.enter(job.message.definition.tenant.as_deref());
        Some(job)
    }

    /// Gives back the slot of a job of this tenant.
    pub(super) fn leave(&mut self, tenant: Option<&str>) {
        self.free += 1;
        self.running.leave(tenant);
    }

    /// Whether no job runs.
    pub(super) const fn are_idle(&self) -> bool {
        self.running.all == 0
    }
}

impl Running {
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

/// The place, among those that wait, of the job to start: of a tenant of whom the fewest run, the one that came first.
///
/// A job without a tenant is a tenant of its own, as it is to a fair queue: where nobody names tenants, jobs start in
/// the order in which they came.
fn fairest<'a>(
    waiting: impl IntoIterator<Item = Option<&'a str>>,
    running: &HashMap<String, usize>,
) -> Option<usize> {
    let running_of =
        |tenant: Option<&str>| tenant.and_then(|tenant| running.get(tenant)).copied().unwrap_or(0);
    let waiting = waiting.into_iter().map(running_of).enumerate();
    waiting.min_by_key(|(_, running)| *running).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who starts first in so many slots, none of which is given back.
    fn started<'a>(slots: usize, jobs: &[&'a str]) -> Vec<&'a str> {
        let mut waiting = jobs.to_vec();
        let mut running = Running::default();
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

    /// A job is written as its tenant and a number; one with a number alone has none.
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
        let mut running = Running::default();
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
