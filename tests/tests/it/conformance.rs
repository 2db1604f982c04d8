//! The ports' suites through the SDK adapters, over HTTP, against the local stack.

use std::sync::Arc;

use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::families::webhook::Endpoint;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_infra::{
    DynamoControlStore, DynamoJobStore, DynamoUniqueKeys, DynamoVersioned, OsEntropy, SqsJobQueue,
    SystemClock,
};
use lambda_jobs_testing::conformance::{
    Bench, backlog, control_store, job_archive, job_index, job_queue, job_store, shared, unique_keys,
    webhooks,
};
use lambda_jobs_tests::{SqsReceiver, stack};

fn bench() -> Bench {
    Bench::new(Arc::new(SystemClock::new()), Arc::new(OsEntropy))
}

#[tokio::test]
async fn the_stores_on_dynamodb_pass() {
    let stack = stack().await.unwrap();
    let store = DynamoJobStore::new(stack.adapters().dynamo().clone(), stack.settings().jobs.retention);
    job_store::suite(&store, &bench()).await;
    job_index::suite(&store, &store, &bench()).await;
    control_store::suite(&DynamoControlStore::new(stack.adapters().dynamo().clone()), &bench()).await;
    unique_keys::suite(&DynamoUniqueKeys::new(stack.adapters().dynamo().clone()), &bench()).await;
    let dynamo = || stack.adapters().dynamo().clone();
    let (breakers, limits) = (DynamoVersioned::new(dynamo()), DynamoVersioned::new(dynamo()));
    shared::suite::<Breaker>(&breakers, &bench()).await;
    shared::suite::<LimitState>(&limits, &bench()).await;
    shared::suite::<Endpoint>(&DynamoVersioned::in_data(dynamo()), &bench()).await;
    shared::both_kinds(&breakers, &limits, &bench()).await;
    let setup = job_archive::Setup { store: &store, index: &store, archive: &store };
    job_archive::suite(setup, &bench()).await;
    webhooks::suite(&(&stack.adapters().ports().webhooks).into(), &bench()).await;
}

#[tokio::test]
async fn the_queues_on_sqs_pass() {
    let stack = stack().await.unwrap();
    let queue = SqsJobQueue::new(stack.adapters().sqs().clone());
    let receiver = SqsReceiver(stack.adapters().sqs().clone());
    let setup = job_queue::Setup { queue: &queue, dead_letters: &queue, receiver: &receiver };
    job_queue::suite(&setup, &bench()).await;
}

#[tokio::test]
async fn what_waits_in_the_queues_on_sqs_is_told_and_taken_out() {
    let stack = stack().await.unwrap();
    let queue = SqsJobQueue::new(stack.adapters().sqs().clone());
    let setup = backlog::Setup { queue: &queue, stats: &queue, backlog: &queue };
    for _ in 0..2 {
        backlog::suite(&setup, &bench()).await;
    }
}
