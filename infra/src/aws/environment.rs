//! The configuration of a function, from its variables alone.

use std::sync::OnceLock;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::sdk_config::Builder;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::{connector, timeouts};
use crate::tls::Roots;

/// The variables that name a file of trusted authorities, in their order.
pub(super) const CA_VARIABLES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

static FUNCTION: OnceLock<SdkConfig> = OnceLock::new();

/// The configuration of a Lambda function: region, credentials and endpoints are in its variables. It is made once, so all
/// clients that are built from it share their connections.
#[must_use]
pub fn function_config() -> SdkConfig {
    FUNCTION.get_or_init(|| configured(|name| std::env::var(name).ok())).clone()
}

/// The configuration for a local stack. It takes any region and credentials, and must not get those of the environment,
/// which are for AWS.
#[must_use]
pub fn local_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local stack");
    base(Roots::Bundled)
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn base(roots: Roots) -> Builder {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(connector::http_client(roots))
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard())
}

fn configured(look_up: impl Fn(&str) -> Option<String>) -> SdkConfig {
    let variable = |name: &str| look_up(name).filter(|value| !value.is_empty());
    let is_set = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new);
    let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
    let mut builder = base(Roots::from_variables(&CA_VARIABLES, variable))
        .region(region)
        .credentials_provider(credentials)
        .use_fips(is_set("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_set("AWS_USE_DUALSTACK_ENDPOINT"));
    if !is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        builder.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
        builder.set_service_config(Some(ServiceVariables));
    }
    builder.build()
}

/// The endpoint of one service alone, as in `AWS_ENDPOINT_URL_SQS`.
#[derive(Debug)]
struct ServiceVariables;

impl LoadServiceConfig for ServiceVariables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        std::env::var(format!("AWS_ENDPOINT_URL_{service}")).ok().filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> SdkConfig {
        configured(|name| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn region_and_endpoint_come_from_the_variables_that_lambda_and_users_set() {
        let sdk = read(&[("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "https://proxy.example")]);
        assert_eq!(sdk.region().map(AsRef::as_ref), Some("eu-west-1"));
        assert_eq!(sdk.endpoint_url(), Some("https://proxy.example"));
        assert_eq!((sdk.use_fips(), sdk.use_dual_stack()), (Some(false), Some(false)));
        let sdk = read(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")]);
        assert_eq!(sdk.region().map(AsRef::as_ref), Some("eu-west-1"));
    }

    #[test]
    fn configured_endpoints_can_be_ignored() {
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        let sdk = read(&[
            ("AWS_ENDPOINT_URL", "https://proxy.example"),
            ignored,
            ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
        ]);
        assert_eq!(sdk.endpoint_url(), None);
        assert!(sdk.service_config().is_none());
        assert_eq!(sdk.use_fips(), Some(true));
    }
}
