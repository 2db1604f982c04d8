//! The local stack: AWS's side of the conversation, in this process.

pub mod sqs;
