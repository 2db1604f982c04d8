//! Replaying deliveries.

use chrono::TimeDelta;

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use crate::conformance::webhooks::{Stores, delivery, outcome};
use lambda_jobs_core::families::webhook::ports::{DeliveryAttempt, DeliveryStatus, WebhookDelivery};

pub(super) async fn cases(stores: &Stores<'_>, fixture: &Fixture) {
    a_finished_delivery_is_reopened(stores, fixture).await;
    what_is_not_finished_is_not_reopened(stores, fixture).await;
}

async fn a_finished_delivery_is_reopened(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "a finished delivery is made WebhookDelivery::reopened, with its attempts kept";
    for last in [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled] {
        let mut expected = delivery(fixture);
        expected.payload = serde_json::json!("x".repeat(5_000)).into();
        ok(case, stores.deliveries.put_one(&expected).await);
        let mut kept = Vec::new();
        for replay in 0..3 {
            for (seconds, status) in [(10 * replay + 1, DeliveryStatus::Pending), (10 * replay + 2, last)] {
                let attempt = outcome(fixture, status, seconds);
                assert!(
                    ok(case, stores.attempts.record_one(&expected.id, &attempt).await),
                    "{case}: {last:?}"
                );
                expected = expected.after(&attempt);
                kept.push(DeliveryAttempt::from(&attempt));
            }
            let now = fixture.now() + TimeDelta::milliseconds(10_000 * replay + 5_500);
            expected = expected.reopened(now);
            let answered = ok(case, stores.deliveries.reopen(&expected.id, now).await);
            let head = expected.clone().without_payload();
            assert_eq!(
                answered,
                Some(head),
                "{case}: {last:?} is answered as it is then, without its payload"
            );
            let found = ok(case, stores.deliveries.find_one(&expected.id).await);
            assert_eq!(found.as_ref(), Some(&expected), "{case}: {last:?}, as it is found");
            assert_eq!(ok(case, stores.attempts.attempts(&expected.id).await), kept, "{case}: {last:?}");
        }
    }
    let put = WebhookDelivery { status: DeliveryStatus::Failed, ..delivery(fixture) };
    ok(case, stores.deliveries.put_one(&put).await);
    let now = fixture.now();
    let answered = ok(case, stores.deliveries.reopen(&put.id, now).await);
    assert_eq!(answered, Some(put.reopened(now).without_payload()), "{case}: one that was never tried");
}

async fn what_is_not_finished_is_not_reopened(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "what is not finished, or not there, is not reopened";
    let unknown = fixture.fresh("unknown");
    assert_eq!(ok(case, stores.deliveries.reopen(&unknown, fixture.now()).await), None, "{case}: unknown");
    assert_eq!(ok(case, stores.deliveries.find_one(&unknown).await), None, "{case}: nor made");
    for status in [DeliveryStatus::Pending, DeliveryStatus::Processing] {
        let one = WebhookDelivery { status, ..delivery(fixture) };
        ok(case, stores.deliveries.put_one(&one).await);
        let later = fixture.now() + TimeDelta::seconds(1);
        assert_eq!(ok(case, stores.deliveries.reopen(&one.id, later).await), None, "{case}: {status:?}");
        assert_eq!(ok(case, stores.deliveries.find_one(&one.id).await), Some(one), "{case}: afterwards");
    }
    let twice = WebhookDelivery { status: DeliveryStatus::Failed, ..delivery(fixture) };
    ok(case, stores.deliveries.put_one(&twice).await);
    for seconds in [1, 2] {
        let answer =
            ok(case, stores.deliveries.reopen(&twice.id, fixture.now() + TimeDelta::seconds(seconds)).await);
        assert_eq!(answer.is_some(), seconds == 1, "{case}: only the first of two reopens it");
    }
}
