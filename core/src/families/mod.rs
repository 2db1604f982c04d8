//! The job families that come along.

pub mod webhook;

use crate::job::{Priority, Queue};

/// The queue of a job for whose handler nobody here can be asked: its family's, else by its priority.
///
/// ```
/// use lambda_jobs_core::{Priority, Queue, families};
/// assert_eq!(families::queue_for(families::webhook::NAME, Priority::MOST_URGENT), Queue::Webhooks);
/// assert_eq!(families::queue_for("my-job", Priority::MOST_URGENT), Queue::High);
/// ```
#[must_use]
pub fn queue_for(name: &str, priority: Priority) -> Queue {
    match name {
        webhook::NAME => Queue::Webhooks,
        _ => Queue::for_priority(priority),
    }
}
