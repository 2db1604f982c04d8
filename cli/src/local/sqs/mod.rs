//! SQS on this machine: the service's wire protocol over core's model of SQS.
//!
//! The code that talks to the local stack is the code that talks to AWS. So this is no test double behind a port but
//! SQS's protocol: AWS JSON 1.0, one HTTP request per action, named by the header
//! `X-Amz-Target: AmazonSQS.<Action>`; and the query protocol of older clients, with forms and XML.
//! [`lambda_jobs_core::sqs`] decides what the queues do. This module reads and writes JSON and XML, computes checksums,
//! waits for messages, and stores the queues.
//!
//! | module | subject |
//! | --- | --- |
//! | [`SqsEndpoint`] | takes a request, returns an answer |
//! | [`MessageLog`], [`TableLog`] | what survives a restart, and where |
//! | [`Meter`] | counts the requests of each action |
//!
//! Answered: `CreateQueue`, `GetQueueUrl`, `ListQueues`, `GetQueueAttributes`, `SetQueueAttributes`, `DeleteQueue`,
//! `PurgeQueue`, `ListDeadLetterSourceQueues`, `TagQueue`, `UntagQueue`, `ListQueueTags`, `SendMessage`,
//! `ReceiveMessage`, `DeleteMessage`, `ChangeMessageVisibility`, the batches of sending, deleting and changing, and
//! `StartMessageMoveTask`, `ListMessageMoveTasks` and `CancelMessageMoveTask`. It checks no signatures, so any credentials work.

mod answer;
mod batches;
mod context;
mod digest;
mod endpoint;
mod fault;
mod few;
mod log;
mod messages;
mod meter;
mod moves;
mod query;
mod queues;
mod receive;
mod table_log;
mod wire;

pub use endpoint::{EndpointSettings, MAX_REQUEST_BYTES, SqsEndpoint};
pub use log::{Forgetful, LogError, MessageLog};
pub use meter::Meter;
pub use table_log::{TABLE, TableLog};
