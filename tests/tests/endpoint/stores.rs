//! The stores on DynamoDB.

use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use lambda_jobs_core::Retention;
use lambda_jobs_core::breaker::Breaker;
use lambda_jobs_core::families::webhook::Endpoint;
use lambda_jobs_core::limit::LimitState;
use lambda_jobs_infra::aws::shared_config;
use lambda_jobs_infra::{
    Dynamo, DynamoBatchNodes, DynamoJobStore, DynamoRunning, DynamoSchedules, DynamoUniqueKeys,
    DynamoVersioned, DynamoWebhooks, Tables, create_tables,
};
use lambda_jobs_testing::conformance;

use crate::suite::{Outcome, Running, both, caught, fixture, fresh_prefix};

pub(crate) fn job_store() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        conformance::job_store::suite(&store(dynamo), &fixture()).await;
    }))
}

pub(crate) fn job_index() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        let store = store(dynamo);
        conformance::job_index::suite(&store, &store, &fixture()).await;
    }))
}

pub(crate) fn job_pruner() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        let store = store(dynamo);
        let setup = conformance::job_pruner::Setup { store: &store, index: &store, pruner: &store };
        conformance::job_pruner::suite(setup, &fixture()).await;
    }))
}

pub(crate) fn running_jobs() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        conformance::running_jobs::suite(&DynamoRunning::new(dynamo), &fixture()).await;
    }))
}

pub(crate) fn batch_nodes() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        conformance::batch_nodes::suite(&DynamoBatchNodes::new(dynamo), &fixture()).await;
    }))
}

pub(crate) fn webhooks() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        let webhooks = DynamoWebhooks::new(dynamo);
        conformance::webhooks::suite(&conformance::webhooks::Stores::of(&webhooks), &fixture()).await;
    }))
}

pub(crate) fn schedules() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        conformance::schedules::suite(&DynamoSchedules::new(dynamo), &fixture()).await;
    }))
}

pub(crate) fn unique_keys() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        conformance::unique_keys::suite(&DynamoUniqueKeys::new(dynamo), &fixture()).await;
    }))
}

pub(crate) fn versioned() -> Running {
    Box::pin(with_tables(|dynamo| async move {
        let (breakers, limits) = (DynamoVersioned::new(dynamo.clone()), DynamoVersioned::new(dynamo.clone()));
        conformance::versioned::suite::<Breaker>(&breakers, &fixture()).await;
        conformance::versioned::suite::<LimitState>(&limits, &fixture()).await;
        let endpoints = DynamoVersioned::in_data(dynamo);
        conformance::versioned::suite::<Endpoint>(&endpoints, &fixture()).await;
        conformance::versioned::both_kinds(&breakers, &limits, &fixture()).await;
    }))
}

fn store(dynamo: Dynamo) -> DynamoJobStore {
    DynamoJobStore::new(dynamo, Retention::default())
}

async fn with_tables<F: Future<Output = ()> + Send + 'static>(suite: impl FnOnce(Dynamo) -> F) -> Outcome {
    let prefix = fresh_prefix();
    let name = |word: &str| format!("{prefix}{word}");
    let tables = Tables { jobs: name("jobs"), state: name("state"), data: name("data") };
    let dynamo = Dynamo::new(shared_config().await, tables);
    let outcome = match create_tables(&dynamo).await {
        Ok(()) => caught(suite(dynamo.clone())).await,
        Err(error) => Err(error.to_string()),
    };
    both(outcome, delete_tables(&dynamo).await)
}

async fn delete_tables(dynamo: &Dynamo) -> Outcome {
    let mut outcome = Ok(());
    for name in [&dynamo.tables().jobs, &dynamo.tables().state, &dynamo.tables().data] {
        let deleted = dynamo.client().delete_table().table_name(name).send().await;
        let deleted = match deleted {
            Err(SdkError::ServiceError(service)) if service.err().is_resource_not_found_exception() => Ok(()),
            Err(error) => Err(format!("delete table {name}: {}", DisplayErrorContext(error))),
            Ok(_) => Ok(()),
        };
        outcome = both(outcome, deleted);
    }
    outcome
}
