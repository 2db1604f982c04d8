//! The guarantees that a finished history is held to.

use std::collections::{BTreeMap, HashSet};

use crate::simulation::facts::Holds;
use crate::simulation::fleet::Figures;
use crate::simulation::history::History;
use crate::simulation::invariants;
use crate::simulation::weather::Weather;
use crate::simulation::world::{State, at_once};
use lambda_jobs_core::job::{JobId, Queue};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::{DeadLetterQueue, DeadLettered, JobIndex, VersionedStore};

impl History {
    fn letters(&self, queue: Queue) -> Vec<DeadLettered> {
        at_once(DeadLetterQueue::list(&*self.world.queue, queue, usize::MAX)).unwrap_or_default()
    }

    /// Checks the guarantees that hold once all work has ended.
    pub(super) fn judge(&self) {
        let mut checks = self.judge_jobs();
        checks.extend(self.judge_letters());
        let counted: BTreeMap<_, _> =
            at_once(self.world.store.counters()).unwrap_or_default().into_iter().collect();
        let limits = at_once(self.world.limits.list()).unwrap_or_default();
        let breakers = at_once(self.world.breakers.list()).unwrap_or_default();
        let mut state = self.world.state();
        if self.scenario.weather == Weather::Quiet {
            state.watch.leases_at_the_end(&limits, &breakers);
        }
        checks.push(invariants::counters_equal_what_happened(&counted, &state.watch.tally));
        if !state.watch.protection.terms.has_breakers {
            checks.push(invariants::who_needs_no_breaker_and_no_limit_pays_nothing(state.shared_requests));
        }
        if self.scenario.weather != Weather::Rough {
            checks.extend(self.judge_costs(&state));
        }
        for holds in checks {
            state.watch.check(holds);
        }
    }

    fn judge_jobs(&self) -> Vec<Holds> {
        let jobs = self.world.state().watch.jobs.clone();
        let dead: HashSet<JobId> = Queue::ALL
            .into_iter()
            .flat_map(|queue| self.letters(queue))
            .filter_map(|letter| job_of(&letter))
            .collect();
        let mut checks = Vec::new();
        for (id, job) in jobs.iter().filter(|(_, job)| job.is_accepted) {
            let record = self.world.record(id);
            checks.push(invariants::g1_every_accepted_job_ends(id, record.as_ref(), dead.contains(id)));
            if let Some(record) = &record
                && let Some(holder) = record.note.as_ref().and_then(|note| note.strip_prefix("duplicate of "))
            {
                let holder = holder.parse().ok().and_then(|id| self.world.record(&id));
                checks.push(invariants::a_duplicate_names_a_job_that_has_its_key(record, holder.as_ref()));
            }
            checks.push(invariants::g7_healthy_jobs_complete_whoever_their_mates_are(
                id,
                job,
                record.as_ref(),
            ));
        }
        checks
    }

    fn judge_letters(&self) -> Vec<Holds> {
        let mut checks = Vec::new();
        for queue in Queue::ALL {
            let letters = self.letters(queue);
            for ((_, reason), sent) in self.poison.iter().filter(|((of, _), _)| *of == queue) {
                checks.push(invariants::g1_what_nobody_can_run_is_a_dead_letter(reason, *sent, &letters));
            }
            for letter in &letters {
                let told = letter.reason.as_deref().unwrap_or_default();
                let is_poison = self.poison.keys().any(|(of, reason)| *of == queue && told.contains(reason));
                checks.push(invariants::g3_no_healthy_job_is_a_dead_letter(letter, is_poison));
            }
        }
        checks
    }

    /// Checks the number of requests, which is bounded only without faults.
    fn judge_costs(&self, state: &State) -> [Holds; 3] {
        let Figures { invocations, messages, waits, .. } = self.fleet.figures;
        // A batch reads its breakers. A job takes its leases and returns them, whether it runs or not. A call is
        // counted and may be the probe. A waiting job gets a position in a ramp. Each write may meet one conflict.
        let watched = state.watch.protection.counts;
        let allowed =
            2 * (invocations + messages) + 3 * (watched.calls + watched.limited + watched.deferrals);
        let shared = invariants::requests_stay_within_the_budget(state.shared_requests, allowed);
        // A caller reads, sends and records, and a worker may act in between. The worker claims and settles a batch, in
        // two calls each if some jobs are known and some new, or some are slower than others. It changes the visibility
        // of each waiting job's message.
        let allowed = 4 * self.callers.begun as u64 + 2 * invocations + messages + waits;
        let requests = state.requests - state.control_reads;
        let jobs = invariants::requests_stay_within_the_budget(requests, allowed);
        // A tick asks twice for due items, and sends and updates all of them together.
        let allowed = 4 * self.ticks.begun as u64;
        let ticks = invariants::requests_stay_within_the_budget(state.tick_requests, allowed);
        [shared, jobs, ticks]
    }
}

/// The job of a dead letter, if its body is readable.
fn job_of(letter: &DeadLettered) -> Option<JobId> {
    let id = letter.original_message_id.as_ref().unwrap_or(&letter.message_id);
    JobMessage::decode(&letter.body, id, letter.sent_at).ok().map(|message| message.definition.id)
}
