//! The promises of the stores of webhook deliveries, with a suite per port.

use std::time::Duration;

use chrono::TimeDelta;

use crate::conformance::Fixture;
use lambda_jobs_core::families::webhook::ErrorClass;
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, Deliveries, DeliveryAttempts, DeliveryStatus, WaitingDeliveries, WebhookDelivery,
    WebhookPorts,
};

pub mod attempts;
pub mod deliveries;
pub mod waiting;

/// The stores under test. They are three views of the same deliveries.
#[derive(Clone, Copy)]
pub struct Stores<'a> {
    /// The store of deliveries.
    pub deliveries: &'a dyn Deliveries,
    /// The store of their attempts.
    pub attempts: &'a dyn DeliveryAttempts,
    /// The index of waiting deliveries.
    pub waiting: &'a dyn WaitingDeliveries,
}

impl<'a> Stores<'a> {
    /// One adapter that implements all three ports.
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
pub async fn suite(stores: &Stores<'_>, fixture: &Fixture) {
    deliveries::suite(stores, fixture).await;
    attempts::suite(stores, fixture).await;
    waiting::suite(stores, fixture).await;
}

fn delivery(fixture: &Fixture) -> WebhookDelivery {
    let id = fixture.fresh("delivery");
    WebhookDelivery::new(
        id,
        "https://example.com/hook?token=1",
        serde_json::json!({ "hello": 1 }),
        fixture.now(),
    )
}

fn outcome(fixture: &Fixture, status: DeliveryStatus, seconds: i64) -> AttemptOutcome {
    let delivered = status == DeliveryStatus::Delivered;
    AttemptOutcome {
        status,
        at: fixture.now() + TimeDelta::seconds(seconds),
        next_attempt_at: (!status.is_finished()).then(|| fixture.now() + TimeDelta::seconds(seconds + 10)),
        duration: Duration::from_millis(34),
        response_status: Some(if delivered { 204 } else { 503 }),
        response_body: delivered.then(String::new),
        error: (!delivered).then(|| "answered with status 503".to_owned()),
        error_class: (!delivered).then_some(ErrorClass::ServerError),
        refusals: u32::try_from(seconds.rem_euclid(3)).unwrap_or_default(),
    }
}
