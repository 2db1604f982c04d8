//! Listing deliveries.

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use crate::conformance::webhooks::{Stores, delivery, outcome};
use lambda_jobs_core::families::webhook::ports::{DeliveryQuery, DeliveryStatus, WebhookDelivery};

pub(super) async fn cases(stores: &Stores<'_>, fixture: &Fixture) {
    deliveries_are_found_by_endpoint_and_status(stores, fixture).await;
    more_than_a_page_is_found_once(stores, fixture).await;
}

/// All results of a query by id, fetched page by page.
async fn all(stores: &Stores<'_>, query: &DeliveryQuery) -> Vec<WebhookDelivery> {
    let case = "deliveries come in pages";
    let (mut query, mut found) = (query.clone(), Vec::new());
    loop {
        let page = ok(case, stores.deliveries.list(&query).await);
        assert!(page.items.len() <= query.page(), "{case}: of the size that was asked for");
        found.extend(page.items);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            found.sort_by(|one: &WebhookDelivery, other| one.id.cmp(&other.id));
            return found;
        }
    }
}

/// Deliveries by id, as they are listed: two of each status for each of these endpoints, some of them attempted. Some
/// of their payloads are large.
async fn put(stores: &Stores<'_>, fixture: &Fixture, endpoints: &[Option<String>]) -> Vec<WebhookDelivery> {
    let case = "deliveries are put";
    let mut all = Vec::new();
    for endpoint in endpoints {
        for status in DeliveryStatus::ALL {
            for is_tried in [false, true] {
                let mut one = WebhookDelivery { webhook_id: endpoint.clone(), ..delivery(fixture) };
                if is_tried {
                    one.payload = serde_json::json!("x".repeat(5_000)).into();
                } else {
                    one.status = status;
                }
                ok(case, stores.deliveries.put_one(&one).await);
                if is_tried {
                    let attempt = outcome(fixture, status, 1);
                    ok(case, stores.attempts.record_one(&one.id, &attempt).await);
                    one = one.after(&attempt);
                }
                all.push(one.without_payload());
            }
        }
    }
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

async fn deliveries_are_found_by_endpoint_and_status(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "deliveries are found by endpoint and status";
    let endpoint = fixture.fresh("hook");
    let endpoints = [Some(endpoint.clone()), Some(format!("{endpoint}0")), None];
    let put = put(stores, fixture, &endpoints).await;
    for endpoint in [None, endpoints[0].clone(), endpoints[1].clone(), Some(fixture.fresh("unknown"))] {
        for status in DeliveryStatus::ALL.into_iter().map(Some).chain([None]) {
            let query = DeliveryQuery { endpoint: endpoint.clone(), status, ..DeliveryQuery::default() };
            let expected: Vec<_> = put.iter().filter(|one| query.asks_for(one)).cloned().collect();
            let look = async || {
                let mut found = all(stores, &query).await;
                assert!(found.iter().all(|one| query.asks_for(one)), "{case}: no others, with {query:?}");
                // Other tests may have stored some too.
                found.retain(|one| query.endpoint.is_some() || put.iter().any(|mine| mine.id == one.id));
                found
            };
            fixture.eventually(&format!("{case}: {query:?}"), expected, look).await;
        }
    }
}

async fn more_than_a_page_is_found_once(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "deliveries come in pages, each once";
    let endpoint = fixture.fresh("hook");
    let put = put(stores, fixture, &[Some(endpoint.clone())]).await;
    for limit in [1, 3, 5, 10, 11] {
        let query = DeliveryQuery { endpoint: Some(endpoint.clone()), limit, ..DeliveryQuery::default() };
        let look = async || all(stores, &query).await;
        fixture.eventually(&format!("{case}: {limit} each"), put.clone(), look).await;
    }
}
