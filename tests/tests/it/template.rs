//! What the template promises, held against the code that relies on it.

mod queues;
mod read;
mod tables;
mod worker;

pub(crate) use read::{Template, logical_id};
