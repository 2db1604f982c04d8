//! The one configuration that every AWS client shares.
//!
//! Finding credentials and a region takes requests and file reads, and gives every client the same answer. So it
//! happens once per process, for the first client. `AWS_ENDPOINT_URL`, if set, decides the endpoint.
//!
//! Lambda gives a function its credentials in variables. So a function asks nobody else, and does not carry the clients
//! of those whom a person's computer has to ask.

mod connector;
mod dial;
mod environment;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::OnceCell;

pub use environment::{function_config, local_config};

use crate::tls::Roots;

static SHARED: OnceCell<SdkConfig> = OnceCell::const_new();

/// How long to connect, without TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The shared configuration, from the environment in the ordinary AWS way: variables, profiles, roles.
pub async fn shared_config() -> &'static SdkConfig {
    SHARED.get_or_init(|| async { loader().load().await }).await
}

/// A loader with the project's timeouts and retries, for callers with their own region, endpoint or credentials.
#[must_use]
pub fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard())
}

/// An HTTP client for any AWS client. It trusts the file that `AWS_CA_BUNDLE` names. Otherwise, with the feature
/// `system-roots`, it trusts the system's authorities. Otherwise it trusts those in the file that `SSL_CERT_FILE` names,
/// or the bundled ones.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    let variable = |name: &str| std::env::var(name).ok();
    #[cfg(feature = "system-roots")]
    let roots = match Roots::from_variables(&["AWS_CA_BUNDLE"], variable) {
        Roots::Bundled => Roots::System,
        file => file,
    };
    #[cfg(not(feature = "system-roots"))]
    let roots = Roots::from_variables(&environment::CA_VARIABLES, variable);
    connector::http_client(roots)
}

/// 1 s to connect, 3 s for an attempt, 8 s in all: short enough that a batch can recover from a stalled request.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(8))
        .build()
}
