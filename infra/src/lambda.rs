//! The event source mappings of the worker function.
//!
//! Lambda names a mapping's queue by its ARN, and the settings name it by its name. A change takes effect within
//! about a minute. Until then Lambda refuses another change; that is no failure, the caller tries again.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use lambda_jobs_core::Queue;
use lambda_jobs_core::ports::{ChangeOutcome, EventSource, EventSources, ServiceError, SourceState};

use crate::address::{Address, Failure};
use crate::settings::QueueNames;

/// [`EventSources`] on Lambda.
#[derive(Clone, Debug)]
pub struct LambdaEventSources {
    client: Client,
    function: String,
    names: QueueNames,
    address: Address,
}

impl LambdaEventSources {
    /// The mappings of a function (its name or ARN) from queues of these names, with the shared configuration or one
    /// like it.
    #[must_use]
    pub fn new(config: &SdkConfig, function: impl Into<String>, names: QueueNames) -> Self {
        Self::from_conf(Builder::from(config), function, names)
    }

    /// The same with a service configuration, for example with interceptors.
    #[must_use]
    pub fn from_conf(config: Builder, function: impl Into<String>, names: QueueNames) -> Self {
        let address = Address::default();
        let client = Client::from_conf(config.interceptor(address.clone()).build());
        Self { client, function: function.into(), names, address }
    }

    /// The event source of a mapping; `None` if its source is none of the queues.
    fn read(&self, mapping: EventSourceMappingConfiguration) -> Option<EventSource> {
        let arn = mapping.event_source_arn?;
        let name = arn.strip_prefix("arn:")?.rsplit(':').next()?;
        let queue = Queue::ALL.into_iter().find(|queue| self.names.queue(*queue) == name)?;
        Some(EventSource { id: mapping.uuid?, queue, state: state(mapping.state.as_deref()) })
    }

    fn error<E>(&self, action: String, error: SdkError<E>) -> ServiceError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let failure = Failure::of(&error, &self.address);
        ServiceError::new(action, failure.reason).with_source(error)
    }
}

fn state(state: Option<&str>) -> SourceState {
    match state {
        Some("Enabled") => SourceState::Enabled,
        Some("Disabled") => SourceState::Disabled,
        Some("Enabling") => SourceState::Enabling,
        Some("Disabling") => SourceState::Disabling,
        // Creating, Updating, Deleting, or a state that Lambda may add.
        _ => SourceState::Other,
    }
}

#[async_trait]
impl EventSources for LambdaEventSources {
    async fn list(&self) -> Result<Vec<EventSource>, ServiceError> {
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            let call = self.client.list_event_source_mappings().function_name(&self.function);
            let page = call.set_marker(marker).send().await.map_err(|error| {
                self.error(format!("list the event sources of function {}", self.function), error)
            })?;
            let mappings = page.event_source_mappings.unwrap_or_default();
            found.extend(mappings.into_iter().filter_map(|mapping| self.read(mapping)));
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(found);
            }
        }
    }

    async fn set_enabled(&self, id: &str, enabled: bool) -> Result<ChangeOutcome, ServiceError> {
        let call = self.client.update_event_source_mapping().uuid(id).enabled(enabled);
        match call.send().await {
            Ok(_) => Ok(ChangeOutcome::Accepted),
            Err(SdkError::ServiceError(service))
                if service.err().is_resource_in_use_exception()
                    || service.err().is_resource_conflict_exception() =>
            {
                Ok(ChangeOutcome::Busy)
            }
            Err(error) => Err(self.error(format!("change event source {id}"), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_known_by_the_name_of_its_queue() {
        let config = Builder::new().behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest());
        let sources = LambdaEventSources::from_conf(config, "worker", QueueNames::default());
        let read = |arn: &str| {
            let mapping = EventSourceMappingConfiguration::builder().uuid("u").event_source_arn(arn);
            sources.read(mapping.state("Updating").build())
        };
        let low = EventSource { id: "u".to_owned(), queue: Queue::Low, state: SourceState::Other };
        assert_eq!(read("arn:aws:sqs:eu-west-1:123456789012:lambda-jobs-low"), Some(low));
        for other in ["lambda-jobs-low-dlq", "lambda-jobs", "my-lambda-jobs-low"] {
            assert_eq!(read(&format!("arn:aws:sqs:eu-west-1:123456789012:{other}")), None);
        }
        assert_eq!(read("arn:aws:kinesis:eu-west-1:123456789012:stream/low"), None);
    }
}
