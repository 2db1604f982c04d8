//! The control item: what holds for all environments at once.

use std::time::Duration;

use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use lambda_jobs_core::ports::StoreError;

use super::{Dynamo, key};

impl Dynamo {
    /// Reads the control item for the sake of the reading alone: credentials, the TLS handshake and the
    /// connection are then there for whatever comes first. Made once, and given up after `limit`.
    pub async fn warm_up(&self, limit: Duration) -> Result<(), StoreError> {
        let table = &self.tables().state;
        let once = Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(limit).build());
        let call = self.client().get_item().table_name(table).set_key(Some(key("control", "control")));
        match call.customize().config_override(once).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error("read", table, error)),
        }
    }
}
