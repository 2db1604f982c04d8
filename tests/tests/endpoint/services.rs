//! Which services have an endpoint, by the variables that every AWS SDK reads.

use std::fmt;

/// How to run the suites when no endpoint is named.
pub(crate) const ADVICE: &str = "\
No endpoint is named, so there is nothing to run against. Set AWS_ENDPOINT_URL to an endpoint that has SQS,
DynamoDB and EventBridge, or AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL_EVENTBRIDGE
to what there is of each. Region and credentials come from the ordinary AWS configuration.";

/// A service that suites need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Service {
    Sqs,
    DynamoDb,
    EventBridge,
}

impl Service {
    const ALL: [Self; 3] = [Self::Sqs, Self::DynamoDb, Self::EventBridge];

    const fn name(self) -> &'static str {
        match self {
            Self::Sqs => "SQS",
            Self::DynamoDb => "DynamoDB",
            Self::EventBridge => "EventBridge",
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Sqs => "AWS_ENDPOINT_URL_SQS",
            Self::DynamoDb => "AWS_ENDPOINT_URL_DYNAMODB",
            Self::EventBridge => "AWS_ENDPOINT_URL_EVENTBRIDGE",
        }
    }
}

/// The services that have an endpoint, with its URL.
pub(crate) struct Services(Vec<(Service, String)>);

impl Services {
    pub(crate) fn read(look_up: impl Fn(&str) -> Option<String>) -> Self {
        let look_up = |variable| look_up(variable).filter(|url| !url.is_empty());
        let all = look_up("AWS_ENDPOINT_URL");
        let endpoint = |service: Service| {
            look_up(service.variable()).or_else(|| all.clone()).map(|endpoint| (service, endpoint))
        };
        Self(Service::ALL.into_iter().filter_map(endpoint).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The message for a suite whose service has no endpoint.
    pub(crate) fn lack(&self, needs: &[Service]) -> Option<String> {
        let missing = needs.iter().find(|needed| self.0.iter().all(|(service, _)| service != *needed))?;
        Some(format!("no endpoint for {}: set {}", missing.name(), missing.variable()))
    }
}

impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (service, endpoint) in &self.0 {
            writeln!(f, "{} at {endpoint}", service.name())?;
        }
        Ok(())
    }
}
