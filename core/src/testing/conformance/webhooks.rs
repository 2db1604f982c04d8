//! What every [`Webhooks`] store promises.

use std::time::Duration;

use chrono::TimeDelta;

use super::Bench;
use super::bench::{difficult_values, ok};
use crate::ports::{AttemptOutcome, DeliveryStatus, Method, WebhookDelivery, Webhooks};

/// Runs every case.
pub async fn suite(webhooks: &dyn Webhooks, bench: &Bench) {
    what_is_put_is_read(webhooks, bench).await;
    nothing_is_overwritten(webhooks, bench).await;
    attempts_are_recorded(webhooks, bench).await;
    a_finished_delivery_is_left_alone(webhooks, bench).await;
    an_unknown_delivery_is_not_made(webhooks, bench).await;
}

fn delivery(bench: &Bench) -> WebhookDelivery {
    let id = bench.fresh("delivery");
    WebhookDelivery::new(
        id,
        "https://example.com/hook?token=1",
        serde_json::json!({ "hello": 1 }),
        bench.now(),
    )
}

fn outcome(bench: &Bench, status: DeliveryStatus, seconds: i64) -> AttemptOutcome {
    let delivered = status == DeliveryStatus::Delivered;
    AttemptOutcome {
        status,
        at: bench.now() + TimeDelta::seconds(seconds),
        duration: Duration::from_millis(34),
        response_status: Some(if delivered { 204 } else { 503 }),
        response_body: delivered.then(String::new),
        error: (!delivered).then(|| "answered with status 503".to_owned()),
    }
}

async fn what_is_put_is_read(webhooks: &dyn Webhooks, bench: &Bench) {
    let case = "a delivery is read as it was put";
    for payload in difficult_values() {
        let mut delivery = delivery(bench);
        delivery.payload = payload;
        assert!(ok(case, webhooks.put_delivery(&delivery).await), "{case}: it is new");
        assert_eq!(ok(case, webhooks.delivery(&delivery.id).await), Some(delivery), "{case}");
    }
    let mut full = delivery(bench);
    full.webhook_id = Some("hook".to_owned());
    full.method = Method::Patch;
    full.headers =
        [("x-one", "1"), ("x-empty", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    full.max_attempts = 9;
    let full = full.after(&outcome(bench, DeliveryStatus::Pending, 0));
    assert!(ok(case, webhooks.put_delivery(&full).await), "{case}: it is new");
    assert_eq!(ok(case, webhooks.delivery(&full.id).await), Some(full), "{case}: every field");
}

async fn nothing_is_overwritten(webhooks: &dyn Webhooks, bench: &Bench) {
    let case = "a delivery that exists is not put again";
    let first = delivery(bench);
    assert!(ok(case, webhooks.put_delivery(&first).await), "{case}: it is new");
    let second = WebhookDelivery { url: "https://example.com/other".to_owned(), ..first.clone() };
    assert!(!ok(case, webhooks.put_delivery(&second).await), "{case}: it exists");
    assert_eq!(ok(case, webhooks.delivery(&first.id).await), Some(first), "{case}: afterwards");
}

async fn attempts_are_recorded(webhooks: &dyn Webhooks, bench: &Bench) {
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

async fn a_finished_delivery_is_left_alone(webhooks: &dyn Webhooks, bench: &Bench) {
    let case = "no attempt changes a delivery that is finished";
    for status in [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled] {
        let finished = WebhookDelivery { status, ..delivery(bench) };
        ok(case, webhooks.put_delivery(&finished).await);
        let late = outcome(bench, DeliveryStatus::Pending, 5);
        assert!(!ok(case, webhooks.record_attempt(&finished.id, &late).await), "{case}: {status:?}");
        assert_eq!(ok(case, webhooks.delivery(&finished.id).await), Some(finished), "{case}: afterwards");
    }
}

async fn an_unknown_delivery_is_not_made(webhooks: &dyn Webhooks, bench: &Bench) {
    let case = "an attempt at an unknown delivery makes none";
    let id = bench.fresh("unknown");
    let attempt = outcome(bench, DeliveryStatus::Delivered, 0);
    assert!(!ok(case, webhooks.record_attempt(&id, &attempt).await), "{case}");
    assert_eq!(ok(case, webhooks.delivery(&id).await), None, "{case}: afterwards");
}
