//! The local stack: AWS's side of the conversation, in this process.
//!
//! Nothing about it is a mock. The adapters, the worker and any SDK speak to it over HTTP as they would
//! speak to AWS: DynamoDB is an embedded database, SQS an endpoint over the one model of SQS, and the
//! event source mapping reads answers as strictly as Lambda does.

mod demo;
mod front;
mod progress;
mod queues;
mod rules;
pub mod sqs;
mod stack;
pub mod template;

pub use demo::{Demo, DemoOutcome, Receiver};
pub use front::FrontMeter;
pub use progress::Progress;
pub use rules::{Fired, Rule, Rules};
pub use stack::{RunningWorker, Stack, StackError, StackOptions};
