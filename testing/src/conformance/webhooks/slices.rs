//! Deliveries and attempts that are read and written together.

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use crate::conformance::webhooks::{delivery, outcome};
use lambda_jobs_core::families::webhook::ports::{
    AttemptOutcome, DeliveryAttempt, DeliveryStatus, EndedAttempt, WebhookDelivery, Webhooks,
};

/// More than any call of a service reads.
const MANY: usize = 102;
/// More than any call of a service writes.
const MANY_WRITTEN: usize = 27;

pub(super) async fn cases(webhooks: &dyn Webhooks, bench: &Fixture) {
    nothing_is_answered_with_nothing(webhooks).await;
    let put = put(webhooks, bench, MANY).await;
    many_are_read_in_the_order_that_was_asked(webhooks, bench, &put).await;
    many_attempts_are_recorded_together(webhooks, bench, &put[..MANY_WRITTEN]).await;
    one_that_is_refused_spoils_no_other(webhooks, bench).await;
    attempts_at_one_delivery_follow_each_other(webhooks, bench).await;
}

async fn put(webhooks: &dyn Webhooks, bench: &Fixture, count: usize) -> Vec<WebhookDelivery> {
    let case = "deliveries are put";
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let one = delivery(bench);
        assert!(ok(case, webhooks.put_delivery(&one).await), "{case}: it is new");
        all.push(one);
    }
    all
}

async fn read(case: &str, webhooks: &dyn Webhooks, ids: &[String]) -> Vec<Option<WebhookDelivery>> {
    let found = webhooks.deliveries_by_id(ids).await;
    assert_eq!(found.len(), ids.len(), "{case}: an answer for each");
    found.into_iter().map(|one| ok(case, one)).collect()
}

async fn record(case: &str, webhooks: &dyn Webhooks, attempts: &[EndedAttempt]) -> Vec<bool> {
    let written = webhooks.record_attempts(attempts).await;
    assert_eq!(written.len(), attempts.len(), "{case}: an answer for each");
    written.into_iter().map(|one| ok(case, one)).collect()
}

fn ended(delivery: &WebhookDelivery, outcome: &AttemptOutcome) -> EndedAttempt {
    EndedAttempt { delivery: delivery.id.clone(), outcome: outcome.clone() }
}

async fn nothing_is_answered_with_nothing(webhooks: &dyn Webhooks) {
    let case = "no question has no answer";
    assert!(read(case, webhooks, &[]).await.is_empty(), "{case}: reading");
    assert!(record(case, webhooks, &[]).await.is_empty(), "{case}: recording");
}

async fn many_are_read_in_the_order_that_was_asked(
    webhooks: &dyn Webhooks,
    bench: &Fixture,
    put: &[WebhookDelivery],
) {
    let case = "deliveries are read in the order of their ids, some of which come twice or are nobody's";
    let mut expected: Vec<Option<WebhookDelivery>> = put.iter().rev().cloned().map(Some).collect();
    expected.insert(3, None);
    expected.insert(5, expected[90].clone());
    expected.push(expected[7].clone());
    let unknown = bench.fresh("unknown");
    let id_of = |one: &Option<WebhookDelivery>| one.as_ref().map_or(&unknown, |one| &one.id).clone();
    let ids: Vec<String> = expected.iter().map(id_of).collect();
    assert_eq!(read(case, webhooks, &ids).await, expected, "{case}");
}

async fn many_attempts_are_recorded_together(
    webhooks: &dyn Webhooks,
    bench: &Fixture,
    put: &[WebhookDelivery],
) {
    let case = "attempts at many deliveries are recorded together";
    let statuses = DeliveryStatus::ALL.into_iter().cycle();
    let attempts: Vec<EndedAttempt> = put
        .iter()
        .zip(statuses)
        .zip(0..)
        .map(|((delivery, status), seconds)| ended(delivery, &outcome(bench, status, seconds)))
        .collect();
    assert_eq!(record(case, webhooks, &attempts).await, [true; MANY_WRITTEN], "{case}: they are written");
    let ids: Vec<String> = put.iter().map(|one| one.id.clone()).collect();
    let expected: Vec<_> =
        put.iter().zip(&attempts).map(|(one, attempt)| Some(one.clone().after(&attempt.outcome))).collect();
    assert_eq!(read(case, webhooks, &ids).await, expected, "{case}: each is as its attempt says");
    for attempt in &attempts {
        let kept = ok(case, webhooks.attempts(&attempt.delivery).await);
        assert_eq!(kept, [DeliveryAttempt::from(&attempt.outcome)], "{case}: and is kept");
    }
}

async fn one_that_is_refused_spoils_no_other(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "an attempt that is not written leaves the others alone";
    let mut put = put(webhooks, bench, 3).await;
    let early = outcome(bench, DeliveryStatus::Failed, 1);
    ok(case, webhooks.record_attempt(&put[0].id, &early).await);
    put[0] = put[0].clone().after(&early);
    let unknown = delivery(bench);
    let late = outcome(bench, DeliveryStatus::Delivered, 2);
    let attempts = [&put[0], &put[1], &unknown, &put[2]].map(|one| ended(one, &late));
    assert_eq!(record(case, webhooks, &attempts).await, [false, true, false, true], "{case}");
    let ids = [&put[0], &put[1], &unknown, &put[2]].map(|one| one.id.clone());
    let [first, second, third] = <[WebhookDelivery; 3]>::try_from(put).unwrap_or_else(|_| panic!("{case}"));
    let expected = [Some(first), Some(second.after(&late)), None, Some(third.after(&late))];
    assert_eq!(read(case, webhooks, &ids).await, expected, "{case}: afterwards");
}

async fn attempts_at_one_delivery_follow_each_other(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "attempts at one delivery that come together are recorded one after the other";
    let put = put(webhooks, bench, 1).await;
    let [first, second] = [1, 2].map(|seconds| outcome(bench, DeliveryStatus::Pending, seconds));
    let (last, late) =
        (outcome(bench, DeliveryStatus::Delivered, 3), outcome(bench, DeliveryStatus::Failed, 4));
    let attempts = [&first, &second, &second, &last, &late].map(|outcome| ended(&put[0], outcome));
    assert_eq!(record(case, webhooks, &attempts).await, [true, true, true, true, false], "{case}");
    let expected = put[0].clone().after(&first).after(&second).after(&last);
    assert_eq!(ok(case, webhooks.delivery(&expected.id).await), Some(expected.clone()), "{case}: afterwards");
    let kept = ok(case, webhooks.attempts(&expected.id).await);
    let made = [&first, &second, &last].map(DeliveryAttempt::from);
    assert_eq!(kept.get(..3), Some(&made[..]), "{case}: each is kept");
}
