//! Webhook deliveries and their attempts.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::families::webhook::ErrorClass;
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, Deliveries, DeliveryAttempts, DeliveryStatus, WebhookDelivery,
};
use lambda_jobs_infra::DynamoWebhooks;
use serde_json::json;

use super::{Shapes, check, now, put};
use crate::dynamo::dynamo;

const TABLE: &str = "lambda-jobs-data";

fn outcome(status: DeliveryStatus, seconds: i64) -> AttemptOutcome {
    let at = now() + TimeDelta::seconds(seconds);
    let has_failed = status != DeliveryStatus::Delivered;
    AttemptOutcome {
        status,
        at,
        next_attempt_at: (!status.is_finished()).then(|| at + TimeDelta::seconds(10)),
        duration: Duration::from_millis(34),
        response_status: Some(if has_failed { 503 } else { 204 }),
        response_body: Some("as it is".to_owned()),
        error: has_failed.then(|| "answered with status 503".to_owned()),
        error_class: has_failed.then_some(ErrorClass::ServerError),
        refusals: u32::from(has_failed),
    }
}

fn delivery(id: &str) -> WebhookDelivery {
    WebhookDelivery::new(id, "https://example.com/hook", json!({ "invoice": 42 }), now())
}

fn full(id: &str) -> WebhookDelivery {
    serde_json::from_value(json!({
        "id": id,
        "webhookId": "shop",
        "eventType": "invoice.paid",
        "url": "https://example.com/hook?key=1",
        "method": "PUT",
        "headers": { "x-shop": "7", "authorization": "Bearer t" },
        "payload": { "invoice": 42, "lines": [1.5, null, true, "ü"] },
        "status": "processing",
        "attemptCount": 2,
        "maxAttempts": 10,
        "refusals": 1,
        "replays": 3,
        "nextAttemptAt": "2026-11-23T08:05:00Z",
        "lastAttemptAt": "2026-11-23T08:00:00.123456789Z",
        "deliveredAt": "2026-11-23T08:00:01Z",
        "lastError": "answered with status 503",
        "responseStatus": 503,
        "responseBody": "busy",
        "duration": 34,
        "createdAt": "2026-11-23T07:00:00Z",
        "updatedAt": "2026-11-23T08:00:00Z",
    }))
    .unwrap()
}

#[tokio::test]
async fn deliveries_and_attempts_are_stored_as_ever() {
    use DeliveryStatus::{Cancelled, Delivered, Failed, Pending};
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    for id in ["new", "tried", "delivered", "failed", "cancelled", "sent-again"] {
        assert!(webhooks.put_one(&delivery(id)).await.unwrap());
    }
    assert!(webhooks.put_one(&full("full")).await.unwrap());
    assert!(webhooks.put_one(&delivery("put-finished").after(&outcome(Failed, 1))).await.unwrap());
    let ends =
        [("delivered", Delivered), ("failed", Failed), ("cancelled", Cancelled), ("sent-again", Failed)];
    for (id, end) in [("tried", Pending)].into_iter().chain(ends) {
        assert!(webhooks.record_one(id, &outcome(Pending, 1)).await.unwrap());
        assert!(webhooks.record_one(id, &outcome(end, 2)).await.unwrap());
    }
    webhooks.reopen("sent-again", now() + TimeDelta::hours(1)).await.unwrap().unwrap();
    check("deliveries", &dynamo, TABLE).await;
    let mut shapes = Shapes::of("deliveries-read");
    for id in ["tried", "failed", "sent-again", "full"] {
        shapes = shapes
            .written(id, &webhooks.find_one(id).await.unwrap())
            .written(format!("{id}, attempts"), &webhooks.attempts(id).await.unwrap());
    }
    shapes.check();
}

#[tokio::test]
async fn what_a_person_put_is_read_and_tried_as_ever() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    for id in ["read", "tried"] {
        let item = json!({
            "pk": { "S": format!("delivery#{id}") }, "sk": { "S": "delivery" }, "id": { "S": id },
            "url": { "S": "https://example.com/hook" }, "payload": { "M": { "n": { "N": "12" } } },
        });
        put(&dynamo, TABLE, &item).await;
    }
    Shapes::of("deliveries-by-hand-read").written("read", &webhooks.find_one("read").await.unwrap()).check();
    assert!(webhooks.record_one("tried", &outcome(DeliveryStatus::Pending, 1)).await.unwrap());
    check("deliveries-by-hand", &dynamo, TABLE).await;
}
