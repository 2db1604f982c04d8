//! Integration tests of the command and its local stack, as one binary.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are part of it, and fail with it")]

mod sqs_endpoint;
