//! Stale messages of idle queues.
//!
//! SQS deletes a message 14 days after its send, and a pause may last longer. So the dispatcher sends a message that is
//! 10 days old again, with the same id and the same due instant, and only then deletes the old one. It looks in every
//! tick once the queue has been idle for 10 days. Before that it looks hourly, because messages may have waited before
//! the pause too.
//!
//! The record of a job that has ended lives for 15 days only, and a pause may last longer. So before it sends messages
//! again, the dispatcher reads the records of their jobs, all at once. It deletes the message of a job that has ended,
//! and of a parked job, which the due index covers. A message that is sent while its job has not ended can't outlive
//! the record of its end: SQS keeps it for 14 days.
//!
//! A look raises the receive count, and SQS takes a high receive count for a poison message. So the dispatcher also
//! sends a message again after 10 looks, and no look makes a dead letter.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;

use super::renewal::{RENEW_AGE, Stale};
use crate::batch::Ending;
use crate::batches::{Batches, Mark};
use crate::control::Control;
use crate::job::{JobId, JobRecord, Queue};
use crate::ports::{CorePorts, Outgoing, ReceivedMessage};
use crate::processor::{keep_payloads, store_payloads};

/// A look ends after this many batches without a stale message: SQS roughly serves old messages first.
const YOUNG_BATCHES: u32 = 3;
/// The time for one batch. None begins closer to the deadline.
const BATCH_MARGIN: TimeDelta = TimeDelta::seconds(5);

/// Whether this tick looks at a queue: every tick once the queue has been idle for [`RENEW_AGE`], and hourly before.
fn is_due(control: &Control, queue: Queue, now: DateTime<Utc>) -> bool {
    control.idle_since(queue).is_some_and(|since| {
        let idle = now - since;
        idle >= RENEW_AGE || (idle >= TimeDelta::hours(1) && idle.num_minutes() % 60 == 0)
    })
}

/// What a look for stale messages did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// How many messages were sent again.
    pub sent: usize,
    /// How many messages were deleted, because their jobs have ended or are parked.
    pub dropped: usize,
    /// How many messages or calls failed. A later look tries them again.
    pub failed: usize,
}

/// Sends the stale messages of idle queues again, until none is left or the deadline is near. Never fails: errors are
/// logged, and a later tick tries again.
pub async fn renew_stale_messages(ports: &CorePorts, deadline: DateTime<Utc>) -> Renewed {
    let control = match ports.control.load().await {
        Ok(control) => control,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "can't read the control item; stale messages wait for the next tick");
            return Renewed { failed: 1, ..Renewed::default() };
        }
    };
    let now = ports.clock.now();
    let queues = Queue::ALL.into_iter().filter(|queue| is_due(&control, *queue, now));
    let mut sum = Renewed::default();
    for one in join_all(queues.map(|queue| renew_queue(ports, queue, deadline))).await {
        sum.sent += one.sent;
        sum.dropped += one.dropped;
        sum.failed += one.failed;
    }
    sum
}

async fn renew_queue(ports: &CorePorts, queue: Queue, deadline: DateTime<Utc>) -> Renewed {
    let mut done = Renewed::default();
    let mut young_batches = 0;
    while young_batches < YOUNG_BATCHES && ports.clock.now() + BATCH_MARGIN < deadline {
        let messages = match ports.stale.receive(queue).await {
            Ok(messages) if messages.is_empty() => break,
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%queue, error = &error as &dyn std::error::Error, "can't receive from a paused queue");
                done.failed += 1;
                break;
            }
        };
        let now = ports.clock.now();
        let stale: Vec<Stale> = messages.into_iter().filter_map(|message| Stale::of(message, now)).collect();
        if stale.is_empty() {
            young_batches += 1;
            continue;
        }
        young_batches = 0;
        let all = stale.len();
        let Renewed { sent, dropped, failed } = renew(ports, queue, stale, now).await;
        done.sent += sent;
        done.dropped += dropped;
        done.failed += failed;
        if failed == all {
            break;
        }
    }
    if done.sent + done.dropped > 0 {
        let Renewed { sent, dropped, .. } = done;
        tracing::info!(%queue, sent, dropped, "renewed stale messages of a paused queue");
    }
    done
}

/// Sends stale messages again, except those that are needless. Deletes all of them.
async fn renew(ports: &CorePorts, queue: Queue, stale: Vec<Stale>, now: DateTime<Utc>) -> Renewed {
    let ids: Vec<JobId> =
        stale.iter().filter_map(Stale::id).collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let found = if ids.is_empty() { Ok(Vec::new()) } else { ports.store.heads(&ids).await };
    let records: HashMap<JobId, JobRecord> = match found {
        Ok(found) => found.into_iter().flatten().map(|record| (record.id().clone(), record)).collect(),
        Err(error) => {
            tracing::warn!(%queue, error = &error as &dyn std::error::Error,
                "can't read the jobs of stale messages; a later tick renews them");
            return Renewed { failed: stale.len(), ..Renewed::default() };
        }
    };
    let is_needless =
        |one: &Stale| one.id().and_then(|id| records.get(id)).is_some_and(|record| one.is_needless(record));
    let (needless, needed): (Vec<_>, Vec<_>) = stale.into_iter().partition(is_needless);
    // The batch of a child may not know yet that it has ended.
    let ended = needless.iter().filter_map(|one| records.get(one.id()?));
    let mark = |record: &JobRecord| {
        Some(Mark { place: record.definition.batch.clone()?, ending: Ending::of(record.status)? })
    };
    let marks: Vec<Mark> = ended.filter_map(mark).collect();
    if Batches::new(ports).mark(&marks).await.contains(&false) {
        return Renewed { failed: needless.len() + needed.len(), ..Renewed::default() };
    }
    let needless: Vec<ReceivedMessage> = needless.into_iter().map(|one| one.message).collect();
    delete(ports, queue, &needless).await;
    let all = needed.len();
    let needed = stored(ports, needed, now).await;
    let copies: Vec<Outgoing> = needed.iter().map(|one| one.copy(now)).collect();
    let unstored = all - needed.len();
    let old = needed.into_iter().map(|one| one.message).collect();
    let failed = if copies.is_empty() { 0 } else { replace(ports, queue, old, &copies).await };
    Renewed { sent: copies.len() - failed, dropped: needless.len(), failed: failed + unstored }
}

/// Stores the payloads that copies have no room for. Leaves out messages whose payload could not be stored: they stay
/// as they are.
async fn stored(ports: &CorePorts, needed: Vec<Stale>, now: DateTime<Utc>) -> Vec<Stale> {
    let stored: Vec<JobId> = needed.iter().filter_map(Stale::stored_by_record).cloned().collect();
    keep_payloads(&*ports.store, &stored, now).await;
    let large = needed.iter().filter_map(Stale::large_record).collect();
    let stored = store_payloads(&*ports.store, large, now).await;
    let is_covered = |one: &Stale| !one.is_large() || one.id().is_some_and(|id| stored.contains(id));
    needed.into_iter().filter(is_covered).collect()
}

/// Sends copies, then deletes their originals. Returns how many copies were not sent. An original that can't be
/// deleted is a duplicate of its copy, and runs nothing.
async fn replace(ports: &CorePorts, queue: Queue, old: Vec<ReceivedMessage>, copies: &[Outgoing]) -> usize {
    if copies.is_empty() {
        return 0;
    }
    let outcomes = ports.queue.send(copies).await;
    let (mut covered, mut failed) = (Vec::with_capacity(old.len()), 0);
    for (message, outcome) in old.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => covered.push(message),
            Err(error) => {
                failed += 1;
                tracing::warn!(
                    %queue, message_id = %message.message_id, error = &error as &dyn std::error::Error,
                    "can't send a stale message again; the next tick tries"
                );
            }
        }
    }
    delete(ports, queue, &covered).await;
    failed
}

/// Deletes messages that something else covers, or that have nothing left to bring about.
async fn delete(ports: &CorePorts, queue: Queue, messages: &[ReceivedMessage]) {
    if messages.is_empty() {
        return;
    }
    for error in ports.stale.delete(messages).await.into_iter().filter_map(Result::err) {
        tracing::warn!(%queue, error = &error as &dyn std::error::Error,
            "can't delete a stale message that is no longer needed; it is a duplicate");
    }
}
