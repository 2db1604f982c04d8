//! Watches a history from outside: every write to a record, every start of an attempt.
//!
//! It does not know how the processor decides. It holds each fact against the guarantees, one function each in
//! [`invariants`](super::invariants).

mod leases;
mod protection;
mod schedules;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::simulation::facts::{Broken, Holds, JobWatch, Via};
use crate::simulation::invariants;
use crate::simulation::recurring::Edition;
use lambda_jobs_core::job::{JobId, JobRecord, JobStatus, ScheduleId};
use lambda_jobs_core::ports::Counters;

pub(super) use protection::Counts;
use protection::Protection;

/// A claim that a worker holds.
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any of them may hold with any other"
)]
struct Hold {
    is_started: bool,
    /// Whether nothing else was claimed at the same time.
    is_alone: bool,
    /// Whether a crash made it a suspect.
    is_isolated: bool,
    /// Whether it had been cancelled when it was claimed.
    is_cancelled: bool,
}

/// The batch that a worker holds.
#[derive(Clone, Debug, Default)]
struct Hands {
    holds: HashMap<JobId, Hold>,
}

/// All observed facts.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) jobs: BTreeMap<JobId, JobWatch>,
    pub(super) tally: BTreeMap<String, Counters>,
    /// How many messages workers sent to dead-letter queues, by the name in them.
    pub(super) letters: BTreeMap<Option<String>, u64>,
    pub(super) attempts: u64,
    /// The children of each batch.
    pub(super) batches: BTreeMap<JobId, Vec<JobId>>,
    /// Whether only time can keep a job from starting.
    pub(super) is_quiet: bool,
    /// The jobs whose handler stopped after it learned of their cancellation, until the store has that.
    pub(super) heeded: Arc<Mutex<BTreeSet<JobId>>>,
    pub(super) protection: Protection,
    /// The editions of each changing schedule, in order.
    pub(super) editions: BTreeMap<ScheduleId, Vec<Edition>>,
    /// The ticks that read schedules as they had been longer ago than a change covers.
    pub(super) lagging: BTreeSet<usize>,
    /// When one of them was killed, or failed in part.
    pub(super) cut_off: Vec<DateTime<Utc>>,
    workers: HashMap<usize, Hands>,
    /// For each unique key, the jobs that a worker received and that have not ended.
    unique: BTreeMap<String, BTreeSet<JobId>>,
    broken: Option<Broken>,
}

impl Watch {
    pub(super) fn job(&mut self, id: &JobId) -> &mut JobWatch {
        self.jobs.entry(id.clone()).or_default()
    }

    /// Keeps the first broken guarantee.
    pub(super) fn check(&mut self, holds: Holds) {
        if let Err(broken) = holds {
            self.broken.get_or_insert(broken);
        }
    }

    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// A worker gets a batch.
    pub(super) fn begun(&mut self, worker: usize, now: Duration) {
        self.workers.insert(worker, Hands::default());
        self.batch_begun(worker, now);
    }

    /// A worker has answered. The store was up, and there was time to call it.
    pub(super) fn answered_in_time(&mut self, worker: usize) {
        let holds = self.workers.get(&worker).map(|hands| &hands.holds);
        let left = holds.into_iter().flatten().find(|(_, hold)| !hold.is_started).map(|(id, _)| id.clone());
        self.check(invariants::g3_no_claim_is_forgotten(left.as_ref()));
    }

    /// A worker has answered, and no fault happened.
    pub(super) fn answered_in_calm(&mut self, worker: usize) {
        let left = self.workers.get(&worker).and_then(|hands| hands.holds.keys().next().cloned());
        self.check(invariants::g8_no_attempt_is_cut_short_by_the_answer(left.as_ref()));
    }

    /// A worker has answered or was killed: every claim that it still holds looks like a crash later.
    pub(super) fn ended(&mut self, worker: usize) {
        let Hands { holds } = self.workers.remove(&worker).unwrap_or_default();
        for (id, hold) in holds {
            self.left_unsettled(&id, hold);
        }
        self.batch_ended(worker);
    }

    /// A worker learns that another one has the job: its attempt ends and does not count.
    pub(super) fn fenced(&mut self, worker: usize, id: &JobId) {
        let hold = self.workers.get_mut(&worker).and_then(|hands| hands.holds.remove(id));
        if let Some(hold) = hold {
            self.left_unsettled(id, hold);
        }
    }

    fn left_unsettled(&mut self, id: &JobId, hold: Hold) {
        let job = self.job(id);
        if hold.is_alone {
            job.ended_alone += 1;
        } else {
            job.ended_in_company += 1;
        }
    }

    /// The future of a job is polled.
    pub(super) fn polled(&mut self, worker: usize, id: &JobId, now: DateTime<Utc>) {
        let elsewhere = self.is_started_elsewhere(worker, id);
        let hold = self.workers.get(&worker).and_then(|hands| hands.holds.get(id)).copied();
        if hold.is_some_and(|hold| hold.is_started) {
            return;
        }
        self.attempts += 1;
        let job = self.job(id);
        job.starts += 1;
        let job = job.clone();
        if job.is_claimed {
            self.check(invariants::g2_no_job_runs_without_a_claim(id, hold.is_some()));
            self.check(invariants::g2_no_two_attempts_at_once(id, elsewhere));
            self.check(invariants::g2_no_finished_job_runs_again(id, &job));
            self.check(invariants::cancelled_jobs_do_not_start(id, &job));
            self.check(invariants::g3_no_more_starts_than_allowed(id, &job));
        }
        self.check(invariants::g4_no_delay_ends_early(id, &job, now));
        // If a breaker or a limit may hold a job back, its first start time may not be stored yet: the caller writes
        // the record at the same moment.
        if self.is_quiet && (job.is_put_off || !self.protection.terms.has_breakers) {
            self.check(invariants::g4_delays_end_within_two_seconds(id, &job, now));
        }
        let hold = hold.unwrap_or_default();
        self.check(invariants::no_attempt_follows_a_cancellation(id, hold.is_cancelled));
        self.check(invariants::g3_a_suspect_runs_alone(id, hold.is_alone || !hold.is_isolated));
        let hands = self.workers.entry(worker).or_default();
        let hold = Hold { is_started: true, ..hold };
        hands.holds.insert(id.clone(), hold);
    }

    fn is_started_elsewhere(&self, worker: usize, id: &JobId) -> Option<usize> {
        let started = |hands: &Hands| hands.holds.get(id).is_some_and(|hold| hold.is_started);
        self.workers
            .iter()
            .find(|(other, hands)| **other != worker && started(hands))
            .map(|(other, _)| *other)
    }

    /// A record was written.
    pub(super) fn wrote(
        &mut self,
        worker: Option<usize>,
        via: Via,
        before: Option<&JobRecord>,
        after: &JobRecord,
        now: Duration,
    ) {
        self.check(invariants::status_never_goes_backwards(before, after));
        self.check(invariants::every_write_is_the_next_revision(before, after));
        let id = after.id().clone();
        let sent = self.job(&id).payload.clone();
        self.check(invariants::a_record_holds_the_text_that_was_sent(after, sent.as_deref()));
        let max_retries = self.job(&id).max_retries;
        self.check(invariants::g3_no_more_failures_than_allowed(after, max_retries));
        if via == Via::Settle {
            self.check(invariants::no_older_attempt_overwrites_a_result(before, after));
            self.tallied(before, after);
        }
        self.snoozed(before, after);
        self.follow_deferral(via, before, after, now);
        self.follow_key(after);
        let blamed = self.handed_over(worker, &id, before, after);
        let job = self.job(&id);
        job.is_made_anew |= before.is_none() && job.finished.is_some();
        if after.failures > before.map_or(0, |before| before.failures) {
            job.blames += u32::from(blamed);
            if job.is_guarded && job.is_claimed && after.status == JobStatus::Retrying {
                (job.due, job.is_put_off) = (Some(after.due_at), true);
            }
        }
        if before.is_some_and(|before| before.status == JobStatus::Failed) && !after.status.is_finished() {
            if via == Via::Replace && after.failures == 0 {
                (job.starts, job.blames, job.snoozes, job.deferrals) = (0, 0, 0, 0);
            }
            job.came_back = true;
            job.finished = None;
        }
        if before.is_some_and(|before| before.withdrawn) && !after.status.is_finished() {
            job.finished = None;
        }
        if after.status.is_finished() && !after.dead_lettered {
            job.finished = Some(after.status);
        }
        let job = job.clone();
        self.check(invariants::g3_no_job_is_blamed_for_what_others_did(&id, &job));
        self.check(invariants::g3_every_failure_was_one(after, &job));
        if via == Via::Settle && !blamed && self.was_refused(worker, &id) {
            self.check(invariants::g3_who_is_refused_waits_unspent(before, after));
        }
        let heeded = || self.heeded.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if via == Via::Settle && !blamed && heeded() {
            self.check(invariants::who_heeds_its_cancellation_ends_cancelled(&job, after));
        }
    }

    /// After a snooze, the job may not start before its stored instant.
    fn snoozed(&mut self, before: Option<&JobRecord>, after: &JobRecord) {
        if after.snoozes <= before.map_or(0, |before| before.snoozes) {
            return;
        }
        self.check(invariants::g3_a_snooze_spends_no_attempt(before, after));
        let job = self.job(after.id());
        job.snoozes += 1;
        // A job that runs without a claim does not read the record.
        if job.is_claimed {
            job.due = Some(after.due_at);
        }
    }

    fn follow_key(&mut self, after: &JobRecord) {
        let Some(key) = &after.definition.unique_key else { return };
        let begun = self.unique.entry(key.clone()).or_default();
        if after.status.is_finished() || after.claim.is_none() {
            begun.remove(after.id());
            return;
        }
        begun.insert(after.id().clone());
        let holds = invariants::of_jobs_with_one_key_one_is_under_way(key, begun);
        self.check(holds);
    }

    /// Follows a claim from one worker to the next. Returns whether this write counts a failure that the job did not
    /// have.
    fn handed_over(
        &mut self,
        worker: Option<usize>,
        id: &JobId,
        before: Option<&JobRecord>,
        after: &JobRecord,
    ) -> bool {
        let Some(hands) = worker.and_then(|worker| self.workers.get_mut(&worker)) else { return false };
        if after.status != JobStatus::Running {
            return hands.holds.remove(id).is_none_or(|hold| !hold.is_started);
        }
        let claim = |record: &JobRecord| record.claim.as_ref().map(|claim| claim.id.clone());
        if before.and_then(claim) != claim(after) {
            let is_alone = hands.holds.keys().all(|other| other == id);
            hands.holds.values_mut().for_each(|other| other.is_alone &= is_alone);
            let (is_isolated, is_cancelled) = (after.isolated, after.cancel_requested);
            let hold = Hold { is_started: false, is_alone, is_isolated, is_cancelled };
            hands.holds.insert(id.clone(), hold);
        }
        false
    }

    fn tallied(&mut self, before: Option<&JobRecord>, after: &JobRecord) {
        if before.is_some_and(|before| before.status != JobStatus::Running) {
            return;
        }
        let tally = self.tally.entry(after.definition.spec.name.clone()).or_default();
        match after.status {
            JobStatus::Completed => tally.completed += 1,
            JobStatus::Failed => tally.failed += 1,
            JobStatus::Cancelled => tally.cancelled += 1,
            JobStatus::Retrying if after.failures > before.map_or(0, |before| before.failures) => {
                tally.retried += 1;
            }
            _ => {}
        }
    }
}
