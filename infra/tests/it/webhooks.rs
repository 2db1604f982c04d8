//! Deliveries that a person put by hand.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_jobs_core::ports::{AttemptOutcome, DeliveryStatus, Method, WebhookDelivery, Webhooks};
use lambda_jobs_infra::{Dynamo, DynamoWebhooks};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

use crate::dynamo::dynamo;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn put(dynamo: &Dynamo, id: &str, fields: Vec<(&str, AttributeValue)>) {
    let mut call = dynamo
        .client()
        .put_item()
        .table_name("lambda-jobs-data")
        .item("pk", s(&format!("delivery#{id}")))
        .item("sk", s("delivery"))
        .item("id", s(id))
        .item("url", s("https://example.com/hook"));
    for (name, value) in fields {
        call = call.item(name, value);
    }
    call.send().await.unwrap();
}

async fn read(webhooks: &DynamoWebhooks, id: &str) -> WebhookDelivery {
    webhooks.delivery(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_id_and_a_url_are_enough() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    put(&dynamo, "d1", vec![]).await;
    let delivery = read(&webhooks, "d1").await;
    assert_eq!((delivery.url.as_str(), delivery.method), ("https://example.com/hook", Method::Post));
    assert_eq!((delivery.status, delivery.max_attempts), (DeliveryStatus::Pending, 4));
    let outcome = AttemptOutcome {
        status: DeliveryStatus::Delivered,
        at: "2026-11-23T08:00:00Z".parse().unwrap(),
        next_attempt_at: None,
        duration: Duration::from_millis(5),
        response_status: Some(200),
        response_body: Some("ok".to_owned()),
        error: None,
        error_class: None,
        refusals: 0,
    };
    assert!(webhooks.record_attempt("d1", &outcome).await.unwrap());
    assert_eq!(read(&webhooks, "d1").await, delivery.after(&outcome));
    // The same attempt once more, its answer having been lost, is the same attempt.
    let pending = AttemptOutcome { status: DeliveryStatus::Pending, ..outcome.clone() };
    put(&dynamo, "d2", vec![]).await;
    for _ in 0..2 {
        assert!(webhooks.record_attempt("d2", &pending).await.unwrap());
    }
    assert_eq!(read(&webhooks, "d2").await.attempt_count, 1);
}

#[tokio::test]
async fn a_payload_may_be_a_map_or_json_or_plain_text() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    let map = HashMap::from([
        ("n".to_owned(), AttributeValue::N("12".to_owned())),
        ("list".to_owned(), AttributeValue::L(vec![s("a"), AttributeValue::Bool(true)])),
    ]);
    let cases = [
        (AttributeValue::M(map), json!({ "n": 12, "list": ["a", true] })),
        (s(r#"{"hello":1}"#), json!({ "hello": 1 })),
        (s("plain text"), json!("plain text")),
        (AttributeValue::Null(true), json!(null)),
    ];
    for (at, (stored, expected)) in cases.into_iter().enumerate() {
        let id = format!("d{at}");
        put(&dynamo, &id, vec![("payload", stored), ("webhookId", AttributeValue::Null(true))]).await;
        assert_eq!(read(&webhooks, &id).await.payload, expected);
    }
}

#[tokio::test]
async fn a_field_of_the_wrong_kind_is_named() {
    let dynamo = dynamo().await;
    put(&dynamo, "d1", vec![("status", s("waiting"))]).await;
    let error = DynamoWebhooks::new(dynamo).delivery("d1").await.unwrap_err().to_string();
    assert!(error.contains("delivery d1") && error.contains("waiting"), "{error}");
}
