//! The client, the URLs of the queues, and its errors.

use std::collections::HashMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use lambda_jobs_core::ports::ServiceError;
use tokio::sync::Mutex;

use crate::address::{Address, Failure};
use crate::settings::QueueNames;

/// A connection to SQS, with the names of the queues. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqsClient {
    client: Client,
    names: Arc<QueueNames>,
    address: Address,
    urls: Arc<Mutex<HashMap<String, String>>>,
}

impl SqsClient {
    /// A connection with the shared configuration, or one like it.
    #[must_use]
    pub fn new(config: &SdkConfig, names: QueueNames) -> Self {
        Self::from_conf(Builder::from(config), names)
    }

    /// A connection with a service configuration, for example with interceptors.
    #[must_use]
    pub fn from_conf(config: Builder, names: QueueNames) -> Self {
        let address = Address::default();
        let client = Client::from_conf(config.interceptor(address.clone()).build());
        Self { client, names: Arc::new(names), address, urls: Arc::default() }
    }

    /// The SDK client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The names of the queues.
    #[must_use]
    pub fn names(&self) -> &QueueNames {
        &self.names
    }

    /// The URL of the queue with this full name.
    pub async fn url(&self, name: &str) -> Result<String, ServiceError> {
        let mut urls = self.urls.lock().await;
        if let Some(url) = urls.get(name) {
            return Ok(url.clone());
        }
        let found = self.client.get_queue_url().queue_name(name).send().await;
        let found = found.map_err(|error| self.error("find", name, error))?;
        let url = found.queue_url.ok_or_else(|| {
            ServiceError::new(format!("find queue {name}"), "the service answered without a URL")
        })?;
        urls.insert(name.to_owned(), url.clone());
        Ok(url)
    }

    /// The error of a whole call; `doing` reads like "send to".
    pub(super) fn error<E>(&self, doing: &str, name: &str, error: SdkError<E>) -> ServiceError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.shared_error(doing, name, &error).with_source(error)
    }

    /// The same, for several answers to one call.
    pub(super) fn shared_error<E>(&self, doing: &str, name: &str, error: &SdkError<E>) -> ServiceError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = Failure::of(error, &self.address);
        let reason = if failure.code.contains("NonExistentQueue") || failure.code == "QueueDoesNotExist" {
            let advice =
                format!("queue {name} does not exist; deploy the template or set LAMBDA_JOBS_QUEUE_PREFIX");
            format!("{advice} ({})", failure.reason)
        } else {
            failure.reason
        };
        ServiceError::new(format!("{doing} queue {name}"), reason)
    }
}
