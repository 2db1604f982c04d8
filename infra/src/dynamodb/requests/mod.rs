//! Requests to DynamoDB that every store makes: reads and conditional writes in batches, pages over partitions.

mod attempt;
mod client;
mod pages;
mod reader;
mod render;
mod single;
mod write;
mod writer;

pub use client::Dynamo;

pub(super) use pages::{Shards, key_at, merged, place_of};
pub(super) use reader::{MAX_KEYS, Projection};
pub(super) use write::{Condition, Failed, Outcome, Set, Update, Value, Write};
