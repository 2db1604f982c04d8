//! The stores with an embedded DynamoDB.

use std::sync::Arc;

use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use dynoxide::Database;
use lambda_jobs_core::Retention;
use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::families::webhook::Endpoint;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_infra::{
    Dynamo, DynamoBatchNodes, DynamoControlStore, DynamoJobStore, DynamoRunning, DynamoSchedules,
    DynamoUniqueKeys, DynamoVersioned, DynamoWebhooks, OsEntropy, SystemClock, Tables, create_tables,
};
use lambda_jobs_testing::conformance::{
    Fixture, batch_nodes, control_store, job_index, job_pruner, job_store, running_jobs, schedules,
    unique_keys, versioned, webhooks,
};
use tokio::net::TcpListener;

/// A configuration for an endpoint that does not check credentials.
pub(crate) fn config_for(endpoint: &str) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(lambda_jobs_infra::aws::http_client())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .timeout_config(lambda_jobs_infra::aws::timeouts())
        .endpoint_url(endpoint)
}

/// The address of a new, empty DynamoDB.
pub(crate) async fn endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let database = Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    format!("http://{address}")
}

/// A connection to a new DynamoDB with its tables.
pub(crate) async fn dynamo() -> Dynamo {
    let dynamo = Dynamo::from_conf(config_for(&endpoint().await), Tables::default());
    create_tables(&dynamo).await.unwrap();
    dynamo
}

/// The job store of a connection.
pub(crate) fn store(dynamo: &Dynamo) -> DynamoJobStore {
    DynamoJobStore::new(dynamo.clone(), Retention::default())
}

/// A fixture with the machine's clock.
pub(crate) fn bench() -> Fixture {
    Fixture::new(Arc::new(SystemClock::new()), Arc::new(OsEntropy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_store_conforms() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        job_store::suite(&store(&dynamo), &bench()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_index_conforms() {
    let dynamo = dynamo().await;
    job_index::suite(&store(&dynamo), &store(&dynamo), &bench()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_pruner_conforms() {
    let dynamo = dynamo().await;
    let store = store(&dynamo);
    let setup = job_pruner::Setup { store: &store, index: &store, pruner: &store };
    for _ in 0..2 {
        job_pruner::suite(setup, &bench()).await;
    }
}

#[tokio::test]
async fn what_runs_conforms() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        running_jobs::suite(&DynamoRunning::new(dynamo.clone()), &bench()).await;
    }
}

#[tokio::test]
async fn the_marks_of_batches_conform() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        batch_nodes::suite(&DynamoBatchNodes::new(dynamo.clone()), &bench()).await;
    }
}

#[tokio::test]
async fn the_webhooks_conform() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        webhooks::suite(&webhooks::Stores::of(&DynamoWebhooks::new(dynamo.clone())), &bench()).await;
    }
}

#[tokio::test]
async fn the_schedules_conform() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        schedules::suite(&DynamoSchedules::new(dynamo.clone()), &bench()).await;
    }
}

#[tokio::test]
async fn the_unique_keys_conform() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        unique_keys::suite(&DynamoUniqueKeys::new(dynamo.clone()), &bench()).await;
    }
}

/// Runs the suite of versioned states with every kind.
pub(crate) async fn shared_states(dynamo: &Dynamo) {
    let (breakers, limits) = (DynamoVersioned::new(dynamo.clone()), DynamoVersioned::new(dynamo.clone()));
    versioned::suite::<Breaker>(&breakers, &bench()).await;
    versioned::suite::<LimitState>(&limits, &bench()).await;
    versioned::suite::<Endpoint>(&DynamoVersioned::in_data(dynamo.clone()), &bench()).await;
    versioned::both_kinds(&breakers, &limits, &bench()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_states_conform() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        shared_states(&dynamo).await;
    }
}

#[tokio::test]
async fn the_control_store_conforms() {
    let dynamo = dynamo().await;
    for _ in 0..2 {
        control_store::suite(&DynamoControlStore::new(dynamo.clone()), &bench()).await;
    }
}

#[tokio::test]
async fn making_the_tables_again_changes_nothing() {
    let dynamo = dynamo().await;
    create_tables(&dynamo).await.unwrap();
    let described = dynamo.client().describe_table().table_name("lambda-jobs-jobs").send().await.unwrap();
    let indexes = described.table.unwrap().global_secondary_indexes.unwrap();
    assert_eq!(indexes.len(), 1);
    let expiry = dynamo.client().describe_time_to_live().table_name("lambda-jobs-jobs").send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    assert_eq!(expiry.attribute_name.as_deref(), Some("expiresAt"));
}
