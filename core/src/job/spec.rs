//! The common part of a job, a definition and a schedule's template.

use std::time::Duration;

use super::{Payload, Priority};

/// A job's handler, payload and settings.
///
/// Its limits are those of the message contract. They are checked when a job is enqueued or a schedule is made.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// The name of the handler that runs the job.
    pub name: String,
    /// What the handler is given: any JSON; `{}` by default.
    pub payload: Payload,
    /// How urgent the job is; 5 by default.
    pub priority: Priority,
    /// How many retries may follow the first attempt; the handler's own number if absent.
    pub max_retries: Option<u32>,
    /// How long one attempt may take; the handler's own timeout if absent.
    pub timeout: Option<Duration>,
    /// Words to find the job by.
    pub tags: Vec<String>,
    /// Whose job it is: becomes the SQS message group, so that one tenant's backlog can't starve another's.
    pub tenant: Option<String>,
}

impl JobSpec {
    /// A job for the handler of this name, with an empty object as its payload and a default for everything else.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            payload: Payload::default(),
            priority: Priority::default(),
            max_retries: None,
            timeout: None,
            tags: Vec::new(),
            tenant: None,
        }
    }
}
