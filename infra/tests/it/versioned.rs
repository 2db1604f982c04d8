//! The cost of versioned states, and a state that can't be read.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::breaker::{Breaker, Counts, Window};
use lambda_jobs_core::limit::{Lease, LimitState};
use lambda_jobs_core::ports::{VersionedOutcome, VersionedStore};
use lambda_jobs_core::versioned::VersionedState;
use lambda_jobs_infra::{Dynamo, DynamoVersioned, Tables, create_tables};

use crate::dynamo::{config_for, dynamo, endpoint};
use crate::front::{Fault, fronted};
use crate::meter::{Figures, Meter};

fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00.123456789Z".parse().unwrap()
}

fn breaker(name: &str) -> Breaker {
    Breaker { revision: 1, writer: u64::MAX, ..Breaker::new(name.parse().unwrap(), now()) }
}

/// A breaker with a full window, and long numbers throughout.
fn full_breaker(name: &str) -> Breaker {
    let (mut window, length) = (Window::new(), Duration::from_mins(5));
    for tenth in 0..3_000 {
        let at = now() - TimeDelta::milliseconds(299_900 - tenth * 100);
        window.count(at, Counts { calls: 400, failures: 20, slow: 10 }, length);
    }
    let probing = breaker(name).probing(u64::MAX, now() + TimeDelta::seconds(95), now());
    Breaker { revision: 1, window, openings: 1_000, ..probing.joined(100_000, now()).0 }
}

fn limit(places: u64) -> LimitState {
    let lease_until = now() + TimeDelta::seconds(95);
    let place = |at| Lease { holder: u64::MAX - at, jobs: 10, since: now(), lease_until };
    let key = "at-once:send-email/tenant=acme".parse().unwrap();
    LimitState {
        revision: 1,
        writer: u64::MAX,
        leases: (0..places).map(place).collect(),
        ..LimitState::new(key, now())
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

async fn save<T: VersionedState + std::fmt::Debug>(store: &DynamoVersioned<T>, states: &[T]) {
    for outcome in store.save(states).await {
        assert_eq!(outcome.unwrap(), VersionedOutcome::Saved);
    }
}

#[tokio::test]
async fn several_are_loaded_and_saved_in_one_request_each() {
    let (dynamo, meter) = metered().await;
    let store = DynamoVersioned::new(dynamo);
    let breakers: Vec<Breaker> = (0..20).map(|at| breaker(&format!("b-{at}"))).collect();
    save(&store, &breakers).await;
    assert_eq!(meter.take(), Figures { requests: 1, units: 20.0 });
    let names: Vec<String> = breakers.iter().map(Breaker::name).collect();
    assert_eq!(store.load(&names).await.unwrap(), breakers.into_iter().map(Some).collect::<Vec<_>>());
    assert_eq!(meter.take().requests, 1);
}

#[tokio::test]
async fn a_breaker_is_written_for_one_unit_however_much_it_has_counted() {
    let (dynamo, meter) = metered().await;
    let store = DynamoVersioned::new(dynamo);
    let full = full_breaker(&"n".repeat(64));
    save(&store, std::slice::from_ref(&full)).await;
    assert_eq!(meter.take(), Figures { requests: 1, units: 1.0 }, "the first time");
    let next = full.recorded(&Window::new(), &lambda_jobs_core::breaker::BreakerPolicy::default(), now());
    save(&store, &[next]).await;
    assert_eq!(meter.take(), Figures { requests: 1, units: 1.0 }, "as a change");
}

#[tokio::test]
async fn a_limit_costs_a_unit_for_about_every_seven_batches_that_hold_places() {
    for (places, units) in [(0, 1.0), (4, 1.0), (100, 13.0)] {
        let (dynamo, meter) = metered().await;
        save(&DynamoVersioned::new(dynamo), &[limit(places)]).await;
        assert_eq!(meter.take(), Figures { requests: 1, units }, "{places} batches");
    }
}

#[tokio::test]
async fn one_that_cannot_be_read_does_not_hide_the_others() {
    let dynamo = dynamo().await;
    let store = DynamoVersioned::<Breaker>::new(dynamo.clone());
    save(&store, &[breaker("a"), breaker("b"), breaker("c")]).await;
    let items = dynamo.client().scan().table_name("lambda-jobs-state").send().await.unwrap();
    let mut item = items.items.unwrap().into_iter().find(|item| item["sk"].as_s().unwrap() == "b").unwrap();
    item.insert("state".to_owned(), AttributeValue::S("{}".to_owned()));
    dynamo.client().put_item().table_name("lambda-jobs-state").set_item(Some(item)).send().await.unwrap();
    assert_eq!(store.list().await.unwrap(), [breaker("a"), breaker("c")]);
    let error = store.load(&["a".to_owned(), "b".to_owned()]).await.unwrap_err().to_string();
    assert_eq!(error, "read breaker b from table lambda-jobs-state: missing field `name` at line 1 column 2");
}

#[tokio::test]
async fn a_save_whose_answer_was_lost_is_known_for_its_own_and_anothers_is_not() {
    let (dynamo, front) = fronted(Fault::AnswerLost).await;
    let store = DynamoVersioned::new(dynamo);
    for revision in 1..=2 {
        front.fail(1);
        let mine = Breaker { revision, ..breaker("a") };
        save(&store, std::slice::from_ref(&mine)).await;
        let theirs = Breaker { writer: 7, ..mine.clone() };
        let outcome = store.save(&[theirs]).await.remove(0).unwrap();
        assert_eq!(outcome, VersionedOutcome::Conflict(Some(Box::new(mine))));
    }
    assert_eq!(front.failed(), 2);
}
