//! The ports of lambda-jobs on real services, and its settings from the environment.
//!
//! Core decides; this crate carries out. An adapter turns a port's call into as few requests as its service allows, and
//! turns the answers into the port's outcomes. Each service has a cargo feature, so that a function carries only the
//! clients that it uses.
//!
//! | module | feature | content |
//! | --- | --- | --- |
//! | [`dynamodb`] | `dynamodb` | job records, their index and history, counters, the control item, webhook deliveries |
//! | [`sqs`] | `sqs` | the queues and their dead-letter queues |
//! | [`lambda`] | `lambda` | the event source mappings of the worker function |
//! | [`http`] | `http` | requests to the outside |
//! | [`settings`] | | configuration from environment variables |
//! | [`aws`] | `dynamodb`, `lambda` or `sqs` | the one configuration, and the one HTTP client, that all AWS clients share |
//! | [`tls`] | any but none | whom every client trusts |
//!
//! Two more features change what these hold: `system-roots` trusts the authorities of the system, for tools on a
//! person's computer, and `post-quantum` has TLS by AWS-LC.

#[cfg(all(feature = "dynamodb", feature = "sqs"))]
mod adapters;
#[cfg(any(feature = "dynamodb", feature = "lambda", feature = "sqs"))]
mod address;
#[cfg(feature = "aws")]
pub mod aws;
mod clock;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod entropy;
mod event_log;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod settings;
#[cfg(feature = "sqs")]
pub mod sqs;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(all(feature = "dynamodb", feature = "sqs"))]
pub use adapters::Adapters;
pub use clock::SystemClock;
#[cfg(feature = "dynamodb")]
pub use dynamodb::{
    Dynamo, DynamoBatchNodes, DynamoControlStore, DynamoJobStore, DynamoRunning, DynamoSchedules,
    DynamoUniqueKeys, DynamoVersioned, DynamoWebhooks, create_tables,
};
pub use entropy::{OsEntropy, OsSecrets};
pub use event_log::LogEvents;
#[cfg(feature = "http")]
pub use http::ReqwestSender;
#[cfg(feature = "lambda")]
pub use lambda::LambdaEventSources;
pub use settings::{QueueNames, Settings, SettingsError, Tables};
#[cfg(feature = "sqs")]
pub use sqs::{SqsClient, SqsJobQueue};
