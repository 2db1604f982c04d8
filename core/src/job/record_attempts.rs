//! What a record says of its attempts.

use chrono::{DateTime, TimeDelta, Utc};

use super::past_attempt::PastAttempt;
use super::record::JobRecord;
use super::status::JobStatus;

impl JobRecord {
    /// All attempts that are known, the oldest first: those that were kept, and the present or last one.
    #[must_use]
    pub fn attempts(&self) -> Vec<PastAttempt> {
        let mut attempts = self.past_attempts.as_slice().to_vec();
        attempts.extend(self.last_attempt());
        attempts
    }

    /// This record with what its worker knows of the attempt that has just ended, as far as that is worth its place: a
    /// log, or anything about an attempt that another one follows.
    #[must_use]
    pub(crate) fn with_attempt(mut self, attempt: PastAttempt) -> Self {
        let known = self.past_attempts.of(attempt.attempt, attempt.started_at).cloned();
        if known.is_none() && attempt.log.is_none() {
            return self;
        }
        let error = known.or_else(|| self.last_attempt()).and_then(|known| known.error);
        self.past_attempts.keep(PastAttempt { error, ..attempt });
        self
    }

    /// This record, which another worker is about to take over, with the attempt whose worker died.
    #[must_use]
    pub(crate) fn keeping_a_crashed_attempt(mut self) -> Self {
        if self.status == JobStatus::Running {
            self.keep_last_attempt();
        }
        self
    }

    /// Keeps the facts of a failed attempt that another one follows.
    pub(super) fn keep_failed_attempt(&mut self) {
        if let Some(started_at) = self.started_at {
            let attempt = PastAttempt::new(self.failures, started_at, self.execution_time);
            self.past_attempts.keep(attempt.because(self.error.as_deref()));
        }
    }

    /// Keeps the facts of the last attempt, because the record is about to forget them.
    pub(super) fn keep_last_attempt(&mut self) {
        if let Some(attempt) = self.last_attempt() {
            self.past_attempts.keep(attempt);
        }
    }

    /// The present or last attempt by the record itself, unless it was kept. A job that waits has none, and a dead
    /// letter's error is no attempt's.
    fn last_attempt(&self) -> Option<PastAttempt> {
        // A job that was cancelled before its attempt began has not made it.
        let is_made = self.status != JobStatus::Cancelled || self.execution_time.is_some();
        let has_one = !self.status.is_waiting() && !self.dead_lettered && is_made;
        let number = Some(self.attempt()).filter(|number| *number > 0 && has_one)?;
        let is_kept = |at: &DateTime<Utc>| self.past_attempts.of(number, *at).is_some();
        let started_at = self.started_at.filter(|at| !is_kept(at))?;
        // A running record still has the error of the attempt before.
        let error = self.error.as_deref().filter(|_| self.status != JobStatus::Running);
        // The store has the instant of the claim, and the job may have waited for others of its batch.
        let took = self.execution_time.and_then(|took| TimeDelta::from_std(took).ok());
        let begun = self.completed_at.zip(took).and_then(|(end, took)| end.checked_sub_signed(took));
        let started_at = begun.unwrap_or(started_at);
        Some(PastAttempt::new(number, started_at, self.execution_time).because(error))
    }
}
