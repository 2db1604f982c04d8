//! Writing how jobs ended, and only then letting go of their messages.

use std::time::Duration;

use chrono::TimeDelta;

use super::attempt::Ended;
use super::dispose::Requeued;
use super::{Invocation, JobProcessor, Ledger};
use crate::job::bounds::MAX_BREAKERS;
use crate::job::{Blocker, JobId, JobStatus};
use crate::message::JobMessage;
use crate::ports::{SettleBatch, SettleOutcome, StoreError};
use crate::processor::backoff::Backoff;

/// What is left of the invocation when settling is given up: time to put the messages off.
const GIVE_UP_MARGIN: TimeDelta = TimeDelta::seconds(2);
/// How often a worker that is to stop tries.
const TRIES_WHEN_STOPPING: u32 = 3;

impl JobProcessor {
    /// Writes how these jobs ended, and sees to their messages. Tries for as long as the invocation lasts:
    /// an end that can't be written means an attempt made twice.
    pub(super) async fn settle(&self, ended: Vec<Ended>, invocation: &Invocation, ledger: &Ledger) {
        let now = self.clock.now();
        let park = |ended: Ended| Ended { record: ended.record.parked_if_far(now), ..ended };
        let ids: Vec<JobId> = ended.iter().map(|ended| ended.record.id().clone()).collect();
        let mut unsettled: Vec<Ended> = ended.into_iter().map(park).collect();
        let mut postponed = Vec::new();
        let mut id = self.entropy.next_u64();
        let mut waits = Backoff::new();
        for round in 1.. {
            let batch = SettleBatch {
                id,
                at: self.clock.now(),
                settlements: unsettled.iter().map(Self::settlement).collect(),
            };
            let outcomes = self.store.settle(&batch).await;
            let mut failed = Vec::new();
            for (ended, outcome) in unsettled.into_iter().zip(outcomes) {
                match outcome {
                    Ok(outcome) => postponed.extend(settled(ended, outcome, ledger)),
                    Err(error) => failed.push((ended, error)),
                }
            }
            let wait = waits.next();
            if failed.is_empty() || !self.may_try_again(round, wait, invocation) {
                postponed.extend(failed.into_iter().map(|(ended, error)| self.give_up(ended, &error)));
                break;
            }
            // The same batch again is written once; a part of it is another batch.
            if failed.len() < batch.settlements.len() {
                id = self.entropy.next_u64();
            }
            unsettled = failed.into_iter().map(|(ended, _)| ended).collect();
            self.clock.sleep(wait).await;
        }
        self.let_go(|id| ids.contains(id), ledger).await;
        self.hold_back(postponed, ledger).await;
    }

    fn may_try_again(&self, round: u32, wait: Duration, invocation: &Invocation) -> bool {
        let time_left = invocation.deadline - self.clock.now() - GIVE_UP_MARGIN;
        let in_time = TimeDelta::from_std(wait).is_ok_and(|wait| wait < time_left);
        in_time && (round < TRIES_WHEN_STOPPING || !invocation.stop.is_set())
    }

    /// Lets the message come back when the lease is over: the attempt is then made again.
    fn give_up(&self, ended: Ended, error: &StoreError) -> Requeued {
        tracing::error!(
            job_id = %ended.record.id(), job = %ended.record.definition.name, status = %ended.record.status,
            error = error as &dyn std::error::Error,
            "the job's end can't be written; its message comes back"
        );
        let until = ended.record.claim.map_or_else(|| self.after_trouble(), |claim| claim.lease_until);
        Requeued { received: ended.received, message: ended.message, until }
    }
}

/// What a written settlement means for its message: a postponed one comes back.
fn settled(ended: Ended, outcome: SettleOutcome, ledger: &Ledger) -> Option<Requeued> {
    let Ended { received, mut message, record, .. } = ended;
    if let SettleOutcome::Fenced(current) = outcome {
        // Somebody else has the job now, perhaps by a later receipt of this very message: deleting it
        // could take their cover away.
        let status = current.map(|current| current.status.as_str());
        tracing::warn!(job_id = %record.id(), ?status, "the lease was lost; the attempt does not count");
        return None;
    }
    if record.status.is_finished() {
        ledger.finish(&record);
        ledger.release(&received);
    }
    ledger.count(|summary| match record.status {
        JobStatus::Completed => summary.completed += 1,
        JobStatus::Failed => summary.failed += 1,
        JobStatus::Cancelled => summary.cancelled += 1,
        JobStatus::Retrying if record.note.is_none() => summary.retrying += 1,
        _ => summary.deferred += 1,
    });
    if record.parked {
        // The due index covers it from now on.
        ledger.release(&received);
        return None;
    }
    if let Some(by) = &record.blocked {
        wait_for(&mut message, by);
    }
    let until = record.due_at;
    (!record.status.is_finished()).then_some(Requeued { received, message, until })
}

/// Makes a message that is sent anew say what its job met while it ran, so that it is asked about before it is
/// claimed the next time.
fn wait_for(message: &mut JobMessage, by: &Blocker) {
    message.deferred = true;
    let breakers = &mut message.definition.breakers;
    if let Blocker::Breaker(name) = by
        && breakers.len() < MAX_BREAKERS
        && !breakers.contains(name)
    {
        breakers.push(name.clone());
    }
}
