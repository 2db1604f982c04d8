//! Endpoints without `BatchExecuteStatement`, and endpoints that lose responses or throttle.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lambda_jobs_core::job::{Claim, ClaimId};
use lambda_jobs_core::ports::{
    Counters, Fence, HistoryQuery, InsertOutcome, JobIndex, JobStore, SettleCall, SettleOutcome, Settlement,
};
use lambda_jobs_core::{JobRecord, Queue};
use lambda_jobs_infra::{DynamoJobStore, DynamoWebhooks};
use lambda_jobs_testing::conformance::{job_index, job_pruner, job_store, webhooks};
use serde_json::json;

use crate::dynamo::{bench, shared_states, store};
use crate::front::{Fault, fronted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_written_one_by_one_under_the_same_conditions() {
    let (dynamo, front) = fronted(Fault::Lacking).await;
    front.fail(u32::MAX);
    job_store::suite(&store(&dynamo), &bench()).await;
    job_index::suite(&store(&dynamo), &store(&dynamo), &bench()).await;
    let jobs = store(&dynamo);
    let setup = job_pruner::Setup { store: &jobs, index: &jobs, pruner: &jobs };
    job_pruner::suite(setup, &bench()).await;
    shared_states(&dynamo).await;
    webhooks::suite(&webhooks::Stores::of(&DynamoWebhooks::new(dynamo)), &bench()).await;
    assert_eq!(front.failed(), 1, "the call is asked for once and remembered");
}

fn now() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn running(count: usize) -> Vec<JobRecord> {
    let record = |at: usize| {
        let definition = serde_json::from_value(json!({
            "id": format!("job-{at}"), "name": "n", "type": "immediate", "payload": {}, "priority": 5,
        }));
        let claim = Claim {
            id: ClaimId::from(format!("claim-{at}")),
            lease_until: now() + TimeDelta::seconds(95),
            alone: false,
        };
        JobRecord::accepted(definition.unwrap(), Queue::Normal, now(), now()).claimed(claim, now())
    };
    (0..count).map(record).collect()
}

fn completed(records: Vec<JobRecord>) -> SettleCall {
    let settle = |record: JobRecord| {
        let claim = record.claim.clone().unwrap();
        let record = record.completed(json!(1), now(), Duration::from_millis(10));
        Settlement { fence: Fence::Claim(claim.id), record }
    };
    SettleCall { id: 7, at: now(), settlements: records.into_iter().map(settle).collect() }
}

async fn expect_settled(store: &DynamoJobStore, batch: &SettleCall) {
    for outcome in store.settle(batch).await {
        assert_eq!(outcome.unwrap(), SettleOutcome::Settled);
    }
}

/// The number of jobs that the history lists, and the counters.
async fn noted(store: &DynamoJobStore) -> (usize, Counters) {
    let query = HistoryQuery {
        since: now() - TimeDelta::hours(1),
        until: now() + TimeDelta::hours(1),
        status: None,
        name: None,
        limit: 100,
    };
    let listed = store.history(&query).await.unwrap().entries.len();
    let counters = store.counters().await.unwrap();
    (listed, counters.into_iter().next().map(|(_, counters)| counters).unwrap_or_default())
}

fn counted(completed: u64) -> Counters {
    Counters { completed, execution_millis: 10 * completed, ..Counters::default() }
}

#[tokio::test]
async fn a_settle_call_whose_answer_was_lost_is_listed_and_counted_once() {
    let (dynamo, front) = fronted(Fault::AnswerLost).await;
    let store = store(&dynamo);
    let records = running(6);
    for outcome in store.insert(&records).await {
        assert_eq!(outcome.unwrap(), InsertOutcome::Inserted);
    }
    let (first, second) = (completed(records[..3].to_vec()), completed(records[3..].to_vec()));
    expect_settled(&store, &first).await;
    assert_eq!(noted(&store).await, (3, counted(3)), "the name has counters now");
    front.fail(2);
    expect_settled(&store, &SettleCall { id: 8, ..second }).await;
    assert_eq!(front.failed(), 2);
    assert_eq!(noted(&store).await, (6, counted(6)));
}

#[tokio::test]
async fn a_settle_call_that_is_given_up_and_made_anew_is_listed_and_counted_once() {
    let (dynamo, front) = fronted(Fault::AnswerLost).await;
    let store = store(&dynamo);
    let records = running(6);
    for outcome in store.insert(&records).await {
        assert_eq!(outcome.unwrap(), InsertOutcome::Inserted);
    }
    expect_settled(&store, &completed(records[..3].to_vec())).await;
    front.fail(4);
    let second = SettleCall { id: 8, ..completed(records[3..].to_vec()) };
    assert!(store.settle(&second).await.iter().all(Result::is_err), "nothing is known of the call");
    expect_settled(&store, &SettleCall { id: 9, ..second }).await;
    assert_eq!(noted(&store).await, (6, counted(6)));
}

#[tokio::test]
async fn a_throttled_call_is_made_again_counters_included() {
    let (dynamo, front) = fronted(Fault::Throttled).await;
    let store = store(&dynamo);
    let records = running(3);
    front.fail(1);
    for outcome in store.insert(&records).await {
        assert_eq!(outcome.unwrap(), InsertOutcome::Inserted);
    }
    front.fail(2);
    expect_settled(&store, &completed(records.clone())).await;
    assert_eq!(noted(&store).await, (3, counted(3)));
    front.fail(100);
    let error = store.insert(&records).await.remove(0).unwrap_err();
    assert!(error.is_throttled() && error.to_string().contains("ThrottlingException: not now"), "{error}");
}
