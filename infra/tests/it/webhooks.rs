//! Deliveries that a person stored by hand, and the cost of deliveries.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, Awaited, Deliveries, DeliveryAttempt, DeliveryAttempts, DeliveryQuery, DeliveryStatus,
    EndedAttempt, Method, WaitingDeliveries, WaitingQuery, WebhookDelivery,
};
use lambda_jobs_core::families::webhook::{Endpoint, EndpointSpec, ErrorClass, WebhookSecret};
use lambda_jobs_core::ports::VersionedStore;
use lambda_jobs_infra::{Dynamo, DynamoVersioned, DynamoWebhooks, Tables, create_tables};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

use crate::dynamo::{config_for, dynamo, endpoint};
use crate::front::{Fault, fronted};
use crate::meter::{Figures, Meter};

fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00.123456789Z".parse().unwrap()
}

fn outcome(status: DeliveryStatus, seconds: i64) -> AttemptOutcome {
    let at = now() + TimeDelta::seconds(seconds);
    AttemptOutcome {
        status,
        at,
        next_attempt_at: (!status.is_finished()).then(|| at + TimeDelta::seconds(10)),
        duration: Duration::from_millis(34),
        response_status: Some(503),
        response_body: Some("x".repeat(95)),
        error: Some("POST https://example.com/hook answered with status 503".to_owned()),
        error_class: Some(ErrorClass::ServerError),
        refusals: 0,
    }
}

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
    webhooks.find_one(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_id_and_a_url_are_enough() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    put(&dynamo, "d1", vec![]).await;
    let delivery = read(&webhooks, "d1").await;
    assert_eq!((delivery.url.reveal(), delivery.method), ("https://example.com/hook", Method::Post));
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
    assert!(webhooks.record_one("d1", &outcome).await.unwrap());
    assert_eq!(read(&webhooks, "d1").await, delivery.after(&outcome));
    // A retry after a lost response records the same attempt.
    let pending = AttemptOutcome { status: DeliveryStatus::Pending, ..outcome.clone() };
    put(&dynamo, "d2", vec![]).await;
    for _ in 0..2 {
        assert!(webhooks.record_one("d2", &pending).await.unwrap());
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
    let error = DynamoWebhooks::new(dynamo).find_one("d1").await.unwrap_err().to_string();
    assert!(error.contains("delivery d1") && error.contains("waiting"), "{error}");
}

#[tokio::test]
async fn what_a_person_put_is_listed_and_sent_anew_like_any_other() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    put(&dynamo, "d1", vec![("status", AttributeValue::Null(true))]).await;
    put(&dynamo, "d2", vec![("status", s("failed"))]).await;
    put(&dynamo, "d3", vec![("status", s("failed")), ("updatedAt", s("2026-11-23T09:00:00+01:00"))]).await;
    put(&dynamo, "d4", vec![("status", s("waiting"))]).await;
    let listed = async |status| {
        let query = DeliveryQuery { status, ..DeliveryQuery::default() };
        let page = webhooks.list(&query).await.unwrap();
        assert_eq!(page.cursor, None);
        let mut ids: Vec<String> = page.items.into_iter().map(|delivery| delivery.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(listed(None).await, ["d1", "d2", "d3"], "one that can't be read hides no other");
    assert_eq!(listed(Some(DeliveryStatus::Pending)).await, ["d1"]);
    assert_eq!(listed(Some(DeliveryStatus::Failed)).await, ["d2", "d3"]);
    for id in ["d2", "d3"] {
        let reopened = webhooks.reopen(id, now()).await.unwrap().unwrap();
        assert_eq!((reopened.status, reopened.replays), (DeliveryStatus::Pending, 1));
        assert_eq!(read(&webhooks, id).await, reopened);
    }
}

async fn metered() -> (Dynamo, Meter) {
    let meter = Meter::default();
    let config = config_for(&endpoint().await).interceptor(meter.clone());
    let dynamo = Dynamo::from_conf(config, Tables::default());
    create_tables(&dynamo).await.unwrap();
    meter.take();
    (dynamo, meter)
}

#[tokio::test]
async fn an_attempt_is_one_request_and_two_units_and_two_more_where_another_follows() {
    let (dynamo, meter) = metered().await;
    let webhooks = DynamoWebhooks::new(dynamo);
    let mut delivery = WebhookDelivery::new(
        "01KBR3W0Z5V8Q4C7T2N9M6X1YE.billing",
        "https://example.com/hook",
        json!({ "type": "invoice.paid", "data": "x".repeat(170) }),
        now(),
    );
    delivery.webhook_id = Some("billing".to_owned());
    webhooks.put_one(&delivery).await.unwrap();
    assert_eq!(meter.take(), Figures { requests: 1, units: 2.0 }, "put: the delivery and its index entry");
    webhooks.record_one(&delivery.id, &outcome(DeliveryStatus::Pending, 1)).await.unwrap();
    let costs = meter.take();
    assert_eq!(costs, Figures { requests: 1, units: 4.0 }, "tried: the entry goes, and another comes");
    webhooks.record_one(&delivery.id, &outcome(DeliveryStatus::Delivered, 2)).await.unwrap();
    assert_eq!(meter.take(), Figures { requests: 1, units: 2.0 }, "finished: the entry goes");
    webhooks.attempts(&delivery.id).await.unwrap();
    assert_eq!(meter.take().requests, 1, "attempts are listed with one query");
    webhooks.reopen(&delivery.id, now() + TimeDelta::seconds(3)).await.unwrap().unwrap();
    let costs = meter.take();
    assert_eq!(
        costs,
        Figures { requests: 3, units: 3.0 },
        "sent anew: read, its last attempt kept, and written"
    );
}

#[tokio::test]
async fn endpoints_are_listed_in_one_request_and_one_is_read_in_one() {
    let (dynamo, meter) = metered().await;
    let store = DynamoVersioned::in_data(dynamo);
    let endpoints: Vec<Endpoint> = (0..25)
        .map(|at| {
            let (id, spec) =
                (format!("e-{at:02}").parse().unwrap(), EndpointSpec::new("https://example.com"));
            Endpoint::new(id, spec, WebhookSecret::of(&[7; 32]), now())
        })
        .collect();
    for outcome in store.save(&endpoints).await {
        outcome.unwrap();
    }
    assert_eq!(meter.take(), Figures { requests: 1, units: 25.0 });
    assert_eq!(store.list().await.unwrap(), endpoints);
    assert_eq!(meter.take().requests, 1);
    store.load(&["e-07".to_owned()]).await.unwrap();
    assert_eq!(meter.take().requests, 1);
}

#[tokio::test]
async fn an_attempt_whose_answer_was_lost_is_counted_and_kept_once() {
    let (dynamo, front) = fronted(Fault::AnswerLost).await;
    let webhooks = DynamoWebhooks::new(dynamo);
    let delivery = WebhookDelivery::new("d1", "https://example.com/hook", json!({}), now());
    webhooks.put_one(&delivery).await.unwrap();
    let (pending, failed) = (outcome(DeliveryStatus::Pending, 1), outcome(DeliveryStatus::Failed, 2));
    for outcome in [&pending, &failed] {
        front.fail(1);
        assert!(webhooks.record_one("d1", outcome).await.unwrap());
    }
    let expected = delivery.after(&pending).after(&failed);
    assert_eq!(webhooks.find_one("d1").await.unwrap(), Some(expected.clone()));
    let kept = [DeliveryAttempt::from(&pending), DeliveryAttempt::from(&failed)];
    assert_eq!(webhooks.attempts("d1").await.unwrap(), kept);
    let later = now() + TimeDelta::seconds(3);
    front.fail(1);
    assert_eq!(webhooks.reopen("d1", later).await.unwrap(), Some(expected.reopened(later).without_payload()));
    assert_eq!(front.failed(), 3);
}

#[tokio::test]
async fn an_attempt_by_a_clock_that_is_behind_is_written_too() {
    let webhooks = DynamoWebhooks::new(dynamo().await);
    let delivery = WebhookDelivery::new("d1", "https://example.com/hook", json!({}), now());
    webhooks.put_one(&delivery).await.unwrap();
    let early = outcome(DeliveryStatus::Delivered, -5);
    assert!(webhooks.record_one("d1", &early).await.unwrap());
    assert_eq!(webhooks.find_one("d1").await.unwrap(), Some(delivery.after(&early)));
    assert_eq!(webhooks.attempts("d1").await.unwrap(), [DeliveryAttempt::from(&early)]);
}

#[tokio::test]
async fn what_is_finished_and_every_attempt_are_forgotten_after_thirty_days() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    let delivery = WebhookDelivery::new("d1", "https://example.com/hook", json!({}), now());
    webhooks.put_one(&delivery).await.unwrap();
    let expiries = async || {
        let items =
            dynamo.client().scan().table_name("lambda-jobs-data").send().await.unwrap().items.unwrap();
        let expiry = |item: &HashMap<String, AttributeValue>| {
            let at: Option<i64> = item.get("expiresAt").map(|at| at.as_n().unwrap().parse().unwrap());
            (item["sk"].as_s().unwrap().clone(), at.map(|at| at - now().timestamp()))
        };
        let mut found: Vec<_> = items.iter().map(expiry).collect();
        found.sort();
        found
    };
    let (days, delivery, attempt) = (
        30 * 86_400,
        || "delivery".to_owned(),
        |second: i64| format!("attempt#2026-11-23T08:00:0{second}.123456789"),
    );
    assert_eq!(expiries().await, [(delivery(), None)], "not while it waits");
    webhooks.record_one("d1", &outcome(DeliveryStatus::Pending, 1)).await.unwrap();
    assert_eq!(expiries().await, [(attempt(1), Some(days + 1)), (delivery(), None)]);
    webhooks.record_one("d1", &outcome(DeliveryStatus::Failed, 2)).await.unwrap();
    let kept = [(attempt(1), Some(days + 1)), (attempt(2), Some(days + 2))];
    assert_eq!(expiries().await, [&kept[..1], &[(delivery(), Some(days + 2))]].concat());
    webhooks.reopen("d1", now()).await.unwrap().unwrap();
    assert_eq!(expiries().await, [&kept[..], &[(delivery(), None)]].concat(), "nor once it waits again");
}

#[tokio::test]
async fn ids_that_cannot_be_and_deliveries_that_cannot_be_read_spoil_no_other() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    put(&dynamo, "d1", vec![]).await;
    put(&dynamo, "d2", vec![("status", s("waiting"))]).await;
    let longest = "l".repeat(2_048 - "delivery#".len());
    put(&dynamo, &longest, vec![]).await;
    let ids = ["d1", "d2", "", &format!("{longest}l"), &longest].map(str::to_owned);
    let found = webhooks.find(&ids).await;
    let seen: Vec<_> = found.iter().map(|one| one.as_ref().ok().map(Option::is_some)).collect();
    assert_eq!(seen, [Some(true), None, Some(false), Some(false), Some(true)]);
    let recorded = ["d1", "", &longest].map(str::to_owned);
    let attempts =
        recorded.map(|delivery| EndedAttempt { delivery, outcome: outcome(DeliveryStatus::Delivered, 1) });
    let written: Vec<bool> = webhooks.record(&attempts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(written, [true, false, true]);
}

#[tokio::test]
async fn an_entry_of_the_index_that_cannot_be_read_is_reported_and_hides_no_other() {
    let dynamo = dynamo().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    let entry = |at: &'static str| vec![("attention", s("delivery-pending#0")), ("attentionAt", s(at))];
    put(&dynamo, "broken", entry("1999-first#broken")).await;
    let good = WebhookDelivery::new("good", "https://example.com/hook", json!({}), now());
    webhooks.put_one(&good).await.unwrap();
    let before = now() + TimeDelta::hours(1);
    let query = WaitingQuery { awaited: Awaited::First, before, limit: 50, cursor: None };
    let page = webhooks.waiting(&query).await.unwrap();
    assert_eq!(page.items.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["good"]);
    let said = r#"entry "1999-first#broken" of the index: attentionAt: not a place: "1999-first#broken""#;
    assert_eq!(page.unreadable, [said]);
}

#[tokio::test]
async fn the_attempt_that_ended_a_delivery_outlives_what_comes_after_it() {
    let webhooks = DynamoWebhooks::new(dynamo().await);
    let delivery = WebhookDelivery::new("d1", "https://example.com/hook", json!({}), now());
    webhooks.put_one(&delivery).await.unwrap();
    let attempts = [1, 3, 5].map(|second| outcome(DeliveryStatus::Failed, second));
    for attempt in &attempts {
        assert!(webhooks.record_one("d1", attempt).await.unwrap());
        webhooks.reopen("d1", attempt.at + TimeDelta::seconds(1)).await.unwrap().unwrap();
    }
    let mut kept = attempts.iter().map(DeliveryAttempt::from).collect::<Vec<_>>();
    assert_eq!(webhooks.attempts("d1").await.unwrap(), kept);
    let last = AttemptOutcome { error: None, error_class: None, ..outcome(DeliveryStatus::Delivered, 8) };
    assert!(webhooks.record_one("d1", &last).await.unwrap());
    // Another request was running the whole time.
    let late = outcome(DeliveryStatus::Failed, 7);
    assert!(!webhooks.record_one("d1", &late).await.unwrap());
    kept.extend([DeliveryAttempt::from(&late), DeliveryAttempt::from(&last)]);
    assert_eq!(webhooks.attempts("d1").await.unwrap(), kept, "each once, in their order");
}

#[tokio::test]
async fn ten_deliveries_are_read_with_one_request_and_their_attempts_written_with_one() {
    let (dynamo, meter) = metered().await;
    let webhooks = DynamoWebhooks::new(dynamo);
    let ids: Vec<String> =
        (0..10).map(|number| format!("01KBR3W0Z5V8Q4C7T2N9M6X1Y{number}.billing")).collect();
    for id in &ids {
        let payload = json!({ "type": "invoice.paid", "data": "x".repeat(170) });
        let delivery = WebhookDelivery::new(id, "https://example.com/hook", payload, now());
        webhooks.put_one(&delivery).await.unwrap();
    }
    meter.take();
    assert!(webhooks.find(&ids).await.into_iter().all(|found| found.unwrap().is_some()));
    assert_eq!(meter.take().requests, 1, "read");
    let ended = |body: usize, second| {
        let outcome = outcome(DeliveryStatus::Delivered, second);
        let outcome = AttemptOutcome { error: None, response_body: Some("x".repeat(body)), ..outcome };
        ids.iter()
            .map(|id| EndedAttempt { delivery: id.clone(), outcome: outcome.clone() })
            .collect::<Vec<_>>()
    };
    assert!(webhooks.record(&ended(95, 1)).await.into_iter().all(Result::unwrap));
    assert_eq!(meter.take(), Figures { requests: 1, units: 20.0 }, "delivered: two units each");
    for id in &ids {
        webhooks.reopen(id, now() + TimeDelta::seconds(2)).await.unwrap().unwrap();
    }
    meter.take();
    assert!(webhooks.record(&ended(1_000, 3)).await.into_iter().all(Result::unwrap));
    assert_eq!(meter.take(), Figures { requests: 1, units: 30.0 }, "with an answer of nearly 1 KiB three");
}

#[tokio::test]
async fn a_hundred_deliveries_are_written_with_four_requests_and_two_units_each() {
    let (dynamo, meter) = metered().await;
    let webhooks = DynamoWebhooks::new(dynamo);
    let delivery = |number| {
        let id = format!("01KBR3W0Z5V8Q4C7T2N9M6X1Y0.e{number}");
        WebhookDelivery::new(id, "https://example.com/hook", json!({ "invoice": 42 }), now())
    };
    let all: Vec<WebhookDelivery> = (0..100).map(delivery).collect();
    meter.take();
    assert!(webhooks.put(&all).await.into_iter().all(Result::unwrap));
    assert_eq!(meter.take(), Figures { requests: 4, units: 200.0 });
}

/// When the delivery expires, and when the first piece of its payload does.
async fn ends(dynamo: &Dynamo, id: &str) -> (Option<i64>, i64) {
    let query = dynamo
        .client()
        .query()
        .table_name("lambda-jobs-data")
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", s(&format!("delivery#{id}")));
    let items = query.send().await.unwrap().items.unwrap();
    let end = |prefix: &str| {
        let mut found = items.iter().filter(|item| item["sk"].as_s().unwrap().starts_with(prefix));
        let expiry = found.next().unwrap().get("expiresAt");
        expiry.map(|at| at.as_n().unwrap().parse().unwrap())
    };
    (end("delivery"), end("payload#").unwrap())
}

#[tokio::test]
async fn a_payload_lives_as_long_as_its_delivery_however_late_that_ends() {
    let (dynamo, meter) = metered().await;
    let webhooks = DynamoWebhooks::new(dynamo.clone());
    let day = 86_400;
    for (id, days) in [("d1", vec![1]), ("d2", vec![100]), ("d3", vec![100, 200]), ("d4", vec![89, 178])] {
        let payload = json!("x".repeat(5_000));
        let delivery = WebhookDelivery::new(id, "https://example.com/hook", payload.clone(), now());
        webhooks.put_one(&delivery).await.unwrap();
        meter.take();
        let (last, before) = days.split_last().unwrap();
        for one in before {
            let tried = outcome(DeliveryStatus::Pending, one * day);
            assert!(webhooks.record_one(id, &tried).await.unwrap());
            let (_, payload_end) = ends(&dynamo, id).await;
            assert!(payload_end >= now().timestamp() + (one + 30) * day, "{id}: not while it waits");
        }
        let ended = outcome(DeliveryStatus::Delivered, last * day);
        assert!(webhooks.record_one(id, &ended).await.unwrap());
        if *last == 1 {
            assert_eq!(meter.take().requests, 1, "a delivery that ends in time pays nothing for it");
        }
        let (end, payload_end) = ends(&dynamo, id).await;
        let end = end.unwrap();
        assert!(payload_end >= end, "{id}: the payload expires {} days too early", (end - payload_end) / day);
        let found = read(&webhooks, id).await;
        assert_eq!((found.status, found.payload), (DeliveryStatus::Delivered, payload.into()));
        // The attempt that ended it is found again, and prolongs nothing.
        assert!(webhooks.record_one(id, &ended).await.unwrap());
        assert_eq!(ends(&dynamo, id).await, (Some(end), payload_end));
    }
}

#[tokio::test]
async fn the_heads_of_ten_large_deliveries_cost_one_request() {
    let (dynamo, meter) = metered().await;
    let webhooks = DynamoWebhooks::new(dynamo);
    let of = |number: usize| {
        let payload = json!("x".repeat(100_000));
        WebhookDelivery::new(format!("d{number}"), "https://example.com/hook", payload, now())
    };
    let all: Vec<WebhookDelivery> = (0..10).map(of).collect();
    assert!(webhooks.put(&all).await.into_iter().all(Result::unwrap));
    let ids: Vec<String> = all.iter().map(|one| one.id.clone()).collect();
    meter.take();
    let heads: Vec<WebhookDelivery> =
        webhooks.heads(&ids).await.into_iter().map(|one| one.unwrap().unwrap()).collect();
    assert_eq!(meter.take().requests, 1, "payloads that are apart are not read");
    let expected: Vec<WebhookDelivery> = all.iter().cloned().map(WebhookDelivery::without_payload).collect();
    assert_eq!(heads, expected);
    let twice = [ids[0].clone(), ids[1].clone(), ids[0].clone()];
    let found = webhooks.find(&twice).await.into_iter().map(|one| one.unwrap().unwrap());
    assert_eq!(found.collect::<Vec<_>>(), [all[0].clone(), all[1].clone(), all[0].clone()]);
}
