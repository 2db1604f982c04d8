//! The gate: can this job start at all, here and now?
//!
//! The gate stands before the claim, because a claim costs a write.
//!
//! A job starts only if the time left covers its timeout and a margin of 3 s to settle it. A timeout must also
//! leave 2 s to receive and claim the batch: otherwise the job would wait for ever. So a longer timeout is
//! refused at registration and `enqueue`, and a bare message with one goes to the dead-letter queue.
//!
//! A message of a paused queue waits before anything about it is counted. However long a pause lasts, it spends
//! nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::SqsBatch;
use super::decode::Decoded;
use super::job::Job;
use super::requeue::Waiting;
use crate::config::JobConfig;
use crate::control::{Control, looking_again};
use crate::job::bounds::WAY_OUT;
use crate::message::JobMessage;

/// The gate's answer.
#[derive(Debug, PartialEq, Eq)]
enum Gate {
    /// The job may be claimed.
    Open,
    /// No worker can ever run it.
    DeadLetter(String),
    /// The job may start at this instant, but not in this batch.
    Wait(DateTime<Utc>, &'static str),
    /// Nobody works on its queue. It is looked at again at this instant, maybe for longer than any record is kept.
    Idle(DateTime<Utc>, &'static str),
}

/// The jobs that passed the gate.
#[derive(Default)]
pub(super) struct Gated {
    /// One of each id.
    pub(super) jobs: Vec<Job>,
    /// Further messages of these ids.
    pub(super) copies: Vec<Job>,
}

/// The times that decide whether a job may start.
struct Times {
    timeout: Duration,
    /// The longest timeout that the function can grant.
    longest: Duration,
    now: DateTime<Utc>,
    deadline: DateTime<Utc>,
}

/// Decides about one decoded message.
fn gate(message: &JobMessage, receive_count: u32, times: &Times) -> Gate {
    let Times { timeout, longest, now, deadline } = *times;
    if timeout > longest {
        return Gate::DeadLetter(format!(
            "timeout: expected at most {} ms, the function's timeout less the margins to start and settle, got {} ms; \
             {WAY_OUT}",
            longest.as_millis(),
            timeout.as_millis()
        ));
    }
    if receive_count >= JobConfig::MAX_RECEIVE_COUNT {
        return Gate::DeadLetter(format!("received {receive_count} times without running to an end"));
    }
    if message.due_at > now {
        return Gate::Wait(message.due_at, "not yet due");
    }
    if !fits(timeout, now, deadline) {
        return Gate::Wait(message.due_at, OUT_OF_TIME);
    }
    Gate::Open
}

/// How long a message waits each time while jobs are disabled.
const DISABLED_WAIT: TimeDelta = TimeDelta::minutes(1);

/// Of two copies of one id, the newer edition of a schedule becomes the candidate. Returns the other.
fn older(candidate: &mut Job, copy: Job) -> Job {
    if copy.definition().edition > candidate.definition().edition {
        return std::mem::replace(candidate, copy);
    }
    copy
}

pub(super) const OUT_OF_TIME: &str = "too little time was left in the invocation";

/// Whether an attempt of this length ends, and can be settled, before the deadline.
pub(super) fn fits(timeout: Duration, now: DateTime<Utc>, deadline: DateTime<Utc>) -> bool {
    let needed = timeout.saturating_add(JobConfig::SETTLE_MARGIN);
    TimeDelta::from_std(needed).is_ok_and(|needed| deadline - now >= needed)
}

impl SqsBatch<'_> {
    /// Gates a batch. Dead-letters messages that no worker can run, defers jobs that can't start now, and returns the
    /// rest.
    pub(super) async fn gate(&self, decoded: Vec<Decoded>) -> Gated {
        if decoded.is_empty() {
            return Gated::default();
        }
        let mut candidates: Vec<Job> = Vec::with_capacity(decoded.len());
        let mut copies = Vec::new();
        let mut ids = HashMap::with_capacity(decoded.len());
        let (mut unprocessable, mut waiting) = (Vec::new(), Vec::new());
        let control = self.processor.control.current().await;
        let now = self.now();
        for one in decoded {
            let candidate = match one {
                Decoded::Job(job) => job,
                Decoded::Unprocessable(message) => {
                    unprocessable.push(message);
                    continue;
                }
            };
            match self.gate_one(&candidate, &control, now) {
                Gate::DeadLetter(reason) => unprocessable.push(candidate.unprocessable(reason)),
                Gate::Wait(until, why) => {
                    waiting.push(Waiting { job: candidate, until, why, is_idle: false });
                }
                Gate::Idle(until, why) => waiting.push(Waiting { job: candidate, until, why, is_idle: true }),
                Gate::Open => match ids.entry(candidate.id().clone()) {
                    Entry::Vacant(first) => {
                        first.insert(candidates.len());
                        candidates.push(candidate);
                    }
                    Entry::Occupied(first) => {
                        copies.push(older(&mut candidates[*first.get()], candidate));
                    }
                },
            }
        }
        self.dead_letter(unprocessable).await;
        self.defer_waiting(waiting).await;
        Gated { jobs: candidates, copies }
    }

    fn gate_one(&self, job: &Job, control: &Control, now: DateTime<Utc>) -> Gate {
        let Job { message, received, .. } = job;
        // Whatever else a job waits for, its own instant stays the earliest.
        if let Some(since) = control.paused_since(received.queue) {
            return Gate::Idle(message.due_at.max(now + looking_again(since, now)), "paused");
        }
        if !self.processor.config.enabled {
            return Gate::Idle(message.due_at.max(now + DISABLED_WAIT), "jobs are disabled");
        }
        if self.invocation.stop.is_set() {
            return Gate::Wait(message.due_at, "the worker is stopping");
        }
        let longest = self.processor.config.longest_timeout();
        let times = Times { timeout: job.timeout(), longest, now, deadline: self.invocation.deadline };
        gate(message, received.receive_count, &times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(receive_count: u32, timeout: u64, due_in: i64, left: i64) -> Gate {
        let now = DateTime::UNIX_EPOCH;
        let mut message = JobMessage::decode(r#"{"name":"n"}"#, "m", now).unwrap();
        message.due_at = now + TimeDelta::milliseconds(due_in);
        let deadline = now + TimeDelta::seconds(left);
        let longest = JobConfig::default().longest_timeout();
        let times = Times { timeout: Duration::from_secs(timeout), longest, now, deadline };
        gate(&message, receive_count, &times)
    }

    #[test]
    fn a_job_starts_only_when_due_and_with_time_for_its_timeout_and_the_margin() {
        assert_eq!(ask(1, 30, 0, 33), Gate::Open);
        assert_eq!(ask(1, 30, 0, 32), Gate::Wait(DateTime::UNIX_EPOCH, OUT_OF_TIME));
        let due = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1);
        assert_eq!(ask(1, 30, 1, 60), Gate::Wait(due, "not yet due"));
    }

    #[test]
    fn a_job_for_which_no_time_is_left_stays_due_when_it_was() {
        let due = DateTime::UNIX_EPOCH - TimeDelta::minutes(5);
        assert_eq!(ask(1, 30, -300_000, 32), Gate::Wait(due, OUT_OF_TIME));
    }

    #[test]
    fn the_longest_timeout_fits_though_the_invocation_is_no_longer_new() {
        let config = JobConfig::default();
        let left = config.function_timeout.saturating_sub(JobConfig::START_MARGIN).as_secs();
        let left = i64::try_from(left).unwrap();
        assert_eq!(ask(1, config.longest_timeout().as_secs(), 0, left), Gate::Open);
    }

    #[test]
    fn what_can_never_run_here_is_a_dead_letter_with_its_reason() {
        let reason = "timeout: expected at most 85000 ms, the function's timeout less the margins to start and settle, \
                      got 86000 ms; raise the function's timeout (15 minutes at most), split the work, or chain jobs, each \
                      enqueueing the next";
        assert_eq!(ask(1, 86, 0, 90), Gate::DeadLetter(reason.to_owned()));
        let reason = "received 50 times without running to an end";
        assert_eq!(ask(50, 30, 0, 90), Gate::DeadLetter(reason.to_owned()));
    }
}
