//! The one configuration that every AWS client shares.
//!
//! Finding credentials and a region takes requests and file reads, and gives every client the same answer. So it
//! happens once per process, for the first client. `AWS_ENDPOINT_URL`, if set, decides the endpoint.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use tokio::sync::OnceCell;

static SHARED: OnceCell<SdkConfig> = OnceCell::const_new();

/// The shared configuration, from the environment in the ordinary AWS way.
pub async fn shared_config() -> &'static SdkConfig {
    SHARED.get_or_init(|| async { loader().load().await }).await
}

/// A loader with the project's timeouts and retries, for callers with their own region, endpoint or credentials.
#[must_use]
pub fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard())
}

/// 1 s to connect, 3 s for an attempt, 8 s in all: short enough that a batch can recover from a stalled request.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(8))
        .build()
}
