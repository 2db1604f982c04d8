//! The promises of every store of [attempts](lambda_jobs_core::families::webhook::ports::DeliveryAttempts).

use std::time::Duration;

use chrono::TimeDelta;

use super::{Stores, delivery, outcome};
use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use lambda_jobs_core::families::webhook::ErrorClass;
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, DeliveryAttempt, DeliveryStatus, WebhookDelivery,
};

mod slices;

/// Runs every case. The store of deliveries must pass its own suite.
pub async fn suite(stores: &Stores<'_>, fixture: &Fixture) {
    attempts_are_recorded(stores, fixture).await;
    a_finished_delivery_is_left_alone(stores, fixture).await;
    an_unknown_delivery_is_not_made(stores, fixture).await;
    attempts_are_kept_in_their_order(stores, fixture).await;
    an_attempt_that_is_recorded_again_counts_once(stores, fixture).await;
    attempts_of_one_delivery_are_no_others(stores, fixture).await;
    slices::cases(stores, fixture).await;
}

async fn attempts_are_recorded(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "attempts change a delivery as WebhookDelivery::after says";
    for last in [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled] {
        let mut expected = delivery(fixture);
        ok(case, stores.deliveries.put_one(&expected).await);
        for (seconds, status) in [(0, DeliveryStatus::Pending), (1, DeliveryStatus::Processing), (2, last)] {
            let outcome = outcome(fixture, status, seconds);
            assert!(
                ok(case, stores.attempts.record_one(&expected.id, &outcome).await),
                "{case}: it is written"
            );
            expected = expected.after(&outcome);
            let found = ok(case, stores.deliveries.find_one(&expected.id).await);
            assert_eq!(found.as_ref(), Some(&expected), "{case}: then {status:?}");
        }
    }
}

async fn a_finished_delivery_is_left_alone(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "no attempt changes a delivery that is finished";
    for status in [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled] {
        let finished = WebhookDelivery { status, ..delivery(fixture) };
        ok(case, stores.deliveries.put_one(&finished).await);
        let late = outcome(fixture, DeliveryStatus::Pending, 5);
        assert!(!ok(case, stores.attempts.record_one(&finished.id, &late).await), "{case}: {status:?}");
        assert_eq!(
            ok(case, stores.deliveries.find_one(&finished.id).await),
            Some(finished),
            "{case}: afterwards"
        );
    }
}

async fn an_unknown_delivery_is_not_made(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "an attempt at an unknown delivery makes none";
    let id = fixture.fresh("unknown");
    let attempt = outcome(fixture, DeliveryStatus::Delivered, 0);
    assert!(!ok(case, stores.attempts.record_one(&id, &attempt).await), "{case}");
    assert_eq!(ok(case, stores.deliveries.find_one(&id).await), None, "{case}: afterwards");
}

async fn attempts_are_kept_in_their_order(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "each attempt is kept as it was, the first first";
    let one = delivery(fixture);
    ok(case, stores.deliveries.put_one(&one).await);
    assert_eq!(ok(case, stores.attempts.attempts(&one.id).await), [], "{case}: none yet");
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
    let start = fixture.now();
    let mut expected = Vec::new();
    // Whole seconds and fractions sort by time, not as text.
    for (at, nanos) in
        [0, 1, 500_000_000, 1_000_000_000, 1_050_000_000, 1_500_000_000].into_iter().enumerate()
    {
        let attempt = AttemptOutcome {
            at: start + TimeDelta::nanoseconds(nanos),
            duration: Duration::from_millis(u64::MAX >> (24 + at)),
            response_body: bodies[at % bodies.len()].clone(),
            response_status: (at != 3).then_some(599),
            error_class: Some(classes[at]),
            ..outcome(fixture, DeliveryStatus::Pending, 0)
        };
        assert!(ok(case, stores.attempts.record_one(&one.id, &attempt).await), "{case}: it is written");
        expected.push(DeliveryAttempt::from(&attempt));
    }
    let last = outcome(fixture, DeliveryStatus::Delivered, 60);
    ok(case, stores.attempts.record_one(&one.id, &last).await);
    expected.push(DeliveryAttempt::from(&last));
    assert_eq!(ok(case, stores.attempts.attempts(&one.id).await), expected, "{case}");
}

async fn an_attempt_that_is_recorded_again_counts_once(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "an attempt is recorded again after its answer was lost";
    let mut expected = delivery(fixture);
    ok(case, stores.deliveries.put_one(&expected).await);
    let mut kept = Vec::new();
    for (seconds, status) in [(1, DeliveryStatus::Pending), (2, DeliveryStatus::Failed)] {
        let attempt = outcome(fixture, status, seconds);
        for _ in 0..2 {
            assert!(ok(case, stores.attempts.record_one(&expected.id, &attempt).await), "{case}: {status:?}");
        }
        expected = expected.after(&attempt);
        kept.push(DeliveryAttempt::from(&attempt));
        assert_eq!(
            ok(case, stores.deliveries.find_one(&expected.id).await).as_ref(),
            Some(&expected),
            "{case}"
        );
        assert_eq!(ok(case, stores.attempts.attempts(&expected.id).await), kept, "{case}: it is kept once");
    }
}

async fn attempts_of_one_delivery_are_no_others(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "attempts belong to one delivery, however alike the ids of others are";
    let one = delivery(fixture);
    let others = ["0", "#", "#attempt#0", ".replay-1", "\u{10ffff}"];
    let ids: Vec<String> = others.iter().map(|end| format!("{}{end}", one.id)).collect();
    for id in &ids {
        let other = WebhookDelivery { id: id.clone(), ..one.clone() };
        assert!(ok(case, stores.deliveries.put_one(&other).await), "{case}: {id} is new");
        ok(case, stores.attempts.record_one(id, &outcome(fixture, DeliveryStatus::Pending, 1)).await);
    }
    assert_eq!(ok(case, stores.attempts.attempts(&one.id).await), [], "{case}: of one that is not there");
    ok(case, stores.deliveries.put_one(&one).await);
    assert_eq!(ok(case, stores.attempts.attempts(&one.id).await), [], "{case}: of one that was not tried");
    for id in &ids {
        assert_eq!(ok(case, stores.attempts.attempts(id).await).len(), 1, "{case}: {id}");
    }
}
