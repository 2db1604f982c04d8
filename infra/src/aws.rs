//! The one configuration that every AWS client shares.
//!
//! Finding credentials and a region takes requests and files, and is the same for every client, so it
//! is done once per process, when the first client asks. The endpoint follows `AWS_ENDPOINT_URL`
//! where that is set.

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

/// A loader with the project's timeouts and retries, for callers that set a region, an endpoint or
/// credentials of their own.
#[must_use]
pub fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard())
}

/// Short enough that a stalled request leaves a job's batch time to recover: 1 s to connect, 3 s for
/// an attempt, 8 s in all.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(8))
        .build()
}
