//! Compares the template with the code that relies on it.

mod dispatcher;
mod queues;
mod read;
mod rules;
mod tables;
mod worker;

pub(crate) use read::{Template, logical_id};
