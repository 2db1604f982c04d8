//! Urgency, and the queue that follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// How urgent a job is: 1 (most urgent) to 10, 5 by default.
///
/// SQS has no priorities, so urgency chooses the queue: see [`Queue::for_priority`].
///
/// ```
/// use lambda_jobs_core::{Priority, Queue};
///
/// assert_eq!(Priority::default().get(), 5);
/// assert_eq!(Queue::for_priority(Priority::new(1)?), Queue::High);
/// assert_eq!(
///     Priority::new(11).unwrap_err().to_string(),
///     "priority: expected an integer from 1 (most urgent) to 10, got 11",
/// );
/// # Ok::<(), lambda_jobs_core::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u8")]
pub struct Priority(u8);

impl Priority {
    /// The most urgent priority, 1.
    pub const MOST_URGENT: Self = Self(1);

    /// A priority from its number.
    pub fn new(number: u64) -> Result<Self, Invalid> {
        match u8::try_from(number) {
            Ok(small @ 1..=10) => Ok(Self(small)),
            _ => Err(Invalid::new("priority", "an integer from 1 (most urgent) to 10", number)),
        }
    }

    /// The number, 1 to 10.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u64> for Priority {
    type Error = Invalid;

    fn try_from(number: u64) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

/// The name of the jobs that deliver webhooks, the one family with its own queue.
pub const WEBHOOK_DELIVERY: &str = "webhook-delivery-job";

/// The queues that jobs wait in. Each has a dead-letter queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queue {
    /// Priorities 1 to 3.
    High,
    /// Priorities 4 to 6.
    Normal,
    /// Priorities 7 to 10.
    Low,
    /// Webhook deliveries, apart so that a slow endpoint can't hold up anything else.
    Webhooks,
}

impl Queue {
    /// Every queue, most urgent first.
    pub const ALL: [Self; 4] = [Self::High, Self::Normal, Self::Low, Self::Webhooks];

    /// The queue of a job whose handler is not known here: its family's, otherwise by its priority.
    ///
    /// ```
    /// use lambda_jobs_core::{Priority, Queue};
    ///
    /// assert_eq!(Queue::for_job("webhook-delivery-job", Priority::MOST_URGENT), Queue::Webhooks);
    /// assert_eq!(Queue::for_job("my-job", Priority::MOST_URGENT), Queue::High);
    /// ```
    #[must_use]
    pub fn for_job(name: &str, priority: Priority) -> Self {
        match name {
            WEBHOOK_DELIVERY => Self::Webhooks,
            _ => Self::for_priority(priority),
        }
    }

    /// The queue of a job whose handler chooses none.
    #[must_use]
    pub const fn for_priority(priority: Priority) -> Self {
        match priority.0 {
            ..=3 => Self::High,
            4..=6 => Self::Normal,
            _ => Self::Low,
        }
    }

    /// The queue's short name, as it ends the real queue's name: `high`, `normal`, `low`, `webhooks`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Webhooks => "webhooks",
        }
    }

    /// The queue with this short name.
    ///
    /// ```
    /// assert_eq!(lambda_jobs_core::Queue::from_name("low"), Some(lambda_jobs_core::Queue::Low));
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == name)
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_priority_has_the_queue_that_the_contract_gives_it() {
        let queues: Vec<_> =
            (1..=10).map(|number| Queue::for_priority(Priority::new(number).unwrap()).as_str()).collect();
        assert_eq!(
            queues,
            ["high", "high", "high", "normal", "normal", "normal", "low", "low", "low", "low"]
        );
    }
}
