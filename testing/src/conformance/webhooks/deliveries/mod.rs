//! The promises of every store of [deliveries](lambda_jobs_core::families::webhook::ports::Deliveries).

use super::{Stores, delivery, outcome};
use crate::conformance::Fixture;
use crate::conformance::fixture::{difficult_payloads, ok};
use lambda_jobs_core::families::webhook::ports::{DeliveryStatus, Method, WebhookDelivery};

mod listing;
mod replays;
mod slices;

/// Runs every case. The store of attempts must record attempts at these deliveries.
pub async fn suite(stores: &Stores<'_>, fixture: &Fixture) {
    what_is_put_is_read(stores, fixture).await;
    nothing_is_overwritten(stores, fixture).await;
    slices::cases(stores, fixture).await;
    replays::cases(stores, fixture).await;
    listing::cases(stores, fixture).await;
}

async fn what_is_put_is_read(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "a delivery is read as it was put";
    for payload in difficult_payloads() {
        let mut delivery = delivery(fixture);
        delivery.payload = payload;
        assert!(ok(case, stores.deliveries.put_one(&delivery).await), "{case}: it is new");
        assert_eq!(ok(case, stores.deliveries.find_one(&delivery.id).await), Some(delivery), "{case}");
    }
    let mut full = delivery(fixture);
    full.webhook_id = Some("hook".to_owned());
    full.event_type = Some("invoice.paid".to_owned());
    full.replays = 7;
    full.method = Method::Patch;
    full.headers =
        [("x-one", "1"), ("x-empty", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    full.max_attempts = 9;
    let full = full.after(&outcome(fixture, DeliveryStatus::Pending, 2));
    assert!(ok(case, stores.deliveries.put_one(&full).await), "{case}: it is new");
    assert_eq!(ok(case, stores.deliveries.find_one(&full.id).await), Some(full), "{case}: every field");
}

async fn nothing_is_overwritten(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "a delivery that exists is not put again";
    let first = delivery(fixture);
    assert!(ok(case, stores.deliveries.put_one(&first).await), "{case}: it is new");
    let second = WebhookDelivery { url: "https://example.com/other".into(), ..first.clone() };
    assert!(!ok(case, stores.deliveries.put_one(&second).await), "{case}: it exists");
    assert_eq!(ok(case, stores.deliveries.find_one(&first.id).await), Some(first), "{case}: afterwards");
}
