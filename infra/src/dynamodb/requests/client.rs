//! The client that all stores share, and its errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use lambda_jobs_core::ports::ServiceError;

use crate::address::{Address, Failure};
use crate::settings::Tables;

/// Leaves out the header `x-amz-user-agent`, which repeats `user-agent` at length: 160 bytes of every request.
#[derive(Debug)]
struct Terse;

impl Intercept for Terse {
    fn name(&self) -> &'static str {
        "Terse"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().remove("x-amz-user-agent");
        Ok(())
    }
}

/// A connection to DynamoDB, with the names of the tables. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Dynamo {
    client: Client,
    once: Client,
    tables: Arc<Tables>,
    address: Address,
    single_writes: Arc<AtomicBool>,
}

impl Dynamo {
    /// A connection with the shared configuration, or one like it.
    #[must_use]
    pub fn new(config: &SdkConfig, tables: Tables) -> Self {
        Self::from_conf(Builder::from(config), tables)
    }

    /// A connection with a service configuration, for example with interceptors.
    #[must_use]
    pub fn from_conf(config: Builder, tables: Tables) -> Self {
        let address = Address::default();
        let config = config.interceptor(address.clone()).interceptor(Terse);
        let client = Client::from_conf(config.clone().build());
        // To override the retries of each call would cost more time than to sign it.
        let once = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
        Self { client, once, tables: Arc::new(tables), address, single_writes: Arc::default() }
    }

    /// The SDK client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The same without retries: only the writer knows which write may be repeated.
    pub(in crate::dynamodb) const fn once(&self) -> &Client {
        &self.once
    }

    /// The names of the tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Whether the endpoint lacks `BatchExecuteStatement`, as far as known.
    pub(in crate::dynamodb) fn writes_singly(&self) -> bool {
        self.single_writes.load(Ordering::Relaxed)
    }

    pub(in crate::dynamodb) fn write_singly(&self) {
        if !self.single_writes.swap(true, Ordering::Relaxed) {
            tracing::info!("the endpoint has no BatchExecuteStatement; writing records one by one");
        }
    }

    pub(in crate::dynamodb) fn failure<E>(&self, error: &SdkError<E>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Failure::of(error, &self.address)
    }

    /// The error of a whole call; `doing` reads like "claim jobs in".
    pub(in crate::dynamodb) fn error<E>(&self, doing: &str, table: &str, error: SdkError<E>) -> ServiceError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        SdkError<E>: Send + Sync,
    {
        let failure = self.failure(&error);
        self.store_error(doing, table, &failure).with_source(error)
    }

    /// The error of a call or statement with this failure.
    pub(in crate::dynamodb) fn store_error(
        &self,
        doing: &str,
        table: &str,
        failure: &Failure,
    ) -> ServiceError {
        let action = format!("{doing} table {table}");
        if failure.code.starts_with("ResourceNotFound") {
            let variable = self.tables.variable(table);
            let advice = format!("table {table} does not exist; deploy the template or set {variable}");
            return ServiceError::new(action, format!("{} ({})", advice, failure.reason));
        }
        let error = ServiceError::new(action, failure.reason.clone());
        if failure.is_throttled() { error.throttled() } else { error }
    }
}
