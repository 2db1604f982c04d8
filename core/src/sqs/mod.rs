//! The one model of SQS standard queues.
//!
//! Three places need to know how SQS behaves: the in-memory queue of users' tests, the local endpoint for any
//! SDK, and a simulator that explores rare deliveries. Three models would soon disagree with each other, so there is
//! one. It is pure: the time of each call is an argument, ids come from a seeded
//! generator, and nothing here waits, locks or does I/O. The same calls with the same seed and instants give the same
//! results.
//!
//! Its rules and their sources:
//!
//! | rule | source |
//! | --- | --- |
//! | ranges and defaults of every attribute and parameter | [`limits`] |
//! | a message is *delayed*, *visible* or *in flight*; a receive hides it for the visibility timeout | Developer Guide, visibility timeout |
//! | a message received more than `maxReceiveCount` times moves to the dead-letter queue, with its id, its attributes and the time it was sent | Developer Guide, dead-letter queues |
//! | a move task sends a dead letter to its destination as a new message, or back to the queue that SQS moved it from | API reference, `StartMessageMoveTask`; Developer Guide, dead-letter queue redrive |
//! | retention counts from the first send, in a dead-letter queue too | Developer Guide, dead-letter queue retention |
//! | among visible messages, the message group with the fewest in flight is served first | Developer Guide, fair queues |
//!
//! AWS leaves the order open. The model fixes it, so that runs repeat: messages come in the order in which they
//! became visible. For another order, or a late or double delivery, a caller uses
//! [`Sqs::receive_by`], [`Sqs::set_visible_at`] and [`Sqs::reinstate`].
//!
//! Not modelled: FIFO queues, the 60 seconds that a purge or a deletion takes, the 120,000 messages in flight,
//! encryption and policies (their attributes are kept and have no effect).
//!
//! ```
//! use std::time::Duration;
//! use chrono::{TimeZone, Utc};
//! use lambda_jobs_core::sqs::{ReceiveRequest, SendRequest, Sqs};
//!
//! # fn main() -> Result<(), lambda_jobs_core::sqs::SqsError> {
//! let noon = Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).unwrap();
//! let mut sqs = Sqs::with_seed(7);
//! sqs.create_queue("jobs", &[("VisibilityTimeout", "30")].into(), noon)?;
//! sqs.send("jobs", SendRequest::new("hello"), noon)?;
//!
//! let received = sqs.receive("jobs", ReceiveRequest::default(), noon)?;
//! assert_eq!(received[0].message.content.body, "hello");
//!
//! // It is hidden for 30 seconds, and then comes again unless it was deleted.
//! let later = noon + Duration::from_secs(30);
//! assert_eq!(sqs.next_visible_at("jobs", noon)?, Some(later));
//! let again = sqs.receive("jobs", ReceiveRequest::default(), later)?;
//! assert_eq!(again[0].message.receive_count, 2);
//! sqs.delete("jobs", &again[0].receipt_handle, later)?;
//! assert_eq!(sqs.next_visible_at("jobs", later)?, None);
//! # Ok(())
//! # }
//! ```

mod admin;
mod attributes;
pub mod batch;
mod change;
mod delivery;
mod error;
pub mod limits;
mod message;
mod message_attribute;
mod model;
mod move_task;
mod queue;
mod receipt;
mod redrive;
mod traffic;
mod visibility;

pub use attributes::{AttributeMap, QueueAttributes};
pub use change::{Change, Snapshot};
pub use error::SqsError;
pub use message::{Message, MessageContent, ReceiveRequest, Received, SendRequest};
pub use message_attribute::{AttributeValue, MessageAttribute};
pub use model::Sqs;
pub use move_task::{MoveStatus, MoveTask};
pub use queue::{Counts, QueueState};
pub use redrive::{RedrivePolicy, queue_arn};
