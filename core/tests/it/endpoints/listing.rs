//! Lists of deliveries.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::families::Ports;
use lambda_jobs_core::families::webhook::ports::{
    Deliveries, DeliveryQuery, DeliveryStatus, WebhookDelivery, WebhookPorts,
};
use lambda_jobs_core::families::webhook::{MemoryWebhooks, WebhookService};
use lambda_jobs_core::paging::Page;
use lambda_jobs_core::ports::ServiceError;
use serde_json::json;

use super::{Hooks, spec, url};

/// Counts how often deliveries are listed.
struct Counted {
    store: Arc<MemoryWebhooks>,
    lists: AtomicUsize,
}

#[async_trait]
impl Deliveries for Counted {
    async fn put(&self, deliveries: &[WebhookDelivery]) -> Vec<Result<bool, ServiceError>> {
        self.store.put(deliveries).await
    }

    async fn find(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        self.store.find(ids).await
    }

    async fn heads(&self, ids: &[String]) -> Vec<Result<Option<WebhookDelivery>, ServiceError>> {
        self.store.heads(ids).await
    }

    async fn reopen(&self, id: &str, now: DateTime<Utc>) -> Result<Option<WebhookDelivery>, ServiceError> {
        self.store.reopen(id, now).await
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Page<WebhookDelivery>, ServiceError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.store.list(query).await
    }
}

/// Deliveries that are called by their numbers, each made a second after the one before.
fn put_many(hooks: &Hooks, count: u32) {
    let now = hooks.world.now();
    for number in 0..count {
        let mut one = WebhookDelivery::new(format!("{number:05}"), url("all.example"), json!({}), now);
        one.created_at = Some(now + TimeDelta::seconds(number.into()));
        assert!(hooks.world.clock.run(hooks.webhooks.put_one(&one)).unwrap());
    }
}

#[test]
fn a_page_looks_at_a_bounded_number_of_deliveries_and_says_so() {
    let hooks = Hooks::new();
    put_many(&hooks, 12_000);
    let store = Arc::new(Counted { store: hooks.webhooks.clone(), lists: AtomicUsize::new(0) });
    let webhooks = WebhookPorts { deliveries: store.clone(), ..hooks.ports.webhooks.clone() };
    let service = WebhookService::new(Ports { webhooks, ..hooks.ports.clone() }, hooks.world.manager.clone());
    let (mut query, mut seen) = (DeliveryQuery { limit: 4_000, ..DeliveryQuery::default() }, BTreeSet::new());
    let mut pages = Vec::new();
    loop {
        let page = hooks.world.clock.run(service.deliveries(&query)).unwrap();
        assert!(store.lists.swap(0, Ordering::SeqCst) <= 10, "however many there are");
        pages.push((page.items.len(), page.items.first().map(|one| one.id.clone()), page.complete));
        seen.extend(page.items.into_iter().map(|one| one.id));
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    let first = |id: &str| Some(id.to_owned());
    let expected = [
        (4_000, first("09999"), false),
        (4_000, first("05999"), false),
        (2_000, first("01999"), false),
        (2_000, first("11999"), false),
    ];
    assert_eq!(pages, expected);
    assert_eq!(seen.len(), 12_000, "each is on a page");
    let none = DeliveryQuery { status: Some(DeliveryStatus::Failed), ..DeliveryQuery::default() };
    assert!(
        hooks.world.clock.run(service.deliveries(&none)).unwrap().complete,
        "the store finds none at all"
    );
    for wrong in ["[", "[1]", r#"["x"]"#, r#"["x","y"]"#] {
        let wrong = DeliveryQuery { cursor: Some(wrong.to_owned()), ..DeliveryQuery::default() };
        assert!(hooks.refusal(service.deliveries(&wrong)).starts_with("cursor: expected one that came with"));
    }
}

#[test]
fn deliveries_are_listed_the_newest_first_over_all_pages() {
    let hooks = Hooks::new();
    let now = hooks.world.now();
    let made = |id: &str, at: Option<i64>| {
        let mut one = WebhookDelivery::new(id, url("all.example"), json!({}), now);
        one.created_at = at.map(|seconds| now + TimeDelta::seconds(seconds));
        assert!(hooks.world.clock.run(hooks.webhooks.put_one(&one)).unwrap());
    };
    // Their order by id differs from their order by time. Two share an instant, and two have none.
    for (id, at) in [("b", Some(5)), ("e", None), ("c", Some(9)), ("a", Some(7)), ("f", Some(7)), ("d", None)]
    {
        made(id, at);
    }
    let pages = |limit: usize| {
        let mut query = DeliveryQuery { limit, ..DeliveryQuery::default() };
        let mut pages: Vec<String> = Vec::new();
        loop {
            let page = hooks.world.clock.run(hooks.service.deliveries(&query)).unwrap();
            pages.push(page.items.iter().map(|one| one.id.as_str()).collect());
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                return pages;
            }
        }
    };
    assert_eq!(pages(0), ["cfabed"]);
    assert_eq!(pages(6), ["cfabed"]);
    assert_eq!(pages(4), ["cfab", "ed"]);
    assert_eq!(pages(1), ["c", "f", "a", "b", "e", "d"]);
    let newer = DeliveryQuery { limit: 2, ..DeliveryQuery::default() };
    let first = hooks.world.clock.run(hooks.service.deliveries(&newer)).unwrap();
    made("g", Some(8));
    let second = DeliveryQuery { cursor: first.cursor, ..newer };
    let second = hooks.world.clock.run(hooks.service.deliveries(&second)).unwrap();
    assert_eq!(second.items[0].id, "a", "what was made meanwhile moves no page");
    let wrong = DeliveryQuery { cursor: Some("c".to_owned()), ..DeliveryQuery::default() };
    let expected = r#"cursor: expected one that came with a page of deliveries, got "c""#;
    assert_eq!(hooks.refusal(hooks.service.deliveries(&wrong)), expected);
}

#[test]
fn the_newest_deliveries_of_many_are_found_though_the_store_has_them_last() {
    let hooks = Hooks::new();
    put_many(&hooks, 1_200);
    let query = DeliveryQuery { limit: 3, ..DeliveryQuery::default() };
    let page = hooks.world.clock.run(hooks.service.deliveries(&query)).unwrap();
    let ids: Vec<&str> = page.items.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["01199", "01198", "01197"]);
}

#[test]
fn a_list_of_deliveries_says_nothing_of_payloads() {
    let hooks = Hooks::new();
    hooks.put("all", spec("all.example", &["*"]));
    hooks.publish("a", None);
    let listed = hooks.world.clock.run(hooks.service.deliveries(&DeliveryQuery::default())).unwrap();
    assert_eq!(serde_json::to_value(&listed.items[0]).unwrap().get("payload"), None);
}
