//! Deliveries, their attempts and endpoints, as stored.

use std::time::Duration;

use chrono::TimeDelta;
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, DeliveryAttempt, DeliveryStatus, WebhookDelivery,
};
use lambda_jobs_core::families::webhook::{
    DisabledReason, Endpoint, EndpointSpec, ErrorClass, WebhookPayload, WebhookReport, WebhookSecret,
};
use serde_json::{Value, json};

use super::{Shapes, now};

fn delivery() -> WebhookDelivery {
    WebhookDelivery::new("evt-1.shop", "https://example.com/hook", json!({ "invoice": 42 }), now())
}

/// A delivery with every field.
fn full_delivery() -> Value {
    json!({
        "id": "evt-1.shop",
        "webhookId": "shop",
        "eventType": "invoice.paid",
        "url": "https://example.com/hook?key=1",
        "method": "PUT",
        "headers": { "x-shop": "7", "authorization": "Bearer t" },
        "payload": { "invoice": 42 },
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
    })
}

fn outcome(status: DeliveryStatus) -> AttemptOutcome {
    let is_last = status.is_finished();
    let has_failed = status != DeliveryStatus::Delivered;
    AttemptOutcome {
        status,
        at: now() + TimeDelta::seconds(1),
        next_attempt_at: (!is_last).then(|| now() + TimeDelta::seconds(6)),
        duration: Duration::from_millis(34),
        response_status: Some(if has_failed { 503 } else { 204 }),
        response_body: Some("as it is".to_owned()),
        error: has_failed.then(|| "answered with status 503".to_owned()),
        error_class: has_failed.then_some(ErrorClass::ServerError),
        refusals: u32::from(has_failed),
    }
}

#[test]
fn deliveries_are_as_ever() {
    let (delivered, failed) = (outcome(DeliveryStatus::Delivered), outcome(DeliveryStatus::Failed));
    let least = json!({ "id": "d-1", "url": "https://example.com/hook" });
    Shapes::of("deliveries")
        .both("new", &delivery())
        .both("tried", &delivery().after(&outcome(DeliveryStatus::Pending)))
        .both("delivered", &delivery().after(&delivered))
        .both("failed", &delivery().after(&failed))
        .both("sent again", &delivery().after(&failed).reopened(now()))
        .read::<WebhookDelivery>("read of the least", least)
        .read::<WebhookDelivery>("read of every field", full_delivery())
        .both("statuses", &DeliveryStatus::ALL.to_vec())
        .check();
}

#[test]
fn attempts_are_as_ever() {
    let classes = [
        ErrorClass::ServerError,
        ErrorClass::ClientError,
        ErrorClass::Redirect,
        ErrorClass::UnexpectedStatus,
        ErrorClass::Connection,
        ErrorClass::Refused,
    ];
    let least = json!({ "at": "2026-11-23T08:00:00Z", "duration": 34 });
    Shapes::of("attempts")
        .both("delivered", &DeliveryAttempt::from(&outcome(DeliveryStatus::Delivered)))
        .both("failed", &DeliveryAttempt::from(&outcome(DeliveryStatus::Failed)))
        .read::<DeliveryAttempt>("read of the least", least)
        .both("classes", &classes.to_vec())
        .check();
}

/// Every field of an endpoint that a person can set.
fn full_spec() -> Value {
    json!({
        "url": "https://example.com/hook",
        "eventTypes": ["invoice.*", "user.created"],
        "tenant": "acme",
        "description": "the shop",
        "method": "PATCH",
        "headers": { "authorization": "Bearer t" },
        "rateLimit": { "deliveries": 10, "per": 1000 },
        "retry": "long",
        "maxAttempts": 12,
        "confirmations": 0,
    })
}

fn spec() -> EndpointSpec {
    serde_json::from_value(full_spec()).unwrap()
}

#[test]
fn endpoints_are_stored_as_ever() {
    let secret = |byte| WebhookSecret::of(&[byte; 32]);
    let new = || Endpoint::new("shop".parse().unwrap(), spec(), secret(1), now());
    let later = now() + TimeDelta::hours(1);
    let least = json!({
        "id": "shop", "revision": 1, "writer": 0, "spec": { "url": "https://a.example", "eventTypes": ["*"] },
        "secrets": [], "createdAt": "2026-11-23T08:00:00Z", "updatedAt": "2026-11-23T08:00:00Z",
    });
    let mut failing = least.clone();
    failing["failingSince"] = json!("2026-11-23T07:00:00Z");
    failing["warned"] = json!(true);
    Shapes::of("endpoints")
        .both("new", &new())
        .both("with another secret", &new().rotated(secret(2), TimeDelta::hours(24), later))
        .both("disabled by an operator", &new().disabled(DisabledReason::Operator, later))
        .both("disabled, gone", &new().disabled(DisabledReason::Gone, later))
        .both("disabled, failing", &new().disabled(DisabledReason::Failing, later))
        .both("deleted", &new().deleted(later))
        .both("spec", &EndpointSpec::new("https://a.example"))
        .read::<Endpoint>("read of the least", least)
        .read::<Endpoint>("read failing", failing)
        .check();
}

#[test]
fn the_family_speaks_as_ever() {
    let sweep = json!({ "batchSize": 10, "maxProcessingTime": 5000 });
    let asked = |kind: &str, mut fields: Value| {
        fields["type"] = json!(kind);
        fields
    };
    let report = json!({
        "type": "deliver_specific", "processed": 1, "successful": 0, "failed": 1, "errors": ["no answer"],
        "processingTime": 34, "responseStatus": 503,
    });
    let mut silent = report.clone();
    silent.as_object_mut().unwrap().remove("responseStatus");
    Shapes::of("webhook-jobs")
        .read::<WebhookPayload>("one", asked("deliver_specific", json!({ "webhookDeliveryId": "d-1" })))
        .read::<WebhookPayload>("pending", asked("process_pending", sweep.clone()))
        .read::<WebhookPayload>("retries", asked("process_retries", sweep))
        .read::<WebhookPayload>("scheduled", asked("process_scheduled", json!({})))
        .read::<WebhookReport>("report", report)
        .read::<WebhookReport>("report without an answer", silent)
        .check();
}
