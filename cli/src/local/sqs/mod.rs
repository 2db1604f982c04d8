//! SQS on this machine: what SDKs say to SQS, answered from the model of SQS.
//!
//! A local stack is worth having if the code that talks to it is the code that talks to AWS. So this is no test
//! double behind our own port but the service's wire protocol: AWS JSON 1.0, one HTTP request per action,
//! named by the header `X-Amz-Target: AmazonSQS.<Action>`. What the queues do is decided by
//! [`lambda_jobs_core::sqs`]; here is only what a wire needs: reading and writing JSON, checksums,
//! waiting for messages, and keeping the queues.
//!
//! | module | subject |
//! | --- | --- |
//! | [`SqsEndpoint`] | takes a request, gives an answer |
//! | [`MessageLog`], [`TableLog`] | what survives a restart, and where |
//! | [`Meter`] | how many requests of each action came |
//!
//! Answered: `CreateQueue`, `GetQueueUrl`, `ListQueues`, `GetQueueAttributes`, `SetQueueAttributes`, `DeleteQueue`,
//! `PurgeQueue`, `ListDeadLetterSourceQueues`, `TagQueue`, `UntagQueue`, `ListQueueTags`, `SendMessage`,
//! `ReceiveMessage`, `DeleteMessage`, `ChangeMessageVisibility`, and the batches of the last three and of
//! `SendMessage`. Signatures are not checked: any credentials do.

mod answer;
mod batches;
mod desk;
mod digest;
mod endpoint;
mod log;
mod messages;
mod meter;
mod queues;
mod receive;
mod table_log;
mod wire;

pub use endpoint::{EndpointSettings, MAX_REQUEST_BYTES, SqsEndpoint};
pub use log::{Forgetful, LogError, MessageLog};
pub use meter::Meter;
pub use table_log::{TABLE, TableLog};
