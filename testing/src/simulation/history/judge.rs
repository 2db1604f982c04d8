//! The guarantees that a finished history is held to.

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;

use chrono::{DateTime, TimeDelta, Utc};

use serde_json::Value;

use crate::simulation::facts::Holds;
use crate::simulation::faults::Fault;
use crate::simulation::fleet::Figures;
use crate::simulation::history::History;
use crate::simulation::invariants;
use crate::simulation::recurring::{Run, verdict};
use crate::simulation::settings;
use crate::simulation::weather::Weather;
use crate::simulation::workload::{UNREGISTERED, UNREGISTERED_PAYLOAD};
use crate::simulation::world::{State, at_once};
use lambda_jobs_core::job::{JobId, Queue};
use lambda_jobs_core::message::JobMessage;
use lambda_jobs_core::ports::{
    ControlStore, Counters, DeadLetterQueue, DeadLettered, JobIndex, VersionedStore,
};

impl History {
    /// The dead letters of a queue, and those that it has forgotten by now. Each has its reason in full: a letter that is as
    /// large as SQS takes it has no room for it.
    fn letters(&self, queue: Queue) -> Vec<DeadLettered> {
        let forgotten = self.world.now() - TimeDelta::days(14);
        let mut letters =
            at_once(DeadLetterQueue::list(&*self.world.queue, queue, usize::MAX)).unwrap_or_default();
        let state = self.world.state();
        let sent = || state.letters.iter().filter(|(_, letter)| letter.queue == queue);
        for letter in &mut letters {
            let begins = |whole: &str| whole.starts_with(letter.reason.as_deref().unwrap_or_default());
            let is_it = |sent: &&(DateTime<Utc>, DeadLettered)| {
                sent.1.body == letter.body && sent.1.reason.as_deref().is_some_and(begins)
            };
            if let Some((_, whole)) = sent().find(is_it) {
                letter.reason.clone_from(&whole.reason);
            }
        }
        letters.extend(sent().filter(|(at, _)| *at <= forgotten).map(|(_, letter)| letter.clone()));
        letters
    }

    /// How many messages must be dead letters, of those that were sent and must be refused for a reason.
    fn must_be_letters(&self, queue: Queue, reason: &'static str, sent: usize) -> usize {
        let counts = &self.world.state().counts;
        let was_idle = counts.of(Fault::Paused) + counts.of(Fault::TurnedOff) > 0;
        let dropped = self.droppable.get(&(queue, reason)).copied().filter(|_| was_idle);
        sent - dropped.unwrap_or_default()
    }

    /// Checks the guarantees that hold once all work has ended.
    pub(super) fn judge(&self) {
        let mut checks = self.judge_jobs();
        checks.extend(self.judge_letters());
        checks.extend(self.judge_batches());
        checks.extend(self.judge_occurrences());
        let counted: BTreeMap<_, _> =
            at_once(self.world.store.counters()).unwrap_or_default().into_iter().collect();
        let limits = at_once(self.world.limits.list()).unwrap_or_default();
        let breakers = at_once(self.world.breakers.list()).unwrap_or_default();
        let stored = at_once(self.world.control.load()).unwrap_or_default().settings;
        let mut state = self.world.state();
        if self.scenario.weather == Weather::Quiet {
            state.watch.leases_at_the_end(&limits, &breakers);
        }
        checks.push(invariants::counters_equal_what_happened(
            &counted,
            &state.watch.tally,
            &self.failed_letters(&state),
            self.scenario.weather != Weather::Rough,
        ));
        checks.push(invariants::the_dispatchers_settings_hold(
            stored.as_ref(),
            &settings::of_dispatcher(&self.world.config).deployed(),
            state.has_ticks_settings,
        ));
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

    /// How many dead letters count as failed under each name: a name without a handler has no counter of its own.
    fn failed_letters(&self, state: &State) -> BTreeMap<String, u64> {
        let mut failed: BTreeMap<String, u64> = BTreeMap::new();
        for (name, sent) in &state.watch.letters {
            let known = name.as_ref().filter(|name| self.fleet.registered(name).is_some());
            let counted_as = known.map_or(Counters::WITHOUT_HANDLER, String::as_str);
            *failed.entry(counted_as.to_owned()).or_default() += sent;
        }
        failed
    }

    fn judge_jobs(&self) -> Vec<Holds> {
        let jobs = self.world.state().watch.jobs.clone();
        let dead: HashSet<JobId> = Queue::ALL
            .into_iter()
            .flat_map(|queue| self.letters(queue))
            .filter_map(|letter| job_of(&letter))
            .filter(|id| !self.copied.contains(id))
            .collect();
        let mut checks = Vec::new();
        for (id, job) in jobs.iter().filter(|(_, job)| job.is_accepted) {
            let record = self.world.record(id);
            // The time to live has deleted the record of a job that ended long ago.
            let is_forgotten = record.is_none() && job.finished.is_some();
            let has_ended = dead.contains(id) || is_forgotten;
            checks.push(invariants::g1_every_accepted_job_ends(id, record.as_ref(), has_ended));
            if let Some(record) = &record
                && let Some(holder) = record.note.as_ref().and_then(|note| note.strip_prefix("duplicate of "))
                && let Ok(holder) = holder.parse::<JobId>()
                && (self.world.record(&holder).is_some()
                    || jobs.get(&holder).is_none_or(|job| job.finished.is_none()))
            {
                let holder = self.world.record(&holder);
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

    /// The payload of a dead letter's job, as it was sent.
    fn payload_of(&self, letter: &DeadLettered) -> Option<String> {
        let known = job_of(letter).and_then(|id| self.world.state().watch.jobs.get(&id)?.payload.clone());
        let is_poison = || letter.reason.as_ref().is_some_and(|reason| reason.contains(UNREGISTERED));
        known.or_else(|| is_poison().then(|| UNREGISTERED_PAYLOAD.to_owned()))
    }

    /// Checks every occurrence of the changing schedules.
    fn judge_occurrences(&self) -> Vec<Holds> {
        let runs = self.scenario.runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = self.world.state();
        let mut checks = Vec::new();
        for (schedule, editions) in &state.watch.editions {
            let (Some(first), Some(last)) = (editions.first(), editions.last()) else { continue };
            let end = last.schedule.end.unwrap_or(last.since);
            let mut instant = first.schedule.start.unwrap_or(first.since);
            while instant <= end {
                let verdict = verdict(editions, instant);
                let id = schedule.job_at(instant);
                let begun: Vec<&Run> =
                    runs.iter().filter(|run| id.as_ref().is_ok_and(|id| run.id == *id)).collect();
                let was_cut_off = state.watch.is_cut_off(editions, instant);
                checks.push(invariants::g5_an_occurrence_runs_if_its_schedule_says_so(
                    (schedule, instant),
                    &verdict,
                    &begun,
                    was_cut_off,
                ));
                instant += TimeDelta::seconds(10);
            }
        }
        checks
    }

    fn judge_letters(&self) -> Vec<Holds> {
        let mut checks = Vec::new();
        for queue in Queue::ALL {
            let letters = self.letters(queue);
            for ((_, reason), sent) in self.poison.iter().filter(|((of, _), _)| *of == queue) {
                let sent = self.must_be_letters(queue, reason, *sent);
                checks.push(invariants::g1_what_nobody_can_run_is_a_dead_letter(reason, sent, &letters));
            }
            for letter in &letters {
                let sent = self.payload_of(letter);
                checks.push(invariants::a_dead_letter_holds_the_text_that_was_sent(letter, sent.as_deref()));
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
        let letters: u64 = state.watch.letters.values().sum();
        // A dead letter is sent, noted on a record that may exist already, and counted.
        let allowed = allowed + 5 * letters;
        let requests = state.requests - state.control_reads;
        let jobs = invariants::requests_stay_within_the_budget(requests, allowed);
        // A tick asks twice for due items, and reads, sends and updates all of them together.
        let allowed = 5 * self.ticks.begun as u64;
        let ticks = invariants::requests_stay_within_the_budget(state.tick_requests, allowed);
        [shared, jobs, ticks]
    }
}

/// The job of a dead letter. The body of an unreadable one may have an id at least.
fn job_of(letter: &DeadLettered) -> Option<JobId> {
    let id = letter.original_message_id.as_ref().unwrap_or(&letter.message_id);
    if let Ok(message) = JobMessage::decode(&letter.body, id, letter.sent_at) {
        return Some(message.definition.id);
    }
    let body: Value = serde_json::from_str(&letter.body).ok()?;
    body.get("id")?.as_str()?.parse().ok()
}
