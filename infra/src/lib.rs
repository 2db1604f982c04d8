//! The ports of lambda-jobs on real services, and its settings from the environment.
//!
//! Core decides and this crate only carries out: an adapter turns what a port asks for into as few
//! requests as its service allows, and turns the answers back into what the port promises. Each
//! service has a cargo feature, so that a function carries only the clients it uses.
//!
//! | module | feature | what lives there |
//! | --- | --- | --- |
//! | [`dynamodb`] | `dynamodb` | job records, their index and history, counters, webhook deliveries |
//! | [`sqs`] | `sqs` | the queues and their dead-letter queues |
//! | [`http`] | `http` | requests to the outside |
//! | [`settings`] | | configuration from environment variables |
//! | [`aws`] | `dynamodb` or `sqs` | the one configuration that all clients share |

#[cfg(any(feature = "dynamodb", feature = "sqs"))]
mod address;
#[cfg(any(feature = "dynamodb", feature = "sqs"))]
pub mod aws;
mod clock;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod entropy;
#[cfg(feature = "http")]
pub mod http;
pub mod settings;
#[cfg(feature = "sqs")]
pub mod sqs;

pub use clock::SystemClock;
#[cfg(feature = "dynamodb")]
pub use dynamodb::{Dynamo, DynamoJobStore, DynamoSchedules, DynamoWebhooks, create_tables};
pub use entropy::OsEntropy;
#[cfg(feature = "http")]
pub use http::ReqwestSender;
pub use settings::{QueueNames, Settings, SettingsError, Tables};
#[cfg(feature = "sqs")]
pub use sqs::{SqsClient, SqsJobQueue};
