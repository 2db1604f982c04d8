//! Stale messages of idle queues.
//!
//! SQS deletes a message 14 days after its send, and a pause may last longer. So the dispatcher sends a message that is
//! 10 days old again, with the same id and the same due instant, and only then deletes the old one. It looks in every
//! tick once the queue has been idle for 10 days. Before that it looks hourly, because messages may have waited before
//! the pause too.
//!
//! A look raises the receive count, and SQS takes a high receive count for a poison message. So the dispatcher also
//! sends a message again after 10 looks, and no look makes a dead letter.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;

use crate::control::Control;
use crate::job::Queue;
use crate::job::bounds::MAX_SEND_DELAY;
use crate::message::{JobMessage, MAX_BODY_BYTES, named_by_message};
use crate::ports::{CorePorts, Outgoing, ReceivedMessage};

/// The age at which a message is sent again; SQS keeps it for 14 days.
pub const RENEW_AGE: TimeDelta = TimeDelta::days(10);
/// After this many receives a message is sent again, whatever its age.
const RENEW_AFTER_RECEIVES: u32 = 10;
/// A look ends after this many batches without a stale message: SQS roughly serves old messages first.
const YOUNG_BATCHES: u32 = 3;
/// The time for one batch. None begins closer to the deadline.
const BATCH_MARGIN: TimeDelta = TimeDelta::seconds(5);

/// The copy that replaces a stale message; `None` if the message may wait longer.
///
/// The copy is the same job, with the same id and the same due instant. The copy of an unreadable message has the same
/// body, so that its worker reports the error.
#[must_use]
pub fn renewed(message: &ReceivedMessage, now: DateTime<Utc>) -> Option<Outgoing> {
    if now - message.sent_at < RENEW_AGE && message.receive_count < RENEW_AFTER_RECEIVES {
        return None;
    }
    let ReceivedMessage { queue, message_id, body, sent_at, group, .. } = message;
    let (body, delay, tenant) = match JobMessage::decode(body, message_id, *sent_at) {
        Ok(job) => (copy(&job), (job.due_at - now).to_std().unwrap_or_default(), job.group()),
        Err(_) => (named_by_message(body, message_id), Duration::ZERO, None),
    };
    // The sender of a bare message may have named its tenant in the body only.
    let group = group.clone().or(tenant);
    Some(Outgoing { queue: *queue, body, delay: delay.min(MAX_SEND_DELAY), group })
}

fn copy(job: &JobMessage) -> String {
    let body = job.encode();
    if body.len() <= MAX_BODY_BYTES {
        return body;
    }
    // A copy may be larger than a message only if its job is recorded; the claim corrects that if it is not.
    JobMessage { recorded: true, ..job.clone() }.encode()
}

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
            return Renewed { sent: 0, failed: 1 };
        }
    };
    let now = ports.clock.now();
    let queues = Queue::ALL.into_iter().filter(|queue| is_due(&control, *queue, now));
    let mut sum = Renewed::default();
    for one in join_all(queues.map(|queue| renew_queue(ports, queue, deadline))).await {
        sum.sent += one.sent;
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
        let (old, copies): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .filter_map(|message| renewed(&message, now).map(|copy| (message, copy)))
            .unzip();
        if copies.is_empty() {
            young_batches += 1;
            continue;
        }
        young_batches = 0;
        let failed = replace(ports, queue, old, &copies).await;
        done.sent += copies.len() - failed;
        done.failed += failed;
        if failed == copies.len() {
            break;
        }
    }
    if done.sent > 0 {
        tracing::info!(%queue, sent = done.sent, "sent stale messages of a paused queue again");
    }
    done
}

/// Sends copies, then deletes their originals. Returns how many copies were not sent. An original that can't be
/// deleted is a duplicate of its copy, and runs nothing.
async fn replace(ports: &CorePorts, queue: Queue, old: Vec<ReceivedMessage>, copies: &[Outgoing]) -> usize {
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
    if covered.is_empty() {
        return failed;
    }
    for error in ports.stale.delete(&covered).await.into_iter().filter_map(Result::err) {
        tracing::warn!(%queue, error = &error as &dyn std::error::Error, "can't delete the original of a renewed message; it is a duplicate");
    }
    failed
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T08:00:00Z".parse().unwrap()
    }

    fn message(body: &str, age: TimeDelta) -> ReceivedMessage {
        ReceivedMessage {
            queue: Queue::Low,
            message_id: "m-1".to_owned(),
            receipt_handle: "r-1".to_owned(),
            body: body.to_owned(),
            sent_at: now() - age,
            receive_count: 1,
            group: Some("tenant".to_owned()),
        }
    }

    fn copy_of(body: &str, age: TimeDelta) -> Option<Outgoing> {
        renewed(&message(body, age), now())
    }

    #[test]
    fn a_message_is_sent_anew_when_it_is_ten_days_old_or_was_looked_at_ten_times() {
        let body = r#"{"name":"n"}"#;
        assert_eq!(copy_of(body, RENEW_AGE - TimeDelta::seconds(1)), None);
        assert!(copy_of(body, RENEW_AGE).is_some());
        let often = ReceivedMessage { receive_count: 10, ..message(body, TimeDelta::zero()) };
        assert!(renewed(&often, now()).is_some());
    }

    #[test]
    fn a_copy_is_the_same_job_due_when_it_was() {
        let copy = copy_of(r#"{"name":"n","delay":864060000,"payload":[1]}"#, RENEW_AGE).unwrap();
        assert_eq!((copy.queue, copy.group.as_deref()), (Queue::Low, Some("tenant")));
        assert_eq!(copy.delay, Duration::from_mins(1));
        let again = JobMessage::decode(&copy.body, "another", now()).unwrap();
        assert_eq!((again.definition.id.as_str(), again.recorded), ("m-1", false));
        assert_eq!(again.due_at, now() + TimeDelta::minutes(1));
        assert_eq!(again.definition.spec.payload, json!([1]));
        let recorded = copy_of(r#"{"name":"n","recorded":true}"#, RENEW_AGE).unwrap();
        assert!(JobMessage::decode(&recorded.body, "another", now()).unwrap().recorded);
    }

    #[test]
    fn a_copy_is_in_its_tenants_group_where_the_message_was_in_none() {
        let of = |body: &str| {
            let bare = ReceivedMessage { group: None, ..message(body, RENEW_AGE) };
            renewed(&bare, now()).unwrap().group
        };
        assert_eq!(of(r#"{"name":"n","tenant":"acme"}"#).as_deref(), Some("acme"));
        assert_eq!(of(r#"{"name":"n"}"#), None);
        assert_eq!(of(r#"{"tenant":"acme"}"#), None, "what can't be read has no tenant");
    }

    #[test]
    fn a_copy_of_the_largest_message_can_be_read() {
        let rest = MAX_BODY_BYTES - json!({ "name": "n", "payload": "" }).to_string().len();
        let body = json!({ "name": "n", "payload": "x".repeat(rest) }).to_string();
        let copy = copy_of(&body, RENEW_AGE).unwrap();
        let again = JobMessage::decode(&copy.body, "another", now()).unwrap();
        assert_eq!(again.definition.id.as_str(), "m-1");
    }

    #[test]
    fn what_cannot_be_read_stays_what_it_is_and_keeps_its_identity_where_it_can() {
        let wrong = copy_of(r#"{"name":"n","priority":"high"}"#, RENEW_AGE).unwrap();
        let expected = json!({ "name": "n", "priority": "high", "id": "m-1" });
        assert_eq!(serde_json::from_str::<Value>(&wrong.body).unwrap(), expected);
        let large = format!(r#"{{"name":"n","payload":"{}"}}"#, "x".repeat(1024 * 1024 - 26));
        for body in ["no json", r#"{"id":7}"#, "[]", &large] {
            assert_eq!(copy_of(body, RENEW_AGE).unwrap().body, body);
        }
    }
}
