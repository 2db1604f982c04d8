//! The promises of the stores of webhook deliveries, a suite for each port.

use std::time::Duration;

use chrono::TimeDelta;

<<<<<<< HEAD
use crate::conformance::Fixture;
=======
use crate::conformance::Fixture;
use crate::conformance::fixture::{difficult_values, ok};
>>>>>>> simu
use lambda_jobs_core::families::webhook::ErrorClass;
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, Deliveries, DeliveryAttempts, DeliveryStatus, WaitingDeliveries, WebhookDelivery,
    WebhookPorts,
};

pub mod attempts;
pub mod deliveries;
pub mod waiting;

<<<<<<< HEAD
/// The stores under test. They are three views of the same deliveries.
#[derive(Clone, Copy)]
pub struct Stores<'a> {
    /// The store of deliveries.
    pub deliveries: &'a dyn Deliveries,
    /// The store of attempts at them.
    pub attempts: &'a dyn DeliveryAttempts,
    /// The index of those that wait.
    pub waiting: &'a dyn WaitingDeliveries,
}

impl<'a> Stores<'a> {
    /// An adapter that is all three.
    pub fn of<S: Deliveries + DeliveryAttempts + WaitingDeliveries>(store: &'a S) -> Self {
        Self { deliveries: store, attempts: store, waiting: store }
    }
}

impl<'a> From<&'a WebhookPorts> for Stores<'a> {
    fn from(ports: &'a WebhookPorts) -> Self {
        Self { deliveries: &*ports.deliveries, attempts: &*ports.attempts, waiting: &*ports.waiting }
    }
}

/// Runs the suites of all three ports.
pub async fn suite(stores: &Stores<'_>, bench: &Fixture) {
    deliveries::suite(stores, bench).await;
    attempts::suite(stores, bench).await;
    waiting::suite(stores, bench).await;
=======
/// Runs every case.
pub async fn suite(webhooks: &dyn Webhooks, bench: &Fixture) {
    what_is_put_is_read(webhooks, bench).await;
    nothing_is_overwritten(webhooks, bench).await;
    attempts_are_recorded(webhooks, bench).await;
    a_finished_delivery_is_left_alone(webhooks, bench).await;
    an_unknown_delivery_is_not_made(webhooks, bench).await;
    attempts_are_kept_in_their_order(webhooks, bench).await;
    an_attempt_that_is_recorded_again_counts_once(webhooks, bench).await;
    attempts_of_one_delivery_are_no_others(webhooks, bench).await;
    replays::cases(webhooks, bench).await;
    listing::cases(webhooks, bench).await;
    what_waits_is_found_in_its_order(webhooks, bench).await;
    what_is_finished_does_not_wait(webhooks, bench).await;
    slices::cases(webhooks, bench).await;
>>>>>>> simu
}

fn delivery(bench: &Fixture) -> WebhookDelivery {
    let id = bench.fresh("delivery");
    WebhookDelivery::new(
        id,
        "https://example.com/hook?token=1",
        serde_json::json!({ "hello": 1 }),
        bench.now(),
    )
}

fn outcome(bench: &Fixture, status: DeliveryStatus, seconds: i64) -> AttemptOutcome {
    let delivered = status == DeliveryStatus::Delivered;
    AttemptOutcome {
        status,
        at: bench.now() + TimeDelta::seconds(seconds),
        next_attempt_at: (!status.is_finished()).then(|| bench.now() + TimeDelta::seconds(seconds + 10)),
        duration: Duration::from_millis(34),
        response_status: Some(if delivered { 204 } else { 503 }),
        response_body: delivered.then(String::new),
        error: (!delivered).then(|| "answered with status 503".to_owned()),
        error_class: (!delivered).then_some(ErrorClass::ServerError),
        refusals: u32::try_from(seconds.rem_euclid(3)).unwrap_or_default(),
    }
}
<<<<<<< HEAD
=======

async fn what_is_put_is_read(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "a delivery is read as it was put";
    for payload in difficult_values() {
        let mut delivery = delivery(bench);
        delivery.payload = payload;
        assert!(ok(case, webhooks.put_delivery(&delivery).await), "{case}: it is new");
        assert_eq!(ok(case, webhooks.delivery(&delivery.id).await), Some(delivery), "{case}");
    }
    let mut full = delivery(bench);
    full.webhook_id = Some("hook".to_owned());
    full.event_type = Some("invoice.paid".to_owned());
    full.replays = 7;
    full.method = Method::Patch;
    full.headers =
        [("x-one", "1"), ("x-empty", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    full.max_attempts = 9;
    let full = full.after(&outcome(bench, DeliveryStatus::Pending, 2));
    assert!(ok(case, webhooks.put_delivery(&full).await), "{case}: it is new");
    assert_eq!(ok(case, webhooks.delivery(&full.id).await), Some(full), "{case}: every field");
}

async fn nothing_is_overwritten(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "a delivery that exists is not put again";
    let first = delivery(bench);
    assert!(ok(case, webhooks.put_delivery(&first).await), "{case}: it is new");
    let second = WebhookDelivery { url: "https://example.com/other".to_owned(), ..first.clone() };
    assert!(!ok(case, webhooks.put_delivery(&second).await), "{case}: it exists");
    assert_eq!(ok(case, webhooks.delivery(&first.id).await), Some(first), "{case}: afterwards");
}

async fn attempts_are_recorded(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "attempts change a delivery as WebhookDelivery::after says";
    for last in [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled] {
        let mut expected = delivery(bench);
        ok(case, webhooks.put_delivery(&expected).await);
        for (seconds, status) in [(0, DeliveryStatus::Pending), (1, DeliveryStatus::Processing), (2, last)] {
            let outcome = outcome(bench, status, seconds);
            assert!(ok(case, webhooks.record_attempt(&expected.id, &outcome).await), "{case}: it is written");
            expected = expected.after(&outcome);
            let found = ok(case, webhooks.delivery(&expected.id).await);
            assert_eq!(found.as_ref(), Some(&expected), "{case}: then {status:?}");
        }
    }
}

async fn a_finished_delivery_is_left_alone(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "no attempt changes a delivery that is finished";
    for status in [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled] {
        let finished = WebhookDelivery { status, ..delivery(bench) };
        ok(case, webhooks.put_delivery(&finished).await);
        let late = outcome(bench, DeliveryStatus::Pending, 5);
        assert!(!ok(case, webhooks.record_attempt(&finished.id, &late).await), "{case}: {status:?}");
        assert_eq!(ok(case, webhooks.delivery(&finished.id).await), Some(finished), "{case}: afterwards");
    }
}

async fn an_unknown_delivery_is_not_made(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "an attempt at an unknown delivery makes none";
    let id = bench.fresh("unknown");
    let attempt = outcome(bench, DeliveryStatus::Delivered, 0);
    assert!(!ok(case, webhooks.record_attempt(&id, &attempt).await), "{case}");
    assert_eq!(ok(case, webhooks.delivery(&id).await), None, "{case}: afterwards");
}

async fn attempts_are_kept_in_their_order(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "each attempt is kept as it was, the first first";
    let one = delivery(bench);
    ok(case, webhooks.put_delivery(&one).await);
    assert_eq!(ok(case, webhooks.attempts(&one.id).await), [], "{case}: none yet");
    let bodies =
        [None, Some(String::new()), Some("Grüße 🦀 \u{0}\"'".to_owned()), Some("x".repeat(4 * 1024))];
    let classes = [
        ErrorClass::ServerError,
        ErrorClass::ClientError,
        ErrorClass::Redirect,
        ErrorClass::UnexpectedStatus,
        ErrorClass::Connection,
        ErrorClass::Refused,
    ];
    let start = bench.now();
    let mut expected = Vec::new();
    // Whole seconds and fractions have the order of time, not of text.
    for (at, nanos) in
        [0, 1, 500_000_000, 1_000_000_000, 1_050_000_000, 1_500_000_000].into_iter().enumerate()
    {
        let attempt = AttemptOutcome {
            at: start + TimeDelta::nanoseconds(nanos),
            duration: Duration::from_millis(u64::MAX >> (24 + at)),
            response_body: bodies[at % bodies.len()].clone(),
            response_status: (at != 3).then_some(599),
            error_class: Some(classes[at]),
            ..outcome(bench, DeliveryStatus::Pending, 0)
        };
        assert!(ok(case, webhooks.record_attempt(&one.id, &attempt).await), "{case}: it is written");
        expected.push(DeliveryAttempt::from(&attempt));
    }
    let last = outcome(bench, DeliveryStatus::Delivered, 60);
    ok(case, webhooks.record_attempt(&one.id, &last).await);
    expected.push(DeliveryAttempt::from(&last));
    assert_eq!(ok(case, webhooks.attempts(&one.id).await), expected, "{case}");
}

async fn an_attempt_that_is_recorded_again_counts_once(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "an attempt is recorded again after its answer was lost";
    let mut expected = delivery(bench);
    ok(case, webhooks.put_delivery(&expected).await);
    let mut kept = Vec::new();
    for (seconds, status) in [(1, DeliveryStatus::Pending), (2, DeliveryStatus::Failed)] {
        let attempt = outcome(bench, status, seconds);
        for _ in 0..2 {
            assert!(ok(case, webhooks.record_attempt(&expected.id, &attempt).await), "{case}: {status:?}");
        }
        expected = expected.after(&attempt);
        kept.push(DeliveryAttempt::from(&attempt));
        assert_eq!(ok(case, webhooks.delivery(&expected.id).await).as_ref(), Some(&expected), "{case}");
        assert_eq!(ok(case, webhooks.attempts(&expected.id).await), kept, "{case}: it is kept once");
    }
}

async fn attempts_of_one_delivery_are_no_others(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "attempts belong to one delivery, however alike the ids of others are";
    let one = delivery(bench);
    let others = ["0", "#", "#attempt#0", ".replay-1", "\u{10ffff}"];
    let ids: Vec<String> = others.iter().map(|end| format!("{}{end}", one.id)).collect();
    for id in &ids {
        let other = WebhookDelivery { id: id.clone(), ..one.clone() };
        assert!(ok(case, webhooks.put_delivery(&other).await), "{case}: {id} is new");
        ok(case, webhooks.record_attempt(id, &outcome(bench, DeliveryStatus::Pending, 1)).await);
    }
    assert_eq!(ok(case, webhooks.attempts(&one.id).await), [], "{case}: of one that is not there");
    ok(case, webhooks.put_delivery(&one).await);
    assert_eq!(ok(case, webhooks.attempts(&one.id).await), [], "{case}: of one that was not tried");
    for id in &ids {
        assert_eq!(ok(case, webhooks.attempts(id).await).len(), 1, "{case}: {id}");
    }
}

/// Everything that waits, in pages of three.
async fn waiting(webhooks: &dyn Webhooks, awaited: Awaited, before: DateTime<Utc>) -> Vec<WaitingDelivery> {
    let case = "waiting deliveries come in pages";
    let mut found = Vec::new();
    let mut query = WaitingQuery { awaited, before, limit: 3, cursor: None };
    loop {
        let page = ok(case, webhooks.waiting(&query).await);
        assert!(page.items.len() <= 3, "{case}: of the size that was asked for");
        found.extend(page.items);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

async fn what_waits_is_found_in_its_order(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "what waits is found, the longest due first, before an instant";
    let (mut expected, now) = (Vec::new(), bench.now());
    // Whole seconds and fractions have the order of time, not of text.
    for millis in [7000, 1000, 1500, 3000, 1000, 2000, 1050] {
        let mut one = delivery(bench);
        one.created_at = Some(now + TimeDelta::milliseconds(millis));
        ok(case, webhooks.put_delivery(&one).await);
        expected.extend(WaitingDelivery::of(&one).map(|(_, waiting)| waiting));
    }
    let before = now + TimeDelta::seconds(3);
    expected.retain(|one| one.due_at < before);
    expected.sort_by(|one, other| (one.due_at, &one.id).cmp(&(other.due_at, &other.id)));
    let look = async |awaited| {
        let found = waiting(webhooks, awaited, before).await.into_iter();
        found.filter(|one| expected.iter().any(|other| one.id == other.id)).collect::<Vec<_>>()
    };
    bench.eventually(case, expected.clone(), || look(Awaited::First)).await;
    assert_eq!(look(Awaited::Retry).await, [], "{case}: not among retries");
}

async fn what_is_finished_does_not_wait(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "a delivery waits for its first attempt, then for a retry, then no more";
    let one = delivery(bench);
    ok(case, webhooks.put_delivery(&one).await);
    let states = async || {
        let mut states = Vec::new();
        for awaited in Awaited::ALL {
            let found = waiting(webhooks, awaited, bench.now() + TimeDelta::hours(1)).await;
            states.extend(found.into_iter().filter(|found| found.id == one.id).map(|found| (awaited, found)));
        }
        states
    };
    let first = Vec::from_iter(WaitingDelivery::of(&one));
    bench.eventually(&format!("{case}: first"), first, &states).await;
    let pending = outcome(bench, DeliveryStatus::Pending, 1);
    ok(case, webhooks.record_attempt(&one.id, &pending).await);
    let tried = one.clone().after(&pending);
    assert_eq!(tried.awaits(), pending.next_attempt_at.map(|at| (Awaited::Retry, at)), "{case}");
    let then = Vec::from_iter(WaitingDelivery::of(&tried));
    bench.eventually(&format!("{case}: then"), then, &states).await;
    ok(case, webhooks.record_attempt(&one.id, &outcome(bench, DeliveryStatus::Delivered, 2)).await);
    bench.eventually(&format!("{case}: at last"), Vec::new(), &states).await;
}
>>>>>>> simu
