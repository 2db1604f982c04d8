//! What every [`QueueStats`] and [`StaleMessages`] promise.
//!
//! The suite measures whole queues, so nothing else may use them during a run. It deletes the messages that it sends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, ok};
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::ports::{
    DeadLetter, JobQueue, Outgoing, QueueDepth, QueueStats, ReceivedMessage, StaleMessages,
};

/// Three ports of the same queues.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// Sends messages.
    pub queue: &'a dyn JobQueue,
    /// Counts messages.
    pub stats: &'a dyn QueueStats,
    /// Receives and deletes stale messages.
    pub stale: &'a dyn StaleMessages,
}

/// How many messages the suite sends: more than one receive returns.
const COUNT: usize = 13;
/// How often to receive, because one receive may not return all messages.
const LOOKS: usize = 50;

/// Runs every case.
pub async fn suite(setup: &Setup<'_>, fixture: &Fixture) {
    depths_are_told_in_the_order_asked_for(setup, fixture).await;
    what_is_received_is_hidden_and_can_be_deleted(setup, fixture).await;
    dead_letters_are_counted_in_the_order_asked_for(setup, fixture).await;
}

fn message(fixture: &Fixture, queue: Queue, delay: u64) -> Outgoing {
    let body = json!({ "name": "backlog", "id": fixture.id() }).to_string();
    Outgoing { queue, body, delay: Duration::from_secs(delay), group: Some("tenant".to_owned()) }
}

async fn dead_letters(setup: &Setup<'_>, case: &str, queues: &[Queue]) -> Vec<u64> {
    all_ok(case, setup.stats.dead_letters(queues).await)
}

async fn depths(setup: &Setup<'_>, case: &str, queues: &[Queue]) -> Vec<QueueDepth> {
    all_ok(case, setup.stats.depths(queues).await)
}

async fn depths_are_told_in_the_order_asked_for(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "the depths of queues";
    let queues = [Queue::Webhooks, Queue::Low, Queue::High];
    let before = depths(setup, case, &queues).await;
    let sent = [(Queue::Webhooks, 0), (Queue::High, 600), (Queue::High, 600)];
    let sent: Vec<Outgoing> = sent.into_iter().map(|(queue, delay)| message(fixture, queue, delay)).collect();
    all_ok(case, setup.queue.send(&sent).await);
    let mut expected = before.clone();
    expected[0].visible += 1;
    expected[2].delayed += 2;
    fixture.eventually(case, expected, || depths(setup, case, &queues)).await;
    let received = receive(setup, case, Queue::Webhooks, 1).await;
    let mut expected = before;
    expected[0].in_flight += 1;
    expected[2].delayed += 2;
    fixture.eventually(case, expected, || depths(setup, case, &queues)).await;
    all_ok(case, setup.stale.delete(&received).await);
}

async fn dead_letters_are_counted_in_the_order_asked_for(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "the numbers of dead letters";
    let queues = [Queue::Webhooks, Queue::Low, Queue::High];
    let before = dead_letters(setup, case, &queues).await;
    let letter = |queue| {
        let message = ReceivedMessage {
            queue,
            message_id: fixture.fresh("letter"),
            receipt_handle: String::new(),
            body: fixture.fresh("letter").into(),
            sent_at: fixture.now(),
            receive_count: 1,
            group: None,
            attributes: BTreeMap::new(),
            trace_header: None,
        };
        DeadLetter { message, reason: "no handler".to_owned() }
    };
    let letters = [letter(Queue::Webhooks), letter(Queue::High), letter(Queue::High)];
    all_ok(case, setup.queue.dead_letter(&letters).await);
    let expected = vec![before[0] + 1, before[1], before[2] + 2];
    fixture.eventually(case, expected, || dead_letters(setup, case, &queues)).await;
}

/// Receives until this many messages arrived.
async fn receive(setup: &Setup<'_>, case: &str, queue: Queue, count: usize) -> Vec<ReceivedMessage> {
    let mut received = Vec::new();
    for _ in 0..LOOKS {
        let batch = ok(case, setup.stale.receive(queue).await);
        assert!(batch.len() <= 10, "{case}: at most ten at once, got {}", batch.len());
        received.extend(batch);
        if received.len() >= count {
            break;
        }
    }
    assert_eq!(received.len(), count, "{case}: received");
    received
}

async fn what_is_received_is_hidden_and_can_be_deleted(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "what is received is complete, hidden, and can be deleted";
    let sent: Vec<Outgoing> = (0..COUNT).map(|_| message(fixture, Queue::Normal, 0)).collect();
    all_ok(case, setup.queue.send(&sent).await);
    let received = receive(setup, case, Queue::Normal, COUNT).await;
    let bodies = |bodies: Vec<&str>| bodies.into_iter().map(str::to_owned).collect::<BTreeSet<String>>();
    let (found, expected) = (
        bodies(received.iter().map(|message| &*message.body).collect()),
        bodies(sent.iter().map(|message| &*message.body).collect()),
    );
    assert_eq!(found, expected, "{case}: each once");
    for message in &received {
        assert_eq!((message.queue, message.receive_count), (Queue::Normal, 1), "{case}");
        assert_eq!(message.group.as_deref(), Some("tenant"), "{case}: its group");
        let age = (fixture.now() - message.sent_at).num_seconds();
        assert!((-5..60).contains(&age), "{case}: sent {age} s ago");
    }
    assert_eq!(ok(case, setup.stale.receive(Queue::Normal).await), Vec::new(), "{case}: hidden");
    all_ok(case, setup.stale.delete(&received).await);
    let left = || async { depths(setup, case, &[Queue::Normal]).await[0].in_flight };
    fixture.eventually(case, 0, left).await;
}
