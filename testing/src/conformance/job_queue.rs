//! What every [`JobQueue`] and its [`DeadLetterQueue`] promise.
//!
//! The port does not receive, because Lambda does; the caller brings a [`Receiver`]. The suite needs a visibility
//! timeout of at least 10 s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, ok};
use lambda_jobs_core::job::Queue;
use lambda_jobs_core::ports::{
    DeadLetter, DeadLetterQueue, DeadLettered, JobQueue, Outgoing, Receipt, ReceivedMessage, VisibilityChange,
};

/// Receives and deletes, as Lambda would.
#[async_trait]
pub trait Receiver: Send + Sync {
    /// Receives up to 10 visible messages without a long poll.
    async fn receive(&self, queue: Queue) -> Vec<ReceivedMessage>;

    /// Deletes a received message.
    async fn delete(&self, message: &ReceivedMessage);
}

/// The ports under test, and a receiver of the same queues.
pub struct Setup<'a> {
    /// Sends messages, changes their visibility, deletes and dead-letters them.
    pub queue: &'a dyn JobQueue,
    /// Lists dead letters.
    pub dead_letters: &'a dyn DeadLetterQueue,
    /// Receives messages.
    pub receiver: &'a dyn Receiver,
}

/// Runs every case.
pub async fn suite(setup: &Setup<'_>, fixture: &Fixture) {
    nothing_in_nothing_out(setup).await;
    every_message_arrives(setup, fixture).await;
    messages_keep_their_form(setup, fixture).await;
    each_queue_gets_its_own(setup, fixture).await;
    a_delay_is_kept(setup, fixture).await;
    one_bad_message_harms_no_other(setup, fixture).await;
    a_deferred_message_comes_back_later(setup, fixture).await;
    a_bad_receipt_harms_no_other(setup, fixture).await;
    an_acknowledged_message_is_gone(setup, fixture).await;
    dead_letters_tell_why(setup, fixture).await;
    dead_letters_stay(setup, fixture).await;
}

/// Sizes at which SQS batches split.
const SIZES: [usize; 4] = [1, 10, 11, 25];
/// A delay that a test can wait for, and one that it never reaches.
const WAIT: Duration = Duration::from_secs(2);
const LONGER: Duration = Duration::from_millis(3_200);
/// How many receives to try before a message counts as lost: a receive may return nothing.
const RECEIVES: usize = 60;

fn outgoing(queue: Queue, body: String) -> Outgoing {
    Outgoing { queue, body, delay: Duration::ZERO, group: None }
}

async fn send(setup: &Setup<'_>, case: &str, messages: &[Outgoing]) {
    let answers = setup.queue.send(messages).await;
    assert_eq!(answers.len(), messages.len(), "{case}: answers to messages sent");
    all_ok(case, answers);
}

/// Receives messages whose bodies contain the token, until the expected number arrived or no more come. SQS delivers at
/// least once, so a repeated message id counts once, in its first form. A message that was sent twice has two ids.
async fn receive(
    setup: &Setup<'_>,
    fixture: &Fixture,
    queue: Queue,
    token: &str,
    count: usize,
) -> Vec<ReceivedMessage> {
    let mut found = Vec::new();
    for _ in 0..RECEIVES {
        let received = setup.receiver.receive(queue).await;
        let empty = received.is_empty();
        for message in received.into_iter().filter(|message| message.body.contains(token)) {
            if found.iter().all(|known: &ReceivedMessage| known.message_id != message.message_id) {
                found.push(message);
            }
        }
        if found.len() >= count {
            break;
        }
        if empty {
            fixture.clock().sleep(Duration::from_millis(50)).await;
        }
    }
    found
}

/// Receives the visible messages whose bodies contain the token.
async fn receive_now(setup: &Setup<'_>, queue: Queue, token: &str) -> Vec<ReceivedMessage> {
    let received = setup.receiver.receive(queue).await;
    received.into_iter().filter(|message| message.body.contains(token)).collect()
}

async fn delete(setup: &Setup<'_>, messages: &[ReceivedMessage]) {
    for message in messages {
        setup.receiver.delete(message).await;
    }
}

async fn nothing_in_nothing_out(setup: &Setup<'_>) {
    let case = "an empty call";
    assert!(setup.queue.send(&[]).await.is_empty(), "{case}: send");
    assert!(setup.queue.change_visibility(&[]).await.is_empty(), "{case}: defer");
    assert!(setup.queue.delete(&[]).await.is_empty(), "{case}: delete");
    assert!(setup.queue.dead_letter(&[]).await.is_empty(), "{case}: dead letter");
}

async fn every_message_arrives(setup: &Setup<'_>, fixture: &Fixture) {
    for size in SIZES {
        let case = format!("{size} messages in a call all arrive, once");
        let token = fixture.fresh("many");
        let bodies: Vec<String> = (0..size).map(|at| format!("{{\"{token}\":{at}}}")).collect();
        let messages: Vec<_> = bodies.iter().map(|body| outgoing(Queue::Normal, body.clone())).collect();
        send(setup, &case, &messages).await;
        let received = receive(setup, fixture, Queue::Normal, &token, size).await;
        delete(setup, &received).await;
        let mut found: Vec<String> = received.into_iter().map(|message| message.body.to_string()).collect();
        let mut expected = bodies;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{case}");
    }
}

async fn messages_keep_their_form(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "a message arrives as it was sent";
    let token = fixture.fresh("form");
    let now = fixture.now();
    let bodies = [
        format!("{token} Grüße 日本語 🦀 \"quoted\" <&>\n\t"),
        format!("{token}{}", "x".repeat(150 * 1024)),
        format!("{token}{}", "y".repeat(150 * 1024)),
    ];
    let mut messages: Vec<Outgoing> = bodies.iter().map(|body| outgoing(Queue::High, body.clone())).collect();
    messages[0].group = Some("tenant-1".to_owned());
    send(setup, case, &messages).await;
    let received = receive(setup, fixture, Queue::High, &token, bodies.len()).await;
    delete(setup, &received).await;
    let found: BTreeSet<&str> = received.iter().map(|message| &*message.body).collect();
    assert!(found == bodies.iter().map(String::as_str).collect(), "{case}: bodies");
    for message in &received {
        assert_eq!(message.queue, Queue::High, "{case}: queue");
        assert_eq!(message.receive_count, 1, "{case}: receive count");
        let age = (message.sent_at - now).abs();
        assert!(age < TimeDelta::minutes(5), "{case}: sent at {}, not about {now}", message.sent_at);
        let grouped = *message.body == *bodies[0];
        assert_eq!(message.group.as_deref(), grouped.then_some("tenant-1"), "{case}: group");
    }
}

async fn each_queue_gets_its_own(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "messages for several queues in one call reach each its own";
    let token = fixture.fresh("queues");
    let messages: Vec<_> = (0..12).map(|at| outgoing(Queue::ALL[at % 4], format!("{token} {at}"))).collect();
    send(setup, case, &messages).await;
    for (at, queue) in Queue::ALL.into_iter().enumerate() {
        let received = receive(setup, fixture, queue, &token, 3).await;
        delete(setup, &received).await;
        let found: BTreeSet<String> = received.into_iter().map(|message| message.body.to_string()).collect();
        let expected = [at, at + 4, at + 8].map(|at| format!("{token} {at}"));
        assert_eq!(found, expected.into(), "{case}: {queue}");
    }
}

async fn a_delay_is_kept(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "a delayed message comes after its delay, not before";
    let token = fixture.fresh("delay");
    let body = |word: &str| format!("{token} {word}");
    let messages = [
        Outgoing { delay: WAIT, ..outgoing(Queue::Low, body("whole")) },
        Outgoing {
            delay: WAIT.saturating_sub(Duration::from_millis(1)),
            ..outgoing(Queue::Low, body("part"))
        },
        outgoing(Queue::Low, body("none")),
    ];
    send(setup, case, &messages).await;
    let at_once = receive(setup, fixture, Queue::Low, &token, 1).await;
    delete(setup, &at_once).await;
    let bodies: Vec<&str> = at_once.iter().map(|message| &*message.body).collect();
    assert_eq!(bodies, [body("none")], "{case}: at once");
    fixture.clock().sleep(LONGER).await;
    let later = receive(setup, fixture, Queue::Low, &token, 2).await;
    delete(setup, &later).await;
    let found: BTreeSet<String> = later.into_iter().map(|message| message.body.to_string()).collect();
    assert_eq!(found, [body("whole"), body("part")].into(), "{case}: later");
}

async fn one_bad_message_harms_no_other(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "a message that the service refuses is answered with an error, in its place";
    let token = fixture.fresh("refused");
    let mut messages: Vec<_> = (0..4).map(|at| outgoing(Queue::Normal, format!("{token} {at}"))).collect();
    messages[2].body = format!("{token}{}", "x".repeat(1024 * 1024));
    let answers = setup.queue.send(&messages).await;
    let errors: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(errors, [false, false, true, false], "{case}: {answers:?}");
    let received = receive(setup, fixture, Queue::Normal, &token, 3).await;
    delete(setup, &received).await;
    assert_eq!(received.len(), 3, "{case}: the others arrive");
}

async fn a_deferred_message_comes_back_later(setup: &Setup<'_>, fixture: &Fixture) {
    for size in [1, 11] {
        let case = format!("{size} deferred messages come back after their waits, not before");
        let token = fixture.fresh("defer");
        let messages: Vec<_> = (0..size).map(|at| outgoing(Queue::Normal, format!("{token} {at}"))).collect();
        send(setup, &case, &messages).await;
        let received = receive(setup, fixture, Queue::Normal, &token, size).await;
        assert_eq!(received.len(), size, "{case}: received");
        let deferrals: Vec<VisibilityChange> =
            received.iter().map(|message| deferral(message, WAIT)).collect();
        all_ok(&case, setup.queue.change_visibility(&deferrals).await);
        assert!(receive_now(setup, Queue::Normal, &token).await.is_empty(), "{case}: at once");
        fixture.clock().sleep(LONGER).await;
        let again = receive(setup, fixture, Queue::Normal, &token, size).await;
        let counts = |messages: &[ReceivedMessage]| -> BTreeMap<String, u32> {
            messages.iter().map(|message| (message.message_id.clone(), message.receive_count)).collect()
        };
        let (before, after) = (counts(&received), counts(&again));
        assert!(before.keys().eq(after.keys()), "{case}: {before:?}, later {after:?}");
        let grown = before.iter().all(|(id, count)| after[id] > *count);
        assert!(grown, "{case}: receives of {before:?}, later {after:?}");
        let at_once: Vec<VisibilityChange> =
            again.iter().map(|message| deferral(message, Duration::ZERO)).collect();
        all_ok(&case, setup.queue.change_visibility(&at_once).await);
        let last = receive(setup, fixture, Queue::Normal, &token, size).await;
        delete(setup, &last).await;
        assert_eq!(last.len(), size, "{case}: a wait of nothing ends at once");
    }
}

fn deferral(message: &ReceivedMessage, wait: Duration) -> VisibilityChange {
    VisibilityChange { queue: message.queue, receipt_handle: message.receipt_handle.clone(), wait }
}

async fn a_bad_receipt_harms_no_other(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "a deferral that the service refuses is answered with an error, in its place";
    let token = fixture.fresh("receipts");
    send(setup, case, &[outgoing(Queue::Normal, token.clone()), outgoing(Queue::Normal, token.clone())])
        .await;
    let received = receive(setup, fixture, Queue::Normal, &token, 2).await;
    assert_eq!(received.len(), 2, "{case}: received");
    let mut deferrals: Vec<VisibilityChange> =
        received.iter().map(|message| deferral(message, WAIT)).collect();
    let bad = VisibilityChange { receipt_handle: "not-a-receipt".to_owned(), ..deferrals[0].clone() };
    deferrals.insert(1, bad);
    let answers = setup.queue.change_visibility(&deferrals).await;
    delete(setup, &received).await;
    let errors: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(errors, [false, true, false], "{case}: {answers:?}");
}

async fn an_acknowledged_message_is_gone(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "of received messages, those that are acknowledged don't come back";
    let token = fixture.fresh("done");
    let messages: Vec<_> = (0..3).map(|at| outgoing(Queue::Normal, format!("{token} {at}"))).collect();
    send(setup, case, &messages).await;
    let received = receive(setup, fixture, Queue::Normal, &token, 3).await;
    assert_eq!(received.len(), 3, "{case}: received");
    let deferrals: Vec<VisibilityChange> = received.iter().map(|message| deferral(message, WAIT)).collect();
    all_ok(case, setup.queue.change_visibility(&deferrals).await);
    let receipt = |message: &ReceivedMessage| Receipt {
        queue: message.queue,
        receipt_handle: message.receipt_handle.clone(),
    };
    let answers = setup.queue.delete(&[receipt(&received[0]), receipt(&received[2])]).await;
    assert_eq!(answers.len(), 2, "{case}: answers");
    all_ok(case, answers);
    fixture.clock().sleep(LONGER).await;
    let left = receive(setup, fixture, Queue::Normal, &token, 1).await;
    let more = receive_now(setup, Queue::Normal, &token).await;
    delete(setup, &left).await;
    let bodies: Vec<&str> = left.iter().chain(&more).map(|message| &*message.body).collect();
    assert_eq!(bodies, [&*received[1].body], "{case}");
}

/// Lists the dead letters that contain a token, once the expected number is there.
async fn dead_letters(
    setup: &Setup<'_>,
    fixture: &Fixture,
    queue: Queue,
    token: &str,
    count: usize,
) -> Vec<DeadLettered> {
    let mut found = Vec::new();
    for _ in 0..RECEIVES {
        found = ok("list dead letters", setup.dead_letters.list(queue, 1_000).await);
        found.retain(|letter| letter.body.contains(token));
        if found.len() >= count {
            break;
        }
        fixture.clock().sleep(Duration::from_millis(100)).await;
    }
    found
}

async fn dead_letters_tell_why(setup: &Setup<'_>, fixture: &Fixture) {
    for size in SIZES {
        let case = format!("{size} dead letters are listed, each with its reason");
        let token = fixture.fresh("dead");
        let messages: Vec<_> =
            (0..size).map(|at| outgoing(Queue::Webhooks, format!("{token} {at}"))).collect();
        send(setup, &case, &messages).await;
        let received = receive(setup, fixture, Queue::Webhooks, &token, size).await;
        let reason =
            |message: &ReceivedMessage| format!("name: missing — “{}” \n{}", message.body, "ä".repeat(100));
        let letters: Vec<DeadLetter> = received
            .iter()
            .map(|message| DeadLetter { message: message.clone(), reason: reason(message) })
            .collect();
        all_ok(&case, setup.queue.dead_letter(&letters).await);
        delete(setup, &received).await;
        let listed = dead_letters(setup, fixture, Queue::Webhooks, &token, size).await;
        assert_eq!(listed.len(), size, "{case}");
        for letter in listed {
            let message = received.iter().find(|message| *message.body == *letter.body);
            let message = message.unwrap_or_else(|| panic!("{case}: the body {:?}", letter.body));
            assert_eq!(letter.reason, Some(reason(message)), "{case}: reason");
            assert_eq!(letter.original_message_id.as_ref(), Some(&message.message_id), "{case}: id");
            assert_eq!(letter.queue, Queue::Webhooks, "{case}: queue");
        }
    }
}

async fn dead_letters_stay(setup: &Setup<'_>, fixture: &Fixture) {
    let case = "looking at dead letters takes none away, and shows no more than asked for";
    let token = fixture.fresh("stay");
    let message = ReceivedMessage {
        queue: Queue::Low,
        message_id: token.clone(),
        receipt_handle: String::new(),
        body: token.as_str().into(),
        sent_at: fixture.now(),
        receive_count: 1,
        group: None,
        attributes: BTreeMap::new(),
        trace_header: None,
    };
    let letter = DeadLetter { message, reason: "x".repeat(20_000) };
    all_ok(case, setup.queue.dead_letter(&[letter.clone(), letter]).await);
    for time in ["first", "second"] {
        let listed = dead_letters(setup, fixture, Queue::Low, &token, 2).await;
        assert_eq!(listed.len(), 2, "{case}: the {time} time");
        let told = listed[0].reason.as_ref().is_some_and(|reason| reason.starts_with("xxx"));
        assert!(told, "{case}: a long reason is cut, not lost");
    }
    assert_eq!(ok(case, setup.dead_letters.list(Queue::Low, 1).await).len(), 1, "{case}: at most one");
    assert!(ok(case, setup.dead_letters.list(Queue::Low, 0).await).is_empty(), "{case}: none");
}
