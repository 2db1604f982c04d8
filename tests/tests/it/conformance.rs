//! The ports' suites over HTTP: the SDK adapters against the local stack.

use std::sync::Arc;

use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::families::webhook::Endpoint;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_infra::{
    DynamoBatchNodes, DynamoControlStore, DynamoJobStore, DynamoRunning, DynamoUniqueKeys, DynamoVersioned,
    OsEntropy, SqsJobQueue, SystemClock,
};
use lambda_jobs_testing::conformance::{
    Fixture, batch_nodes, control_store, job_index, job_pruner, job_queue, job_store, running_jobs, stale,
    unique_keys, versioned, webhooks,
};
use lambda_jobs_tests::{SqsReceiver, stack};

fn fixture() -> Fixture {
    Fixture::new(Arc::new(SystemClock::new()), Arc::new(OsEntropy))
}

#[tokio::test]
async fn the_stores_on_dynamodb_pass() {
    let stack = stack().await.unwrap();
    let store = DynamoJobStore::new(stack.adapters().dynamo().clone(), stack.settings().jobs.retention);
    job_store::suite(&store, &fixture()).await;
    job_index::suite(&store, &store, &fixture()).await;
    control_store::suite(&DynamoControlStore::new(stack.adapters().dynamo().clone()), &fixture()).await;
    unique_keys::suite(&DynamoUniqueKeys::new(stack.adapters().dynamo().clone()), &fixture()).await;
    let dynamo = || stack.adapters().dynamo().clone();
    running_jobs::suite(&DynamoRunning::new(dynamo()), &fixture()).await;
    batch_nodes::suite(&DynamoBatchNodes::new(dynamo()), &fixture()).await;
    let (breakers, limits) = (DynamoVersioned::new(dynamo()), DynamoVersioned::new(dynamo()));
    versioned::suite::<Breaker>(&breakers, &fixture()).await;
    versioned::suite::<LimitState>(&limits, &fixture()).await;
    versioned::suite::<Endpoint>(&DynamoVersioned::in_data(dynamo()), &fixture()).await;
    versioned::both_kinds(&breakers, &limits, &fixture()).await;
    let setup = job_pruner::Setup { store: &store, index: &store, pruner: &store };
    job_pruner::suite(setup, &fixture()).await;
    webhooks::suite(&(&stack.adapters().ports().webhooks).into(), &fixture()).await;
}

#[tokio::test]
async fn the_queues_on_sqs_pass() {
    let stack = stack().await.unwrap();
    let queue = SqsJobQueue::new(stack.adapters().sqs().clone());
    let receiver = SqsReceiver(stack.adapters().sqs().clone());
    let setup = job_queue::Setup { queue: &queue, dead_letters: &queue, receiver: &receiver };
    job_queue::suite(&setup, &fixture()).await;
}

#[tokio::test]
async fn what_waits_in_the_queues_on_sqs_is_told_and_taken_out() {
    let stack = stack().await.unwrap();
    let queue = SqsJobQueue::new(stack.adapters().sqs().clone());
    let setup = stale::Setup { queue: &queue, stats: &queue, stale: &queue };
    for _ in 0..2 {
        stale::suite(&setup, &fixture()).await;
    }
}
