//! Integration tests of the command and its local stack, as one binary.

mod sqs_endpoint;
