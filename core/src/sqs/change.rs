//! What a call changed, for a caller that keeps the queues on disk.
//!
//! The model holds everything in memory. A caller that writes each change before it answers loses nothing in a crash,
//! and writes only what changed: one record for a queue, one for a message.

use super::{Message, QueueState};

/// One record to write or to remove.
///
/// A message's record goes by its id alone: a redrive is a write of the same record with another queue, so that no
/// crash can fall between a removal here and an arrival there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A queue is new or changed.
    QueueStored(QueueState),
    /// A queue is gone; its messages are removed by changes before this one.
    QueueRemoved {
        /// The queue's name.
        name: String,
    },
    /// A message is new or changed.
    MessageStored(Box<Message>),
    /// A message is gone.
    MessageRemoved {
        /// The message's id.
        id: String,
        /// The queue that held it.
        queue: String,
    },
}

/// Everything that was kept, for [`Sqs::restore`](super::Sqs::restore); in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The queues.
    pub queues: Vec<QueueState>,
    /// The messages of all queues.
    pub messages: Vec<Message>,
}

impl Snapshot {
    /// Whether nothing was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.messages.is_empty()
    }
}
