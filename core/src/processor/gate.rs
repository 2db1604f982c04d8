//! The first question about a job: could it start at all, here and now?
//!
//! Asked before the claim, because a claim costs a write.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Candidate, Invocation, JobProcessor, Ledger};
use crate::config::JobConfig;
use crate::control::looking_again;
use crate::handler::{JobRegistry, Registered};
use crate::job::bounds::WAY_OUT;
use crate::manager::EnqueueError;
use crate::message::JobMessage;
use crate::ports::ReceivedMessage;

/// The gate's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may be claimed.
    Open,
    /// Nobody here can ever run it.
    DeadLetter(String),
    /// Not before this instant, nor in this batch.
    Wait(DateTime<Utc>, &'static str),
}

/// Decides about one decoded message.
pub(super) fn gate(
    message: &JobMessage,
    receive_count: u32,
    timeout: Duration,
    longest: Duration,
    now: DateTime<Utc>,
    deadline: DateTime<Utc>,
) -> Gate {
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

/// Why a job waits whose queue is paused.
const PAUSED: &str = "paused";

pub(super) const OUT_OF_TIME: &str = "too little time was left in the invocation";

/// Whether an attempt of this length ends, and can be settled, before the deadline.
pub(super) fn fits(timeout: Duration, now: DateTime<Utc>, deadline: DateTime<Utc>) -> bool {
    let needed = timeout.saturating_add(JobConfig::SETTLE_MARGIN);
    TimeDelta::from_std(needed).is_ok_and(|needed| deadline - now >= needed)
}

fn unregistered(name: &str, registry: &JobRegistry) -> String {
    let mut names: Vec<&str> = registry.names().collect();
    names.sort_unstable();
    format!("name: no handler is registered for {name:?}; registered are: {}", names.join(", "))
}

fn no_unique_jobs(name: &str, key: &str) -> String {
    EnqueueError::Unclaimed { name: name.to_owned(), key: key.to_owned() }.to_string()
}

impl JobProcessor {
    /// Decodes and gates a batch. What may not start is seen to at once; the rest is answered as
    /// candidates, one for each job id, and the copies of those ids.
    pub(super) async fn admit(
        &self,
        messages: Vec<ReceivedMessage>,
        invocation: &Invocation,
        ledger: &Ledger,
    ) -> (Vec<Candidate>, Vec<Candidate>) {
        let mut candidates: Vec<Candidate> = Vec::with_capacity(messages.len());
        let mut copies = Vec::new();
        let mut ids = HashSet::with_capacity(messages.len());
        let mut letters = Vec::new();
        let mut waits = Vec::new();
        if messages.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let control = self.control.current().await;
        let now = self.clock.now();
        for received in messages {
            let message = match JobMessage::decode(&received.body, &received.message_id, received.sent_at) {
                Ok(message) => message,
                Err(error) => {
                    letters.push((received, None, error.to_string()));
                    continue;
                }
            };
            let Some(handler) = self.registry.get(&message.definition.name).cloned() else {
                let reason = unregistered(&message.definition.name, &self.registry);
                letters.push((received, Some(message), reason));
                continue;
            };
            if let (Some(key), false) = (&message.definition.unique_key, handler.is_claimed()) {
                let reason = no_unique_jobs(&message.definition.name, key);
                letters.push((received, Some(message), reason));
                continue;
            }
            if let Some(since) = control.paused_since(received.queue) {
                // Before anything that is counted: however long a pause lasts, it spends nothing.
                let until = message.due_at.max(now + looking_again(since, now));
                waits.push((Candidate { received, message, handler }, until, PAUSED));
                continue;
            }
            match self.gate(&message, &received, &handler, now, invocation) {
                Gate::DeadLetter(reason) => letters.push((received, Some(message), reason)),
                Gate::Wait(until, why) => waits.push((Candidate { received, message, handler }, until, why)),
                Gate::Open => {
                    let candidate = Candidate { received, message, handler };
                    let is_first = ids.insert(candidate.message.definition.id.clone());
                    if is_first { candidates.push(candidate) } else { copies.push(candidate) }
                }
            }
        }
        self.bury(letters, ledger).await;
        self.postpone_unclaimed(waits, ledger).await;
        (candidates, copies)
    }

    fn gate(
        &self,
        message: &JobMessage,
        received: &ReceivedMessage,
        handler: &Registered,
        now: DateTime<Utc>,
        invocation: &Invocation,
    ) -> Gate {
        // Whatever else a job waits for, its own instant stays the earliest.
        if !self.config.enabled {
            return Gate::Wait(message.due_at.max(now + DISABLED_WAIT), "jobs are disabled");
        }
        if invocation.stop.is_set() {
            return Gate::Wait(message.due_at, "the worker is stopping");
        }
        let timeout = handler.timeout(&message.definition);
        let longest = self.config.longest_timeout();
        gate(message, received.receive_count, timeout, longest, now, invocation.deadline)
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
        gate(
            &message,
            receive_count,
            Duration::from_secs(timeout),
            JobConfig::default().longest_timeout(),
            now,
            deadline,
        )
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
