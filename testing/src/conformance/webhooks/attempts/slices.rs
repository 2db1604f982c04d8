//! Attempts recorded in one call.

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use crate::conformance::webhooks::{Stores, delivery, outcome};
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, DeliveryAttempt, DeliveryStatus, EndedAttempt, WebhookDelivery,
};

/// More attempts than any service writes in one call.
const MANY_WRITTEN: usize = 27;

pub(super) async fn cases(stores: &Stores<'_>, fixture: &Fixture) {
    nothing_is_answered_with_nothing(stores).await;
    let put = put(stores, fixture, MANY_WRITTEN).await;
    many_attempts_are_recorded_together(stores, fixture, &put).await;
    one_that_is_refused_spoils_no_other(stores, fixture).await;
    attempts_at_one_delivery_follow_each_other(stores, fixture).await;
}

async fn put(stores: &Stores<'_>, fixture: &Fixture, count: usize) -> Vec<WebhookDelivery> {
    let case = "deliveries are put";
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let one = delivery(fixture);
        assert!(ok(case, stores.deliveries.put_one(&one).await), "{case}: it is new");
        all.push(one);
    }
    all
}

async fn read(case: &str, stores: &Stores<'_>, ids: &[String]) -> Vec<Option<WebhookDelivery>> {
    let found = stores.deliveries.find(ids).await;
    assert_eq!(found.len(), ids.len(), "{case}: an answer for each");
    found.into_iter().map(|one| ok(case, one)).collect()
}

async fn record(case: &str, stores: &Stores<'_>, attempts: &[EndedAttempt]) -> Vec<bool> {
    let written = stores.attempts.record(attempts).await;
    assert_eq!(written.len(), attempts.len(), "{case}: an answer for each");
    written.into_iter().map(|one| ok(case, one)).collect()
}

fn ended(delivery: &WebhookDelivery, outcome: &AttemptOutcome) -> EndedAttempt {
    EndedAttempt { delivery: delivery.id.clone(), outcome: outcome.clone() }
}

async fn nothing_is_answered_with_nothing(stores: &Stores<'_>) {
    let case = "no question has no answer";
    assert!(record(case, stores, &[]).await.is_empty(), "{case}");
}

async fn many_attempts_are_recorded_together(
    stores: &Stores<'_>,
    fixture: &Fixture,
    put: &[WebhookDelivery],
) {
    let case = "attempts at many deliveries are recorded together";
    let statuses = DeliveryStatus::ALL.into_iter().cycle();
    let attempts: Vec<EndedAttempt> = put
        .iter()
        .zip(statuses)
        .zip(0..)
        .map(|((delivery, status), seconds)| ended(delivery, &outcome(fixture, status, seconds)))
        .collect();
    assert_eq!(record(case, stores, &attempts).await, [true; MANY_WRITTEN], "{case}: they are written");
    let ids: Vec<String> = put.iter().map(|one| one.id.clone()).collect();
    let expected: Vec<_> =
        put.iter().zip(&attempts).map(|(one, attempt)| Some(one.clone().after(&attempt.outcome))).collect();
    assert_eq!(read(case, stores, &ids).await, expected, "{case}: each is as its attempt says");
    for attempt in &attempts {
        let kept = ok(case, stores.attempts.attempts(&attempt.delivery).await);
        assert_eq!(kept, [DeliveryAttempt::from(&attempt.outcome)], "{case}: and is kept");
    }
}

async fn one_that_is_refused_spoils_no_other(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "an attempt that is not written leaves the others alone";
    let mut put = put(stores, fixture, 3).await;
    let early = outcome(fixture, DeliveryStatus::Failed, 1);
    ok(case, stores.attempts.record_one(&put[0].id, &early).await);
    put[0] = put[0].clone().after(&early);
    let unknown = delivery(fixture);
    let late = outcome(fixture, DeliveryStatus::Delivered, 2);
    let attempts = [&put[0], &put[1], &unknown, &put[2]].map(|one| ended(one, &late));
    assert_eq!(record(case, stores, &attempts).await, [false, true, false, true], "{case}");
    let ids = [&put[0], &put[1], &unknown, &put[2]].map(|one| one.id.clone());
    let [first, second, third] = <[WebhookDelivery; 3]>::try_from(put).unwrap_or_else(|_| panic!("{case}"));
    let expected = [Some(first), Some(second.after(&late)), None, Some(third.after(&late))];
    assert_eq!(read(case, stores, &ids).await, expected, "{case}: afterwards");
}

async fn attempts_at_one_delivery_follow_each_other(stores: &Stores<'_>, fixture: &Fixture) {
    let case = "attempts at one delivery that come together are recorded one after the other";
    let put = put(stores, fixture, 1).await;
    let [first, second] = [1, 2].map(|seconds| outcome(fixture, DeliveryStatus::Pending, seconds));
    let (last, late) =
        (outcome(fixture, DeliveryStatus::Delivered, 3), outcome(fixture, DeliveryStatus::Failed, 4));
    let attempts = [&first, &second, &second, &last, &late].map(|outcome| ended(&put[0], outcome));
    assert_eq!(record(case, stores, &attempts).await, [true, true, true, true, false], "{case}");
    let expected = put[0].clone().after(&first).after(&second).after(&last);
    assert_eq!(
        ok(case, stores.deliveries.find_one(&expected.id).await),
        Some(expected.clone()),
        "{case}: afterwards"
    );
    let kept = ok(case, stores.attempts.attempts(&expected.id).await);
    let made = [&first, &second, &last].map(DeliveryAttempt::from);
    assert_eq!(kept.get(..3), Some(&made[..]), "{case}: each is kept");
}
