//! Deliveries that are sent anew.

use chrono::TimeDelta;

use crate::conformance::Fixture;
use crate::conformance::fixture::ok;
use crate::conformance::webhooks::{delivery, outcome, waiting};
use lambda_jobs_core::families::webhook::ports::{
    Awaited, DeliveryAttempt, DeliveryStatus, WaitingDelivery, WebhookDelivery, Webhooks,
};

pub(super) async fn cases(webhooks: &dyn Webhooks, bench: &Fixture) {
    a_finished_delivery_is_reopened(webhooks, bench).await;
    what_is_reopened_waits_again(webhooks, bench).await;
    what_is_not_finished_is_not_reopened(webhooks, bench).await;
}

async fn a_finished_delivery_is_reopened(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "a finished delivery is made WebhookDelivery::reopened, with its attempts kept";
    for last in [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled] {
        let mut expected = delivery(bench);
        ok(case, webhooks.put_delivery(&expected).await);
        let mut kept = Vec::new();
        for replay in 0..3 {
            for (seconds, status) in [(10 * replay + 1, DeliveryStatus::Pending), (10 * replay + 2, last)] {
                let attempt = outcome(bench, status, seconds);
                assert!(ok(case, webhooks.record_attempt(&expected.id, &attempt).await), "{case}: {last:?}");
                expected = expected.after(&attempt);
                kept.push(DeliveryAttempt::from(&attempt));
            }
            let now = bench.now() + TimeDelta::milliseconds(10_000 * replay + 5_500);
            expected = expected.reopened(now);
            let answered = ok(case, webhooks.reopen(&expected.id, now).await);
            assert_eq!(answered.as_ref(), Some(&expected), "{case}: {last:?} is answered as it is then");
            let found = ok(case, webhooks.delivery(&expected.id).await);
            assert_eq!(found.as_ref(), Some(&expected), "{case}: {last:?}, as it is found");
            assert_eq!(ok(case, webhooks.attempts(&expected.id).await), kept, "{case}: {last:?}");
        }
    }
    let put = WebhookDelivery { status: DeliveryStatus::Failed, ..delivery(bench) };
    ok(case, webhooks.put_delivery(&put).await);
    let now = bench.now();
    let answered = ok(case, webhooks.reopen(&put.id, now).await);
    assert_eq!(answered, Some(put.reopened(now)), "{case}: one that was never tried");
}

async fn what_is_reopened_waits_again(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "a delivery that is sent anew waits for its first attempt, then no more";
    let one = delivery(bench);
    ok(case, webhooks.put_delivery(&one).await);
    ok(case, webhooks.record_attempt(&one.id, &outcome(bench, DeliveryStatus::Failed, 1)).await);
    let look = async || {
        let mut states = Vec::new();
        for awaited in Awaited::ALL {
            let found = waiting(webhooks, awaited, bench.now() + TimeDelta::hours(1)).await;
            states.extend(found.into_iter().filter(|found| found.id == one.id).map(|found| (awaited, found)));
        }
        states
    };
    let now = bench.now() + TimeDelta::seconds(2);
    let reopened = ok(case, webhooks.reopen(&one.id, now).await);
    let reopened = reopened.unwrap_or_else(|| panic!("{case}: it is reopened"));
    let expected = Vec::from_iter(WaitingDelivery::of(&reopened));
    assert_eq!(expected.first().map(|(awaited, one)| (*awaited, one.due_at)), Some((Awaited::First, now)));
    bench.eventually(&format!("{case}: first"), expected, &look).await;
    ok(case, webhooks.record_attempt(&one.id, &outcome(bench, DeliveryStatus::Delivered, 3)).await);
    bench.eventually(&format!("{case}: at last"), Vec::new(), &look).await;
}

async fn what_is_not_finished_is_not_reopened(webhooks: &dyn Webhooks, bench: &Fixture) {
    let case = "what is not finished, or not there, is not reopened";
    let unknown = bench.fresh("unknown");
    assert_eq!(ok(case, webhooks.reopen(&unknown, bench.now()).await), None, "{case}: unknown");
    assert_eq!(ok(case, webhooks.delivery(&unknown).await), None, "{case}: nor made");
    for status in [DeliveryStatus::Pending, DeliveryStatus::Processing] {
        let one = WebhookDelivery { status, ..delivery(bench) };
        ok(case, webhooks.put_delivery(&one).await);
        let later = bench.now() + TimeDelta::seconds(1);
        assert_eq!(ok(case, webhooks.reopen(&one.id, later).await), None, "{case}: {status:?}");
        assert_eq!(ok(case, webhooks.delivery(&one.id).await), Some(one), "{case}: afterwards");
    }
    let twice = WebhookDelivery { status: DeliveryStatus::Failed, ..delivery(bench) };
    ok(case, webhooks.put_delivery(&twice).await);
    for seconds in [1, 2] {
        let answer = ok(case, webhooks.reopen(&twice.id, bench.now() + TimeDelta::seconds(seconds)).await);
        assert_eq!(answer.is_some(), seconds == 1, "{case}: only the first of two reopens it");
    }
}
