//! The local stack: the AWS services that lambda-jobs uses, in this process.
//!
//! It is no mock. The adapters, the worker and any SDK talk to it over HTTP, as they talk to AWS. DynamoDB is an
//! embedded database, SQS an endpoint over core's model of SQS, and the poller reads answers as strictly as Lambda
//! does.

mod activity;
mod demo;
mod folder;
mod front;
mod progress;
mod queues;
mod rules;
pub mod sqs;
mod stack;
pub mod template;

pub use activity::{Activity, Follower};
pub use demo::{Demo, DemoOutcome, Receiver};
pub use front::FrontMeter;
pub use progress::Progress;
pub use rules::{Fired, Rule, Rules};
pub use stack::{RunningWorker, Stack, StackError, StackOptions};
